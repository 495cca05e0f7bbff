package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// argsOf parses arguments in JSON.
func argsOf(t testing.TB, payload string, attachments ...[]byte) Args {
	t.Helper()
	raw, bad := splitArray(nil, []byte(payload))
	if bad != "" {
		t.Fatal(bad)
	}
	return Args{raw: raw, attachments: attachments}
}

func TestHandlers(t *testing.T) {
	var got string
	note := func(v ...any) { got = strings.TrimSuffix(fmt.Sprintln(v...), "\n") }
	type point struct{ X, Y int }
	for _, tt := range []struct {
		fn         any
		args, want string
		bad        string
	}{
		{fn: func() { note("called") }, args: `[1,2]`, want: "called"},
		{fn: func(s string) { note(s) }, args: `["x",2]`, want: "x"},
		{fn: func(s string) { note("<" + s + ">") }, args: `[]`, want: "<>"},
		{fn: func(s string) { note(s) }, args: `["\"\u00e9\ud83d\ude00"]`, want: "\"é😀"},
		{fn: func(s string) { note("<" + s + ">") }, args: `[null]`, want: "<>"},
		{fn: func(s string, n int) { note(s, n) }, args: `["a\tb",2]`, want: "a\tb 2"},
		{fn: func(s string, _ func(string)) { note(s) }, args: `["x"]`, want: "x"},
		{fn: func(a int, b *float64, c bool) { note(a, *b, c) }, args: `[1,2.5,true]`, want: "1 2.5 true"},
		{fn: func(p point) { note(p) }, args: `[{"x":1,"Y":2}]`, want: "{1 2}"},
		{fn: func(m map[string][]int) { note(m) }, args: `[{"a":[1]}]`, want: "map[a:[1]]"},
		{fn: func(raw json.RawMessage) { note(string(raw)) }, args: `[ {"a": 1} ]`, want: `{"a": 1}`},
		{fn: func(v any) { note(v) }, args: `[[1,"x",null]]`, want: "[1 x <nil>]"},
		{fn: func(first string, rest ...int) { note(first, rest) }, args: `["x",1,2]`, want: "x [1 2]"},
		{fn: func(rest ...any) { note(len(rest)) }, args: `["x",1,2]`, want: "3"},
		{fn: func(args Args) { note(args.Len()) }, args: `["x",1,2]`, want: "3"},
		{fn: func(_ *Socket, args Args, ack Ack) { note(args.Len(), ack != nil) }, args: `["x"]`, want: "1 true"},
		{fn: func(s *Socket, text string) { note(s == nil, text) }, args: `["x"]`, want: "true x"},
		{fn: func(b []byte) { note(b) }, args: `[{"_placeholder":true,"num":0}]`, want: "[7 8]"},
		{fn: func(v any) { note(v) }, args: `[{"a":[{"_placeholder":true,"num":0}]}]`, want: "map[a:[[7 8]]]"},
		{fn: func(m map[string]any) { note(m) }, args: `[{"a":{"_placeholder":true,"num":0}}]`, want: "map[a:[7 8]]"},
		{fn: func(l []any) { note(l) }, args: `[["x",{"_placeholder":true,"num":0}]]`, want: "[x [7 8]]"},
		{fn: func(m map[string]any) { note(m) }, args: `[{"a":"x"}]`, want: "map[a:x]"},
		{fn: func(m map[string]any) { note(m == nil) }, args: `[null]`, want: "true"},
		{fn: func(m map[string]any) { note(m) }, args: `[[{"_placeholder":true,"num":0}]]`, bad: "argument 1: "},
		{fn: func(p struct{ A []byte }) { note(p.A) }, args: `[{"a":{"_placeholder":true,"num":0}}]`, want: "[7 8]"},
		{fn: func(s string) { note(s) }, args: `[1]`, bad: "argument 1: "},
		{fn: func(s string, _ func(string)) { note(s) }, args: `[1]`, bad: "argument 1: "},
		{fn: func(n int, s string) { note(n, s) }, args: `[1,{}]`, bad: "argument 2: "},
		{fn: func(a, b int) { note(a, b) }, args: `[1,"x"]`, bad: "argument 2: "},
		{fn: func(rest ...int) { note(rest) }, args: `[1,"x"]`, bad: "argument 2: "},
	} {
		got = ""
		h := newHandler("test", tt.fn)
		err := h.call(nil, nil, argsOf(t, tt.args, []byte{7, 8}), noAnswer)
		switch {
		case tt.bad == "" && (err != nil || got != tt.want):
			t.Errorf("%T with %s: %q, %v, want %q", tt.fn, tt.args, got, err, tt.want)
		case tt.bad != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.bad) || got != ""):
			t.Errorf("%T with %s: %q, %v, want an error that begins %q", tt.fn, tt.args, got, err, tt.bad)
		}
	}
}

