package socketio

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzArgs: what a client sends as arguments can be read in every way without a panic, and the ways
// agree.
func FuzzArgs(f *testing.F) {
	for _, payload := range []string{
		`[1,"two",null,true,{"a":[{}]}]`, `[{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}}]`,
		`[{"_placeholder":true,"num":0,"num":1}]`, `[{"_placeholder":false,"_placeholder":true,"num":1.0}]`,
		`[{"_Placeholder":true,"num":1}]`, `[{"_placeh\u006flder":true,"num":0}]`, `["\ud800","\u0000"]`, `[]`, `[[[[[]]]]]`,
		`[{"_placeholder":true,"num":-1}]`, `[{"_placeholder":true,"num":1e0}]`, `[{"_placeholder":true,"num":99999999999999999999}]`,
	} {
		f.Add([]byte(payload), uint8(2))
	}
	f.Fuzz(func(t *testing.T, payload []byte, n uint8) {
		attachments := make([][]byte, n%4)
		for i := range attachments {
			attachments[i] = []byte{byte(i), 0xff}
		}
		args, err := ParseArgs(payload, attachments)
		if err != nil {
			return
		}
		clone := args.Clone()
		if clone.Len() != args.Len() {
			t.Fatalf("a clone has %d of %d arguments", clone.Len(), args.Len())
		}
		for i := range args.Len() + 1 {
			readArgument(t, args, clone, i)
		}
	})
}

func readArgument(t *testing.T, args, clone Args, i int) {
	text := args.JSON(i)
	if !bytes.Equal(text, clone.JSON(i)) || (i < args.Len()) != json.Valid(text) {
		t.Fatalf("argument %d is %q", i, text)
	}
	var (
		tree   any
		raw    json.RawMessage
		str    string
		data   []byte
		object map[string]any
		list   []any
		record struct {
			A any    `json:"a"`
			X []byte `json:"x"`
		}
	)
	treeErr := args.Decode(i, &tree)
	for _, v := range []any{&raw, &str, &data, &object, &list, &record} {
		_ = args.Decode(i, v) // most are of another type
	}
	whole, binary := args.Bytes(i)
	switch {
	case i >= args.Len():
		if tree != nil || binary || treeErr != nil {
			t.Fatalf("an argument that is not there is %v, %v", tree, treeErr)
		}
	case treeErr != nil:
		var plain any
		if json.Unmarshal(text, &plain) == nil {
			t.Fatalf("argument %d: %v, though %s decodes", i, treeErr, text)
		}
	case binary != (reflect.TypeOf(tree) == reflect.TypeFor[[]byte]()):
		t.Fatalf("argument %d is %T; binary: %v", i, tree, binary)
	case binary && (!bytes.Equal(whole, data) || !bytes.Equal(whole, tree.([]byte))):
		t.Fatalf("argument %d is %q, %q and %q", i, whole, data, tree)
	}
	if !bytes.Equal(raw, text) {
		t.Fatalf("argument %d is %q, raw %q", i, text, raw)
	}
}
