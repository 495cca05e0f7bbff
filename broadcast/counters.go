// What is counted, and how the loops hand it to others.

package broadcast

import "sync/atomic"

// cacheLineBytes keeps what different processors write apart. Two lines: processors fetch pairs.
const cacheLineBytes = 128

// Counters are totals since NewHub, but for PendingBytes and KeptBytes.
type Counters struct {
	Published    uint64 // calls of Publish with a valid topic, also to topics without members, but not of relayed posts
	Refused      uint64 // of these, dropped because Options.PendingBytesMax was reached
	PendingBytes int64  // published and not yet delivered, now

	Deliveries    uint64 // messages handed to members: a message for n members counts n
	Disconnects   uint64 // members closed by policy Disconnect
	DroppedOldest uint64 // messages that a member did not get, by policy DropOldest
	DroppedNewest uint64 // messages that a member did not get, by policy DropNewest
	Gaps          uint64 // gap announcements made

	Replayed  uint64 // kept messages handed to members that came back; part of Deliveries
	KeptBytes int64  // in the logs of topics, now
}

// shardCounters are one shard's part of Counters, kept twice: the loop adds to a plain one and
// copies it to the shared one at the end of each call that changes it, so that a delivery costs no
// atomic operation.
type shardCounters struct {
	deliveries, disconnects, droppedOldest, droppedNewest, gaps, replayed uint64
}

type sharedCounters struct {
	_ [cacheLineBytes]byte

	deliveries, disconnects, droppedOldest, droppedNewest, gaps, replayed atomic.Uint64

	_ [cacheLineBytes]byte
}

func (c *shardCounters) publish(to *sharedCounters) {
	to.deliveries.Store(c.deliveries)
	to.disconnects.Store(c.disconnects)
	to.droppedOldest.Store(c.droppedOldest)
	to.droppedNewest.Store(c.droppedNewest)
	to.gaps.Store(c.gaps)
	to.replayed.Store(c.replayed)
}

// Counters returns the totals. A shard's part is as of its last Deliver or Drained. Any goroutine.
func (h *Hub) Counters() Counters {
	c := Counters{Published: h.published.Load(), Refused: h.refused.Load(), PendingBytes: h.pending.Load(), KeptBytes: h.kept.Load()}
	for _, s := range h.shards {
		c.Deliveries += s.shared.deliveries.Load()
		c.Disconnects += s.shared.disconnects.Load()
		c.DroppedOldest += s.shared.droppedOldest.Load()
		c.DroppedNewest += s.shared.droppedNewest.Load()
		c.Gaps += s.shared.gaps.Load()
		c.Replayed += s.shared.replayed.Load()
	}
	return c
}
