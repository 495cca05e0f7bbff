package topicws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"c100k/broadcast"
	"c100k/frame"
)

// payload reads the one frame that p is.
func payload(t testing.TB, p []byte) (op frame.OpCode, compressed bool, body []byte) {
	t.Helper()
	var r frame.Reader
	m, rest, err := r.Next(&frame.Options{Client: true, Deflate: true, MessageBytesMax: 1 << 20}, bytes.Clone(p))
	if err != nil || !m.Complete || len(rest) > 0 {
		t.Fatalf("%q is not one frame: %v", p, err)
	}
	return m.Op, m.Compressed, m.Payload
}

func TestEncoders(t *testing.T) {
	long := strings.Repeat("all work and no play makes jack a dull boy ", 20)
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(i * i * 7919 >> 5)
	}
	envelope := func(data string) string { return `{"type":"message","topic":"t","data` + data + `}` }
	tests := []struct {
		name     string
		kind     broadcast.Kind
		payload  string
		op       frame.OpCode
		envelope string
		smaller  bool
	}{
		{"text", broadcast.Text, "hi \"you\"\r", frame.OpText, envelope(`":"hi \"you\"\r"`), false},
		{"empty text", broadcast.Text, "", frame.OpText, envelope(`":""`), false},
		{"json", broadcast.JSON, ` {"a": [1]} `, frame.OpText, envelope(`": {"a": [1]} `), false},
		{"binary", broadcast.Binary, "\x00\xff", frame.OpBinary, envelope(`_base64":"AP8="`), false},
		{"empty binary", broadcast.Binary, "", frame.OpBinary, envelope(`_base64":""`), false},
		{"long text", broadcast.Text, long, frame.OpText, envelope(`":"` + long + `"`), true},
		{"long json", broadcast.JSON, `"` + long + `"`, frame.OpText, envelope(`":"` + long + `"`), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &broadcast.Message{Topic: "t", Kind: tt.kind, Payload: []byte(tt.payload)}
			for _, e := range []struct {
				name    string
				encode  broadcast.Encoder
				op      frame.OpCode
				want    string
				deflate bool
			}{
				{"EncodeBare", EncodeBare, tt.op, tt.payload, false},
				{"EncodeBareDeflated", EncodeBareDeflated, tt.op, tt.payload, tt.smaller},
				{"EncodeBareNarrow", EncodeBareNarrow, tt.op, tt.payload, tt.smaller},
				{"EncodeEnvelopeNarrow", EncodeEnvelopeNarrow, frame.OpText, tt.envelope, tt.smaller},
				{"EncodeEnvelope", EncodeEnvelope, frame.OpText, tt.envelope, false},
				{"EncodeEnvelopeDeflated", EncodeEnvelopeDeflated, frame.OpText, tt.envelope, tt.smaller},
			} {
				got := e.encode([]byte("before"), m)
				if !bytes.HasPrefix(got, []byte("before")) {
					t.Fatalf("%s has overwritten what it appends to", e.name)
				}
				op, compressed, body := payload(t, got[len("before"):])
				if op != e.op || compressed != e.deflate || string(body) != e.want {
					t.Errorf("%s: opcode %v, compressed %v, %q\nwant %v, %v, %q", e.name, op, compressed, body, e.op, e.deflate, e.want)
				}
			}
		})
	}
	m := &broadcast.Message{Kind: broadcast.Binary, Payload: noise}
	for i := range noise {
		noise[i] ^= byte(i*31) ^ byte(i>>3*77)
	}
	if _, compressed, body := payload(t, EncodeBareDeflated(nil, m)); !bytes.Equal(body, noise) {
		t.Errorf("noise did not survive (compressed %v)", compressed)
	}
}

