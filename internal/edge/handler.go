// The head role: reads one request head on the loop and decides what becomes of the connection.

package edge

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"

	"c100k/netpoll"
)

// Config is what the head handlers of all loops share. It must not change once one of them is in use.
type Config struct {
	// Limits bounds the head.
	Limits Limits

	// Timeout is from accept to the end of the head; 0 means HandshakeTimeoutDefault.
	Timeout time.Duration

	// Route decides about a whole head, on the loop: see Decision. rest are the bytes behind the head. h and what it gives
	// out are valid during the call; rest until the end of the turn.
	Route func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte) Decision

	// Ask starts the search for the answer to a request about which Route or Resume has answered Wait, on the loop. h is
	// valid during the call, t until it is used. It is not called for a request beyond WaitingMax. It may be nil where
	// nothing waits. See wait.go.
	Ask func(l *netpoll.Loop, c *netpoll.Conn, h *Head, t Ticket)

	// Resume is Route for a request that has waited; value is what Ticket.Answer was given. It may be nil where nothing
	// waits.
	Resume func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte, value any) Decision

	// Abandoned hears of each Ticket that nobody needs to use any more: its client has left, or its deadline has passed.
	// On the loop. It may be nil.
	Abandoned func(l *netpoll.Loop, t Ticket)

	// Fallback takes what Route does not.
	Fallback *Listener

	// Admission is what gave the connections their tags. It may be nil where nobody is trusted.
	Admission *Admission

	// Draining says whether the node is going down: then no connection may be upgraded. Nil means never. It is called on
	// the loop.
	Draining func() bool

	// Refused hears of each refusal, on the loop. It may be nil.
	Refused func(r *Refusal)
}

// Decision is what Config.Route has decided about a request.
type Decision uint8

const (
	// Handled: Route has called Become (and Redeliver with rest), Refuse, Finish or Close.
	Handled Decision = iota
	// NotOurs: Route has done nothing. The connection goes to Config.Fallback.
	NotOurs
	// Wait: Route has done nothing. The request waits until the Ticket that Config.Ask gets is used.
	Wait
)

// HeadHandler is the netpoll.Handler of the head role on one loop. A connection that has sent nothing owns nothing here,
// and a head that comes in one piece is parsed where it was read.
type HeadHandler struct {
	cfg      *Config
	head     Head
	partials netpoll.Slab[partial]
	serial   uint64 // of the request that began to wait last

	// Loop writes, any goroutine reads.
	waiting atomic.Int32
	held    atomic.Int64 // bytes of all partials
}

// partial is the beginning of a head or of a PROXY header, or a request that waits. Its buffer is not used again: what is
// behind the head may be part of a send until the end of the turn.
type partial struct {
	buf    []byte
	client netip.AddrPort // as a PROXY header named it

	head   int    // bytes of the head, in front of buf
	serial uint64 // not 0: the request waits
}

// NewHeadHandler makes the handler of one loop.
func NewHeadHandler(cfg *Config) *HeadHandler { return &HeadHandler{cfg: cfg} }

// OnOpen starts the deadline, which nothing extends.
func (s *HeadHandler) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	switch {
	case tagRefusal(c.Tag()) != nil:
		l.Arm(c, refusalWait)
	case s.cfg.Timeout > 0:
		l.Arm(c, s.cfg.Timeout)
	default:
		l.Arm(c, HandshakeTimeoutDefault)
	}
}

// OnData parses what is there of the head.
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
		s.forget(c)
		s.cfg.refuse(l, c, p, refusal)
	case n == 0:
		s.keep(c, p)
	default:
		client := s.forget(c)
		s.route(l, c, p, n, client)
	}
}

// keep notes the beginning of a head, once; OnData adds to it.
func (s *HeadHandler) keep(c *netpoll.Conn, p []byte) {
	if c.Session() == 0 {
		i, part := s.partials.Alloc()
		s.fill(part, bytes.Clone(p))
		c.SetSession(i)
	}
}

// fill makes buf the buffer of a partial, and counts it.
func (s *HeadHandler) fill(part *partial, buf []byte) {
	s.held.Add(int64(cap(buf) - cap(part.buf)))
	part.buf = buf
}

// forget gives the partial back, and what it knew of the client.
func (s *HeadHandler) forget(c *netpoll.Conn) (client netip.AddrPort) {
	if i := c.Session(); i != 0 {
		part := s.partials.At(i)
		client = part.client
		if part.waits() {
			s.waiting.Add(-1)
		}
		s.fill(part, nil)
		s.partials.Free(i)
		c.SetSession(0)
	}
	return client
}

// route gives a connection with a whole head of n bytes to its owner.
func (s *HeadHandler) route(l *netpoll.Loop, c *netpoll.Conn, p []byte, n int, client netip.AddrPort) {
	if !s.refuseDraining(l, c) {
		s.settle(l, c, p, n, client, s.cfg.Route(l, c, &s.head, p[n:]))
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
func (s *HeadHandler) settle(l *netpoll.Loop, c *netpoll.Conn, p []byte, n int, client netip.AddrPort, d Decision) {
	switch d {
	case Wait:
		s.park(l, c, p, n, client)
	case NotOurs:
		s.fallBack(l, c, p, client)
	}
}

// fallBack hands a connection to net/http, with the bytes of it that were read.
func (s *HeadHandler) fallBack(l *netpoll.Loop, c *netpoll.Conn, p []byte, client netip.AddrPort) {
	if !s.cfg.Fallback.reserve() {
		refusal := RefuseOverCapacity
		if s.cfg.Draining != nil && s.cfg.Draining() {
			refusal = RefuseDraining // net/http has closed its end
		}
		s.cfg.Refuse(l, c, &s.head, refusal)
		return
	}
	d := delivery{first: bytes.Clone(p), tag: c.Tag(), client: client}
	d.fd = l.Detach(c)
	s.cfg.Fallback.put(d)
}

// OnTimer answers a peer that was too slow.
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
	s.forget(c)
	s.cfg.refuse(l, c, begun, refusal)
}

// OnWritable has nothing to do: this role sends only last words.
func (s *HeadHandler) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose frees what is kept of a request.
func (s *HeadHandler) OnClose(l *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) {
	s.abandon(l, c)
	s.forget(c)
}

// Refuse answers the request of h, which may be nil, and ends the connection: the answer is sent, what the peer still
// sends is thrown away. Loop only.
func (cfg *Config) Refuse(l *netpoll.Loop, c *netpoll.Conn, h *Head, r *Refusal) {
	cfg.finish(l, c, r, h == nil || !h.isHead())
}

// refuse is Refuse for a head that was not parsed; p is what there is of it.
func (cfg *Config) refuse(l *netpoll.Loop, c *netpoll.Conn, p []byte, r *Refusal) {
	cfg.finish(l, c, r, !bytes.HasPrefix(p, []byte("HEAD ")))
}

func (cfg *Config) finish(l *netpoll.Loop, c *netpoll.Conn, r *Refusal, body bool) {
	if cfg.Refused != nil {
		cfg.Refused(r)
	}
	var room [512]byte
	l.Send(c, AppendRefusal(room[:0], r, body))
	l.Finish(c, reasonOf(r), refusalLinger)
}

// reasonOf is what the end of a refused connection counts as.
func reasonOf(r *Refusal) netpoll.Reason {
	switch {
	case r == RefuseTimeout:
		return netpoll.ReasonTimeout
	case r.Label == "bad_request", r.Label == "head_too_large":
		return netpoll.ReasonProtocol
	}
	return netpoll.ReasonRefused
}
