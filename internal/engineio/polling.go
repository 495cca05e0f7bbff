// The polling transport: one GET that waits for packets, one POST that carries packets, and the
// HTTP connections for both.

package engineio

import (
	"bytes"
	"net/http"

	"c100k/internal/edge"
	"c100k/netpoll"
)

// exchange is the state of an HTTP connection while a request on it is not answered. Between
// requests there is none.
type exchange struct {
	session netpoll.ID // the anchor of the session that the request belongs to
	state   exchangeState
	flags   exchangeFlags
	putOff  uint16 // stateLater: how often
	script  uint32 // the index of the callback, with flagScript
	body    edge.Body
	held    []byte // stateBody: the data so far; otherwise the input behind the request
	lines   []byte // header lines for the answer
	mount   *edge.Mount
}

type exchangeState uint8

const (
	stateWaits     exchangeState = iota // a GET for which there is nothing yet
	stateBody                           // a POST whose body is not complete
	stateLater                          // a request in held that waits until the one before it is answered
	stateOvertaken                      // a POST that has ended its session and waits for a GET: see OvertakenTimeout
)

type exchangeFlags uint8

const (
	flagKeep   exchangeFlags = 1 << iota // another request may follow
	flagScript                           // JSONP
	flagOctets                           // protocol 3: the POST's payload is one of bytes
	flagOldIE                            // the browser guesses content types
)

// take makes c, which is in the head role, a polling connection, and stores what the answer needs
// of the request.
func (e *Endpoint) take(l *netpoll.Loop, r *arrival, s *Session) *exchange {
	l.Become(r.c, e.cfg.Roles.Polling)
	i, x := e.exchanges.Alloc()
	r.c.SetSession(i)
	x.session, x.lines, x.mount = s.anchor, r.lines, r.h.Mount()
	if r.h.KeepAlive() && x.mount.Keeps() {
		x.flags |= flagKeep
	}
	if index, ok := jsonpIndex(r.jsonp); ok {
		x.flags |= flagScript
		x.script = index
	}
	if agent, ok := r.h.Get("user-agent"); ok && (bytes.Contains(agent, []byte(";MSIE")) || bytes.Contains(agent, []byte("Trident/"))) {
		x.flags |= flagOldIE
	}
	return x
}

// poll serves a GET of a session: it is answered at once if the queue is not empty, and waits
// otherwise.
func (e *Endpoint) poll(l *netpoll.Loop, r *arrival, s *Session) {
	if l.Lookup(s.poll) != nil {
		e.overlap(l, r, s)
		return
	}
	if r.h.HasBody() {
		e.refuse(l, r, CodeBadRequest, "")
		return
	}
	c := r.c
	x := e.take(l, r, s)
	e.hold(x, bytes.Clone(r.rest))
	s.poll = c.ID()
	switch {
	case s.flags&flagOvertaken != 0:
		e.catchUp(l, c, s)
	case s.flags&flagFarewell != 0:
		e.farewell(l, c, s)
	case s.queue != 0:
		e.answerPoll(l, c, s)
	}
}

// overlap ends a session whose client sends a second GET or POST while the first is not answered:
// packets would lose their order.
func (e *Endpoint) overlap(l *netpoll.Loop, r *arrival, s *Session) {
	e.respond(l, r, "400 Bad Request", "", nil)
	e.shut(l, s, ReasonTransportError, codeNone, "")
}

