// How a session is opened.

package engineio

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"c100k/frame"
	"c100k/internal/edge"
	"c100k/internal/jsontext"
	"c100k/netpoll"
)

// OpensSession tells whether a request is a handshake: it names no session. A preflight of a
// browser is none.
func OpensSession(h *edge.Head) bool {
	if string(h.Method()) != "GET" {
		return false
	}
	for q := edge.NewParams(h.Query()); ; {
		name, _, more, refusal := q.Next()
		if refusal != nil {
			return false // it is refused anyway
		}
		if !more {
			return true
		}
		if string(name) == "sid" {
			return false
		}
	}
}

// handshake opens a session, if that is allowed.
func (e *Endpoint) handshake(l *netpoll.Loop, r *arrival) {
	switch {
	case string(r.h.Method()) != "GET":
		e.refuse(l, r, CodeBadMethod, "")
		return
	case r.webSocket() != r.h.UpgradeRequested(), r.h.HasBody(), r.jsonp != nil && !e.mayScript(r):
		e.refuse(l, r, CodeBadRequest, "")
		return
	case e.cfg.Draining != nil && e.cfg.Draining():
		e.refuseWhole(l, r, edge.RefuseDraining)
		return
	}
	request := e.describe(l, r)
	if e.cfg.Allow != nil {
		if err := e.cfg.Allow(request); err != nil {
			e.refuse(l, r, CodeForbidden, err.Error())
			return
		}
	}
	switch {
	case r.v3() && !e.cfg.AllowV3:
		e.refuse(l, r, CodeUnsupportedVersion, "")
	case r.webSocket():
		e.openSocket(l, r, request)
	default:
		e.openPolling(l, r, request)
	}
}

// openPolling opens a session that begins with polling. The answer has only the open packet.
func (e *Endpoint) openPolling(l *netpoll.Loop, r *arrival, request *Request) {
	holder, refusal := e.admit(l, r)
	if refusal != nil {
		e.answerRefusal(l, r, refusal)
		return
	}
	var anchor *netpoll.Conn
	if e.sessions.Len() < e.cfg.SessionsMax {
		anchor = l.Reserve(e.cfg.Roles.Session)
	}
	if anchor == nil {
		if holder != nil {
			e.cfg.Edge.Admission.ReleaseSession(holder)
		}
		e.refuseWhole(l, r, edge.RefuseOverCapacity)
		return
	}
	_, s := e.newSession(anchor, r)
	if e.cfg.Inherit != nil {
		e.cfg.Inherit(anchor, r.c)
	}
	if holder != nil {
		e.holders[s.Member()] = holder
	}
	if r.base64 != nil && string(r.base64) != "0" {
		s.flags |= flagBase64
	}
	e.beginHeartbeat(l, anchor, s)
	x := e.take(l, r, s)
	e.hold(x, bytes.Clone(r.rest))
	if e.cfg.Cookie != "" {
		x.lines = e.appendCookie(x.lines, s)
	}
	e.frames = e.appendOpen(e.frames[:0], s)
	e.answerExchange(l, r.c, x, s, e.frames)
	e.cfg.App.Opened(l, s, request)
}

// admit asks whether the client may have one more session that polls. Without it one connection
// could open any number of sessions: each handshake is over at once, and leaves one behind. A
// refusal is counted already.
func (e *Endpoint) admit(l *netpoll.Loop, r *arrival) (*edge.SessionHolder, *edge.Refusal) {
	if e.cfg.Edge == nil {
		return nil, nil
	}
	holder, refusal := e.cfg.Edge.AdmitSession(l, r.c, r.h)
	if holder != nil && !e.spend(l, holder, 0) {
		e.cfg.Edge.Admission.ReleaseSession(holder)
		e.refusedWhole(edge.RefuseRate)
		return nil, edge.RefuseRate
	}
	return holder, refusal
}

// release ends the admission of a polling session: it has ended, or its WebSocket counts from now
// on.
func (e *Endpoint) release(s *Session) {
	if holder := e.holders[s.Member()]; s.anchor != 0 && holder != nil {
		e.cfg.Edge.Admission.ReleaseSession(holder)
		delete(e.holders, s.Member())
	}
}

// openSocket opens a session that begins on WebSocket.
func (e *Endpoint) openSocket(l *netpoll.Loop, r *arrival, request *Request) {
	if refusal := edge.CheckUpgrade(r.h); refusal != nil {
		e.refuseWhole(l, r, refusal)
		return
	}
	c := r.c
	i, s := e.newSession(c, r)
	window := e.switchProtocols(l, r, s)
	l.Become(c, e.cfg.Roles.Socket)
	c.SetSession(i)
	s.socket = c.ID()
	s.flags |= flagSocket
	if s.flags&flagV3 == 0 {
		s.deflated = window
	}
	e.sockets.Start(l, c, window)
	e.beginHeartbeat(l, c, s)
	e.frames = e.appendOpen(e.frames[:0], s)
	l.Send(c, e.frames)
	e.cfg.App.Opened(l, s, request)
	l.Redeliver(c, r.rest)
}

