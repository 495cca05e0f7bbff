// The connections of polls: between two requests, and the ways in which a poll ends without a
// message.

package longpoll

import (
	"bytes"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/netpoll"
)

// OnOpen does nothing: Open makes the record.
func (h *Handler) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

// OnData gets the beginning of the next request, which is kept until this one is answered.
func (h *Handler) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	i := c.Session()
	if i == 0 {
		if c.Pending() > 0 {
			h.later(l, c, bytes.Clone(p))
		} else {
			h.next(l, c, p)
		}
		return
	}
	x := h.polls.At(i)
	var was []byte
	if x.early != 0 {
		was = *h.early.At(x.early)
	}
	if len(was)+len(p) > EarlyBytesMax {
		l.Close(c, netpoll.ReasonProtocol)
		return
	}
	h.keepEarly(x, append(h.takeEarly(x), p...))
}

// next gives the connection back to the head role: the next request may be for any protocol.
func (h *Handler) next(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	l.Become(c, h.cfg.Head)
	l.Redeliver(c, p)
}

// later delays a request until the answer before it is sent, which a connection that goes to
// net/http would lose. Clients that pipeline are rare, so it looks again by a timer.
func (h *Handler) later(l *netpoll.Loop, c *netpoll.Conn, request []byte) {
	i, x := h.polls.Alloc()
	c.SetSession(i)
	x.flags = flagLater
	h.keepEarly(x, request)
	l.Arm(c, 0)
}

// OnTimer answers a poll that has waited long enough, and goes on with a request that was delayed.
func (h *Handler) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	i := c.Session()
	if i == 0 {
		l.Close(c, netpoll.ReasonTimeout) // no next request in time
		return
	}
	switch x := h.polls.At(i); {
	case x.flags&flagLater == 0:
		h.reply(l, c, netpoll.ReasonLocal, true)
	case c.Pending() > 0 && x.putOff >= putOffMax:
		l.Close(c, netpoll.ReasonTimeout)
	case c.Pending() > 0:
		x.putOff++
		l.Arm(c, putOffTime)
	default:
		p := h.takeEarly(x)
		h.free(c, x)
		h.next(l, c, p)
	}
}

// OnWritable does nothing: answers are not held back.
func (h *Handler) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose frees all that the connection had.
func (h *Handler) OnClose(_ *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	i := c.Session()
	if i == 0 {
		return
	}
	if x := h.polls.At(i); x.flags&flagLater != 0 {
		h.free(c, x)
	} else {
		h.end(c, x, r)
	}
}

// waiting is the poll that waits on c; nil if there is none.
func (h *Handler) waiting(c *netpoll.Conn) *poll {
	if i := c.Session(); i != 0 && !c.Closing() {
		if x := h.polls.At(i); x.flags&flagLater == 0 {
			return x
		}
	}
	return nil
}

// stop ends c: with the answer to its poll if there is one.
func (h *Handler) stop(l *netpoll.Loop, c *netpoll.Conn, reason netpoll.Reason) {
	switch {
	case c.Closing():
	case h.waiting(c) != nil:
		h.reply(l, c, reason, false)
	default:
		l.Finish(c, reason, closeLinger)
	}
}

// Drain ends c because the node goes down: a poll is answered at once with what there is, and its
// client comes back to another node.
func (h *Handler) Drain(l *netpoll.Loop, c *netpoll.Conn) { h.stop(l, c, netpoll.ReasonDrain) }

// Brief makes polls proto.Brief.
func (h *Handler) Brief() {}

// Kick ends c because an operator asked for it.
func (h *Handler) Kick(l *netpoll.Loop, c *netpoll.Conn) { h.stop(l, c, netpoll.ReasonAdmin) }

// Slow ends c because what was kept for it was forgotten before it was sent. The next poll is told.
func (h *Handler) Slow(l *netpoll.Loop, c *netpoll.Conn) { h.stop(l, c, netpoll.ReasonSlow) }

// Shed ends c because the process holds too much for its clients.
func (h *Handler) Shed(l *netpoll.Loop, c *netpoll.Conn) {
	h.refuse(l, c, edge.RefuseMemory, netpoll.ReasonMemory)
}

// Revoke ends c because its client's rights were taken back.
func (h *Handler) Revoke(l *netpoll.Loop, c *netpoll.Conn) {
	h.refuse(l, c, h.cfg.Revoked, netpoll.ReasonRevoked)
}

// refuse answers the poll on c with a refusal, and ends c.
func (h *Handler) refuse(l *netpoll.Loop, c *netpoll.Conn, refusal *edge.Refusal, reason netpoll.Reason) {
	x := h.waiting(c)
	if x == nil {
		h.stop(l, c, reason)
		return
	}
	h.head = edge.AppendRefusal(h.head[:0], refusal, true)
	h.a = h.texts.appendTo(h.a[:0], x.lines)
	h.end(c, x, reason)
	end := bytes.IndexByte(h.head, '\n') + 1
	l.Send(c, h.head[:end])
	l.Send(c, h.a)
	l.Send(c, h.head[end:])
	l.Finish(c, reason, closeLinger)
}

// Gap appends the announcement of missed messages: see MemberSend.
func (h *Handler) Gap(dst []byte, _ broadcast.Form, topic string, missed uint32) []byte {
	return appendGap(dst, topic, missed)
}

// Who implements proto.Identified.
func (h *Handler) Who(c *netpoll.Conn) *auth.Principal {
	if i := c.Session(); i != 0 {
		return h.cfg.Principals.At(h.polls.At(i).who)
	}
	return nil
}

// Held is what is kept of input behind the request on c, in bytes.
func (h *Handler) Held(_ *netpoll.Loop, c *netpoll.Conn) int {
	if i := c.Session(); i != 0 {
		if x := h.polls.At(i); x.early != 0 {
			return cap(*h.early.At(x.early))
		}
	}
	return 0
}

// HeldBytes is the sum of Held over all connections.
func (h *Handler) HeldBytes() int64 { return h.held }

// keepEarly makes p, which is the Handler's from now on, the input behind the request of x.
func (h *Handler) keepEarly(x *poll, p []byte) {
	if len(p) > 0 {
		i, at := h.early.Alloc()
		x.early, *at = i, p
		h.held += int64(cap(p))
	}
}

// takeEarly takes the input behind the request of x out.
func (h *Handler) takeEarly(x *poll) (p []byte) {
	if x.early != 0 {
		p = *h.early.At(x.early)
		h.early.Free(x.early)
		x.early = 0
		h.held -= int64(cap(p))
	}
	return p
}
