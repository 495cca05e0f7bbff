package echo

import (
	"bytes"
	"testing"

	"c100k/frame"
	"c100k/netpoll"
)

// BenchmarkPipelined is a turn in which one connection brings sixteen short texts: everything but
// the kernel, which is faked.
func BenchmarkPipelined(b *testing.B) {
	f := newFixture(b, 0)
	peer := f.Connect(1)
	f.Do(peer, func(l *netpoll.Loop, c *netpoll.Conn) { f.echo.Open(l, c, frame.NoWindow, nil) })
	messages := bytes.Repeat(frame.AppendMasked(nil, frame.OpText, true, [4]byte{1, 2, 3, 4}, bytes.Repeat([]byte("a"), 64)), 16)
	b.ReportAllocs()
	for b.Loop() {
		peer.Write(messages)
		f.Turn()
		peer.Discard()
	}
}
