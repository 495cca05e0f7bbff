// Binary data at any depth of an argument, and the agreement with encoding/json for everything
// else.

package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

type (
	hexText []byte // a type with a text of its own is no binary data
	small   struct{ b byte }
	level   int
	self    struct {
		Data []byte
		Next *self `json:",omitempty"`
	}
	hidden struct {
		Promoted []byte
		Twice    any
	}
	other  struct{ Twice any }
	tagged struct {
		First any `json:"-"`
		//lint:ignore SA5008 the name is a dash
		Dash   []byte    `json:"-,"`
		Named  blob      `json:"named"`
		Empty  []byte    `json:",omitempty"`
		Zero   []byte    `json:",omitzero"`
		When   time.Time `json:",omitzero"`
		Quoted int       `json:",string"`
		Text   string    `json:"text,string"`
		//lint:ignore SA5008 a name that encoding/json does not take
		Bad   []byte        `json:"a\"b"`
		Keys  map[level]any `json:"k"`
		Times map[small]any `json:",omitempty"`
		Raw   json.RawMessage
		Hex   hexText
		Ptr   *[]byte
		Fixed [2][]byte
		Bytes [3]byte
		hidden
		*other
		lower []byte
		Any   any
		F32   float32
		F     float64
		Iface fmt.Stringer
	}
)

func (h hexText) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", []byte(h)), nil }
func (h *hexText) UnmarshalText(p []byte) error {
	_, err := fmt.Sscanf(string(p), "%x", (*[]byte)(h))
	return err
}
func (s small) MarshalText() ([]byte, error)  { return []byte{'s', s.b}, nil }
func (s *small) UnmarshalText(p []byte) error { s.b = p[len(p)-1]; return nil }

// plainJSON is what encoding/json makes of v.
func plainJSON(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// With attachments written as base64, all values are what encoding/json makes of them.
func TestMarshalAgreesWithJSON(t *testing.T) {
	data := []byte{1, 2, 3}
	for _, tt := range []struct {
		v    any
		want int // attachments
	}{
		{struct{ B []byte }{data}, 1},
		{&struct{ B blob }{blob(data)}, 1},
		{[]struct{ B []byte }{{data}, {data}}, 2},
		{map[int][]byte{10: data, 9: data}, 2},
		{map[string]map[string][]byte{"z": {"a": data}, "b": nil}, 1},
		{[2][]byte{data, data}, 2},
		{&data, 1},
		{self{data, &self{Data: data}}, 2},
		{tagged{
			First: data, Dash: data, Named: blob(data), Quoted: 7, Text: `a"b`, Bad: data, Keys: map[level]any{2: data, -1: "x"},
			Times: map[small]any{{'b'}: data, {'a'}: 1}, Raw: json.RawMessage(`{"a": [1]}`), Hex: hexText(data), Ptr: &data,
			Fixed: [2][]byte{data, data}, hidden: hidden{Promoted: data, Twice: data}, other: &other{data}, lower: data,
			Any: []any{1, map[string]any{"n": nil}, 1.5, "<&>"}, F32: 0.1, F: 1e21, When: time.UnixMilli(1).UTC(),
		}, 9},
		{map[string]any{"b": data, "a": []any{data, 1, math.Copysign(0, -1), 1e-7, true, nil, "é\u2028\x00"}}, 2},
		{[]any{hexText(data), &hexText{1}, time.UnixMilli(5).UTC(), json.Number("12")}, 0},
		{struct{ A any }{nil}, 0},
		{struct {
			P *[]byte
			M map[string][]byte
			L [][]byte
		}{}, 0},
		{Binary(data), 1},
	} {
		v, err := encodeEvent("e", []any{tt.v})
		if err != nil {
			t.Errorf("%+v: %v", tt.v, err)
			continue
		}
		raw, bad := splitArray(nil, v.json)
		if bad != "" {
			t.Fatalf("%+v: %s: %s", tt.v, v.json, bad)
		}
		if len(v.attachments) != tt.want {
			t.Errorf("%+v: %d attachments, want %d: %s", tt.v, len(v.attachments), tt.want, v.json)
		}
		want := plainJSON(t, tt.v)
		if _, is := tt.v.(Binary); is {
			want = plainJSON(t, data)
		}
		if got := string((Args{raw: raw, attachments: v.attachments}).JSON(1)); !sameJSON(got, want) {
			t.Errorf("%+v:\n%s, want\n%s", tt.v, got, want)
		}
	}
}

// sameJSON compares texts, but for escapes that mean the same.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// A nil []byte is binary data of no bytes, as an empty one is; omitempty and omitzero leave it out.
func TestNilIsEmptyBinary(t *testing.T) {
	v, err := encodeEvent("e", []any{[]byte(nil), tagged{}.Empty, struct {
		A []byte
		B []byte `json:",omitempty"`
		C []byte `json:",omitzero"`
	}{C: nil}, map[string][]byte{"x": nil}})
	const want = `["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"A":{"_placeholder":true,"num":2}},{"x":{"_placeholder":true,"num":3}}]`
	if err != nil || string(v.json) != want {
		t.Errorf("%s, %v", v.json, err)
	}
}

// marshaled writes JSON with binary data by itself.
type marshaled struct{ data []byte }

func (m marshaled) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"data": Binary(m.data), "text": m.data})
}

