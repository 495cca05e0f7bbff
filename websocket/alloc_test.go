// The checks of a debug build allocate.

//go:build !c100kdebug

package websocket

import (
	"strings"
	"testing"

	"c100k/frame"
)

// An echo costs no memory.
func TestEchoAllocatesNothing(t *testing.T) {
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) { c.Send(m) })
	})
	p := st.openConn(t)
	message := masked(frame.OpText, strings.Repeat("x", 64))
	// The fake kernel and its peer allocate too: what counts is that sixteen messages cost no more
	// than one.
	cost := func(n int) float64 {
		all := []byte(strings.Repeat(string(message), n))
		return testing.AllocsPerRun(200, func() {
			p.Write(all)
			st.Turn()
			p.Discard()
		})
	}
	if one, many := cost(1), cost(16); many > one+1 {
		t.Errorf("16 messages make %v allocations, 1 makes %v", many, one)
	}
}
