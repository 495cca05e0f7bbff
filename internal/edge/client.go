// Whose a connection is that a trusted proxy has made: the head role's part in it.

package edge

import (
	"net/netip"

	"c100k/netpoll"
)

// beforeHead takes what comes before a head is looked at: the first byte of a connection that is refused, and the PROXY
// header of one that a trusted proxy has made.
func (s *HeadHandler) beforeHead(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	if refusal := tagRefusal(c.Tag()); refusal != nil {
		s.forget(c)
		s.cfg.refuse(l, c, p, refusal)
		return
	}
	if i := c.Session(); i != 0 {
		part := s.partials.At(i)
		s.fill(part, append(part.buf, p...))
		p = part.buf
	}
	client, n, complete, refusal := parseProxy(p)
	switch {
	case refusal != nil:
		s.forget(c)
		s.cfg.refuse(l, c, nil, refusal)
	case !complete:
		s.keep(c, p)
	default:
		s.forget(c)
		s.afterProxy(l, c, client, p[n:])
	}
}

// afterProxy goes on with a connection whose PROXY header has named client, or whose client is the peer as far as the
// beginning of the connection says. rest are the bytes behind the header.
func (s *HeadHandler) afterProxy(l *netpoll.Loop, c *netpoll.Conn, client netip.AddrPort, rest []byte) {
	switch {
	case !client.IsValid() || s.cfg.Admission.Trusted.Contains(client.Addr()):
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
		l.Arm(c, refusalWait) // as for one that was refused at the door
	}
}

// identify holds c against its client's address from here on. False means that it was closed.
func (cfg *Config) identify(l *netpoll.Loop, c *netpoll.Conn, client netip.Addr) bool {
	tag, ok := cfg.Admission.identify(client)
	if !ok {
		l.Close(c, netpoll.ReasonRefused)
		return false
	}
	c.SetTag(tag)
	return true
}

// AdmitClient is for a request that will have its connection for itself, as a stream has. If a trusted proxy has made the
// connection and X-Forwarded-For names the client, the connection is that client's from here on. False means that the
// client holds too many, and that the connection was refused. Route calls it, before it changes the role.
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
		cfg.Refuse(l, c, h, refusal)
		return false
	}
	return true
}

// ClientAddr is the address of the client behind a request: that which a trusted proxy names in X-Forwarded-For, or else the peer's;
// invalid if neither is known. It asks the system. Loop only.
func (cfg *Config) ClientAddr(l *netpoll.Loop, c *netpoll.Conn, h *Head) netip.Addr {
	peer := l.PeerAddr(c).Addr()
	if cfg.Admission != nil && cfg.Admission.Trusted.Contains(peer) {
		if client, ok := forwardedFor(h, cfg.Admission.Trusted); ok {
			return client
		}
	}
	return peer
}