// What a MarshalJSON writes is sent as it is; a Binary in it is an attachment.
func TestMarshalersAreRespected(t *testing.T) {
	v, err := encodeEvent("e", []any{[]any{marshaled{[]byte{1}}, []byte{2}}})
	const want = `["e",[{"data":{"_placeholder":true,"num":0},"text":"AQ=="},{"_placeholder":true,"num":1}]]`
	if err != nil || string(v.json) != want {
		t.Errorf("%s, %v", v.json, err)
	}
}

func TestArgumentsThatCannotBeEncoded(t *testing.T) {
	type ring struct{ Next any }
	cycle := &ring{}
	cycle.Next = cycle
	var pointer any
	pointer = &pointer
	deepList := func(n int) (v any) {
		for range n {
			v = []any{v}
		}
		return v
	}
	text := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	for _, tt := range []struct {
		name string
		v    any
		want error
	}{
		{"an object that has itself", cycle, ErrDepth},
		{"a pointer to itself", pointer, ErrDepth},
		{"64 levels in 1", deepList(64), ErrDepth},
		{"64 levels in 1, raw", json.RawMessage(text), ErrRaw},
		{"64 levels in 1, of encoding/json", struct{ A json.RawMessage }{json.RawMessage(text)}, ErrDepth},
		{"11 attachments", make([][]byte, 11), ErrAttachments},
		{"a channel in an any", []any{make(chan int)}, nil},
		{"a key that has no text", map[any][]byte{1.5: nil}, nil},
	} {
		v, err := encodeEvent("e", []any{tt.v})
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v; %.200s", tt.name, err, tt.want, v.json)
		}
	}
	if _, err := encodeEvent("e", []any{deepList(63)}); err != nil {
		t.Error(err)
	}
}

func TestUnmarshalBinary(t *testing.T) {
	first, second := []byte("first"), []byte("second")
	type box struct {
		B   []byte
		Any any
		Blob
		*pointed
		M    map[string]any
		L    []blob
		Text string
		N    int `json:",string"`
		Two  [2]any
		Hex  base
		Raw  json.RawMessage
	}
	for _, tt := range []struct {
		in   string
		v    any // pointer to a zero value
		want any
		bad  string
	}{
		{in: `{"b":§0,"any":{"x":[§1]},"n":"7","text":"t"}`, v: new(box), want: box{B: first, Any: map[string]any{"x": []any{second}}, N: 7, Text: "t"}},
		{in: `{"ANY":§1,"blob":§0,"unknown":[§0]}`, v: new(box), want: box{Any: second, Blob: Blob{first}}},
		{in: `{"m":{"a":§0,"b":1},"l":[§0,§1],"two":[§1],"text":"x"}`, v: new(box), want: box{M: map[string]any{"a": first, "b": 1.0}, L: []blob{first, second}, Two: [2]any{second}, Text: "x"}},
		{in: `{"hex":§0,"raw":[§0]}`, v: new(box), want: box{Hex: base("Zmlyc3Q="), Raw: json.RawMessage(`["Zmlyc3Q="]`)}},
		{in: `{"text":§0}`, v: new(box), bad: "json: cannot unmarshal binary into Go struct field box.Text of type string"},
		{in: `{"m":{"a":§0},"n":"x"}`, v: new(box), bad: "json: "},
		{in: `{"pointedto":§0}`, v: new(box), bad: "json: cannot set embedded pointer to unexported struct: socketio.pointed"},
		{in: `§0`, v: new(blob), want: blob(first)},
		{in: `§1`, v: new(*[]byte), want: &second},
		{in: `§1`, v: new(Binary), want: Binary(second)},
		{in: `§0`, v: new(string), bad: "binary into Go value of type string"},
		{in: `§0`, v: new(int), bad: "binary into Go value of type int"},
		{in: `[§0]`, v: new(map[string]any), bad: "array into Go value of type map[string]interface {}"},
		{in: `{"a":§0}`, v: new([]any), bad: "object into Go value of type []interface {}"},
		{in: `{"a":§0}`, v: new(string), bad: "object into Go value of type string"},
		{in: `{"1":§0,"2":§1}`, v: new(map[int][]byte), want: map[int][]byte{1: first, 2: second}},
		{in: `{"sa":§0}`, v: new(map[small]any), want: map[small]any{{'a'}: first}},
		{in: `{"x":§0}`, v: new(map[int][]byte), bad: "json: "},
		{in: `[[§0],[1,§1]]`, v: new([][]any), want: [][]any{{first}, {1.0, second}}},
		{in: `[§0,§1,§0]`, v: new([2][]byte), want: [2][]byte{first, second}},
		{in: `[ {"data" : §0 , "next":{"data":§1}} ]`, v: new([]self), want: []self{{first, &self{Data: second}}}},
		{in: `"Zmlyc3Q="`, v: new([]byte), want: first},
	} {
		in := strings.NewReplacer("§0", `{"_placeholder":true,"num":0}`, "§1", `{"_placeholder":true,"num":1}`).Replace(tt.in)
		args := argsOf(t, "["+in+"]", first, second)
		err := args.Decode(0, tt.v)
		switch got := reflect.ValueOf(tt.v).Elem().Interface(); {
		case tt.bad != "":
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%s into a %T: %v, want %q", tt.in, tt.v, err, tt.bad)
			}
		case err != nil || !reflect.DeepEqual(got, tt.want):
			t.Errorf("%s into a %T: %+v, %v, want %+v", tt.in, tt.v, got, err, tt.want)
		}
	}
	// An interface that holds a pointer is decoded into, as encoding/json does.
	var inside []byte
	var v any = &inside
	if err := argsOf(t, `[{"_placeholder":true,"num":1}]`, first, second).Decode(0, &v); err != nil || string(inside) != "second" {
		t.Errorf("%q, %v", inside, err)
	}
}

