// What the tests share: building client streams, and reading a stream in pieces.

package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// got is what came out of a stream: a message or, as the last element, a close code.
type got struct {
	Op         OpCode
	Payload    string
	Compressed bool
	Err        uint16
}

// read gives the pieces to a Reader one after the other, as so many reads, and collects what comes
// out. A close frame's body is parsed too.
func read(t testing.TB, o *Options, pieces ...[]byte) []got {
	t.Helper()
	var r Reader
	var out []got
	for _, piece := range pieces {
		p := bytes.Clone(piece)
		for {
			m, rest, err := r.Next(o, p)
			if err != nil {
				if m.Complete || rest != nil {
					t.Fatalf("Next: %v together with a message or a rest", err)
				}
				return append(out, got{Err: codeOf(t, err)})
			}
			if !m.Complete {
				if len(rest) != 0 {
					t.Fatalf("Next: incomplete, and %d bytes left", len(rest))
				}
				break
			}
			if m.Op == OpClose {
				if _, _, err := ParseClose(m.Payload); err != nil {
					return append(out, got{Err: codeOf(t, err)})
				}
			}
			out = append(out, got{Op: m.Op, Payload: string(m.Payload), Compressed: m.Compressed})
			p = rest
		}
		if limit := 2*(o.messageBytesMax()+o.messageBytesMax()>>8) + 128; r.Buffered() > limit {
			t.Fatalf("Reader holds %d bytes, the message limit is %d", r.Buffered(), o.messageBytesMax())
		}
	}
	return out
}

func codeOf(t testing.TB, err error) uint16 {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is not an *Error", err, err)
	}
	if len(e.Reason) == 0 || len(e.Reason) > CloseReasonBytesMax {
		t.Fatalf("reason %q does not fit a close frame", e.Reason)
	}
	return e.Code
}

// byByte cuts a stream into single bytes.
func byByte(p []byte) [][]byte { return cut(p, 1) }

// cut cuts a stream into pieces of n bytes.
func cut(p []byte, n int) [][]byte {
	var pieces [][]byte
	for len(p) > n {
		pieces, p = append(pieces, p[:n]), p[n:]
	}
	return append(pieces, p)
}

// masked builds a client's frame from its first byte and its payload.
func masked(first byte, payload string) []byte {
	p := AppendMasked(nil, OpCode(first&0x0f), true, [4]byte{0x37, 0xfa, 0x21, 0x3d}, []byte(payload))
	p[0] = first
	return p
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
