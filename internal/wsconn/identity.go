// Whom the client of a connection speaks for, and the end of its rights.

package wsconn

import (
	"c100k/internal/auth"
	"c100k/netpoll"
)

// Speak has c speak for who from now on, until its rights end; nil changes nothing.
func (e *Endpoint) Speak(l *netpoll.Loop, c *netpoll.Conn, who *auth.Principal) {
	if who == nil {
		return
	}
	s := e.protocol.State(c)
	if i := s.Principal(); i != 0 {
		e.cfg.Principals.Set(i, who)
	} else {
		s.SetPrincipal(e.cfg.Principals.Add(who))
	}
	e.Limit(l, c, true)
}

// Who implements proto.Identified.
func (e *Endpoint) Who(c *netpoll.Conn) *auth.Principal {
	if c.Session() == 0 {
		return nil
	}
	return e.cfg.Principals.At(e.protocol.State(c).Principal())
}

// Revoke ends c because its client's rights were taken back: it implements proto.Revocable.
func (e *Endpoint) Revoke(l *netpoll.Loop, c *netpoll.Conn) {
	e.End(l, c, netpoll.ReasonRevoked, auth.CloseRevoked, auth.TextRevoked)
}

// Expire ends c if the rights of its client have ended. A protocol with a timer of its own calls it
// there, and then Limit.
func (e *Endpoint) Expire(l *netpoll.Loop, c *netpoll.Conn) (ended bool) {
	if who := e.Who(c); who == nil || !who.Expired(l.Now()) {
		return false
	}
	e.End(l, c, netpoll.ReasonExpired, auth.CloseExpired, auth.TextExpired)
	return true
}

// Limit has OnTimer called when the rights of the client end, if no deadline comes before that, and
// unless warned so long before that the client can be told.
func (e *Endpoint) Limit(l *netpoll.Loop, c *netpoll.Conn, warned bool) {
	end, ends := e.Who(c).Left(l.Now(), warned)
	if !ends || c.Closing() {
		return
	}
	if left, armed := l.Left(c); !armed || end < left {
		l.Arm(c, end)
	}
}
