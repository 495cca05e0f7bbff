// Invariants, checked after every turn in a build with the tag c100kdebug.

//go:build c100kdebug

package netpoll

import (
	"fmt"
	"slices"
)

// verify panics outside of contain: a broken invariant ends the process.
func (l *Loop) verify() {
	live, backlogs, armed := 0, 0, 0
	var backlogBytes int64
	l.conns.each(func(c *Conn) bool {
		live++
		l.verifyFlags(c)
		if c.flags&flagBacklog != 0 {
			backlogs++
			backlogBytes += int64(c.pending)
		}
		if c.flags&flagArmed != 0 {
			armed++
		}
		check(int(c.pending) == l.sumPending(c), c, "pending is not the sum of the pieces")
		return true
	})
	check(live == l.conns.live, nil, "the slab's count of live records is wrong")
	check(live+l.conns.freeLen() == len(l.conns.chunks)*connChunk, nil, "a record is neither live nor free")
	check(backlogs == l.outboxes.Len(), nil, "an outbox without a connection")
	check(backlogBytes == l.outboxBytes, nil, "outboxBytes is not the sum of the backlogs")
	check(armed == l.wheel.verify(), nil, "a deadline is armed and not linked")
}

func (l *Loop) verifyFlags(c *Conn) {
	f := c.flags
	queued := false
	for _, leaving := range l.releasing {
		queued = queued || leaving.slot == c.Slot()
	}
	check(f&flagDead == 0 || queued, c, "dead and not about to be released")
	check(f&flagLinger == 0 || f&flagFinish != 0, c, "lingers without Finish")
	check(f&flagLinger == 0 || f&flagBacklog == 0, c, "FIN sent before the backlog")
	check(f&flagPaused == 0 || f&flagBacklog != 0, c, "paused without a backlog")
	check(f&flagPaused == 0 || c.interest&interestRead == 0, c, "paused and reads")
	check(c.interest&interestPlanned == 0, c, "still planned for a read after the turn")
	check((c.interest&interestUnread != 0) == slices.Contains(l.unread, c.ID()), c, "listed as unread and not marked, or the reverse")
	check(f&flagDue == 0 || f&flagArmed != 0, c, "due and not armed")
	check(f&flagBacklog != 0 || c.interest&interestWrite == 0, c, "write interest without a backlog")
	check(f&flagBacklog == 0 || c.interest&(interestWrite|interestLayer) != 0, c, "a backlog without write interest")
	check(f&flagFinish == 0 || f&(flagArmed|flagDead) != 0, c, "finishes without a deadline")
	check(c.gen != 0, c, "generation 0 in use")
	check(int(c.role) < RolesMax && l.opt.Handlers[c.role] != nil, c, "a role without a handler")
}

// sumPending adds up the pieces of c.
func (l *Loop) sumPending(c *Conn) (n int) {
	if c.flags&flagBacklog != 0 {
		o := l.outboxes.At(c.out)
		check(!o.queued, c, "still queued for a write after the flush")
		off := o.off
		for _, p := range o.pieces[o.head:] {
			check(len(p.p) > 0 && !p.turn, c, "an empty or short-lived piece in an outbox")
			n += p.counts(off)
			off = 0
		}
		check(o.off == 0 || o.off < len(o.pieces[o.head].p), c, "more sent than the piece has")
		check(o.sealing == 0, c, "still being sealed after the flush")
		return n
	}
	if c.out == 0 {
		return 0
	}
	g := &l.gathers[c.out-1]
	check(g.id == c.ID(), c, "gathered for another connection")
	n = len(g.first.p)
	for i := g.more; i >= 0; i = l.pieces[i].next {
		n += len(l.pieces[i].p)
	}
	return n
}

func (s *connSlab) freeLen() (n int) {
	for link := s.free; link != 0; link = s.at(link - 1).next {
		n++
	}
	return n
}

// verify walks all lists of the wheel and returns how many records they link.
func (w *wheel) verify() (linked int) {
	for b, head := range w.heads {
		check((head != 0) == (w.filled[b/64]&(1<<(b%64)) != 0), nil, "a bucket's bit is wrong")
		linked += w.verifyList(head, 0, func(c *Conn) {
			check(int(c.deadline%wheelBuckets) == b && c.flags&flagDue == 0, c, "in a wrong bucket")
			check(c.deadline.after(w.now), c, "its bucket has been passed")
			check(!w.firsts[b].after(c.deadline), c, "earlier than the first of its bucket")
			check(!w.known || !w.next.after(c.deadline), c, "earlier than the next of the wheel")
		})
	}
	return linked + w.verifyList(w.due, w.dueTail, func(c *Conn) {
		check(c.flags&flagDue != 0, c, "in the list of those due, and is not")
	})
}

func (w *wheel) verifyList(head, tail uint32, each func(*Conn)) (n int) {
	prev := uint32(0)
	for link := head; link != 0; n++ {
		c := w.at(link)
		check(c.prev == prev && c.flags&(flagLive|flagArmed) == flagLive|flagArmed, c, "a wheel link is broken")
		each(c)
		prev, link = link, c.next
	}
	check(tail == 0 || tail == prev, nil, "the tail of those due is wrong")
	return n
}

func check(ok bool, c *Conn, what string) {
	if ok {
		return
	}
	if c == nil {
		panic("netpoll: invariant: " + what)
	}
	panic(fmt.Sprintf("netpoll: invariant: %s: %+v", what, *c))
}
