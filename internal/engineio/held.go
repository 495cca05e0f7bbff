// What the endpoint holds for its clients beside the loop's outboxes, and how it gives that up.

package engineio

import (
	"math"
	"net/http"

	"c100k/frame"
	"c100k/netpoll"
)

// Keeper is implemented by an App that keeps parts of what its clients send.
type Keeper interface {
	// Kept is how many bytes are kept of a session.
	Kept(s *Session) int

	// KeptBytes is the sum over all sessions.
	KeptBytes() int64
}

// Held is how many bytes are kept of c, a connection or record of one of the endpoint's roles,
// beside its pending output. A session that polls counts at its record.
func (e *Endpoint) Held(l *netpoll.Loop, c *netpoll.Conn) (n int) {
	switch {
	case c.Session() == 0:
		return 0
	case c.Role() == e.cfg.Roles.Polling:
		return cap(e.exchanges.At(c.Session()).held)
	case c.Role() == e.cfg.Roles.Socket:
		n = e.sockets.Held(l, c)
	}
	s := e.anchored(c)
	if s == nil {
		return n
	}
	n += sessionBytes
	if s.queue != 0 {
		n += e.queues.At(s.queue).bytes
	}
	if e.keeper != nil && s.flags&flagClosed == 0 {
		n += e.keeper.Kept(s)
	}
	return n
}

// HeldBytes is the sum of Held over all connections and records.
func (e *Endpoint) HeldBytes() int64 {
	n := e.sockets.HeldBytes() + e.queued + e.exchanged + int64(e.sessions.Len())*sessionBytes
	if e.keeper != nil {
		n += e.keeper.KeptBytes()
	}
	return n
}

// Shed ends what c belongs to because the process holds too much for its clients: a request whose
// body is not complete, or a session.
func (e *Endpoint) Shed(l *netpoll.Loop, c *netpoll.Conn) {
	switch {
	case c.Role() == e.cfg.Roles.Polling:
		e.shedExchange(l, c)
	case c.Closing():
		e.sockets.Shed(l, c)
	default:
		e.shedSession(l, c)
	}
}

func (e *Endpoint) shedExchange(l *netpoll.Loop, c *netpoll.Conn) {
	if c.Session() != 0 {
		if x := e.exchanges.At(c.Session()); x.state == stateBody && c.Pending() == 0 {
			e.giveUp(l, c, x, http.StatusServiceUnavailable)
			return
		}
	}
	l.Close(c, netpoll.ReasonMemory)
}

func (e *Endpoint) shedSession(l *netpoll.Loop, c *netpoll.Conn) {
	s := e.anchored(c)
	if s == nil || s.flags&flagClosed != 0 {
		if c.Role() == e.cfg.Roles.Socket { // it probes, or the session is over
			e.sockets.Shed(l, c)
		} else if s != nil {
			e.settle(l, s)
		}
		return
	}
	e.forgetQueue(s)
	if socket := e.socket(l, s); socket != nil {
		l.DropOldest(socket, math.MaxInt, func(_, _ uint32) {})
		if socket.Pending() > shedBytesMax { // it does not take what it is sent, and would not take its end
			l.Close(socket, netpoll.ReasonMemory)
			return
		}
	}
	e.shut(l, s, ReasonMemory, frame.CodeTryLater, "server is short of memory")
}

// hold makes p what is kept of a request, and counts it.
func (e *Endpoint) hold(x *exchange, p []byte) {
	e.exchanged += int64(cap(p) - cap(x.held))
	x.held = p
}

// freeExchange frees the exchange of that index.
func (e *Endpoint) freeExchange(i uint32) {
	e.hold(e.exchanges.At(i), nil)
	e.exchanges.Free(i)
}
