// Which client a trusted proxy's connection belongs to: the head role's part of the decision.

package edge

import (
	"net/netip"

	"c100k/netpoll"
)

// beforeHead handles what precedes a request head: the first byte of a connection that is refused,
// and the PROXY header of a trusted proxy.
func (s *HeadHandler) beforeHead(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	if i := c.Session(); i != 0 {
		part := s.partials.At(i)
		s.fill(part, append(part.buf, p...))
		p = part.buf
	}
	if refusal := tagRefusal(c.Tag()); refusal != nil {
		s.dismiss(l, c, p, refusal)
		return
	}
	client, n, complete, refusal := parseProxy(p)
	switch {
	case refusal != nil:
		s.cfg.refuse(l, c, nil, refusal, s.forget(c).mount)
	case !complete:
		s.keep(c, p)
	default:
		s.forget(c)
		s.afterProxy(l, c, client, p[n:])
	}
}

// dismiss answers a connection over a limit as soon as its request head is complete: the answer
// depends on it. OnTimer answers the others.
func (s *HeadHandler) dismiss(l *netpoll.Loop, c *netpoll.Conn, p []byte, refusal *Refusal) {
	n, malformed := ParseHead(&s.head, p, s.cfg.Limits)
	switch {
	case malformed != nil:
		s.cfg.answer(l, c, nil, s.forget(c).mount, refusal, true)
	case n == 0:
		s.keep(c, p)
	default:
		s.cfg.answer(l, c, &s.head, s.forget(c).mount, refusal, !s.head.isHead())
	}
}

// afterProxy continues after the PROXY header. client is the address in the header; it is not valid
// if there was no header or if the header names none. rest are the bytes behind the header.
func (s *HeadHandler) afterProxy(l *netpoll.Loop, c *netpoll.Conn, client netip.AddrPort, rest []byte) {
	switch {
	case !client.IsValid() || s.cfg.Admission.trusts(client.Addr()):
		c.SetTag(tagForwarded)
	case !s.cfg.identify(l, c, client.Addr()):
		return
	}
	if client.IsValid() {
		i, part := s.partials.Alloc()
		part.client = client
		c.SetSession(i)
	}
	switch {
	case len(rest) > 0:
		s.OnData(l, c, rest)
	case tagRefusal(c.Tag()) != nil:
		l.Arm(c, refusalWait) // as in OnOpen
	}
}

// identify makes c count for the address of its client. False means that c was closed.
func (cfg *Config) identify(l *netpoll.Loop, c *netpoll.Conn, client netip.Addr) bool {
	tag, ok := cfg.Admission.identify(client)
	if !ok {
		l.Close(c, netpoll.ReasonRefused)
		return false
	}
	c.SetTag(tag)
	return true
}

// AdmitClient is for a request that takes over its connection, as a stream does. If the peer is a
// trusted proxy and X-Forwarded-For names the client, the connection counts for that client from
// now on. False means that the client has too many connections and that this one was refused. Route
// calls it before it changes the role. Loop only.
func (cfg *Config) AdmitClient(l *netpoll.Loop, c *netpoll.Conn, h *Head) bool {
	if c.Tag() != tagForwarded {
		return true
	}
	client, ok := forwardedFor(h, cfg.Admission.Trusted)
	if !ok {
		return true
	}
	if !cfg.identify(l, c, client) {
		return false
	}
	if refusal := tagRefusal(c.Tag()); refusal != nil {
		cfg.answer(l, c, h, h.mount, refusal, !h.isHead())
		return false
	}
	h.client = client
	return true
}

// ClientAddr is the address of the client of a request: the one that a trusted proxy names in a
// PROXY header or in X-Forwarded-For, otherwise the peer's. It is invalid if neither is known. It
// makes a system call. Loop only.
func (cfg *Config) ClientAddr(l *netpoll.Loop, c *netpoll.Conn, h *Head) netip.Addr {
	addr := h.client
	if !addr.IsValid() {
		addr = l.PeerAddr(c).Addr()
	}
	switch {
	case cfg.Admission == nil || !cfg.Admission.trusts(addr):
	case Proxied(c):
		if client, ok := forwardedFor(h, cfg.Admission.Trusted); ok {
			return client
		}
	case c.Tag() != 0 && c.Tag() < tagNoRecord:
		// A later request behind a PROXY header: what its X-Forwarded-For says is the client's own word.
		return cfg.Admission.Standing(c.Tag()).Client
	}
	return addr
}

// Proxied tells whether a trusted proxy has sent the request of a connection, and its header fields
// with it. Behind a PROXY header it is the client who sends them. Loop only.
func Proxied(c *netpoll.Conn) bool { return c.Tag() == tagForwarded }
