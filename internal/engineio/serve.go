// A request to the endpoint's path: which session it belongs to, and what serves it.

package engineio

import (
	"crypto/subtle"

	"c100k/internal/edge"
	"c100k/netpoll"
)

// arrival is a request that has arrived.
type arrival struct {
	c    *netpoll.Conn
	h    *edge.Head
	rest []byte // behind the head

	stays bool // it is not moved to its session's loop

	// Of the query; nil if the parameter is not there.
	version, transport, sid, jsonp, base64 []byte

	lines []byte // header lines for the answer
}

// readQuery reads the parameters that the protocol has; ok is false if the query is malformed, or
// has one of them twice.
func (r *arrival) readQuery() (ok bool) {
	for q := edge.NewParams(r.h.Query()); ; {
		name, value, more, refusal := q.Next()
		if refusal != nil || !more {
			return refusal == nil
		}
		var to *[]byte
		switch string(name) {
		case "EIO":
			to = &r.version
		case "transport":
			to = &r.transport
		case "sid":
			to = &r.sid
		case "j":
			to = &r.jsonp
		case "b64":
			to = &r.base64
		default:
			continue
		}
		if *to != nil {
			return false
		}
		if *to = value; value == nil {
			*to = []byte{}
		}
	}
}

// v3 tells whether the client asks for protocol 3. Like Node's server, it takes every version but 4
// for 3.
func (r *arrival) v3() bool { return string(r.version) != "4" }

func (r *arrival) webSocket() bool { return string(r.transport) == "websocket" }

// serve checks a request in the order of Node's server, so that clients get the same error codes.
func (e *Endpoint) serve(l *netpoll.Loop, r *arrival) {
	if !r.readQuery() {
		e.refuse(l, r, CodeBadRequest, "")
		return
	}
	at, known := parseID(r.sid)
	if known && !e.home(&at) {
		if e.move(l, r, &at) {
			return
		}
		known = false
	}
	allowed := e.allowOrigin(l, r)
	switch {
	case allowed && string(r.h.Method()) == "OPTIONS" && e.preflight(l, r):
	case e.cfg.Use != nil && e.cfg.Use(e.describe(l, r)) != nil:
		e.refuse(l, r, CodeBadRequest, "")
	case !e.offers(r.transport):
		e.refuse(l, r, CodeUnknownTransport, "")
	case !allowed:
		e.refuseOrigin(l, r)
	case r.sid == nil:
		e.handshake(l, r)
	case known:
		e.resume(l, r, e.locate(l, &at))
	default:
		e.refuse(l, r, CodeUnknownSession, "")
	}
}

// offers tells whether a transport of that name is on.
func (e *Endpoint) offers(transport []byte) bool {
	switch string(transport) {
	case "polling":
		return !e.cfg.NoPolling
	case "websocket":
		return !e.cfg.NoWebSocket
	}
	return false
}

func (e *Endpoint) home(at *place) bool { return at.process == e.cfg.Process && at.loop == e.cfg.Loop }

// move takes the request to the home of its session.
func (e *Endpoint) move(l *netpoll.Loop, r *arrival, at *place) bool {
	if e.cfg.Move == nil || r.stays {
		return false
	}
	first := append(append(make([]byte, 0, len(r.h.Bytes())+len(r.rest)), r.h.Bytes()...), r.rest...)
	if r.c.Pending() > 0 && r.h.Mount() == nil {
		// The answer to the request before it is not sent yet, and would be lost with the move.
		e.later(l, r.c, first)
		return true
	}
	return e.cfg.Move(l, r.c, at.process, at.loop, first)
}

// locate finds the session that an id names.
func (e *Endpoint) locate(l *netpoll.Loop, at *place) *Session {
	c := l.ConnAt(at.slot)
	if c == nil {
		return nil
	}
	s := e.anchored(c)
	if s == nil || subtle.ConstantTimeCompare(s.secret[:], at.secret[:]) == 0 {
		return nil
	}
	return s
}

// describe makes the Request that the layer above sees.
func (e *Endpoint) describe(l *netpoll.Loop, r *arrival) *Request {
	q := &e.request
	*q = Request{Version: 4, Handshake: r.sid == nil, head: r.h, Time: e.cfg.Date()}
	if r.v3() {
		q.Version = 3
	}
	if r.webSocket() {
		q.Transport = TransportWebSocket
	}
	if e.cfg.Address != nil {
		q.Address = e.cfg.Address(l, r.c, r.h)
	}
	return q
}

// resume serves a request that belongs to a session; s is nil if that is not known.
func (e *Endpoint) resume(l *netpoll.Loop, r *arrival, s *Session) {
	poll := string(r.h.Method()) == "GET"
	switch {
	case s == nil, s.flags&flagClosed != 0 && (s.flags&(flagFarewell|flagOvertaken) == 0 || !poll || r.webSocket()):
		e.refuse(l, r, CodeUnknownSession, "")
	case r.h.WebSocketRequested() && r.webSocket():
		e.beginUpgrade(l, r, s)
	case r.webSocket(), r.h.UpgradeRequested(), s.flags&flagSocket != 0, r.jsonp != nil && !e.mayScript(r):
		e.refuse(l, r, CodeBadRequest, "")
	case poll:
		e.poll(l, r, s)
	case string(r.h.Method()) == "POST":
		e.post(l, r, s)
	default:
		e.respond(l, r, "405 Method Not Allowed\r\nAllow: GET, POST", "", nil)
	}
}

// mayScript tells whether the request may be answered with a script: only old clients need that, so
// protocol 3 must be allowed.
func (e *Endpoint) mayScript(r *arrival) bool {
	_, ok := jsonpIndex(r.jsonp)
	return ok && e.cfg.AllowV3
}
