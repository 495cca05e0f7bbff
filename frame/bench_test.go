package frame

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	asm "github.com/segmentio/asm/utf8"

	"github.com/gobwas/ws"
)

var sizes = []int{64, 1 << 10, 16 << 10}

// BenchmarkHeaderParse is the header alone, in its three lengths, whole in the read.
func BenchmarkHeaderParse(b *testing.B) {
	for _, n := range []int{64, 1 << 10, 64 << 10} {
		in := AppendMasked(nil, OpText, true, [4]byte{1, 2, 3, 4}, make([]byte, n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if h, bad := parseHeader(in, false); bad != nil || h.size == 0 {
					b.Fatal(bad)
				}
			}
		})
	}
}

// BenchmarkMessage reads a whole message. The payload is masked with zeros where the time of
// unmasking is not to be seen.
func BenchmarkMessage(b *testing.B) {
	for _, kind := range []struct {
		name string
		op   OpCode
		mask [4]byte
		text string
	}{{"frame-only", OpBinary, [4]byte{}, "a"}, {"binary", OpBinary, [4]byte{1, 2, 3, 4}, "a"}, {"text", OpText, [4]byte{}, "a"}, {"text-mixed", OpText, [4]byte{}, "grüß dich "}} {
		for _, n := range sizes {
			payload := strings.ToValidUTF8(strings.Repeat(kind.text, n)[:n], "")
			in := AppendMasked(nil, kind.op, true, kind.mask, []byte(payload))
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				o := &Options{}
				var r Reader
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if m, _, err := r.Next(o, in); err != nil || !m.Complete {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkSplitMessage reads a 16 KiB message that comes in reads of 1 KiB.
func BenchmarkSplitMessage(b *testing.B) {
	in := cut(AppendMasked(nil, OpBinary, true, [4]byte{1, 2, 3, 4}, make([]byte, 16<<10)), 1<<10)
	o := &Options{}
	var r Reader
	b.SetBytes(16 << 10)
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range in {
			if _, _, err := r.Next(o, p); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkUnmask is the payload alone, ours beside the library's: B/s says how far it is from the
// memory's speed. The short ones are those of chat messages.
func BenchmarkUnmask(b *testing.B) {
	for _, n := range append([]int{7, 70, 200}, sizes...) {
		p := make([]byte, n)
		b.Run(fmt.Sprintf("frame/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				unmask(p, 0x04030201)
			}
		})
		b.Run(fmt.Sprintf("ws.Cipher/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				ws.Cipher(p, [4]byte{1, 2, 3, 4}, 0)
			}
		})
	}
}

// BenchmarkUTF8 is the check of a text message: ours, ours for a message in pieces, and the two
// that ours is made of.
func BenchmarkUTF8(b *testing.B) {
	for _, kind := range []struct{ name, text string }{{"ascii", "a"}, {"mixed", "grüß dich "}} {
		for _, n := range sizes {
			p := []byte(strings.ToValidUTF8(strings.Repeat(kind.text, n)[:n], ""))
			for _, f := range []struct {
				name  string
				valid func([]byte) bool
			}{{"frame", validUTF8}, {"incremental", func(p []byte) bool { var u utf8Check; return u.write(p) && u.complete() }}, {"std", utf8.Valid}, {"asm", asm.Valid}} {
				b.Run(fmt.Sprintf("%s/%s/%d", kind.name, f.name, n), func(b *testing.B) {
					b.SetBytes(int64(len(p)))
					b.ReportAllocs()
					for b.Loop() {
						f.valid(p)
					}
				})
			}
		}
	}
}

// BenchmarkCompress is one message compressed without a context, which a broadcast pays once
// whatever the number of members. compressed-B is what is left of it.
func BenchmarkCompress(b *testing.B) {
	for _, window := range []Window{WindowNarrow, WindowFull} {
		for _, n := range sizes {
			message := records(n)
			buf := make([]byte, 0, 2*n)
			b.Run(fmt.Sprintf("window%d/%d", window, n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				size := 0
				for b.Loop() {
					size = len(AppendCompressed(buf, message, window))
				}
				b.ReportMetric(float64(size), "compressed-B")
			})
		}
	}
}

// BenchmarkInflate is one compressed message of a client inflated, with the bound on its size; B/s
// counts what comes out.
func BenchmarkInflate(b *testing.B) {
	for _, n := range append(sizes, 1<<20) {
		payload := AppendCompressed(nil, records(n), WindowFull)
		buf := make([]byte, 0, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Inflate(buf, payload, n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInPlaceEcho is a message read and its reply made in front of its payload, without a
// copy: all that frame does for an echo.
func BenchmarkInPlaceEcho(b *testing.B) {
	src := AppendMasked(nil, OpBinary, true, [4]byte{1, 2, 3, 4}, make([]byte, 64))
	in := bytes.Clone(src)
	o := &Options{}
	var r Reader
	b.ReportAllocs()
	for b.Loop() {
		copy(in, src)
		m, _, err := r.Next(o, in)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := m.InPlace(); !ok {
			b.Fatal("no room")
		}
	}
}
