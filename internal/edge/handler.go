// The head role: reads one request head on the loop and has Config.Route decide about the
// connection.

package edge

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"

	"c100k/netpoll"
)

// Config is what a HeadHandler needs. It must not change while a HeadHandler uses it.
type Config struct {
	// Limits bounds the head.
	Limits Limits

	// Timeout is the time from accept to the end of the head; 0 means HandshakeTimeoutDefault.
	Timeout time.Duration

	// Route decides about a whole head, on the loop: see Decision. rest are the bytes behind the
	// head. h and what it gives out are valid during the call; rest until the end of the turn.
	Route func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte) Decision

	// Ask starts the search for the answer to a request about which Route or Resume has answered
	// Wait, on the loop. h is valid during the call, t until it is used. It is not called for a
	// request beyond WaitingMax. It may be nil where nothing waits. See wait.go.
	Ask func(l *netpoll.Loop, c *netpoll.Conn, h *Head, t Ticket)

	// Resume is Route for a request that has waited; value is what Ticket.Answer was given. It may
	// be nil where nothing waits.
	Resume func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte, value any) Decision

	// Abandoned is called with each Ticket whose request has ended without an answer: the client
	// has left, or the deadline has passed. On the loop. It may be nil.
	Abandoned func(l *netpoll.Loop, t Ticket)

	// Fallback gets the connections about which Route answers NotOurs.
	Fallback *Listener

	// Admission has given the connections their tags. It may be nil if there are no trusted
	// proxies.
	Admission *Admission

	// Draining tells whether the node is shutting down; then no connection may be upgraded. Nil
	// means never. It is called on the loop.
	Draining func() bool

	// Hosts are the values of Host that are served.
	Hosts HostRules

	// Subject is the subject of the certificate with which the client of a connection with a layer has
	// proved who it is, for Head.ClientSubject. Loop only. Nil: nobody asks.
	Subject func(l *netpoll.Loop, c *netpoll.Conn) string

	// Answer may answer a refusal in another form: it appends the whole answer to dst, or returns nil.
	// Loop only. Nil means never.
	Answer func(dst []byte, h *Head, r *Refusal) []byte

	// Refused is called with each refusal, on the loop, except those that Admission reports. It may
	// be nil.
	Refused func(r *Refusal)
}

// Decision is what Config.Route has decided about a request.
type Decision uint8

const (
	// Handled: Route has called Become (and Redeliver with rest), Refuse, Finish or Close.
	Handled Decision = iota
	// NotOurs: Route has done nothing. The connection goes to Config.Fallback.
	NotOurs
	// Wait: Route has done nothing. The request waits until the Ticket that Config.Ask gets is
	// used.
	Wait
)

// HeadHandler is the netpoll.Handler of the head role on one loop. A connection that has sent
// nothing uses no memory here, and a head that arrives in one piece is parsed in the buffer of the
// read. Its methods are for the loop only, except Waiting and HeldBytes.
type HeadHandler struct {
	cfg      *Config
	head     Head
	partials netpoll.Slab[partial]
	arriving *Mount // of the connection that Adopt adopts
	serial   uint64 // of the request that began to wait last

	// Loop writes, any goroutine reads.
	waiting atomic.Int32
	held    atomic.Int64 // bytes of all partials
}

// partial is the beginning of a head or of a PROXY header, or a request that waits. Its buffer is
// not used again: what is behind the head may be part of a send until the end of the turn.
type partial struct {
	buf []byte
	origin

	head   int    // bytes of the head, in front of buf
	serial uint64 // not 0: the request waits
}

// origin is where a connection comes from, if that is not its peer at the node's own port.
type origin struct {
	client netip.AddrPort // as a PROXY header named it; of a request that waits, also as AdmitClient did
	mount  *Mount
}

// NewHeadHandler makes the handler of one loop.
func NewHeadHandler(cfg *Config) *HeadHandler { return &HeadHandler{cfg: cfg} }