// post serves a POST of a session.
func (e *Endpoint) post(l *netpoll.Loop, r *arrival, s *Session) {
	octets := false
	if kind, ok := r.h.Get("content-type"); ok {
		octets = bytes.Equal(kind, []byte("application/octet-stream"))
	}
	switch {
	case octets && s.flags&flagV3 == 0:
		e.respond(l, r, "400 Bad Request", "", nil)
		return
	case l.Lookup(s.post) != nil:
		e.overlap(l, r, s)
		return
	case r.h.ContentLength() > int64(e.cfg.PayloadBytesMax):
		e.respond(l, r, "413 Request Entity Too Large", "", nil) // the session stays, as in Node's server
		return
	}
	rest, c := r.rest, r.c
	expects, _ := r.h.Get("expect")
	x := e.take(l, r, s)
	if octets {
		x.flags |= flagOctets
	}
	x.state = stateBody
	x.body.Begin(r.h)
	s.post = c.ID()
	l.Arm(c, BodyTimeout)
	if len(rest) == 0 && bytes.EqualFold(expects, []byte("100-continue")) {
		l.Send(c, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	e.read(l, c, x, rest)
}

// read reads p, the next bytes of a POST's body and perhaps of input behind it.
func (e *Endpoint) read(l *netpoll.Loop, c *netpoll.Conn, x *exchange, p []byte) {
	for len(p) > 0 && !x.body.Done() {
		data, n, refusal := x.body.Next(p)
		p = p[n:]
		switch {
		case refusal != nil:
			e.giveUp(l, c, x, refusal.Status)
			return
		case len(x.held)+len(data) > e.cfg.PayloadBytesMax:
			e.giveUp(l, c, x, http.StatusRequestEntityTooLarge)
			return
		case x.held == nil && x.body.Done():
			e.hold(x, data) // the whole body is in this read: nothing is copied
		default:
			e.hold(x, append(x.held, data...))
		}
	}
	if x.body.Done() {
		e.received(l, c, x, p)
	}
}

// received handles the payload of a complete POST, and answers it. early is the input behind it.
func (e *Endpoint) received(l *netpoll.Loop, c *netpoll.Conn, x *exchange, early []byte) {
	s := e.find(l, x.session)
	body, ok := x.held, true
	e.hold(x, bytes.Clone(early))
	if s != nil {
		s.post = 0
	}
	switch {
	case s == nil || s.flags&flagClosed != 0:
		e.finishExchange(l, c, x, "400 Bad Request", kindJSON, appendMessage(nil, CodeUnknownSession, CodeUnknownSession.String()))
		return
	case s.flags&flagSocket != 0:
		e.finishExchange(l, c, x, "400 Bad Request", kindJSON, appendMessage(nil, CodeBadRequest, CodeBadRequest.String()))
		return
	case x.flags&flagScript != 0:
		body, ok = formPayload(body)
	}
	if !ok {
		body = nil // not a valid payload
	}
	s.flags |= flagPosting
	e.receive(l, s, body, x.flags&flagOctets != 0)
	s.flags &^= flagPosting
	if s.flags&flagOvertaken != 0 {
		x.state, s.post = stateOvertaken, c.ID()
		l.Arm(c, OvertakenTimeout)
		return
	}
	e.finishExchange(l, c, x, "200 OK", kindHTML, okBody)
}

// catchUp answers a GET that was sent before the POST that has ended its session, and then the
// POST: as if they had come in that order.
func (e *Endpoint) catchUp(l *netpoll.Loop, c *netpoll.Conn, s *Session) {
	switch {
	case s.queue != 0:
		e.answerPoll(l, c, s)
	case s.flags&flagLeft != 0:
		e.answerPoll(l, c, s, noopFrame)
	default:
		e.answerPoll(l, c, s, closeFrame)
	}
	if post := l.Lookup(s.post); post != nil {
		e.answerOvertaken(l, post)
	}
}

// answerOvertaken answers the POST on c that has ended its session, which goes with it.
func (e *Endpoint) answerOvertaken(l *netpoll.Loop, c *netpoll.Conn) {
	x := e.exchanges.At(c.Session())
	s := e.find(l, x.session)
	e.finishExchange(l, c, x, "200 OK", kindHTML, okBody)
	e.forgetOvertaken(l, s)
}

// forgetOvertaken frees a session whose last POST is over; s is nil if it is gone already.
func (e *Endpoint) forgetOvertaken(l *netpoll.Loop, s *Session) {
	if s != nil {
		s.post = 0
		s.flags &^= flagOvertaken
		e.settle(l, s)
	}
}

// giveUp ends a POST whose body cannot be read to its end. The session survives a body that is too
// large.
func (e *Endpoint) giveUp(l *netpoll.Loop, c *netpoll.Conn, x *exchange, status int) {
	s := e.find(l, x.session)
	if s != nil {
		s.post = 0
	}
	x.flags &^= flagKeep
	e.hold(x, nil)
	line := "400 Bad Request"
	switch status {
	case http.StatusRequestEntityTooLarge:
		line, s = "413 Request Entity Too Large", nil
	case http.StatusRequestTimeout:
		line = "408 Request Timeout"
	case http.StatusServiceUnavailable:
		line = "503 Service Unavailable"
	}
	e.finishExchange(l, c, x, line, "", nil)
	if s != nil {
		e.shut(l, s, ReasonTransportError, codeNone, "")
	}
}

// later delays a request until the one before it is answered and the answer is sent. Clients that
// pipeline are rare, so it polls by a timer.
func (e *Endpoint) later(l *netpoll.Loop, c *netpoll.Conn, request []byte) {
	if c.Role() != e.cfg.Roles.Polling {
		l.Become(c, e.cfg.Roles.Polling)
	}
	i, x := e.exchanges.Alloc()
	c.SetSession(i)
	x.state = stateLater
	e.hold(x, request)
	l.Arm(c, 0)
}

// polling is the handler of HTTP connections with requests of polling.
type polling struct{ e *Endpoint }

// OnOpen does nothing: take makes the exchange.
func (h polling) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

// OnData gets a part of a body, or the beginning of the next request, which is kept until the
// current one is answered.
func (h polling) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	if c.Session() == 0 {
		h.next(l, c, p)
		return
	}
	switch x := h.e.exchanges.At(c.Session()); {
	case x.state == stateBody:
		h.e.read(l, c, x, p)
	case len(x.held)+len(p) > EarlyBytesMax:
		l.Close(c, netpoll.ReasonProtocol)
	default:
		h.e.hold(x, append(x.held, p...))
	}
}

// next gives the connection back to the head role: the next request may be for any protocol.
func (h polling) next(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	l.Become(c, h.e.cfg.Roles.Head)
	l.Redeliver(c, p)
}

// OnTimer ends requests that take too long, and continues delayed ones.
func (h polling) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	if c.Session() == 0 {
		l.Close(c, netpoll.ReasonTimeout) // no next request in time
		return
	}
	switch x := h.e.exchanges.At(c.Session()); {
	case x.state == stateBody:
		h.e.giveUp(l, c, x, http.StatusRequestTimeout)
	case x.state == stateOvertaken:
		h.e.answerOvertaken(l, c)
	case x.state == stateLater && c.Pending() > 0 && x.putOff < putOffMax:
		x.putOff++
		l.Arm(c, putOffTime)
	case x.state == stateLater:
		p := x.held
		h.e.freeExchange(c.Session())
		h.next(l, c, p)
	}
}

// OnWritable does nothing: answers are not held back.
func (h polling) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose ends the session whose request is not answered yet on c: the client has gone.
func (h polling) OnClose(l *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) {
	i := c.Session()
	if i == 0 {
		return
	}
	x := h.e.exchanges.At(i)
	s, state := h.e.find(l, x.session), x.state
	h.e.freeExchange(i)
	c.SetSession(0)
	switch {
	case s == nil || state == stateLater:
		return
	case state == stateOvertaken:
		h.e.forgetOvertaken(l, s)
		return
	}
	if state == stateWaits {
		s.poll = 0
	} else {
		s.post = 0
	}
	h.e.shut(l, s, ReasonTransportError, codeNone, "")
}
