// Parsing of what servers send: tables, and fuzz targets that compare input in pieces with input as
// a whole.

package swarm

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httputil"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestLists: fields that are lists may stand on several lines, and 1xx responses before the answer
// (RFC 9110, 5.3 and 15.2).
func TestLists(t *testing.T) {
	const begin, accept = "HTTP/1.1 101 Switching Protocols\r\n", "Sec-WebSocket-Accept: abc\r\n\r\n"
	for head, switches := range map[string]bool{
		begin + "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n" + accept:                                                                     true,
		begin + "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: ,Upgrade ,\r\n" + accept:                                                    true,
		begin + "Upgrade: websocket,\r\nConnection: x,\r\n\tupgrade\r\n" + accept:                                                                        true,
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + begin + "Upgrade: websocket\r\nConnection: upgrade\r\n" + accept: true,
		begin + "Upgrade: websocket, h2c\r\nConnection: upgrade\r\n" + accept:                                                                            false,
		begin + "Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n" + accept:                                                                 false,
		begin + "Upgrade: websocket\r\nConnection: keep-alive, upgraded\r\n" + accept:                                                                    false,
	} {
		r, size, err := parseResponse([]byte(head + "rest"))
		if err != nil || size != len(head) || r.switches() != switches {
			t.Errorf("%q: %d bytes, %v, switches %v; want %d and %v", head, size, err, r.switches(), len(head), switches)
		}
		for i := range head {
			if _, size, err := parseResponse([]byte(head[:i])); size != 0 || err != nil {
				t.Errorf("%q: the first %d bytes: %d, %v", head, i, size, err)
			}
		}
	}
	many := strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", headBytesMax/25+1)
	if _, _, err := parseResponse([]byte(many)); err == nil {
		t.Error("interim responses without an end are taken")
	}
	r, _, err := parseResponse([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\n"))
	if err != nil || r.length != 5 {
		t.Errorf("one length three times: %d, %v", r.length, err)
	}
}

func TestParseResponse(t *testing.T) {
	const ok = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: abc\r\n\r\nrest"
	r, size, err := parseResponse([]byte(ok))
	if err != nil || ok[size:] != "rest" || !r.switches() || string(r.accept) != "abc" || r.length != -1 {
		t.Errorf("%+v, %d, %v", r, size, err)
	}
	r, _, err = parseResponse([]byte("HTTP/1.0 200 OK\r\nContent-Type: Text/Event-Stream ; charset=utf-8\r\nRetry-After: 99999\r\nContent-Length: 5\r\n\r\n"))
	if err != nil || !r.streams() || r.retryAfter != 0 || r.length != 5 || r.chunked {
		t.Errorf("%+v, %v", r, err)
	}
	r, _, _ = parseResponse([]byte("HTTP/1.1 503 \r\nRetry-After: 60000\r\n\r\n"))
	if r.status != 503 || r.retryAfter != retryAfterMax {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{
		"HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 0x1 OK\r\n\r\n", "HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\r\n", "x", "HTTP/1.2 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: empty\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 O\nK\r\n\r\n", "HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
	} {
		if _, size, err := parseResponse([]byte(bad)); err == nil {
			t.Errorf("%q is read, %d bytes", bad, size)
		}
	}
	for i := range len(ok) - len("\nrest") {
		if _, size, err := parseResponse([]byte(ok[:i])); size != 0 || err != nil {
			t.Errorf("%q: %d, %v", ok[:i], size, err)
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 7\r\n\r\ndata: x"))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, size, err := parseResponse(p)
		if err == nil && size == 0 && len(p) >= headBytesMax || size > min(len(p), headBytesMax) || r.retryAfter > retryAfterMax {
			t.Fatalf("%d of %d bytes, %v", size, len(p), r.retryAfter)
		}
		if size > 0 {
			again, n, err := parseResponse(p[:size])
			if err != nil || n != size || !reflect.DeepEqual(again, r) {
				t.Errorf("the head alone is read in another way: %+v, %+v", r, again)
			}
		}
		if err != nil || size > 0 { // what a part was waiting for must be still possible
			return
		}
		for i := range p {
			if _, _, err := parseResponse(p[:i]); err != nil {
				t.Errorf("%q is refused, and %q is not", p[:i], p)
			}
		}
	})
}

// readBody puts a body together from pieces of n bytes.
func readBody(b body, p []byte, n int) (got []byte, err error) {
	for len(p) > 0 {
		part := p[:min(n, len(p))]
		p = p[len(part):]
		for len(part) > 0 {
			piece, rest, err := b.next(part)
			if got = append(got, piece...); err != nil {
				return got, err
			}
			part = rest
		}
	}
	return got, nil
}

func TestBody(t *testing.T) {
	for _, tt := range []struct {
		state bodyState
		left  int64
		in    string
		want  string
		err   error
	}{
		{bodyEndless, 0, "5\r\nhello", "5\r\nhello", nil},
		{bodyLength, 5, "hello", "hello", nil},
		{bodyLength, 5, "hello world", "hello", errBodyEnd},
		{chunkSize, 0, "5\r\nhello\r\n6;a=b\r\n world\r\n", "hello world", nil},
		{chunkSize, 0, "00A \r\n0123456789\r\n0\r\n", "0123456789", nil},
		{chunkSize, 0, "1\r\nx\r\n0\r\nTrailer: y\r\n\r\n", "x", errBodyEnd},
		{chunkSize, 0, "\r\n", "", errBody},
		{chunkSize, 0, "5\nhello", "", errBody},
		{chunkSize, 0, "5\rhello", "", errBody},
		{chunkSize, 0, "-1\r\n", "", errBody},
		{chunkSize, 0, "1\r\nxy", "x", errBody},
		{chunkSize, 0, "1\r\nx\rx", "x", errBody},
		{chunkSize, 0, "ffffffffffffffff\r\n", "", errBody},
	} {
		for n := 1; n <= len(tt.in); n++ {
			if got, err := readBody(body{state: tt.state, left: tt.left}, []byte(tt.in), n); string(got) != tt.want || err != tt.err {
				t.Errorf("%q by %d: %q, %v; want %q, %v", tt.in, n, got, err, tt.want, tt.err)
			}
		}
	}
}

// FuzzBody compares chunked bodies in any pieces with the standard library's reader.
func FuzzBody(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 1)
	f.Add([]byte("a;x=y\r\n0123456789\r\nff"), 3)
	f.Add([]byte("5\r\nhel"), 100)
	f.Fuzz(func(t *testing.T, p []byte, n int) {
		n = min(max(n, 1), max(len(p), 1))
		got, err := readBody(body{state: chunkSize}, p, n)
		whole, errWhole := readBody(body{state: chunkSize}, p, max(len(p), 1))
		if !bytes.Equal(got, whole) || err != errWhole {
			t.Fatalf("by %d: %q, %v; at once: %q, %v", n, got, err, whole, errWhole)
		}
		want, errWant := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(p)))
		// The library accepts more ends of lines. Input that it refuses we refuse too, or have not
		// reached yet.
		if errWant == nil && err != errBody && !bytes.Equal(got, want) {
			t.Errorf("%q, the library has %q", got, want)
		}
		if len(got) > len(p) {
			t.Errorf("%d bytes of %d", len(got), len(p))
		}
	})
}

