package topicws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"c100k/internal/jsontext"
)

func ExampleParseCommand() {
	var cmd Command
	no := ParseCommand([]byte(`{"type":"publish","topic":"news","data":{"n": 1},"id":3}`), &cmd)
	fmt.Printf("%q %s %s %s\n", no.Code, cmd.Topic, cmd.Data, cmd.ID)

	no = ParseCommand([]byte(`{"type":"publish","topic":"news","id":3}`), &cmd)
	fmt.Printf("%s: %s (id %s)\n", no.Code, no.Message, cmd.ID)
	// Output:
	// "" news {"n": 1} 3
	// bad_request: "publish" needs "data" (id 3)
}

func TestParseCommand(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	var many []string
	for i := range TopicsPerCommandMax + 1 {
		many = append(many, fmt.Sprintf("%q", fmt.Sprint(i)))
	}
	tests := []struct {
		in   string
		code Code
		want string // verb, id, topics, topic, data
	}{
		{`{"type":"ping"}`, "", `4  [] ""`},
		{"\t\r\n {\n\"type\" :\"ping\" , \"id\" : 12 } \n", "", `4 12 [] ""`},
		{`{"type":"ping","id":"` + strings.Repeat("x", 62) + `"}`, "", `4 "` + strings.Repeat("x", 62) + `" [] ""`},
		{`{"type":"ping","id":"` + strings.Repeat("x", 63) + `"}`, CodeBadRequest, `4  [] ""`},
		{`{"type":"ping","id":-0.5e-7}`, "", `4 -0.5e-7 [] ""`},
		{`{"\u0074ype":"p\u0069ng"}`, "", `4  [] ""`},
		{`{"type":"subscribe","topics":["a", "b\/c" ,"\u00e9\ud83d\ude00"],"id":1}`, "", `1 1 ["a" "b/c" "é😀"] ""`},
		{`{"type":"unsubscribe","topics":["a"]}`, "", `2  ["a"] ""`},
		{`{"type":"publish","topic":"","data":null}`, "", `3  [] ""null`},
		{`{"type":"publish","data": [1 , "\ud800"] ,"topic":"t"}`, "", `3  [] "t"[1 , "\ud800"]`},
		{`{"type":"publish","topic":"t","data":` + deep(jsontext.DepthMax-1) + `}`, "", `3  [] "t"` + deep(jsontext.DepthMax-1)},
		{`{"type":"publish","topic":"t","data":` + deep(jsontext.DepthMax) + `}`, CodeBadRequest, ""},
		{`{"type":"subscribe","topics":[` + strings.Join(many, ",") + `],"id":1}`, CodeTooManyTopics, ""},
		{`{"type":"subscribe","topics":"a"}`, CodeBadRequest, ""},
		{`{"type":"subscribe","topics":[["a"]]}`, CodeBadRequest, ""},
		{`{"type":"subscribe","topics":["a"],"data":1}`, CodeBadRequest, ""},
		{`{"type":"Ping"}`, CodeUnknownType, ""},
		{`{"Type":"ping"}`, CodeBadRequest, ""},
		{`{"type":"\ud800"}`, CodeBadRequest, ""},
		{`{"\udfff":1}`, CodeBadRequest, ""},
		{`{"type":"ping","id":true}`, CodeBadRequest, ""},
		{`{"type":"ping","id":{}}`, CodeBadRequest, ""},
		{`{}`, CodeBadRequest, ""},
		{`{} x`, CodeBadRequest, ""},
		{`{`, CodeBadRequest, ""},
		{`{"type"`, CodeBadRequest, ""},
		{`{"type":`, CodeBadRequest, ""},
		{`{"type":"ping"`, CodeBadRequest, ""},
		{`{"type":"ping"]`, CodeBadRequest, ""},
		{`{"type" "ping"}`, CodeBadRequest, ""},
		{`{type:"ping"}`, CodeBadRequest, ""},
		{"\ufeff" + `{"type":"ping"}`, CodeBadRequest, ""},
	}
	for _, tt := range tests {
		var cmd Command
		no := ParseCommand([]byte(tt.in), &cmd)
		if no.Code != tt.code {
			t.Errorf("%s\n got %q (%s) at %d, want %q", tt.in, no.Code, no.Message, no.At, tt.code)
		} else if got := show(&cmd); tt.code == "" && got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

func show(cmd *Command) string {
	return fmt.Sprintf("%d %s %q %q%s", cmd.Verb, cmd.ID, cmd.Topics, cmd.Topic, cmd.Data)
}

func TestParseCommandDoesNotAllocate(t *testing.T) {
	inputs := [][]byte{
		[]byte(`{"type":"publish","topic":"news","data":{"a":[1,2,3],"b":"some text that goes on"},"id":3}`),
		[]byte(`{"type":"subscribe","topics":["a","b","\u0063"],"id":"x"}`),
		[]byte(`{"type":"ping"}`),
		[]byte(`{"type":"shout","id":1}`),
		[]byte(`{"type":"ping",}`),
	}
	var cmd Command
	buf := make([]byte, 0, 256)
	run := func() {
		for _, in := range inputs {
			buf = append(buf[:0], in...) // it is parsed in place
			ParseCommand(buf, &cmd)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkParseCommand is one publish in the enveloped form, from the text of its frame to the
// command: in place, and without allocation.
func BenchmarkParseCommand(b *testing.B) {
	in := []byte(`{"type":"publish","topic":"news","data":{"a":[1,2,3],"b":"some text that goes on"},"id":3}`)
	var cmd Command
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		ParseCommand(in, &cmd)
	}
}

// FuzzCommand holds ParseCommand against encoding/json: what one takes for a command the other
// does, with the same values.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{
		`{"type":"subscribe","topics":["a","b"],"id":1}`, `{"type":"unsubscribe","topics":["a"],"id":"x"}`,
		`{"type":"publish","topic":"a","data":{"x":[1.5e3,null,true,"\u00e9\ud83d\ude00"]},"id":3}`, `{"type":"ping","id":4}`,
		`{"type":"ping","id":1,"id":2}`, `{"type":"publish","topic":"\ud800","data":"\ud800"}`, `{"type":"ping","x":-0}`, `[]`, `{"a":tru}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if !utf8.Valid(in) {
			return // no text message is
		}
		var cmd Command
		no := ParseCommand(bytes.Clone(in), &cmd)
		want, err := oracle(in)
		if (no.Code == CodeNone) != (err == nil) {
			t.Fatalf("%q: %q (%s), but the oracle says %v", in, no.Code, no.Message, err)
		}
		if err == nil && show(&cmd) != show(want) {
			t.Fatalf("%q\n got %s\nwant %s", in, show(&cmd), show(want))
		}
		if body := reply(t, cmd.ID, no); no.Code != CodeNone && !json.Valid(body) {
			t.Fatalf("the answer to %q is %s", in, body)
		}
	})
}

func reply(t *testing.T, id []byte, no Refusal) []byte {
	_, _, body := payload(t, AppendError(nil, id, no))
	return body
}

// oracle is ParseCommand, written again over encoding/json.
func oracle(in []byte) (*Command, error) {
	m, err := flat(in)
	if err != nil {
		return nil, err
	}
	cmd := &Command{ID: m["id"], Data: m["data"]}
	if id := m["id"]; id != nil && (len(id) > IDBytesMax || !strings.ContainsRune(`"-0123456789`, rune(id[0]))) {
		return nil, errors.New("id")
	}
	kind, err := text(m["type"])
	if err != nil {
		return nil, err
	}
	allowed := map[string]string{"subscribe": "id topics", "unsubscribe": "id topics", "publish": "id topic data", "ping": "id"}
	for k := range m {
		if k != "type" && !strings.Contains(" "+allowed[kind]+" ", " "+k+" ") {
			return nil, errors.New("member " + k)
		}
	}
	switch kind {
	case "subscribe", "unsubscribe":
		cmd.Verb = map[string]Verb{"subscribe": VerbSubscribe, "unsubscribe": VerbUnsubscribe}[kind]
		var topics []json.RawMessage
		if err := json.Unmarshal(m["topics"], &topics); err != nil || len(topics) == 0 || len(topics) > TopicsPerCommandMax {
			return nil, errors.New("topics")
		}
		for _, raw := range topics {
			s, err := text(raw)
			if err != nil {
				return nil, err
			}
			cmd.Topics = append(cmd.Topics, []byte(s))
		}
	case "publish":
		cmd.Verb = VerbPublish
		s, err := text(m["topic"])
		if err != nil || m["data"] == nil {
			return nil, errors.New("topic or data")
		}
		cmd.Topic = []byte(s)
	case "ping":
		cmd.Verb = VerbPing
	default:
		return nil, errors.New("type")
	}
	return cmd, nil
}

// flat splits an object into its members' raw text, and refuses one that has a name twice or is too
// deep.
func flat(in []byte) (map[string]json.RawMessage, error) {
	depth, deepest := 0, 0
	d := json.NewDecoder(bytes.NewReader(in))
	d.UseNumber() // a number need not fit a float64
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if c, ok := tok.(json.Delim); ok {
			if c == '{' || c == '[' {
				depth++
			} else {
				depth--
			}
			deepest = max(deepest, depth)
		}
	}
	if !json.Valid(in) || deepest > jsontext.DepthMax {
		return nil, errors.New("no JSON, or too deep")
	}
	d = json.NewDecoder(bytes.NewReader(in))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, errors.New("no object")
	}
	m := map[string]json.RawMessage{}
	for d.More() {
		before := d.InputOffset()
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		if raw := in[before:d.InputOffset()]; halfPair(raw[bytes.IndexByte(raw, '"'):]) {
			return nil, errors.New("half a surrogate pair")
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		if _, twice := m[name.(string)]; twice {
			return nil, errors.New("twice")
		}
		m[name.(string)] = v
	}
	return m, nil
}

func text(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] != '"' || halfPair(raw) {
		return "", errors.New("no string")
	}
	var s string
	return s, json.Unmarshal(raw, &s)
}

// halfPair tells whether a valid JSON string has half of a surrogate pair, which encoding/json
// replaces.
func halfPair(raw []byte) bool {
	unit := func(i int) rune {
		if i+6 > len(raw) || raw[i] != '\\' || raw[i+1] != 'u' {
			return 0
		}
		n, _ := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
		return rune(n)
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if u := unit(i); utf16.IsSurrogate(u) {
			if utf16.DecodeRune(u, unit(i+6)) == utf8.RuneError {
				return true
			}
			i += 6
		}
		i++ // what is escaped, and be it a backslash
	}
	return false
}
