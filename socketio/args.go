// The arguments of an event or acknowledgement as they were received.

package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Args are the arguments of an event, or of an acknowledgement, as a client sent them: JSON and
// binary. A handler may use its Args until it returns; Clone makes a copy that it can keep. The
// zero value has no arguments.
type Args struct {
	raw         []json.RawMessage
	attachments [][]byte
}

// Len is the number of arguments.
func (a Args) Len() int { return len(a.raw) }

// Clone returns a copy that stays valid after the handler has returned.
func (a Args) Clone() Args {
	return Args{raw: cloneArgs(a.raw), attachments: a.attachments} // attachments were copied when they arrived
}

// JSON returns argument i, counted from 0, as JSON text. Binary data in it is written as base64
// strings. The result is nil if there is no such argument.
func (a Args) JSON(i int) json.RawMessage {
	if i >= len(a.raw) {
		return nil
	}
	if len(a.attachments) == 0 {
		return a.raw[i]
	}
	return inlineAttachments(nil, a.raw[i], a.attachments)
}

// Bytes returns argument i if the whole argument is binary; otherwise ok is false.
func (a Args) Bytes(i int) (data []byte, ok bool) {
	if i >= len(a.raw) || len(a.attachments) == 0 || a.raw[i][0] != '{' {
		return nil, false
	}
	found, _ := findPlaceholders(a.raw[i], len(a.attachments))
	if len(found) != 1 || found[0].from != 0 || found[0].to != len(a.raw[i]) {
		return nil, false
	}
	return a.attachments[found[0].num], true
}

// Decode puts argument i into what v points at, as encoding/json does. []byte gets what was binary,
// alone or in a struct; in an any, it is []byte too. An argument that is not there leaves *v as it
// is.
func (a Args) Decode(i int, v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("socketio: Decode into a %T: want a pointer", v)
	}
	return a.decode(i, p.Elem())
}

var (
	bytesType = reflect.TypeFor[[]byte]()
	rawType   = reflect.TypeFor[json.RawMessage]()
	anyType   = reflect.TypeFor[any]()
	textType  = reflect.TypeFor[string]()

	// The types in which what was binary is a []byte, as in an any.
	objectType = reflect.TypeFor[map[string]any]()
	listType   = reflect.TypeFor[[]any]()
)

// text returns argument i as encoding/json decodes it into a string; "" if there is no such
// argument.
func (a Args) text(i int) (text string, err error) {
	if i >= len(a.raw) {
		return "", nil
	}
	// A packet is valid JSON in UTF-8. So a string without escapes needs no further check.
	if raw := a.raw[i]; raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	err = json.Unmarshal(a.JSON(i), &text)
	return text, err
}

// decode puts argument i into v, which can be set.
func (a Args) decode(i int, v reflect.Value) error {
	if i >= len(a.raw) {
		return nil
	}
	switch v.Type() {
	case textType:
		text, err := a.text(i)
		if err == nil {
			v.SetString(text)
		}
		return err
	case bytesType:
		if data, ok := a.Bytes(i); ok {
			v.SetBytes(data)
			return nil
		}
	case rawType:
		v.SetBytes(bytes.Clone(a.JSON(i)))
		return nil
	case anyType:
		tree, err := a.tree(i)
		if err == nil && tree != nil {
			v.Set(reflect.ValueOf(tree))
		}
		return err
	case objectType, listType:
		if len(a.attachments) > 0 {
			if tree, err := a.tree(i); err == nil && reflect.TypeOf(tree) == v.Type() {
				v.Set(reflect.ValueOf(tree))
				return nil
			}
		}
	}
	return json.Unmarshal(a.JSON(i), v.Addr().Interface())
}

// tree is argument i as encoding/json would make an any of it, and []byte where it was binary.
func (a Args) tree(i int) (tree any, err error) {
	if err = json.Unmarshal(a.raw[i], &tree); err == nil && len(a.attachments) > 0 {
		tree = a.fill(tree)
	}
	return tree, err
}

// fill replaces the placeholders in a tree.
func (a Args) fill(tree any) any {
	switch t := tree.(type) {
	case []any:
		for i := range t {
			t[i] = a.fill(t[i])
		}
	case map[string]any:
		if t["_placeholder"] == true {
			num, _ := t["num"].(float64) // checked when the packet was complete
			return a.attachments[int(num)]
		}
		for name := range t {
			t[name] = a.fill(t[name])
		}
	}
	return tree
}
