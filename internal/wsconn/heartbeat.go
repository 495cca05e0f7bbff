// Heartbeats: a silent connection is pinged, and closed if it stays silent.

package wsconn

import (
	"time"

	"c100k/frame"
	"c100k/netpoll"
)

// pingFrame is an empty ping (RFC 6455, 5.5.2); immutable.
var pingFrame = []byte{0x89, 0x00}

// OnTimer is the heartbeat, or the end of the client's rights.
func (e *Endpoint) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	if e.Expire(l, c) {
		return
	}
	if e.cfg.PingInterval > 0 {
		e.Heartbeat(l, c)
	}
	e.Limit(l, c, true)
}

// Heartbeat pings a silent connection, or closes one that stays silent. Input does not re-arm the
// deadline: when it fires, it looks at the time of the last input.
func (e *Endpoint) Heartbeat(l *netpoll.Loop, c *netpoll.Conn) {
	s := e.protocol.State(c)
	e.ForgetBudget(l, s)
	idle := l.Now() - l.Seen(c)
	due := e.cfg.PingInterval - e.cfg.PingInterval/HeartbeatSpread
	first := s.flags&flagFresh != 0 && idle >= e.cfg.PingInterval/2
	s.flags &^= flagFresh
	switch {
	case s.flags&flagPinged != 0 && idle >= e.cfg.PingTimeout:
		e.End(l, c, netpoll.ReasonTimeout, frame.CodePolicy, "ping timeout")
	case s.flags&flagPinged != 0:
		// Nothing has arrived, but the backlog shrinks: the ping is still behind it.
		l.Arm(c, e.cfg.PingTimeout-idle)
	case first || idle >= due:
		s.flags |= flagPinged
		l.SendShared(c, pingFrame)
		l.Arm(c, e.cfg.PingTimeout)
	default:
		l.Arm(c, due+e.jitter.Under(e.cfg.PingInterval/HeartbeatSpread)-idle)
	}
}

// firstPing is the latest time of the first ping: the pings of connections that come in a burst, as
// after a restart, are spread over half an interval and stay spread.
func (e *Endpoint) firstPing() time.Duration {
	half := e.cfg.PingInterval / 2
	return half + e.jitter.Under(half)
}
