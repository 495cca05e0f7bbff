// Phase 9, and the figures that other goroutines read.

package netpoll

import (
	"slices"
	"sync/atomic"
	"time"
)

// Stats are a loop's figures. All but the first group only grow.
type Stats struct {
	Connections int
	OutboxBytes int64 // pending in outboxes
	Mailbox     int   // tasks waiting

	Opened        uint64
	Closed        uint64
	Turns         uint64
	Reads         uint64 // operations
	Writes        uint64
	BytesReceived uint64
	BytesSent     uint64
	Tasks         uint64
	Timers        uint64
	StaleEvents   uint64
	Panics        uint64
	Busy          time.Duration // outside phase 1

	// TurnBuckets counts turns by length: bucket i holds those of at most
	// TurnBounds[i], the last one all longer ones.
	TurnBuckets [len(turnBounds) + 1]uint64
}

var turnBounds = [...]time.Duration{
	10 * time.Microsecond, 30 * time.Microsecond, 100 * time.Microsecond, 300 * time.Microsecond,
	time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond,
	100 * time.Millisecond, 300 * time.Millisecond, time.Second,
}

// TurnBounds are the upper bounds of Stats.TurnBuckets.
func TurnBounds() []time.Duration { return slices.Clone(turnBounds[:]) }

// publishedStats is the copy that any goroutine may read. The loop is the only
// writer and uses plain atomic stores: readers may see figures of two turns
// mixed, never a torn one.
type publishedStats struct {
	connections, outboxBytes, busy               atomic.Uint64
	opened, closed, turns, reads, writes         atomic.Uint64
	received, sent, tasks, timers, stale, panics atomic.Uint64
	buckets                                      [len(turnBounds) + 1]atomic.Uint64
}

// publish is phase 9. Its clock reading is the turn's second and last: it ends
// what clock began.
func (l *Loop) publish() {
	s, p := &l.stats, &l.published
	l.ended = l.opt.Clock()
	length := l.ended - l.woke
	l.length = length
	s.Turns++
	s.Busy += length
	b := 0
	for b < len(turnBounds) && length > turnBounds[b] {
		b++
	}
	s.TurnBuckets[b]++
	p.buckets[b].Store(s.TurnBuckets[b])
	store(&p.connections, uint64(l.conns.live))
	store(&p.outboxBytes, uint64(l.outboxBytes))
	store(&p.opened, s.Opened)
	store(&p.closed, s.Closed)
	store(&p.turns, s.Turns)
	store(&p.reads, s.Reads)
	store(&p.writes, s.Writes)
	store(&p.received, s.BytesReceived)
	store(&p.sent, s.BytesSent)
	store(&p.tasks, s.Tasks)
	store(&p.timers, s.Timers)
	store(&p.stale, s.StaleEvents)
	store(&p.panics, s.Panics)
	store(&p.busy, uint64(s.Busy))
}

// store publishes a figure that only the loop writes. A store locks the bus, a
// load does not, and most turns change few figures.
func store(to *atomic.Uint64, v uint64) {
	if to.Load() != v {
		to.Store(v)
	}
}

// Stats are the figures as of the last turn. Any goroutine.
func (l *Loop) Stats() Stats {
	p := &l.published
	s := Stats{
		Connections: int(p.connections.Load()), OutboxBytes: int64(p.outboxBytes.Load()), Mailbox: int(l.remote.depth.Load()),
		Opened: p.opened.Load(), Closed: p.closed.Load(), Turns: p.turns.Load(),
		Reads: p.reads.Load(), Writes: p.writes.Load(),
		BytesReceived: p.received.Load(), BytesSent: p.sent.Load(),
		Tasks: p.tasks.Load(), Timers: p.timers.Load(), StaleEvents: p.stale.Load(), Panics: p.panics.Load(),
		Busy: time.Duration(p.busy.Load()),
	}
	for i := range s.TurnBuckets {
		s.TurnBuckets[i] = p.buckets[i].Load()
	}
	return s
}