// Every message that is built is JSON, and says what it is meant to.
func TestReplies(t *testing.T) {
	nasty := "a\"\\\x00\n\u2028é😀\x7f"
	tests := []struct {
		frame []byte
		want  string
	}{
		{appendWelcome(nil, "00ff", 0, nil), `map[conn:00ff type:welcome]`},
		{AppendAck(nil, nil), `map[type:ack]`},
		{AppendAck(nil, []byte(`"x"`)), `map[id:x type:ack]`},
		{AppendPublished(nil, []byte(`7`), Published{Result: broadcast.Result{Matched: 41203}}), `map[id:7 matched:41203 type:ack]`},
		{AppendPublished(nil, []byte(`7`), Published{Partial: true, Unreached: 2}), `map[id:7 matched:0 nodes_unreached:2 partial:true type:ack]`},
		{AppendPong(nil, []byte(`7`)), `map[id:7 type:pong]`},
		{AppendGap(nil, nasty, 1<<63), fmt.Sprintf(`map[missed:9.223372036854776e+18 topic:%s type:gap]`, nasty)},
		{AppendError(nil, nil, refuse(CodeForbidden, "no", nil)), `map[code:forbidden message:no type:error]`},
		{AppendError(nil, []byte(`1`), refuse(CodeForbidden, "not", []byte(nasty))), fmt.Sprintf(`map[code:forbidden id:1 message:not "%s" type:error]`, nasty)},
		{AppendError(nil, nil, Refusal{Code: CodeBadRequest, Message: `":" is expected`, At: 3}), `map[code:bad_request message:bad JSON at byte 3: ":" is expected type:error]`},
		{AppendError(nil, nil, refuse(CodeInvalidTopic, "long", []byte(strings.Repeat("é", 100)))), fmt.Sprintf(`map[code:invalid_topic message:long "%s" type:error]`, strings.Repeat("é", 32))},
		{AppendError(nil, nil, refuse(CodeInvalidTopic, "long", []byte("x"+strings.Repeat("é", 100)))), fmt.Sprintf(`map[code:invalid_topic message:long "x%s" type:error]`, strings.Repeat("é", 31))},
	}
	for _, tt := range tests {
		_, _, body := payload(t, tt.frame)
		var v map[string]any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Errorf("%s: %v", body, err)
		} else if got := fmt.Sprint(v); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", body, got, tt.want)
		}
	}
}

// Lengths around those at which a header grows.
func TestEnvelopeLengths(t *testing.T) {
	for _, n := range []int{0, 60, 83, 84, 85, 86, 87, 120, 65400, 65490, 65495, 65500, 65536, 70000} {
		m := &broadcast.Message{Topic: "t", Kind: broadcast.Text, Payload: bytes.Repeat([]byte("x"), n)}
		_, _, body := payload(t, EncodeEnvelope(nil, m))
		var v struct{ Data string }
		if err := json.Unmarshal(body, &v); err != nil || len(v.Data) != n {
			t.Errorf("%d bytes came back as %d (%v)", n, len(v.Data), err)
		}
	}
}

func TestRepliesDoNotAllocate(t *testing.T) {
	id, buf := []byte("17"), make([]byte, 0, 512)
	no := refuse(CodeForbidden, "you may not publish to", []byte("news"))
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendAck(buf[:0], id)
		buf = AppendPublished(buf[:0], id, Published{Result: broadcast.Result{Matched: 41203}})
		buf = AppendPong(buf[:0], id)
		buf = AppendError(buf[:0], id, no)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add("news", []byte(`{"a":1}`), uint8(1))
	f.Add("a\"b", []byte("x\x00\"\\"), uint8(0))
	f.Add("t", []byte{0xff}, uint8(2))
	f.Add("t", []byte("\"\xf2\x90\xc3|\""), uint8(1))
	f.Fuzz(func(t *testing.T, topic string, data []byte, kind uint8) {
		m := &broadcast.Message{Topic: topic, Kind: broadcast.Kind(kind % 3), Payload: data}
		if broadcast.ValidTopic(topic) != nil || !vouched(m) {
			return
		}
		_, _, body := payload(t, EncodeEnvelope(nil, m))
		var v struct {
			Type, Topic string
			Data        json.RawMessage
			DataBase64  string `json:"data_base64"`
		}
		if err := json.Unmarshal(body, &v); err != nil || v.Type != "message" || v.Topic != topic {
			t.Fatalf("%s: %v", body, err)
		}
		var got []byte
		switch m.Kind {
		case broadcast.JSON:
			got, data = v.Data, bytes.Trim(data, " \t\r\n")
		case broadcast.Text:
			var s string
			if err := json.Unmarshal(v.Data, &s); err != nil {
				t.Fatal(err)
			}
			got = []byte(s)
		default:
			got, _ = base64.StdEncoding.DecodeString(v.DataBase64)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%q came back as %q", data, got)
		}
	})
}

// vouched tells whether the payload is what its kind says, which is the publisher's duty.
func vouched(m *broadcast.Message) bool {
	switch m.Kind {
	case broadcast.Text:
		return bytes.Equal(bytes.ToValidUTF8(m.Payload, []byte("?")), m.Payload)
	case broadcast.JSON:
		return utf8.Valid(m.Payload) && json.Valid(m.Payload) // json.Valid takes any bytes within strings
	}
	return true
}
