// How connections join a loop, change their role, and leave.

package netpoll

import (
	"time"
)

// Adopt makes a socket a connection of this loop. fd must be a connected
// non-blocking stream socket; from here on it is the loop's to close, also when
// nil is returned because the slab or epoll is full. first, which may be nil,
// goes to OnData after OnOpen.
func (l *Loop) Adopt(fd int, role Role, tag uint32, first []byte) *Conn {
	c := l.conns.alloc()
	if c == nil {
		l.reject(fd, tag)
		return nil
	}
	c.fd, c.role, c.tag = int32(fd), role, tag
	c.seen = l.tick
	c.interest = interestRead
	if l.kernel.Add(c.fd, c.token()) != nil {
		l.conns.release(c)
		l.reject(fd, tag)
		return nil
	}
	l.stats.Opened++
	l.remote.load.Add(1)
	l.open(c, first)
	return c
}

func (l *Loop) reject(fd int, tag uint32) {
	l.closing = append(l.closing, int32(fd))
	if l.opt.OnRelease != nil {
		l.opt.OnRelease(tag, ReasonReset)
	}
}

// open is c's first callbacks. A panic in them is charged to c, also when the
// task that adopts it has more sockets to adopt.
func (l *Loop) open(c *Conn, first []byte) {
	was := l.current
	defer func() { l.current = was }()
	resumed := 0
	defer l.contain(&resumed)
	l.current = c
	l.opt.Handlers[c.role].OnOpen(l, c)
	l.Redeliver(c, first)
}

// Become gives the same socket another role: the session is 0, no deadline is
// set, OnOpen of the new role is called. OnClose of the old one is not.
func (l *Loop) Become(c *Conn, r Role) {
	if c.Closing() {
		return
	}
	l.wheel.Disarm(c)
	c.role, c.session = r, 0
	l.opt.Handlers[r].OnOpen(l, c)
}

// Arm sets c's one deadline: OnTimer is called d from now, up to 64 ms late and
// never early. It replaces an earlier deadline.
func (l *Loop) Arm(c *Conn, d time.Duration) {
	if c.Closing() {
		return
	}
	l.arm(c, d)
}

func (l *Loop) arm(c *Conn, d time.Duration) {
	// A tick fires when it is over; rounding up keeps the promise "never early".
	l.wheel.Arm(c, tickOf(l.now+max(d, 0)+tickLength-1))
}

// Disarm removes c's deadline.
func (l *Loop) Disarm(c *Conn) {
	if !c.Closing() {
		l.wheel.Disarm(c)
	}
}

// Close ends c at once: what it is still owed is lost. OnClose runs at the end
// of the turn. Closing twice does nothing.
func (l *Loop) Close(c *Conn, r Reason) {
	if c.flags&flagDead != 0 {
		return
	}
	if c.flags&flagFinish == 0 {
		c.reason = r
	}
	c.flags |= flagDead
	l.wheel.Disarm(c)
	l.releasing = append(l.releasing, c.Slot())
}

// Finish ends c in good order: what it is owed is sent, then a FIN, and input is
// discarded until the peer's FIN or until linger is over, counted from now. So
// the last bytes are not lost to a reset. OnClose runs at the end.
func (l *Loop) Finish(c *Conn, r Reason, linger time.Duration) {
	if c.Closing() {
		return
	}
	c.reason = r
	c.flags |= flagFinish
	if c.flags&flagPaused != 0 {
		c.flags &^= flagPaused
		l.setInterest(c, c.interest|interestRead)
	}
	l.arm(c, linger)
	if c.flags&flagBacklog == 0 {
		l.finishing = append(l.finishing, c.ID())
	}
}

// Detach takes c's socket out of the loop and returns its descriptor, which is
// now the caller's. OnClose is called at once, with ReasonDetached; what c was
// owed is lost, so it should be nothing.
func (l *Loop) Detach(c *Conn) (fd int) {
	fd = int(c.fd)
	l.kernel.Remove(c.fd)
	l.opt.Handlers[c.role].OnClose(l, c, ReasonDetached)
	l.wheel.Disarm(c)
	c.reason = ReasonDetached
	c.flags |= flagDead
	l.releasing = append(l.releasing, c.Slot())
	return fd
}

// release is phase 8: the only place where records are freed. Until here a slot
// that was closed earlier in the turn keeps its generation, so an event or a
// task for it still finds a dead connection rather than somebody else's.
func (l *Loop) release() {
	for i := 0; i < len(l.releasing); {
		i = l.serveReleases(i)
	}
	if len(l.releasing) > 0 {
		l.stats.Closed += uint64(len(l.releasing))
		l.remote.load.Add(-int32(len(l.releasing)))
		l.releasing = l.releasing[:0]
	}
	if len(l.closing) > 0 {
		l.kernel.Close(l.closing)
		l.closing = l.closing[:0]
	}
}

func (l *Loop) serveReleases(i int) (next int) {
	defer l.contain(&next)
	for ; i < len(l.releasing); i++ {
		next = i + 1
		c := l.conns.at(l.releasing[i])
		reason, tag, fd := c.reason, c.tag, c.fd
		handler := l.opt.Handlers[c.role]
		if c.flags&flagBacklog != 0 {
			l.outboxBytes -= int64(c.pending) // all of it is in the outbox
			l.outboxes.Free(c.out)
			c.flags &^= flagBacklog
		}
		if reason != ReasonDetached {
			l.closing = append(l.closing, fd)
			l.leave(handler, c, reason)
			if l.opt.OnRelease != nil {
				l.opt.OnRelease(tag, reason)
			}
		}
		l.conns.release(c)
	}
	return next
}

// leave calls OnClose; its panic must not keep the record from being freed.
func (l *Loop) leave(h Handler, c *Conn, r Reason) {
	resumed := 0
	defer l.contain(&resumed)
	h.OnClose(l, c, r)
}
