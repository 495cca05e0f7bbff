// What a node counts beside the loops' own figures.

package server

import (
	"sync"
	"sync/atomic"

	"c100k/netpoll"
)

// transportCounters count one transport's connections. Loops add to them; any goroutine reads. Opening and closing are rare
// next to messages, so an atomic addition each is no burden.
type transportCounters struct {
	opened atomic.Uint64
	closed [netpoll.ReasonCount]atomic.Uint64
}

// counted wraps a role's handler to count its connections. What is called for each read goes straight through.
type counted struct {
	netpoll.Handler
	count *transportCounters
}

func (h *counted) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	h.count.opened.Add(1)
	h.Handler.OnOpen(l, c)
}

func (h *counted) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	h.count.closed[r].Add(1)
	h.Handler.OnClose(l, c, r)
}

// rejections count refused handshakes by reason. The reasons are a handful of static labels; one that is known costs no lock, for
// loops count here too.
type rejections struct{ counts sync.Map } // label to *atomic.Uint64

func (r *rejections) add(reason string) {
	n, ok := r.counts.Load(reason)
	if !ok {
		n, _ = r.counts.LoadOrStore(reason, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

func (r *rejections) snapshot() map[string]uint64 {
	counts := map[string]uint64{}
	r.counts.Range(func(reason, n any) bool {
		counts[reason.(string)] = n.(*atomic.Uint64).Load()
		return true
	})
	return counts
}