func TestHandlerAcknowledges(t *testing.T) {
	var answered []any
	ack := Ack(func(args ...any) error { answered = args; return nil })
	for _, tt := range []struct {
		fn   any
		want string
	}{
		{func(ack func()) { ack() }, "[]"},
		{func(text string, ack func(string)) { ack(text + "!") }, "[q!]"},
		{func(_ any, ack func(string)) { ack("x") }, "[x]"},
		{func(_ string, ack func(any)) { ack(7) }, "[7]"},
		{func(ack func(bool, string)) { ack(true, "x") }, "[true x]"},
		{func(_ string, ack func(...int)) { ack(1, 2) }, "[1 2]"},
		{func(_ string, ack Ack) { _ = ack("a", 1) }, "[a 1]"},
		{func(args Args, ack func(int)) { ack(args.Len()) }, "[1]"},
	} {
		answered = nil
		if err := newHandler("test", tt.fn).call(nil, nil, argsOf(t, `["q"]`), ack); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(answered); got != tt.want {
			t.Errorf("%T: %s, want %s", tt.fn, got, tt.want)
		}
	}
}

// A function that cannot be a handler panics when it is registered.
func TestInvalidHandlers(t *testing.T) {
	s := &Socket{}
	for _, tt := range []struct {
		event string
		fn    any
		want  string
	}{
		{"e", 17, "want a function"},
		{"e", nil, "want a function"},
		{"e", func() int { return 1 }, "returns nothing"},
		{"e", func(chan int) {}, "parameter 1: no JSON becomes a chan int"},
		{"e", func(string, complex128) {}, "parameter 2: no JSON becomes a complex128"},
		{"e", func(func(), string) {}, "parameter 1: the acknowledgement function must come last"},
		{"e", func(string, *Socket) {}, "parameter 2: the *Socket must come first"},
		{"e", func(Args, string) {}, "parameter 1: Args takes all arguments"},
		{"e", func(func() error) {}, "parameter 1: an acknowledgement function returns nothing"},
		{"e", func(func(chan int)) {}, "parameter 1: no JSON can be made of its chan int"},
		{"e", func(error) {}, "an error comes first only in the function that gets an acknowledgement"},
		{"e", func(fmt.Stringer) {}, "parameter 1: no JSON becomes a fmt.Stringer"},
		{"disconnect", func() {}, "Socket.OnDisconnect"},
		{"connection", func() {}, "OnConnection"},
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, tt.want) {
					t.Errorf("%T: %s, want %q in it", tt.fn, text, tt.want)
				}
			}()
			s.On(tt.event, tt.fn)
		}()
	}
}

func TestEncodeArguments(t *testing.T) {
	type face struct {
		Name string `json:"name"`
		Data Binary `json:"data"`
	}
	for _, tt := range []struct {
		args        []any
		want        string
		attachments int
	}{
		{nil, `["e"]`, 0},
		{[]any{"a<b>&\"", 1, int64(-2), 2.5, true, nil, []int{1}, map[string]int{"x": 1}}, `["e","a<b>&\"",1,-2,2.5,true,null,[1],{"x":1}]`, 0},
		{[]any{"bad \xff"}, "[\"e\",\"bad \ufffd\"]", 0},
		{[]any{json.RawMessage(`{"a": 1}`)}, `["e",{"a": 1}]`, 0},
		{[]any{[]byte{1}}, `["e",{"_placeholder":true,"num":0}]`, 1},
		{[]any{[][]byte{{1}, {2}}}, `["e",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]]`, 2},
		{[]any{map[string][]byte{"b": {1}}}, `["e",{"b":{"_placeholder":true,"num":0}}]`, 1},
		{[]any{[]any{map[string][]byte{"b": {1}}}}, `["e",[{"b":{"_placeholder":true,"num":0}}]]`, 1},
		{[]any{[]any{[]byte{1}, map[string]any{"b": []byte{2}}}, face{"x", Binary{3}}}, `["e",[{"_placeholder":true,"num":0},{"b":{"_placeholder":true,"num":1}}],{"name":"x","data":{"_placeholder":true,"num":2}}]`, 3},
	} {
		v, err := encodeEvent("e", tt.args)
		if err != nil || string(v.json) != tt.want || len(v.attachments) != tt.attachments {
			t.Errorf("%v: %s, %d attachments, %v", tt.args, v.json, len(v.attachments), err)
		}
	}
	for _, tt := range []struct {
		event string
		args  []any
		want  error
	}{
		{"disconnect", nil, ErrEventName}, {strings.Repeat("e", EventBytesMax+1), nil, ErrEventName},
		{"e", []any{json.RawMessage(`{`)}, ErrRaw}, {"e", []any{json.RawMessage("\"\xff\"")}, ErrRaw},
		{"e", []any{[]byte{}, []byte{}, []byte{}, []byte{}, []byte{}, []byte{}, []byte{}, []byte{}, []byte{}, []byte{}, []byte{}}, ErrAttachments},
	} {
		if _, err := encodeEvent(tt.event, tt.args); !errors.Is(err, tt.want) {
			t.Errorf("%s %v: %v, want %v", tt.event, tt.args, err, tt.want)
		}
	}
	if _, err := encodeEvent("e", []any{make(chan int)}); err == nil {
		t.Error("a channel was encoded")
	}
}
