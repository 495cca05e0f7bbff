// Heartbeats: in protocol 4 the server pings; in protocol 3 the client does.

package engineio

import (
	"time"

	"c100k/netpoll"
)

// heartbeat is called when the deadline of the session's anchor c has passed.
func (e *Endpoint) heartbeat(l *netpoll.Loop, c *netpoll.Conn, s *Session) {
	e.sockets.ForgetBudget(l, &s.State)
	if s.flags&(flagV3|flagPinged) != 0 {
		if left := e.underWay(l, s); left > 0 {
			l.Arm(c, left)
			return
		}
		e.shut(l, s, ReasonPingTimeout, codeNone, "")
		return
	}
	s.flags |= flagPinged
	l.Arm(c, e.cfg.PingTimeout)
	e.share(l, s, pingFrame, 0, 0)
}

// beginHeartbeat sets the first deadline. A client of protocol 4 may be pinged early, so that
// clients that came in a burst are not pinged in one.
func (e *Endpoint) beginHeartbeat(l *netpoll.Loop, c *netpoll.Conn, s *Session) {
	if s.flags&flagV3 != 0 {
		l.Arm(c, e.cfg.PingInterval+e.cfg.PingTimeout)
		return
	}
	l.Arm(c, e.cfg.PingInterval-e.jitter.Under(e.cfg.PingInterval/HeartbeatSpread))
}

// ponged handles a pong: the next ping is due an interval from now. An unsolicited pong does
// nothing.
func (e *Endpoint) ponged(l *netpoll.Loop, s *Session) {
	if s.flags&flagV3 != 0 {
		e.shut(l, s, ReasonTransportError, codeNone, "")
		return
	}
	if s.flags&flagPinged != 0 {
		s.flags &^= flagPinged
		e.rearm(l, s, 0)
	}
}

// pinged answers the ping of a client of protocol 3, without its data. In protocol 4 only the
// server pings.
func (e *Endpoint) pinged(l *netpoll.Loop, s *Session) {
	if s.flags&flagV3 == 0 {
		e.shut(l, s, ReasonTransportError, codeNone, "")
		return
	}
	e.rearm(l, s, 1)
	e.share(l, s, pongFrame, 0, 0)
	e.checkOwed(l, s, len(pongFrame)) // clients may ping without fetching the pongs
}

// rearm sets the next deadline: an interval from now, and grace times the timeout.
func (e *Endpoint) rearm(l *netpoll.Loop, s *Session, grace int) {
	if anchor := l.Lookup(s.anchor); anchor != nil {
		l.Arm(anchor, e.cfg.PingInterval+e.cfg.PingTimeout*time.Duration(grace))
	}
}

// underWay is how long a silent session is still kept because its WebSocket makes progress: our
// ping, or our answer to the client's, is behind its backlog.
func (e *Endpoint) underWay(l *netpoll.Loop, s *Session) time.Duration {
	c := e.socket(l, s)
	if c == nil || !c.Backlogged() {
		return 0
	}
	return e.cfg.PingTimeout - (l.Now() - l.Seen(c))
}
