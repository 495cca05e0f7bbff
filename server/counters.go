// What a node counts beside the loops' own figures.

package server

import (
	"maps"
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

func (t *transportCounters) open() int {
	n := t.opened.Load()
	for i := range t.closed {
		n -= t.closed[i].Load()
	}
	return int(n)
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

// rejections count refused handshakes by reason. A handful of reasons, each counted from then on: a map is enough.
type rejections struct {
	mu     sync.Mutex // guards the field below
	counts map[string]uint64
}

func (r *rejections) add(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]uint64{}
	}
	r.counts[reason]++
}

func (r *rejections) snapshot() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}