// readLines cuts p, given in pieces of n bytes, at its lines.
func readLines(p []byte, n int) (got []string, err error) {
	var l lines
	for len(p) > 0 {
		part := p[:min(n, len(p))]
		p = p[len(part):]
		for len(part) > 0 {
			line, rest, ok, err := l.next(part)
			if err != nil {
				return got, err
			}
			if ok {
				got = append(got, string(line))
			}
			part = rest
		}
	}
	return got, nil
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"a\nb\rc\r\nd", []string{"a", "b", "c"}}, {"\n\n", []string{"", ""}}, {"\r\r", []string{"", ""}}, {"\r\n\r\n", []string{"", ""}},
		{"\n\r", []string{"", ""}}, {"\ufeffdata: x\n\ufeffy\n", []string{"data: x", "\ufeffy"}}, {"", nil}, {"no end", nil},
	} {
		for n := 1; n <= max(len(tt.in), 1); n++ {
			if got, err := readLines([]byte(tt.in), n); !reflect.DeepEqual(got, tt.want) || err != nil {
				t.Errorf("%q by %d: %q, %v", tt.in, n, got, err)
			}
		}
	}
	if _, err := readLines([]byte(strings.Repeat("x", lineBytesMax+1)), 4096); err != errLine {
		t.Errorf("an endless line: %v", err)
	}
	if _, err := readLines(append([]byte(strings.Repeat("x", lineBytesMax+1)), '\n'), lineBytesMax*2); err != errLine {
		t.Errorf("a long line: %v", err)
	}
	for in, want := range map[string][2]string{
		"data: x": {"data", "x"}, "data:x": {"data", "x"}, "data:  x": {"data", " x"}, "data": {"data", ""}, ": comment": {"", "comment"}, "data: a:b": {"data", "a:b"},
	} {
		if name, value := field([]byte(in)); string(name) != want[0] || string(value) != want[1] {
			t.Errorf("%q: %q, %q", in, name, value)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("event: message\r\ndata: x\r\n\r\n: c\rid\n"), 1)
	f.Add([]byte("\ufeffdata: x\n\n"), 2)
	f.Fuzz(func(t *testing.T, p []byte, n int) {
		n = min(max(n, 1), max(len(p), 1))
		got, err := readLines(bytes.Clone(p), n)
		if err != nil {
			return
		}
		text := strings.TrimPrefix(string(p), "\ufeff")
		want := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
		want = want[:len(want)-1]
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("by %d: %q, want %q", n, got, want)
		}
	})
}

