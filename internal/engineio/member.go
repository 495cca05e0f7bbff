// A session as a member of rooms: the methods that a broadcast.Sink calls. c is the member's
// record, the session's anchor.

package engineio

import (
	"math"

	"c100k/netpoll"
)

// MemberPending is the pending output of the session of the anchor c, in bytes.
func (e *Endpoint) MemberPending(l *netpoll.Loop, c *netpoll.Conn) int {
	if c.Role() == e.cfg.Roles.Socket {
		return c.Pending()
	}
	if s := e.anchored(c); s != nil {
		return e.Pending(l, s)
	}
	return 0
}

// MemberSend sends the session of the anchor c a run of n messages in its form.
func (e *Endpoint) MemberSend(l *netpoll.Loop, c *netpoll.Conn, p []byte, mark, n uint32) {
	if c.Role() == e.cfg.Roles.Socket {
		l.SendMessages(c, p, mark, n)
		return
	}
	if s := e.anchored(c); s != nil && s.flags&flagClosed == 0 {
		e.share(l, s, p, mark, n)
	}
}

// MemberDrop drops runs that MemberSend has queued for the session of the anchor c and that are not
// being sent, oldest first, until need bytes are freed. It calls dropped for each run.
func (e *Endpoint) MemberDrop(l *netpoll.Loop, c *netpoll.Conn, need int, dropped func(mark, n uint32)) (freed int) {
	s := e.anchored(c)
	if s == nil {
		return 0
	}
	if socket := e.socket(l, s); socket != nil {
		return l.DropOldest(socket, need, dropped)
	}
	if s.queue != 0 {
		freed = e.queues.At(s.queue).drop(need, dropped)
		e.queued -= int64(freed)
		return freed
	}
	return 0
}

// Slow ends the session of the anchor c because it reads too slowly.
func (e *Endpoint) Slow(l *netpoll.Loop, c *netpoll.Conn) {
	if s := e.anchored(c); s != nil {
		e.slow(l, s)
	}
}

// slow drops the pending output that is not being sent, so that the close can arrive, and ends the
// session.
func (e *Endpoint) slow(l *netpoll.Loop, s *Session) {
	if s.flags&flagClosed != 0 {
		return
	}
	if c := e.socket(l, s); c != nil {
		l.DropOldest(c, math.MaxInt, func(_, _ uint32) {})
	}
	e.forgetQueue(s)
	e.shut(l, s, ReasonSlow, codeSlow, "slow consumer")
}

// drained is called when the session has no pending output any more.
func (e *Endpoint) drained(s *Session) {
	if e.cfg.Shard != nil && s.flags&flagClosed == 0 {
		e.cfg.Shard.Drained(e.cfg.Sink, s.Member())
	}
}