type (
	// Blob is embedded, with a name that encoding/json finds without regard to case.
	Blob    struct{ Blob blob }
	pointed struct{ PointedTo []byte }
	base    string // gets base64 text
)

func (b *base) UnmarshalJSON(p []byte) error { return json.Unmarshal(p, (*string)(b)) }

// FuzzArguments checks that any value comes back as it was sent, in both parsers, and that its JSON
// with base64 is that of encoding/json.
func FuzzArguments(f *testing.F) {
	for _, s := range []string{
		`{"B":"AQI=","L":["AA==",""],"M":{"x":"AQ=="},"Any":[1,"x",{"y":null}],"N":{"B":"AQ=="}}`, `{"Text":"\u2028\ud800 <&>","F":1e300,"S":"7"}`,
		`{"M":{"_placeholder":"AQ==","num":""}}`, `{"Any":{"_placeholder":true,"num":0}}`, `{"b":"AQ==","Any":{"_placeholder":false,"num":-1}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		type node struct {
			B    []byte            `json:",omitempty"`
			L    []blob            `json:"l,omitempty"`
			M    map[string][]byte `json:",omitempty"`
			Any  any
			N    *node `json:",omitempty"`
			Text string
			F    float64
			S    int `json:",string"`
		}
		var sent node
		if !utf8.Valid(p) || json.Unmarshal(p, &sent) != nil || hasPlaceholder(sent.Any) {
			return
		}
		for n := &sent; n != nil; n = n.N {
			if hasPlaceholder(n.Any) {
				return
			}
		}
		v, err := encodeEvent("e", []any{sent})
		if err != nil {
			if !errors.Is(err, ErrAttachments) && !errors.Is(err, ErrDepth) {
				t.Fatal(err)
			}
			return
		}
		k := packet{kind: typeEvent, namespace: rootName, payload: v.json, attachments: len(v.attachments)}
		packed, attachments, bad := parseMsgpack(appendMsgpack(nil, &k, v.attachments))
		if bad != "" {
			t.Fatalf("%s: %s", v.json, bad)
		}
		for _, args := range []Args{argsOf(t, string(v.json), v.attachments...), argsOf(t, string(packed.payload), attachments...)} {
			if bad := checkPlaceholders(args.raw, len(args.attachments)); bad != "" {
				t.Fatalf("%s: %s", v.json, bad)
			}
			var got node
			if err := args.Decode(1, &got); err != nil {
				t.Fatalf("%s: %v", v.json, err)
			}
			if want := plainJSON(t, sent); plainJSON(t, got) != want {
				t.Fatalf("%s became\n%s, want\n%s", v.json, plainJSON(t, got), want)
			}
			if got, want := string(args.JSON(1)), plainJSON(t, sent); !sameJSON(got, want) {
				t.Fatalf("%s, want\n%s", got, want)
			}
		}
	})
}

// hasPlaceholder reports whether a tree has an object that a client would take for a placeholder.
func hasPlaceholder(tree any) bool {
	switch node := tree.(type) {
	case []any:
		for _, v := range node {
			if hasPlaceholder(v) {
				return true
			}
		}
	case map[string]any:
		if node["_placeholder"] == true {
			return true
		}
		for _, v := range node {
			if hasPlaceholder(v) {
				return true
			}
		}
	}
	return false
}

func BenchmarkArguments(b *testing.B) {
	type message struct {
		From string `json:"from"`
		Text string `json:"text"`
		At   int64  `json:"at"`
	}
	for name, arg := range map[string]any{
		"struct": message{"ada", "hello", 1}, "map": map[string]any{"from": "ada", "text": "hello", "at": 1},
		"binary": struct{ Data []byte }{make([]byte, 100)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encodeEvent("message", []any{arg}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
