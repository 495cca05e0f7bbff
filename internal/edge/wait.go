// Requests that wait: what the head role does while a verifier decides about a request.
//
// A token whose key must be fetched, or a web hook, takes longer than a turn of the loop. Such a
// request goes through four steps:
//
//  1. Config.Route answers Wait. Loop.
//  2. The HeadHandler copies the request and calls Config.Ask with a Ticket. Loop. Ask hands the
//     Ticket to a goroutine that finds the answer; Ask itself must not block.
//  3. That goroutine calls Ticket.Answer or Ticket.Refuse, once. Any goroutine. An answer that
//     comes twice, or after the request has ended, does nothing.
//  4. After Answer, Config.Resume gets the same head, the bytes that arrived behind it, and the
//     value of the answer. Loop. It decides like Route, and may answer Wait again.
//
// While a request waits, its deadline goes on: neither the wait nor bytes from the client extend
// it, and WaitTimeoutDefault ends the wait earlier if that comes first. If the client hangs up, all
// that is kept of the request is freed in the same turn. Bytes that arrive meanwhile are kept, at
// most earlyBytesMax and the last read; then reading stops until the answer, and a hang-up is
// noticed only then or at the deadline. WaitingMax and WaitingBytesMax bound the requests that wait
// on one loop.
//
// The value is opaque here. It belongs to one request: a request that goes to net/http after its
// wait goes without it, because the next request on that connection may be another client's.

package edge

import (
	"bytes"

	"c100k/netpoll"
)

// Ticket is the right to answer one request that waits. It is a small comparable value; it may be
// kept, and it keeps no memory of the request alive.
type Ticket struct {
	handler *HeadHandler
	remote  *netpoll.Remote
	id      netpoll.ID
	role    netpoll.Role
	serial  uint64
}

// Answer lets the request go on: Config.Resume gets value. False means that the loop is stopping or
// its mailbox is full, and that the request ends at its deadline unless the caller tries again. Any
// goroutine.
func (t Ticket) Answer(value any) bool { return t.post(value, nil) }

// Refuse answers the request with r and ends the connection. The result is that of Answer. Any
// goroutine.
func (t Ticket) Refuse(r *Refusal) bool { return t.post(nil, r) }

func (t Ticket) post(value any, r *Refusal) bool {
	return t.remote.PostTo(t.id, func(l *netpoll.Loop, c *netpoll.Conn) {
		t.handler.answered(l, c, t, value, r)
	})
}

// Waiting is the number of requests that wait. Any goroutine.
func (s *HeadHandler) Waiting() int { return int(s.waiting.Load()) }

// HeldBytes is the memory that requests occupy which wait or have not arrived whole, in bytes. Any
// goroutine.
func (s *HeadHandler) HeldBytes() int { return int(s.held.Load()) }

// Drain refuses a request that waits, if it asks for another protocol: a node that shuts down does
// not begin one, whatever the answer will be. It does nothing to other connections. Loop only.
func (s *HeadHandler) Drain(l *netpoll.Loop, c *netpoll.Conn) {
	i := c.Session()
	if c.Closing() || i == 0 || !s.partials.At(i).waits() {
		return
	}
	p := s.partials.At(i).buf
	if n, _ := ParseHead(&s.head, p, s.cfg.Limits); n > 0 && s.head.UpgradeRequested() {
		s.abandon(l, c)
		s.head.mount = s.forget(c).mount
		s.cfg.Refuse(l, c, &s.head, RefuseDraining)
	}
}

// park makes a connection one whose request waits, and asks about it. p is the request, whose head
// of n bytes is parsed.
func (s *HeadHandler) park(l *netpoll.Loop, c *netpoll.Conn, p []byte, n int, from origin) {
	if s.Waiting() >= WaitingMax || s.HeldBytes()+len(p) > WaitingBytesMax {
		s.cfg.Refuse(l, c, &s.head, RefuseWaiting)
		return
	}
	s.serial++
	i, part := s.partials.Alloc()
	part.origin, part.head, part.serial = from, n, s.serial
	s.fill(part, bytes.Clone(p))
	c.SetSession(i)
	s.waiting.Add(1)
	if left, armed := l.Left(c); !armed || left > WaitTimeoutDefault {
		l.Arm(c, WaitTimeoutDefault)
	}
	s.limitEarly(l, c, part)
	s.cfg.Ask(l, c, &s.head, s.ticket(l, c, part))
}

// waits tells whether a request is complete and waits for an answer.
func (p *partial) waits() bool { return p.serial > 0 }

func (s *HeadHandler) ticket(l *netpoll.Loop, c *netpoll.Conn, part *partial) Ticket {
	return Ticket{handler: s, remote: l.Remote(), id: c.ID(), role: c.Role(), serial: part.serial}
}

// limitEarly stops reading from a client that sends more than may be kept.
func (s *HeadHandler) limitEarly(l *netpoll.Loop, c *netpoll.Conn, part *partial) {
	if len(part.buf)-part.head >= earlyBytesMax || s.HeldBytes() >= WaitingBytesMax {
		l.StopRead(c)
	}
}

// early keeps bytes that arrive while a request waits.
func (s *HeadHandler) early(l *netpoll.Loop, c *netpoll.Conn, part *partial, p []byte) {
	s.fill(part, append(part.buf, p...))
	s.limitEarly(l, c, part)
}

// answered goes on with the request of a Ticket, if it still waits. The ID in the Ticket keeps the
// answer from a later connection, the role and the serial from a later request on the same one.
func (s *HeadHandler) answered(l *netpoll.Loop, c *netpoll.Conn, t Ticket, value any, r *Refusal) {
	i := c.Session()
	if c.Closing() || c.Role() != t.role || i == 0 || s.partials.At(i).serial != t.serial {
		return
	}
	p := s.partials.At(i).buf
	from := s.forget(c)
	l.StartRead(c)
	n, _ := ParseHead(&s.head, p, s.cfg.Limits) // the handler has one Head, and others have used it
	s.origin(l, c, from)
	switch {
	case r != nil:
		s.cfg.Refuse(l, c, &s.head, r)
	case s.refuseDraining(l, c):
	default:
		s.settle(l, c, p, n, from, s.cfg.Resume(l, c, &s.head, p[n:], value))
	}
}

// abandon tells Config.Abandoned of a request that ends without its answer.
func (s *HeadHandler) abandon(l *netpoll.Loop, c *netpoll.Conn) {
	if i := c.Session(); i != 0 && s.cfg.Abandoned != nil {
		if part := s.partials.At(i); part.waits() {
			s.cfg.Abandoned(l, s.ticket(l, c, part))
		}
	}
}
