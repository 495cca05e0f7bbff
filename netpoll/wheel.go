// The timer wheel: one deadline a connection, linked through the records.

package netpoll

import "math/bits"

// tick is a point in the loop's time, in units of Options.Tick since its start.
// It wraps, with 32 ms after four years; differences are taken as signed
// numbers, so that deadlines and readings may be up to 1<<31 ticks apart.
type tick uint32

func (t tick) after(u tick) bool { return int32(t-u) > 0 }

// wheel is a hashed timer wheel whose entries are connection records: arming
// and cancelling are O(1), and a connection without a deadline costs nothing.
// Loop only; it does no I/O and reads no clock.
//
// Invariant: an armed record is linked in bucket deadline%wheelBuckets, or,
// with flagDue, in the list of those due, and nowhere else.
type wheel struct {
	conns   *connSlab
	now     tick // all buckets up to here have been looked at
	heads   [wheelBuckets]uint32
	firsts  [wheelBuckets]tick        // no deadline in the bucket is earlier; exact when the wheel has passed it
	filled  [wheelBuckets / 64]uint64 // bit set: the bucket is not empty
	due     uint32
	dueTail uint32
	next    tick // with known: no deadline is earlier
	known   bool
}

func (w *wheel) at(link uint32) *Conn { return w.conns.at(link - 1) }

// Arm sets c's deadline, replacing an earlier one. A deadline that has passed
// fires with the next tick.
func (w *wheel) Arm(c *Conn, deadline tick) {
	w.Disarm(c)
	if !deadline.after(w.now) {
		deadline = w.now + 1
	}
	b := deadline % wheelBuckets
	link := c.Slot() + 1
	c.deadline, c.prev, c.next = deadline, 0, w.heads[b]
	if c.next != 0 {
		w.at(c.next).prev = link
	}
	w.heads[b] = link
	w.filled[b/64] |= 1 << (b % 64)
	if c.next == 0 || w.firsts[b].after(deadline) {
		w.firsts[b] = deadline
	}
	if w.known && w.next.after(deadline) {
		w.next = deadline
	}
	c.flags |= flagArmed
}

// Disarm removes c's deadline, if it has one.
func (w *wheel) Disarm(c *Conn) {
	if c.flags&flagArmed == 0 {
		return
	}
	if c.flags&flagDue != 0 {
		w.unlinkDue(c)
	} else {
		w.unlink(c)
	}
	c.flags &^= flagArmed | flagDue
	c.prev, c.next = 0, 0
}

func (w *wheel) unlink(c *Conn) {
	b := c.deadline % wheelBuckets
	if c.prev != 0 {
		w.at(c.prev).next = c.next
	} else {
		w.heads[b] = c.next
	}
	if c.next != 0 {
		w.at(c.next).prev = c.prev
	}
	if w.heads[b] == 0 {
		w.filled[b/64] &^= 1 << (b % 64)
		w.known = w.known && w.next%wheelBuckets != b
	}
}

func (w *wheel) unlinkDue(c *Conn) {
	if c.prev != 0 {
		w.at(c.prev).next = c.next
	} else {
		w.due = c.next
	}
	if c.next != 0 {
		w.at(c.next).prev = c.prev
	} else {
		w.dueTail = c.prev
	}
}

// Advance moves the wheel to now and fires at most limit deadlines; it tells
// whether more are due. They come oldest tick first, unless a whole round or
// more has gone by since the last call. fire may arm and disarm any connection:
// those due sit in a list of their own, taken one at a time.
func (w *wheel) Advance(now tick, limit int, fire func(*Conn)) (more bool) {
	w.collect(now)
	for w.due != 0 {
		if limit == 0 {
			return true
		}
		limit--
		c := w.at(w.due)
		w.Disarm(c)
		fire(c)
	}
	return false
}

// collect moves what is due into the list of those due.
func (w *wheel) collect(now tick) {
	if !now.after(w.now) {
		return
	}
	steps := uint32(now - w.now)
	if steps >= wheelBuckets { // a whole round or more has gone by: every bucket once
		steps = wheelBuckets
		w.now = now - wheelBuckets
	}
	for range steps {
		w.now++
		b := w.now % wheelBuckets
		if w.filled[b/64]&(1<<(b%64)) == 0 {
			continue
		}
		w.collectBucket(b, now)
	}
	w.known = w.known && w.next.after(w.now)
}

// collectBucket moves the deadlines up to now from bucket b to the list of those
// due. Those of later rounds stay.
func (w *wheel) collectBucket(b, now tick) {
	first := now + 1<<31 - 1 // the latest there is
	for link := w.heads[b]; link != 0; {
		c := w.at(link)
		link = c.next
		if c.deadline.after(now) {
			if first.after(c.deadline) {
				first = c.deadline
			}
			continue
		}
		w.unlink(c)
		w.appendDue(c)
	}
	w.firsts[b] = first
}

func (w *wheel) appendDue(c *Conn) {
	link := c.Slot() + 1
	c.prev, c.next = w.dueTail, 0
	if w.dueTail != 0 {
		w.at(w.dueTail).next = link
	} else {
		w.due = link
	}
	w.dueTail = link
	c.flags |= flagDue
}

// Next is the tick of the next deadline; false when none is set. It may be too
// early, never too late, by a deadline that was disarmed; Advance then finds
// nothing due, and the Next after that does not name it again.
func (w *wheel) Next() (tick, bool) {
	if w.due != 0 {
		return w.now, true
	}
	if !w.known {
		w.next, w.known = w.search()
	}
	return w.next, w.known
}

// search looks at the buckets in the order in which the wheel will pass them.
func (w *wheel) search() (next tick, found bool) {
	first := w.now + 1
	for i := tick(0); i <= wheelBuckets; {
		b := (first + i) % wheelBuckets
		word := w.filled[b/64] >> (b % 64)
		if word == 0 {
			i += 64 - b%64
			continue
		}
		skip := tick(bits.TrailingZeros64(word))
		tick := first + i + skip
		earliest := w.firsts[tick%wheelBuckets]
		if earliest == tick { // of this round: all buckets not looked at are later
			return tick, true
		}
		if !found || next.after(earliest) {
			next, found = earliest, true
		}
		i += skip + 1
	}
	return next, found
}