// OnOpen starts the deadline. Nothing extends it.
func (s *HeadHandler) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	if s.arriving != nil {
		i, part := s.partials.Alloc()
		part.mount, s.arriving = s.arriving, nil
		c.SetSession(i)
	}
	switch {
	case tagRefusal(c.Tag()) != nil:
		l.Arm(c, refusalWait)
	case s.cfg.Timeout > 0:
		l.Arm(c, s.cfg.Timeout)
	default:
		l.Arm(c, HandshakeTimeoutDefault)
	}
}

// OnData parses what has arrived of the head.
func (s *HeadHandler) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	if i := c.Session(); i != 0 && s.partials.At(i).waits() {
		s.early(l, c, s.partials.At(i), p)
		return
	}
	if c.Tag() >= tagNoRecord && c.Tag() != tagForwarded {
		s.beforeHead(l, c, p)
		return
	}
	if i := c.Session(); i != 0 {
		part := s.partials.At(i)
		from := len(part.buf)
		s.fill(part, append(part.buf, p...))
		if !worthParsing(part.buf, from, s.cfg.Limits) {
			return
		}
		p = part.buf
	}
	n, refusal := ParseHead(&s.head, p, s.cfg.Limits)
	switch {
	case refusal != nil:
		s.cfg.refuse(l, c, p, refusal, s.forget(c).mount)
	case n == 0:
		s.keep(c, p)
	default:
		s.route(l, c, p, n, s.forget(c))
	}
}

// keep stores the beginning of a head; OnData appends to it.
func (s *HeadHandler) keep(c *netpoll.Conn, p []byte) {
	if c.Session() == 0 {
		i, part := s.partials.Alloc()
		s.fill(part, bytes.Clone(p))
		c.SetSession(i)
	}
}

// Held is how much is kept of a head, or of a request that waits, in bytes.
func (s *HeadHandler) Held(_ *netpoll.Loop, c *netpoll.Conn) int {
	if i := c.Session(); i != 0 {
		return cap(s.partials.At(i).buf)
	}
	return 0
}

// Shed refuses a request because the process holds too much for its clients.
func (s *HeadHandler) Shed(l *netpoll.Loop, c *netpoll.Conn) {
	if c.Closing() {
		return
	}
	s.abandon(l, c)
	from := s.forget(c)
	s.cfg.refuse(l, c, nil, RefuseMemory, from.mount)
}

// fill makes buf the buffer of a partial, and counts it.
func (s *HeadHandler) fill(part *partial, buf []byte) {
	s.held.Add(int64(cap(buf) - cap(part.buf)))
	part.buf = buf
}

// forget frees the partial and returns the origin that it had.
func (s *HeadHandler) forget(c *netpoll.Conn) (from origin) {
	if i := c.Session(); i != 0 {
		part := s.partials.At(i)
		from = part.origin
		if part.waits() {
			s.waiting.Add(-1)
		}
		s.fill(part, nil)
		s.partials.Free(i)
		c.SetSession(0)
	}
	return from
}

// origin notes in the head where its request comes from.
func (s *HeadHandler) origin(l *netpoll.Loop, c *netpoll.Conn, from origin) {
	s.head.mount, s.head.secure, s.head.client = from.mount, c.Layered(), from.client.Addr()
	if s.head.secure && s.cfg.Subject != nil {
		s.head.subject = s.cfg.Subject(l, c)
	}
}

// route decides about a connection whose head of n bytes is complete.
func (s *HeadHandler) route(l *netpoll.Loop, c *netpoll.Conn, p []byte, n int, from origin) {
	s.origin(l, c, from)
	if refusal := s.cfg.Hosts.Check(&s.head); refusal != nil {
		s.cfg.Refuse(l, c, &s.head, refusal)
		return
	}
	if !s.refuseDraining(l, c) {
		s.settle(l, c, p, n, from, s.cfg.Route(l, c, &s.head, p[n:]))
	}
}

// refuseDraining refuses an upgrade on a node that is going down.
func (s *HeadHandler) refuseDraining(l *netpoll.Loop, c *netpoll.Conn) (refused bool) {
	if s.cfg.Draining == nil || !s.head.UpgradeRequested() || !s.cfg.Draining() {
		return false
	}
	s.cfg.Refuse(l, c, &s.head, RefuseDraining)
	return true
}

