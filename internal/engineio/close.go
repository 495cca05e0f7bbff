// How a session ends.

package engineio

import (
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/netpoll"
)

// Close codes of WebSockets that are not closed for a protocol error. Node's server sends none in
// these cases.
const (
	codeNone = 0
	codeSlow = frame.CodeTryLater
)

// Close ends the session: its queue is sent, then the close. Over WebSocket that is a close frame
// with code and text, where code 0 is one without a status (which is what Node's server sends);
// over polling it is a close packet. It calls App.Closed with r.
func (e *Endpoint) Close(l *netpoll.Loop, s *Session, r Reason, code uint16, text string) {
	e.shut(l, s, r, code, text)
}

// Drain ends c, a connection or record of one of the endpoint's roles, because the node drains;
// clients reconnect.
func (e *Endpoint) Drain(l *netpoll.Loop, c *netpoll.Conn) {
	if s := e.sessionOf(l, c); s != nil {
		e.shut(l, s, ReasonShutdown, frame.CodeRestart, "service restart")
	} else if c.Role() == e.cfg.Roles.Polling && c.Session() == 0 {
		l.Close(c, netpoll.ReasonDrain) // no request is being served on it
	}
}

// Kick ends c's session because an operator asked for it.
func (e *Endpoint) Kick(l *netpoll.Loop, c *netpoll.Conn) {
	if s := e.sessionOf(l, c); s != nil {
		e.shut(l, s, ReasonAdmin, frame.CodePolicy, "closed by operator")
	} else {
		l.Close(c, netpoll.ReasonAdmin)
	}
}

// RevokeEach implements proto.RevocableEach. Each session is looked at once, with its anchor.
func (e *Endpoint) RevokeEach(l *netpoll.Loop, c *netpoll.Conn, kick bool, matches func(*auth.Principal) bool) {
	s, app := e.anchored(c), e.speaker
	switch {
	case s == nil || app == nil || s.flags&flagClosed != 0 || !app.Speaks(s, matches):
	case kick:
		e.Kick(l, c)
	default:
		app.Revoke(l, s, matches)
	}
}

// sessionOf is the session that a connection or record belongs to; nil if none.
func (e *Endpoint) sessionOf(l *netpoll.Loop, c *netpoll.Conn) *Session {
	switch {
	case c.Session() == 0:
		return nil
	case c.Role() == e.cfg.Roles.Polling:
		return e.find(l, e.exchanges.At(c.Session()).session)
	}
	return e.sessions.At(c.Session())
}

// end tells the layer above that the session has ended, at most once.
func (e *Endpoint) end(l *netpoll.Loop, s *Session, r Reason) {
	if s.flags&flagClosed != 0 {
		return
	}
	s.flags |= flagClosed
	if e.cfg.Shard != nil {
		e.cfg.Shard.Leave(s.Member())
	}
	e.cfg.App.Closed(l, s, r)
}

// shut ends the session and tells the client.
func (e *Endpoint) shut(l *netpoll.Loop, s *Session, r Reason, code uint16, text string) {
	if s.flags&flagClosed != 0 {
		return
	}
	e.end(l, s, r)
	if s.flags&flagSocket == 0 {
		e.shutPolling(l, s, r)
	} else if c := l.Lookup(s.socket); c != nil {
		e.sockets.End(l, c, r.netpoll(), code, text)
	}
}

// shutPolling tells a client that polls. A protocol error is told only to a poll that waits; a
// close by the server is told to the next poll.
func (e *Endpoint) shutPolling(l *netpoll.Loop, s *Session, r Reason) {
	poll := l.Lookup(s.poll)
	switch {
	case poll == nil && s.flags&flagPosting != 0 && !r.ours():
		s.flags |= flagOvertaken
		return
	case poll != nil && (s.queue == 0 || !r.ours()):
		e.answerPoll(l, poll, s, closeFrame)
	case r.ours():
		if poll != nil {
			e.answerPoll(l, poll, s)
		}
		wait := FarewellTimeout
		if r == ReasonShutdown {
			wait = DrainFarewellTimeout
		}
		if anchor := l.Lookup(s.anchor); anchor != nil {
			s.flags |= flagFarewell
			l.Arm(anchor, wait)
		}
		return
	}
	e.settle(l, s)
}

// farewell answers a poll of a session that the server has closed: with its queue, or, if that is
// empty, with a noop (as Node's server) and the close packet. Never both: clients handle a close
// packet before the packets in front of it in the same payload.
func (e *Endpoint) farewell(l *netpoll.Loop, c *netpoll.Conn, s *Session) {
	if s.queue != 0 {
		e.answerPoll(l, c, s)
		return
	}
	e.answerPoll(l, c, s, noopFrame, closeFrame)
	e.settle(l, s)
}

// settle frees a session that has ended and began with polling: its anchor is closed when no
// WebSocket needs the record any more.
func (e *Endpoint) settle(l *netpoll.Loop, s *Session) {
	s.flags &^= flagFarewell | flagReady
	e.forgetQueue(s)
	anchor := l.Lookup(s.anchor)
	switch {
	case s.socket == 0:
		if anchor != nil {
			l.Close(anchor, netpoll.ReasonLocal)
		}
	case s.flags&flagProbing != 0:
		if c := l.Lookup(s.socket); c != nil {
			e.sockets.End(l, c, netpoll.ReasonLocal, codeNone, "")
		}
	}
}

// free frees a session's record.
func (e *Endpoint) free(i uint32) {
	s := e.sessions.At(i)
	e.forgetQueue(s)
	e.sockets.Forget(&s.State)
	e.sessions.Free(i)
}

// anchors is the handler of the records of sessions that began with polling.
type anchors struct{ e *Endpoint }

// OnOpen does nothing: the handshake makes the session.
func (a anchors) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

// OnData is never called: there is no socket.
func (a anchors) OnData(*netpoll.Loop, *netpoll.Conn, []byte) {}

// OnWritable is never called.
func (a anchors) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnTimer is the heartbeat, or the end of the wait for the last poll.
func (a anchors) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	switch s := a.e.sessions.At(c.Session()); {
	case s.flags&flagFarewell != 0:
		a.e.settle(l, s)
	case s.flags&flagClosed == 0:
		a.e.heartbeat(l, c, s)
	}
}

// OnClose frees the session, unless its WebSocket closes in the same turn and still needs the
// record.
func (a anchors) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	i := c.Session()
	if i == 0 {
		return
	}
	s := a.e.sessions.At(i)
	a.e.end(l, s, reasonOf(r))
	a.e.release(s)
	if s.socket != 0 {
		s.anchor = 0
		return
	}
	a.e.free(i)
}
