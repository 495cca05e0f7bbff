// Tests of where bodies end, and of what is data in them.

package edge

import (
	"strings"
	"testing"
)

func TestFramerChunked(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		n        int // where it ends or breaks; -1: at the end of in
		refusal  *Refusal
	}{
		{"empty", "0\r\n\r\n", -1, nil},
		{"data", "5\r\nhello\r\n0\r\n\r\n", -1, nil},
		{"the next request stays", "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n", 11, nil},
		{"hexadecimal", "aF\r\n" + strings.Repeat("x", 0xaf) + "\r\n00\r\n\r\n", -1, nil},
		{"extensions", "1;a;b=c;d=\"e\"\r\nx\r\n0;last\r\n\r\n", -1, nil},
		{"trailer", "0\r\nA: b\r\nC:\r\n\r\n", -1, nil},
		{"a size of 15 digits", "fffffffffffffff\r\nx", -1, nil},
		{"incomplete", "5\r\nhel", -1, nil},

		{"no size", "\r\n", 0, badChunkSize},
		{"no size but an extension", ";a\r\n", 0, badChunkSize},
		{"a sign", "+5\r\nhello\r\n", 0, badChunkSize},
		{"0x", "0x5\r\n", 1, badChunkSize},
		{"a space before the size", " 5\r\n", 0, badChunkSize},
		{"a space behind the size", "5 \r\n", 1, badChunkSize},
		{"a size of 16 digits", "0000000000000005\r\n", 15, badChunkSize},
		{"bare LF behind the size", "5\nhello\r\n", 1, badChunkSize},
		{"bare CR behind the size", "5\rhello\r\n", 2, badChunkEnd},
		{"bare LF in an extension", "5;a\nhello", 3, badChunkExtension},
		{"bare CR in an extension", "5;a\rb", 4, badChunkEnd},
		{"extension with white space", "1; a = b ;c=\"d \\\" e\" ;f\r\nx\r\n0\r\n\r\n", -1, nil},
		{"extension without a name", "5;\r\nhello", 2, badChunkExtension},
		{"extension whose name is no token", "5;a@b\r\nhello", 3, badChunkExtension},
		{"extension without a value", "5;a=\r\nhello", 4, badChunkExtension},
		{"extension whose value is no token", "5;a={}\r\nhello", 4, badChunkExtension},
		{"extension with a control character in quotes", "5;a=\"\x01\"\r\nhello", 5, badChunkExtension},
		{"bytes behind a quoted extension", "5;a=\"b\"c\r\nhello", 7, badChunkExtension},
		{"white space behind the extensions", "5;a \r\nhello", 4, badChunkExtension},
		{"long extension", "5;" + strings.Repeat("a", 1000), 2 + chunkExtensionBytesMax, badChunkExtension},
		{"data too long", "1\r\nxy\r\n", 4, badChunkEnd},
		{"bare LF behind data", "1\r\nx\n", 4, badChunkEnd},
		{"bare CR behind data", "1\r\nx\ry", 5, badChunkEnd},
		{"bare LF at the end", "0\r\n\n", 3, badTrailer},
		{"bare CR at the end", "0\r\n\rx", 4, badTrailer},
		{"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", 9, badTrailer},
		{"nameless trailer", "0\r\n: b\r\n\r\n", 3, badTrailer},
		{"space before the colon of a trailer", "0\r\nA : b\r\n\r\n", 4, badTrailer},
		{"control character in a trailer", "0\r\nA: \x00\r\n\r\n", 6, badTrailer},
		{"bare LF in the trailer", "0\r\nA: b\n\r\n", 7, badTrailer},
		{"bare CR in the trailer", "0\r\nA: b\rc", 8, badTrailer},
		{"long trailer", "0\r\n" + strings.Repeat("A: bcdefgh\r\n", 1000), 3 + trailerBytesMax, badTrailer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.n
			if want < 0 {
				want = len(tt.in)
			}
			for _, step := range []int{len(tt.in), 1, 3} {
				f := framer{state: chunkSize}
				n, refusal := 0, (*Refusal)(nil)
				for n < len(tt.in) && refusal == nil && !f.done() {
					var took int
					took, refusal = f.advance([]byte(tt.in[n:min(n+step, len(tt.in))]))
					n += took
				}
				if n != want || refusal != tt.refusal {
					t.Errorf("in steps of %d: %d bytes, %v; want %d, %v", step, n, refusal, want, tt.refusal)
				}
			}
		})
	}
}

func TestFramerLength(t *testing.T) {
	var f framer
	f.begin(parsed(t, framed("Content-Length: 5")))
	if n, _ := f.advance([]byte("abc")); n != 3 || f.done() || f.readMax() != 2 {
		t.Errorf("n = %d, done %t, readMax %d", n, f.done(), f.readMax())
	}
	if n, _ := f.advance([]byte("deGET")); n != 2 || !f.done() {
		t.Errorf("n = %d, done %t", n, f.done())
	}
	for _, fields := range [][]string{nil, {"Content-Length: 0"}} {
		if f.begin(parsed(t, framed(fields...))); !f.done() {
			t.Errorf("%q: there is a body", fields)
		}
	}
}

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
