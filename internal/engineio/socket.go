// The WebSocket transport: packets in frames, and the upgrade from polling.

package engineio

import (
	"c100k/frame"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// sockets is the handler of WebSockets. Package wsconn does what all WebSocket protocols share; the
// heartbeat is Engine.IO's.
type sockets struct {
	*wsconn.Endpoint
	e *Endpoint
}

// State implements wsconn.Protocol.
func (k *sockets) State(c *netpoll.Conn) *wsconn.State { return &k.e.sessions.At(c.Session()).State }

// Free implements wsconn.Protocol. OnClose frees the session.
func (k *sockets) Free(*netpoll.Conn) {}

// Message implements wsconn.Protocol.
func (k *sockets) Message(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message) {
	s := k.e.sessions.At(c.Session())
	if s.flags&flagSocket == 0 {
		k.probe(l, c, s, m)
		return
	}
	parse := ParseText
	if m.Op == frame.OpBinary {
		parse = ParseBinary
	}
	packet, err := parse(s.flags&flagV3 != 0, m.Payload)
	switch {
	case err != nil:
		k.e.shut(l, s, ReasonParseError, codeNone, "")
	case packet.Type == PacketClose:
		// Clients close the WebSocket itself. The packet is ignored, as in Node's server.
	default:
		k.e.packet(l, s, packet)
	}
}

// probe handles a message on a WebSocket that is to become the session's transport. Until the
// client upgrades, the session polls, and an error here closes only this WebSocket.
func (k *sockets) probe(l *netpoll.Loop, c *netpoll.Conn, s *Session, m *frame.Message) {
	text := ""
	if m.Op == frame.OpText {
		text = string(m.Payload)
	}
	switch text {
	case "2probe":
		l.SendShared(c, probeFrame)
		// The client stops polling when its waiting poll has returned.
		l.Arm(c, ProbeFirst)
	case "5":
		k.upgrade(l, c, s)
	default:
		k.End(l, c, netpoll.ReasonProtocol, codeNone, "")
	}
}

// upgrade makes c the session's transport. The client has stopped polling, so no answer is in
// flight, and the session's queue is sent here, in order.
func (k *sockets) upgrade(l *netpoll.Loop, c *netpoll.Conn, s *Session) {
	e := k.e
	if poll := l.Lookup(s.poll); poll != nil {
		e.answerPollAlone(l, poll, s, noopFrame) // the client has not stopped; it would ignore messages in this answer
	}
	s.flags = s.flags&^(flagProbing|flagReady) | flagSocket
	l.Disarm(c)
	if s.queue != 0 {
		for _, p := range e.queues.At(s.queue).pieces {
			l.SendMessages(c, p.p, p.mark, p.n)
		}
		e.forgetQueue(s)
	}
	e.release(s)
	if s.flags&flagClosed != 0 {
		s.flags &^= flagFarewell
		k.End(l, c, netpoll.ReasonLocal, codeNone, "")
		return
	}
	e.cfg.App.Upgraded(l, s)
}

// OnTimer is the heartbeat of a session that began on WebSocket. During an upgrade it answers the
// waiting poll, so that the client can stop polling, and gives up an upgrade that takes too long.
func (k *sockets) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	s := k.e.sessions.At(c.Session())
	left := s.probeEnd - l.Now()
	switch {
	case s.anchor == c.ID():
		k.e.heartbeat(l, c, s)
	case s.flags&flagProbing == 0:
	case left <= 0:
		k.End(l, c, netpoll.ReasonTimeout, codeNone, "")
	default:
		if poll := l.Lookup(s.poll); poll != nil && s.queue == 0 {
			k.e.answerPoll(l, poll, s, noopFrame)
		}
		l.Arm(c, min(ProbeInterval, left))
	}
}

// OnWritable is called when the backlog of c has been sent.
func (k *sockets) OnWritable(_ *netpoll.Loop, c *netpoll.Conn) {
	if s := k.e.sessions.At(c.Session()); s.flags&flagSocket != 0 {
		k.e.drained(s)
	}
}

// ended is called when c is closing.
func (k *sockets) ended(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	switch s := k.e.sessions.At(c.Session()); {
	case s.flags&flagSocket != 0:
		k.e.end(l, s, reasonOf(r))
	default:
		s.flags &^= flagProbing
	}
}

// OnClose frees the state of c, and the session if it has ended.
func (k *sockets) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	i := c.Session()
	if i == 0 {
		return
	}
	k.Endpoint.OnClose(l, c, r)
	s := k.e.sessions.At(i)
	s.socket = 0
	switch {
	case s.anchor == c.ID(), s.anchor == 0: // it was the anchor, or the anchor went before it
		k.e.free(i)
	case s.flags&(flagClosed|flagFarewell) == flagClosed:
		k.e.settle(l, s)
	}
}

// probeFrame answers a probe.
var probeFrame = frame.AppendFrame(nil, frame.OpText, []byte("3probe"))
