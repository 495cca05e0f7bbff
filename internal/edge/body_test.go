// Tests of what is data in a body.

package edge

import (
	"strings"
	"testing"
)

// readBody reads in in pieces of step bytes.
func readBody(b *Body, in string, step int) (data string, used int, refusal *Refusal) {
	for used < len(in) && !b.Done() {
		p := []byte(in[used:min(used+step, len(in))])
		for len(p) > 0 && !b.Done() {
			piece, n, refusal := b.Next(p)
			data, used, p = data+string(piece), used+n, p[n:]
			if refusal != nil {
				return data, used, refusal
			}
		}
	}
	return data, used, nil
}

func TestBody(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	for _, tt := range []struct {
		name, head, in, data string
		rest                 string
		refusal              *Refusal
	}{
		{"none", post + "\r\n", "GET", "", "GET", nil},
		{"of no length", post + "Content-Length: 0\r\n\r\n", "GET", "", "GET", nil},
		{"by length", post + "Content-Length: 5\r\n\r\n", "helloGET", "hello", "GET", nil},
		{"in chunks", post + "Transfer-Encoding: chunked\r\n\r\n", "2;x\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\nGET", "hello", "GET", nil},
		{"in broken chunks", post + "Transfer-Encoding: chunked\r\n\r\n", "2\r\nhe3\r\n", "he", "3\r\n", badChunkEnd},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for step := 1; step <= len(tt.in); step++ {
				var h Head
				if n, refusal := ParseHead(&h, []byte(tt.head), Limits{}); n != len(tt.head) || refusal != nil {
					t.Fatal(n, refusal)
				}
				var b Body
				b.Begin(&h)
				data, used, refusal := readBody(&b, tt.in, step)
				if data != tt.data || tt.in[used:] != tt.rest || refusal != tt.refusal {
					t.Fatalf("in steps of %d: data %q, then %q, %v", step, data, tt.in[used:], refusal)
				}
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	for head, want := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                         true,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":    false,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: X, Close\r\n\r\n": false,
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n":                         false,
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n":          false,
	} {
		var h Head
		if n, refusal := ParseHead(&h, []byte(head), Limits{}); n != len(head) || refusal != nil {
			t.Fatal(n, refusal)
		}
		if h.KeepAlive() != want {
			t.Errorf("%q: %v", head, h.KeepAlive())
		}
		if string(h.Bytes()) != strings.TrimPrefix(head, "\r\n") {
			t.Errorf("%q: its bytes are %q", head, h.Bytes())
		}
	}
}