// beginUpgrade accepts the WebSocket to which a session upgrades.
func (e *Endpoint) beginUpgrade(l *netpoll.Loop, r *arrival, s *Session) {
	if refusal := edge.CheckUpgrade(r.h); refusal != nil {
		e.refuseWhole(l, r, refusal)
		return
	}
	c := r.c
	window := e.switchProtocols(l, r, nil)
	if e.cfg.NoUpgrades || s.socket != 0 {
		// The session has one already, or another upgrade runs. The close tells the client.
		l.Send(c, frame.AppendClose(nil, codeNone, ""))
		l.Finish(c, netpoll.ReasonRefused, RefusalLinger)
		return
	}
	i := l.Lookup(s.anchor).Session()
	l.Become(c, e.cfg.Roles.Socket)
	c.SetSession(i)
	s.socket = c.ID()
	s.flags |= flagProbing
	s.probeEnd = l.Now() + e.cfg.UpgradeTimeout
	e.sockets.Start(l, c, window)
	l.Arm(c, e.cfg.UpgradeTimeout)
	l.Redeliver(c, r.rest)
}

// newSession makes the record of a session with that anchor.
func (e *Endpoint) newSession(anchor *netpoll.Conn, r *arrival) (i uint32, s *Session) {
	i, s = e.sessions.Alloc()
	s.secret, s.anchor = e.secrets.next(), anchor.ID()
	if e.cfg.Node != 0 {
		binary.BigEndian.PutUint16(s.secret[secretBytes-2:], e.cfg.Node)
	}
	if r.v3() {
		s.flags |= flagV3
	}
	anchor.SetSession(i)
	return i, s
}

// switchProtocols answers 101, and returns the window of permessage-deflate if that was agreed on.
// The session, if it is a new one, may get its cookie.
func (e *Endpoint) switchProtocols(l *netpoll.Loop, r *arrival, s *Session) (window frame.Window) {
	var extensions []byte
	if e.cfg.Compress {
		if offers := r.h.Extensions(); len(offers) > 0 {
			extensions, window = frame.NegotiateDeflate(offers)
		}
	}
	e.answer = r.h.Mount().Insert(edge.AppendSwitching(e.answer[:0], r.h.Key(), "", extensions), 0)
	if s != nil && e.cfg.Cookie != "" {
		e.answer = e.appendCookie(e.answer[:len(e.answer)-len("\r\n")], s)
		e.answer = append(e.answer, "\r\n"...)
	}
	l.Send(r.c, e.answer)
	return window
}

// appendOpen appends the open packet, which describes the session to the client.
func (e *Endpoint) appendOpen(dst []byte, s *Session) []byte {
	p := append(e.payload[:0], '0'+byte(PacketOpen))
	p = e.appendSID(append(p, `{"sid":"`...), s)
	p = append(p, `","upgrades":[`...)
	if s.flags&flagSocket == 0 && !e.cfg.NoUpgrades && !e.cfg.NoWebSocket {
		p = append(p, `"websocket"`...)
	}
	p = strconv.AppendInt(append(p, `],"pingInterval":`...), e.cfg.PingInterval.Milliseconds(), 10)
	p = strconv.AppendInt(append(p, `,"pingTimeout":`...), e.cfg.PingTimeout.Milliseconds(), 10)
	p = strconv.AppendInt(append(p, `,"maxPayload":`...), int64(e.cfg.PayloadBytesMax), 10)
	e.payload = append(p, '}')
	return frame.AppendFrame(dst, frame.OpText, e.payload)
}

// appendCookie appends the header line of the session's cookie.
func (e *Endpoint) appendCookie(dst []byte, s *Session) []byte {
	dst = append(append(append(dst, "Set-Cookie: "...), e.cfg.Cookie...), '=')
	dst = append(append(e.appendSID(dst, s), "; "...), e.cfg.CookieAttributes...)
	return append(dst, "\r\n"...)
}

// appendMessage appends the JSON text of a refusal.
func appendMessage(dst []byte, code Code, message string) []byte {
	dst = strconv.AppendInt(append(dst, `{"code":`...), int64(code), 10)
	dst = jsontext.AppendString(append(dst, `,"message":`...), message)
	return append(dst, '}')
}
