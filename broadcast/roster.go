// The members of one topic in one shard: a dense array of 8-byte seats, walked by every pass.

package broadcast

import "sync/atomic"

// seat is one member of a roster: subscription number 32 bits, member 24 bits, lagging 1 bit,
// replaying 1 bit, form 6 bits.
type seat uint64

const (
	// formMask is the form's part of a seat. Invariant: FormsMax-1 fits in it.
	formMask seat = 1<<6 - 1

	// lagging is set on a seat whose member has missed messages that are not announced yet
	// (Shard.missed).
	lagging seat = 1 << 7

	// replaying is set on a seat whose member gets kept messages first (Shard.replays). Passes leave
	// it out.
	replaying seat = 1 << 6
)

func newSeat(sub, member uint32, f Form) seat { return seat(sub)<<32 | seat(member)<<8 | seat(f) }

func (e seat) sub() uint32    { return uint32(e >> 32) }
func (e seat) member() uint32 { return uint32(e>>8) & (MembersMax - 1) }
func (e seat) form() Form     { return Form(e & formMask) }
func (e seat) lags() bool     { return e&lagging != 0 }

// special says that the seat's member does not simply get what a pass brings.
func (e seat) special() bool { return e&(lagging|replaying) != 0 }

// roster is a topic in a shard that has members of it.
type roster struct {
	// Immutable after the roster is attached.
	shard int
	topic *topic
	mark  uint32 // its number in the shard; what the Sink gets as mark

	// Any goroutine.
	ready  atomic.Bool            // in the ready queue, or being served
	queued atomic.Pointer[roster] // the next in the ready queue

	// Loop.
	gone   bool   // detached, or never attached
	served uint32 // the Deliver call that last served it
	len    uint32 // seats
	// cursor is the last node that the shard has passed over.
	cursor *node
	pass   *pass // the pass under way, or nil
	// Seats 0 to chunkLen-1 are in head, which grows, so that a topic with one member is small; the
	// rest in body.
	head []seat
	body chunks[seat]
	cuts []cut
}

// cut says that the members from seat pos on (up to the next cut) joined when seq was the newest
// message: that one and those before it are not for them.
//
// Invariant: pos and seq ascend, each seq is newer than the cursor, and members before the first
// cut joined when the cursor's message was the newest, or earlier. A pass needs no other notion of
// who joined when: who joins during a pass is behind a cut that is at least as new as the last
// message of its run.
type cut struct {
	pos uint32
	seq uint64
}

// seat returns the seat at pos, which must be less than len.
func (r *roster) seat(pos uint32) *seat {
	if pos < chunkLen {
		return &r.head[pos]
	}
	return r.body.at(pos - chunkLen)
}

// seats returns seats from pos on: at least one, at most up to end, as many as lie in one piece.
func (r *roster) seats(pos, end uint32) []seat {
	if pos < chunkLen {
		return r.head[pos:min(end, chunkLen)]
	}
	chunk := r.body.list[pos>>chunkBits-1]
	from := pos & (chunkLen - 1)
	return chunk[from:min(chunkLen, from+end-pos)]
}

// join puts a member at the end. The seat is filled in by the caller.
func (r *roster) join() (pos uint32) {
	pos = r.len
	r.len++
	switch {
	case pos >= chunkLen:
		r.body.make(pos - chunkLen)
	case int(pos) == len(r.head):
		r.head = append(r.head, 0)
	}
	newest := r.topic.tail.Load().last.seq
	if newest == r.cursor.seq {
		return pos
	}
	switch k := len(r.cuts) - 1; {
	case k >= 0 && r.cuts[k].seq == newest:
	case k >= 0 && r.cuts[k].pos == pos:
		r.cuts[k].seq = newest // no member is behind that cut any more
	default:
		r.cuts = append(r.cuts, cut{pos: pos, seq: newest})
	}
	return pos
}

// remove takes the seat at pos out. A seat is filled only from its own segment (between two cuts,
// and on its own side of where a pass stands): the last of the segment goes into the hole, which so
// has moved to the border; the border moves one down, the hole is then the first place of the next
// segment, and so on to the end. So nobody changes sides: nobody misses a run or gets it twice
// because another left.
func (r *roster) remove(subs *subscriptions, pos uint32) {
	hole := pos
	border := func(at *uint32) {
		r.move(subs, *at-1, hole)
		*at--
		hole = *at
	}
	at := (*uint32)(nil)
	if r.pass != nil && r.pass.at > pos {
		at = &r.pass.at
	}
	for i := range r.cuts {
		c := &r.cuts[i]
		if c.pos <= pos {
			continue
		}
		if at != nil && *at <= c.pos {
			border(at)
			at = nil
		}
		border(&c.pos)
	}
	if at != nil {
		border(at)
	}
	r.move(subs, r.len-1, hole)
	r.len--
	r.shrink()
}

// move puts the seat at from into place to.
func (r *roster) move(subs *subscriptions, from, to uint32) {
	if from == to {
		return
	}
	e := *r.seat(from)
	*r.seat(to) = e
	subs.at(e.sub()).pos = to
}

// shrink gives back the last chunk when the one before it is empty too: one stays in reserve, so
// that subscribing and leaving at the border of a chunk does not allocate each time.
func (r *roster) shrink() {
	if k := len(r.body.list); k > 0 && (uint32(k)-1)<<chunkBits >= r.len {
		r.body.list[k-1] = nil
		r.body.list = r.body.list[:k-1]
	}
}

// segment returns the segment that seat pos is in: the seat where it ends, and the newest message
// at the time its members joined (0: as far as this roster is concerned, for ever).
func (r *roster) segment(pos uint32) (end uint32, joined uint64) {
	for _, c := range r.cuts {
		if c.pos > pos {
			return c.pos, joined
		}
		joined = c.seq
	}
	return r.len, joined
}

// passed moves the cursor on to n and forgets the cuts that so have become true of everybody.
func (r *roster) passed(n *node) {
	r.cursor = n
	k := 0
	for k < len(r.cuts) && r.cuts[k].seq <= n.seq {
		k++
	}
	if k == len(r.cuts) {
		r.cuts = nil
		return
	}
	r.cuts = append(r.cuts[:0], r.cuts[k:]...)
}
