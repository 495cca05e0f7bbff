// The head role: reads one request head on the loop and decides what becomes of the connection.

package edge

import (
	"bytes"
	"net/netip"
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
)

// HeadHandler is the netpoll.Handler of the head role on one loop. A connection that has sent nothing owns nothing here,
// and a head that comes in one piece is parsed where it was read.
type HeadHandler struct {
	cfg      *Config
	head     Head
	partials netpoll.Slab[partial]
}

// partial is the beginning of a head, or of a PROXY header. Its buffer is not used again: what is behind the head may be
// owed to the peer until the end of the turn.
type partial struct {
	buf    []byte
	client netip.AddrPort // as a PROXY header named it
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
	if c.Tag() >= tagNoRecord && c.Tag() != tagForwarded {
		s.beforeHead(l, c, p)
		return
	}
	if i := c.Session(); i != 0 {
		part := s.partials.At(i)
		from := len(part.buf)
		part.buf = append(part.buf, p...)
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
		part.buf = bytes.Clone(p)
		c.SetSession(i)
	}
}

// forget gives the partial back, and what it knew of the client.
func (s *HeadHandler) forget(c *netpoll.Conn) (client netip.AddrPort) {
	if i := c.Session(); i != 0 {
		client = s.partials.At(i).client
		s.partials.Free(i)
		c.SetSession(0)
	}
	return client
}

// route gives a connection with a whole head of n bytes to its owner.
func (s *HeadHandler) route(l *netpoll.Loop, c *netpoll.Conn, p []byte, n int, client netip.AddrPort) {
	if s.cfg.Draining != nil && s.head.UpgradeRequested() && s.cfg.Draining() {
		s.cfg.Refuse(l, c, &s.head, RefuseDraining)
		return
	}
	if s.cfg.Route(l, c, &s.head, p[n:]) == Handled {
		return
	}
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
		begun = s.partials.At(i).buf
	}
	s.forget(c)
	s.cfg.refuse(l, c, begun, refusal)
}

// OnWritable has nothing to do: this role sends only last words.
func (s *HeadHandler) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose drops the beginning of a head.
func (s *HeadHandler) OnClose(_ *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) { s.forget(c) }

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