func TestParseV1(t *testing.T) {
	for in, want := range map[string]v1Message{
		`{"type":"message","topic":"a","data":{"x":1}}`:            {kind: "message", data: []byte(`{"x":1}`)},
		` { "data" : "s" , "type" : "message" } `:                  {kind: "message", data: []byte(`"s"`)},
		`{"type":"ack","id":3,"matched":41203}`:                    {kind: "ack", id: 3},
		`{"type":"error","id":3,"code":"forbidden","message":"m"}`: {kind: "error", id: 3, code: []byte(`"forbidden"`)},
		`{"type":"gap","topic":"a","missed":17}`:                   {kind: "gap", missed: 17},
		`{"type":"welcome","conn":"x"}`:                            {kind: "other"},
		`{"type":"ack","id":"x"}`:                                  {kind: "ack"},
	} {
		if got, err := parseV1([]byte(in)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, bad := range []string{``, `{}`, `[]`, `"x"`, `{"type":"ack"`, `{"type":"ack"}x`, `{"type":"ack",}`, `{"type":}`, `{type:"ack"}`, `{"a":1}`, `{`, `{"type" "ack"}`} {
		if got, err := parseV1([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, got)
		}
	}
}

func FuzzV1(f *testing.F) {
	f.Add([]byte(`{"type":"message","topic":"a","data":"~c1k:"}`))
	f.Add([]byte(`{"type":"gap","missed":18446744073709551616}`))
	f.Add([]byte(`{"type":"ack","id":1}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		m, err := parseV1(p)
		if err != nil {
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(p, &object); err != nil {
			t.Fatalf("%q is read, and is no object: %v", p, err)
		}
		if len(m.data) > 0 && !json.Valid(m.data) {
			t.Errorf("the data of %q is %q", p, m.data)
		}
	})
}

func TestParsePacket(t *testing.T) {
	for in, want := range map[string]packet{
		`0{"sid":"x"}`:     {kind: '0', data: []byte(`{"sid":"x"}`)},
		`2["a"]`:           {kind: '2', data: []byte(`["a"]`)},
		`217["a"]`:         {kind: '2', data: []byte(`["a"]`)},
		`2/admin,3["a,b"]`: {kind: '2', namespace: []byte("/admin"), data: []byte(`["a,b"]`)},
		`51-["a"]`:         {kind: '5', attachments: 1, data: []byte(`["a"]`)},
		`510-/n,["a"]`:     {kind: '5', namespace: []byte("/n"), attachments: 10, data: []byte(`["a"]`)},
		`1/admin`:          {kind: '1', namespace: []byte("/admin"), data: []byte{}},
	} {
		got, ok := parsePacket([]byte(in))
		if !ok || got.kind != want.kind || got.attachments != want.attachments || !bytes.Equal(got.namespace, want.namespace) || !bytes.Equal(got.data, want.data) {
			t.Errorf("%s: %+v, %v", in, got, ok)
		}
	}
	for _, bad := range []string{``, `7`, `x`, `5["a"]`, `5-["a"]`, `511-["a"]`, `5-1-["a"]`, `599999-["a"]`} {
		if got, ok := parsePacket([]byte(bad)); ok {
			t.Errorf("%s: %+v", bad, got)
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte(`2["message","~c1k:"]`))
	f.Add([]byte(`52-/n,7["a",{"_placeholder":true,"num":0}]`))
	f.Add([]byte(`40{"sid":"x"}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		k, ok := parsePacket(p)
		if ok && (k.kind < '0' || k.kind > '6' || k.attachments > attachmentsMax || !bytes.HasSuffix(p, k.data) || !bytes.Contains(p, k.namespace)) {
			t.Errorf("%q: %+v", p, k)
		}
	})
}

func TestRequest(t *testing.T) {
	spec := Spec{Run: 7, URL: "ws://user:pass@example.com:81/a/{i}?t={topic}", Protocol: V1, Topics: []string{"a b", "c&d"},
		Header: [][2]string{{"host", "other"}, {"X-A", "b"}}}
	r, err := newRequest(&spec)
	if err != nil {
		t.Fatal(err)
	}
	got := string(r.append(nil, 1, 42, 9))
	for _, want := range []string{
		"GET /a/42?t=c%26d HTTP/1.1\r\n", "\r\nhost: other\r\n", "\r\nX-A: b\r\n", "\r\nAuthorization: Basic dXNlcjpwYXNz\r\n",
		"\r\nSec-WebSocket-Protocol: c100k.v1\r\n", "\r\nConnection: Upgrade\r\n", "==\r\n\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Host: example.com") || !r.offers {
		t.Errorf("%s\noffers %v", got, r.offers)
	}
	if r.key(1) == r.key(2) {
		t.Error("two attempts have one key")
	}
	for _, bad := range []string{"", "ftp://x", "ws://", "ws:///path", "://"} {
		if _, err := newRequest(&Spec{URL: bad}); err == nil {
			t.Errorf("%q is a URL", bad)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Spec{URL: "ws://127.0.0.1:1/", Conns: 2, AllConns: 2, Mode: Echo, Protocol: Raw, Timeout: time.Second}
	if err := json.Unmarshal([]byte(`{"target":"127.0.0.1:1","sources":["127.0.0.2"]}`), &good); err != nil {
		t.Fatal(err)
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{
		`{"conns":0}`, `{"all_conns":1}`, `{"first_conn":-1}`, `{"size":31}`, `{"size":1048577}`, `{"rate":-1}`, `{"rate":1,"in_flight":1}`, `{"slow_share":1.5}`, `{"timeout":0}`, `{"nap":-1}`, `{"nap":1000000001}`,
		`{"target":"127.0.0.1:0"}`, `{"sources":["::1"]}`, `{"header":[["A","b\r\nC: d"]]}`, `{"header":[["A b","c"]]}`, `{"protocol":"auto"}`, `{"mode":"shout"}`, `{"protocol":"sse"}`,
		`{"protocol":"c100k.v1"}`, `{"mode":"idle","in_flight":1}`, `{"mode":"publish","in_flight":1}`, `{"protocol":"c100k.v1","topics":["a"],"binary":true}`, `{"url":"x"}`,
		`{"protocol":"socketio","hello":"x"}`, `{"event":"x"}`, `{"rounds":true}`, `{"mode":"idle","protocol":"sse","compress":true}`,
		`{"protocol":"socketio","join":"{}"}`, `{"protocol":"socketio","join":"[{i}"}`,
	} {
		spec := good
		if err := json.Unmarshal([]byte(change), &spec); err != nil {
			t.Fatal(err)
		}
		if _, err := New(spec); err == nil {
			t.Errorf("%s is allowed", change)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	message := string(AppendMessage(nil, Token{Run: 1, Seq: 2}, 128))
	b.Run("v1", func(b *testing.B) {
		p := []byte(`{"type":"message","topic":"news.sport","data":"` + message + `"}`)
		for b.Loop() {
			if m, err := parseV1(p); err != nil || m.kind != "message" {
				b.Fatal(err)
			}
		}
	})
	b.Run("lines", func(b *testing.B) {
		p := []byte("event: message\nid: 0123456789\ndata: " + message + "\n\n")
		var l lines
		for b.Loop() {
			for rest := p; len(rest) > 0; {
				_, rest, _, _ = l.next(rest)
			}
		}
	})
}
