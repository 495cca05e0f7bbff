// What the node counts on each of its loops.

package server

import (
	"sync"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/figures"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// loop is what the node counts on one loop.
type loop struct {
	// Loop only.
	counters wsconn.Counters
	ended    []time.Duration // when the messages were published whose last pass ended in this turn

	// Loop writes, any goroutine reads.
	fanout     figures.Histogram
	streams    wsconn.PublishedCounters
	broadcasts atomic.Uint64 // messages of topics handed to members
}

// delivered notes that a message's last pass has ended on loop i; afterFlush takes its time.
func (s *Server) delivered(i int, m *broadcast.Message) {
	s.loops[i].ended = append(s.loops[i].ended, m.Published)
}

// afterFlush runs when what phase 6 delivered has been written: only then has a fan-out ended.
func (s *Server) afterFlush(i int) {
	r := &s.loops[i]
	if len(r.ended) > 0 {
		now := netpoll.Monotonic()
		for _, published := range r.ended {
			r.fanout.Observe(now - published)
		}
		r.ended = r.ended[:0]
	}
	r.streams.Publish(&r.counters)
	store(&r.broadcasts, s.node.Sent(i))
}

// store publishes a figure that only this loop writes. Most turns change nothing, and a load costs
// less than a store.
func store(to *atomic.Uint64, v uint64) {
	if to.Load() != v {
		to.Store(v)
	}
}

// rejections count refused handshakes by reason. The reasons are a handful of static labels. One
// that was counted before takes no lock, because loops count here too.
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
