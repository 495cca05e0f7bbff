// Answers over HTTP.

package engineio

import (
	"net/http"
	"strconv"
	"time"

	"c100k/internal/edge"
	"c100k/netpoll"
)

// Kinds of answers.
const (
	kindText   = "text/plain; charset=UTF-8"
	kindHTML   = "text/html"
	kindJSON   = "application/json"
	kindOctets = "application/octet-stream"
	kindScript = "text/javascript; charset=UTF-8"
)

// noContent answers a preflight.
const noContent = "204 No Content"

var okBody = []byte("ok")

// date is the line of the Date header, made once a second.
type date struct {
	line []byte
	made time.Duration
}

// appendDate appends the line of the Date header (RFC 9110, 6.6.1).
func (e *Endpoint) appendDate(dst []byte, l *netpoll.Loop) []byte {
	if d := &e.date; d.line == nil || l.Now()-d.made >= time.Second {
		d.made = l.Now()
		d.line = e.cfg.Date().UTC().AppendFormat(append(d.line[:0], "Date: "...), http.TimeFormat)
		d.line = append(d.line, "\r\n"...)
	}
	return append(dst, e.date.line...)
}

// appendAnswer appends a whole answer. status may have more header lines behind it; lines have
// their ends.
func (e *Endpoint) appendAnswer(dst []byte, l *netpoll.Loop, status, kind string, keep bool, lines, body []byte) []byte {
	dst = append(append(append(dst, "HTTP/1.1 "...), status...), "\r\n"...)
	if kind != "" {
		dst = append(append(append(dst, "Content-Type: "...), kind...), "\r\n"...)
	}
	if status != noContent { // RFC 9110, 8.6: MUST NOT send Content-Length with 204
		dst = strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(e.appendDate(append(dst, "Cache-Control: no-store\r\n"...), l), lines...)
	if !keep {
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(append(dst, "\r\n"...), body...)
}

// respond answers a request for which no exchange was made. If the body has not arrived whole, the
// connection ends.
func (e *Endpoint) respond(l *netpoll.Loop, r *arrival, status, kind string, body []byte) {
	c := r.c
	rest, whole := r.behindBody()
	keep := e.keeps(whole && r.h.KeepAlive() && !r.h.UpgradeRequested() && r.h.Mount().Keeps())
	e.answer = e.appendAnswer(e.answer[:0], l, status, kind, keep, r.lines, body)
	if string(r.h.Method()) == "HEAD" {
		e.answer = e.answer[:len(e.answer)-len(body)]
	}
	l.Send(c, e.answer)
	if !keep {
		l.Finish(c, netpoll.ReasonRefused, RefusalLinger)
		return
	}
	rest = append([]byte(nil), rest...) // rest lies in the buffer of the head role
	if r.h.Mount() == nil {
		l.Become(c, e.cfg.Roles.Polling)
	}
	e.rest(l, c, r.h.Mount(), rest)
}

// behindBody is the input behind the request's body; whole is false if the body has not arrived
// whole.
func (r *arrival) behindBody() (rest []byte, whole bool) {
	n := max(r.h.ContentLength(), 0)
	if r.h.Chunked() || n > int64(len(r.rest)) {
		return nil, false
	}
	return r.rest[n:], true
}

// keeps tells whether a connection stays open for the next request: not while the node drains.
func (e *Endpoint) keeps(may bool) bool { return may && (e.cfg.Draining == nil || !e.cfg.Draining()) }

// rest makes a polling connection wait for its next request; early is the part of it that has
// arrived. On a connection of a program's http.Server, the next request passes the program's
// handlers.
func (e *Endpoint) rest(l *netpoll.Loop, c *netpoll.Conn, m *edge.Mount, early []byte) {
	if m != nil {
		e.cfg.Keep(l, c, m, early)
		return
	}
	if len(early) > 0 {
		e.later(l, c, early)
		return
	}
	l.Arm(c, KeepAliveTimeout)
}

// refuse answers a request with a code; message replaces the code's own if it is not empty.
func (e *Endpoint) refuse(l *netpoll.Loop, r *arrival, code Code, message string) {
	e.refused(code.Label())
	e.answerCode(l, r, code, message)
}

// refuseOrigin answers the page of an origin that is not allowed. It counts as the same refusal of
// a WebSocket, so that the operator is warned with the setting.
func (e *Endpoint) refuseOrigin(l *netpoll.Loop, r *arrival) {
	origin, n := r.h.Origin()
	refusal := edge.OriginRefusal(string(origin))
	switch {
	case n > 1:
		refusal = edge.RefuseOrigin.With("more than one Origin header field")
	case n == 0: // a script element, which needs a proof (allowOrigin)
		refusal = edge.RefuseOrigin.With("nothing says from which page this request is, and only pages of this host or of an --origin may send it")
	}
	e.refusedWhole(refusal)
	e.answerCode(l, r, CodeForbidden, refusal.Reason)
}

// answerCode is refuse for a refusal that is counted already.
func (e *Endpoint) answerCode(l *netpoll.Loop, r *arrival, code Code, message string) {
	if message == "" {
		message = code.String()
	}
	if e.cfg.Failed != nil {
		e.cfg.Failed(e.describe(l, r), code, message)
	}
	status := "400 Bad Request"
	if code == CodeForbidden {
		status = "403 Forbidden"
	}
	if r.h.UpgradeRequested() {
		e.respond(l, r, status, kindHTML, []byte(message))
		return
	}
	e.respond(l, r, status, kindJSON, appendMessage(nil, code, message))
}

func (e *Endpoint) refused(label string) {
	if e.cfg.Refused != nil {
		e.cfg.Refused(label)
	}
}

// refuseWhole answers a request with a refusal of package edge.
func (e *Endpoint) refuseWhole(l *netpoll.Loop, r *arrival, refusal *edge.Refusal) {
	e.refusedWhole(refusal)
	e.answerRefusal(l, r, refusal)
}

// refusedWhole counts a refusal of the edge as the edge does, so that its setting is named to the
// operator too.
func (e *Endpoint) refusedWhole(refusal *edge.Refusal) {
	if e.cfg.Edge != nil && e.cfg.Edge.Refused != nil {
		e.cfg.Edge.Refused(refusal)
		return
	}
	e.refused(refusal.Label)
}

// answerRefusal is refuseWhole for a refusal that is counted already.
func (e *Endpoint) answerRefusal(l *netpoll.Loop, r *arrival, refusal *edge.Refusal) {
	e.answer = edge.AppendRefusal(e.answer[:0], refusal, string(r.h.Method()) != "HEAD")
	l.Send(r.c, r.h.Mount().Insert(e.answer, 0))
	l.Finish(r.c, netpoll.ReasonRefused, RefusalLinger)
}

// answerPoll answers the poll of s that waits on c, with the session's queue and the frames of
// last.
func (e *Endpoint) answerPoll(l *netpoll.Loop, c *netpoll.Conn, s *Session, last ...[]byte) {
	if s.queue == 0 {
		e.answerPollAlone(l, c, s, last...)
		return
	}
	e.runs = e.runs[:0]
	for _, p := range e.queues.At(s.queue).pieces {
		e.runs = append(e.runs, p.p)
	}
	e.runs = append(e.runs, last...)
	e.forgetQueue(s)
	e.answerPollAlone(l, c, s, e.runs...)
	clear(e.runs)
	e.drained(s)
}

// answerPollAlone answers the poll of s that waits on c with the frames of runs, and leaves the
// session's queue as it is.
func (e *Endpoint) answerPollAlone(l *netpoll.Loop, c *netpoll.Conn, s *Session, runs ...[]byte) {
	s.poll = 0
	s.flags &^= flagReady
	e.answerExchange(l, c, e.exchanges.At(c.Session()), s, runs...)
}

// answerExchange answers a GET with the frames of runs as a payload.
func (e *Endpoint) answerExchange(l *netpoll.Loop, c *netpoll.Conn, x *exchange, s *Session, runs ...[]byte) {
	p, kind := e.payload[:0], kindText
	switch {
	case s.flags&flagV3 == 0:
		for _, run := range runs {
			p = AppendPayload(p, len(p) == 0, run)
		}
	case s.flags&flagBase64 == 0 && x.flags&flagScript == 0 && anyBinary(runs):
		kind = kindOctets
		for _, run := range runs {
			p = AppendPayload3Binary(p, run)
		}
	default:
		for _, run := range runs {
			p = AppendPayload3(p, run)
		}
	}
	if x.flags&flagScript != 0 {
		at := len(p)
		p = appendScript(p, x.script, p)
		e.finishExchange(l, c, x, "200 OK", kindScript, p[at:])
	} else {
		e.finishExchange(l, c, x, "200 OK", kind, p)
	}
	if e.payload = p; cap(p) > scratchBytesMax {
		e.payload = nil
	}
}

// finishExchange answers the request of an exchange, which ends with it.
func (e *Endpoint) finishExchange(l *netpoll.Loop, c *netpoll.Conn, x *exchange, status, kind string, body []byte) {
	keep, early, lines, mount := e.keeps(x.flags&flagKeep != 0), x.held, x.lines, x.mount
	if x.flags&flagOldIE != 0 {
		lines = append(lines, "X-XSS-Protection: 0\r\n"...)
	}
	e.freeExchange(c.Session())
	c.SetSession(0)
	e.answer = e.appendAnswer(e.answer[:0], l, status, kind, keep, lines, body)
	l.Send(c, e.answer)
	if cap(e.answer) > scratchBytesMax {
		e.answer = nil
	}
	if keep {
		e.rest(l, c, mount, early)
	} else {
		l.Finish(c, netpoll.ReasonLocal, RefusalLinger)
	}
}

func anyBinary(runs [][]byte) bool {
	for _, run := range runs {
		if hasBinary(run) {
			return true
		}
	}
	return false
}

// Flush answers the polls that wait and whose sessions were sent something. It is called at the end
// of phase 6 of each turn, behind broadcast.Shard.Deliver.
func (e *Endpoint) Flush(l *netpoll.Loop) {
	for _, id := range e.ready {
		s := e.find(l, id)
		if s == nil || s.flags&flagReady == 0 {
			continue
		}
		s.flags &^= flagReady
		if poll := l.Lookup(s.poll); poll != nil && s.queue != 0 {
			e.answerPoll(l, poll, s)
		}
	}
	e.ready = e.ready[:0]
}
