// The first role of a connection: the request, and the answer to it.

package swarm

import (
	"strconv"

	"c100k/netpoll"
)

// The roles.
const (
	roleUpgrade netpoll.Role = iota
	roleSocket
	roleStream
)

// upgrade is the netpoll.Handler of connections that have not been answered.
type upgrade struct{ s *Swarm }

// partial is what has come of a head that came in pieces.
type partial struct{ p []byte }

// attempt tells one connection of the run from all others.
func (s *Swarm) attempt(i uint32) uint64 {
	return uint64(s.clients[i].began)*0x9e3779b97f4a7c15 + uint64(s.number(i))
}

// OnOpen sends the request; it waits in the outbox until the connection stands.
func (u *upgrade) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	s, i := u.s, c.Tag()-1
	s.clients[i].conn = c.ID()
	s.scratch = s.request.append(s.scratch[:0], s.topic(i), s.number(i), s.attempt(i))
	s.scratch = s.lastEventID(s.scratch, i)
	l.Send(c, s.scratch)
	l.Arm(c, s.spec.Timeout-(l.Now()-s.clients[i].began))
}

// OnData waits for the whole head.
func (u *upgrade) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	s := u.s
	s.handled = true
	cl := &s.clients[c.Tag()-1]
	if cl.partial != 0 {
		held := s.heads.At(cl.partial)
		held.p = append(held.p, p...)
		p = held.p
	}
	r, size, err := parseResponse(p)
	switch {
	case err != nil:
		s.refuse(l, c, "bad answer", 0)
	case size > 0:
		u.answered(l, c, r, p[size:])
	case cl.partial == 0:
		index, held := s.heads.Alloc()
		held.p = append(held.p, p...)
		cl.partial = index
	}
}

// answered judges a whole head; rest is what came behind it.
func (u *upgrade) answered(l *netpoll.Loop, c *netpoll.Conn, r response, rest []byte) {
	s, i := u.s, c.Tag()-1
	if reason := s.request.judge(&s.spec, &r, s.attempt(i)); reason != "" {
		s.refuse(l, c, reason, r.retryAfter)
		return
	}
	cl := &s.clients[i]
	if cl.partial != 0 {
		s.heads.Free(cl.partial)
		cl.partial = 0
	}
	if s.request.socket {
		l.Become(c, roleSocket)
	} else {
		l.Become(c, roleStream)
		s.beginStream(cl, &r)
		s.opened(l, c, i)
		s.recovered(i) // until it says otherwise
	}
	if len(rest) > 0 && !c.Closing() && c.Tag() != 0 {
		s.handlers[c.Role()].OnData(l, c, rest)
	}
}

// judge is why the answer is not the one wanted; empty when it is.
func (q *request) judge(spec *Spec, r *response, attempt uint64) string {
	switch {
	case q.socket && r.status != 101, !q.socket && r.status != 200:
		return "http " + strconv.Itoa(r.status)
	case !q.socket && !r.streams():
		return "not an event stream"
	case !q.socket:
		return ""
	// RFC 6455, 4.1: an extension or a subprotocol that was not asked for fails the connection.
	case !r.switches(), !q.accepts(r.accept, attempt), len(r.extensions) > 0 && !spec.Compress:
		return "bad answer"
	case spec.Compress && !r.deflates():
		return "no compression"
	case spec.Protocol == V1 && string(r.protocol) != string(V1):
		return "no " + string(V1)
	case len(r.protocol) > 0 && !q.offers:
		return "bad answer"
	}
	return ""
}

// OnTimer is the end of the Spec's Timeout.
func (u *upgrade) OnTimer(l *netpoll.Loop, c *netpoll.Conn) { u.s.refuse(l, c, "timeout", 0) }

// OnWritable does nothing: there is one request.
func (u *upgrade) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose is for what the network has ended.
func (u *upgrade) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) { u.s.gone(l, c, r) }