// settle does what was decided about a request.
func (s *HeadHandler) settle(l *netpoll.Loop, c *netpoll.Conn, p []byte, n int, from origin, d Decision) {
	switch d {
	case Wait:
		if !Proxied(c) && s.head.client.IsValid() && s.head.client != from.client.Addr() {
			from.client = netip.AddrPortFrom(s.head.client, 0) // by AdmitClient, which is not asked again
		}
		s.park(l, c, p, n, from)
	case NotOurs:
		s.fallBack(l, c, p, from)
	}
}

// fallBack hands a connection to net/http, with the bytes of it that were read.
func (s *HeadHandler) fallBack(l *netpoll.Loop, c *netpoll.Conn, p []byte, from origin) {
	if !s.cfg.Fallback.reserve() {
		s.cfg.Refuse(l, c, &s.head, s.cfg.noRoom())
		return
	}
	d := delivery{first: bytes.Clone(p), tag: c.Tag(), origin: from}
	if d.fd, d.moved = l.DetachLayered(c); d.fd < 0 {
		s.cfg.Fallback.cancel()
		return
	}
	s.cfg.Fallback.put(d)
}

// noRoom is why net/http takes no connection.
func (cfg *Config) noRoom() *Refusal {
	if cfg.Draining != nil && cfg.Draining() {
		return RefuseDraining
	}
	return RefuseOverCapacity
}

// OnTimer refuses a peer that was too slow, and a request that has waited too long.
func (s *HeadHandler) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	refusal := tagRefusal(c.Tag())
	if refusal == nil {
		refusal = RefuseTimeout
	}
	var begun []byte
	if i := c.Session(); i != 0 {
		part := s.partials.At(i)
		if begun = part.buf; part.waits() {
			refusal = RefuseUnanswered
			s.abandon(l, c)
		}
	}
	from := s.forget(c)
	if tagRefusal(c.Tag()) != nil {
		s.cfg.answer(l, c, nil, from.mount, refusal, true)
		return
	}
	s.cfg.refuse(l, c, begun, refusal, from.mount)
}

// OnWritable does nothing: this role sends refusals only, and Finish waits for those.
func (s *HeadHandler) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose frees what is kept of a request.
func (s *HeadHandler) OnClose(l *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) {
	s.abandon(l, c)
	s.forget(c)
}

// Refuse answers the request of h, which may be nil, and ends the connection: the answer is sent,
// further input is discarded. Loop only.
func (cfg *Config) Refuse(l *netpoll.Loop, c *netpoll.Conn, h *Head, r *Refusal) {
	cfg.report(r)
	var m *Mount
	if h != nil {
		m = h.mount
	}
	cfg.answer(l, c, h, m, r, h == nil || !h.isHead())
}

// refuse is Refuse for a head that was not parsed; p is what there is of it.
func (cfg *Config) refuse(l *netpoll.Loop, c *netpoll.Conn, p []byte, r *Refusal, m *Mount) {
	cfg.report(r)
	cfg.answer(l, c, nil, m, r, !bytes.HasPrefix(p, []byte("HEAD ")))
}

func (cfg *Config) report(r *Refusal) {
	if cfg.Refused != nil {
		cfg.Refused(r)
	}
}

// answer sends a refusal to the request of h and m, which may be nil, and ends the connection.
func (cfg *Config) answer(l *netpoll.Loop, c *netpoll.Conn, h *Head, m *Mount, r *Refusal, body bool) {
	var room [512]byte
	var answer []byte
	if h != nil && cfg.Answer != nil {
		answer = cfg.Answer(room[:0], h, r)
	}
	if answer == nil {
		answer = AppendRefusal(room[:0], r, body)
	}
	l.Send(c, m.Insert(answer, 0))
	l.Finish(c, reasonOf(r), refusalLinger)
}

// reasonOf is the reason for which the end of a refused connection is counted.
func reasonOf(r *Refusal) netpoll.Reason {
	switch {
	case r == RefuseTimeout:
		return netpoll.ReasonTimeout
	case r.Label == "bad_request", r.Label == "head_too_large":
		return netpoll.ReasonProtocol
	}
	return netpoll.ReasonRefused
}
