// GET /v1/trace: what goes in and out, live, as Server-Sent Events.

package admin

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"c100k/broadcast"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// Tracer is a Node that can be traced.
type Tracer interface {
	// Trace calls out with an event of type "begin" when the trace has begun, and then with each
	// event, one after the other, until ctx ends or out fails. An error before "begin" goes to the
	// caller.
	Trace(ctx context.Context, q *trace.Query, out func(*TraceEvent) error) error
}

// ErrTraces is returned by Trace while TracesMax others run.
var ErrTraces = errors.New("as many traces run as may at one time: end one")

// TraceEvent is an event as the API shows it.
type TraceEvent struct {
	Type       string `json:"type"` // begin, open, in, out, publish, close, dropped, missing
	Time       string `json:"time,omitempty"`
	Conn       string `json:"conn,omitempty"`
	Sub        string `json:"sub,omitempty"`
	Address    string `json:"address,omitempty"`
	Topic      string `json:"topic,omitempty"`
	Messages   int    `json:"messages,omitempty"`
	Bytes      int    `json:"bytes,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Why        string `json:"why,omitempty"`
	Code       int    `json:"code,omitempty"`
	Text       string `json:"text,omitempty"`
	Data       string `json:"data,omitempty"`        // the beginning of the payload
	DataBase64 string `json:"data_base64,omitempty"` // likewise, if it is no text
	Dropped    uint64 `json:"dropped,omitempty"`     // events that are missing here
}

// NewTraceEvent makes one; wall is the time of the event.
func NewTraceEvent(e *trace.Event, wall time.Time) *TraceEvent {
	t := &TraceEvent{
		Type: string(e.Kind), Time: wall.UTC().Format("2006-01-02T15:04:05.000Z07:00"), Sub: e.Sub, Topic: e.Topic,
		Messages: e.Messages, Bytes: e.Bytes, Code: int(e.Code), Text: e.Text,
	}
	if e.Conn != 0 {
		t.Conn = e.Conn.String()
	}
	if e.Addr.IsValid() {
		t.Address = e.Addr.String()
	}
	if e.Kind == trace.Close {
		t.Reason, t.Why = e.Reason.String(), Why(e.Reason.String())
	}
	p := e.Payload
	if e.Kind == trace.Out {
		p = unframed(p)
	}
	switch {
	case len(p) == 0:
	case printable(p):
		t.Data = string(p)
	default:
		t.DataBase64 = base64.StdEncoding.EncodeToString(p)
	}
	return t
}

// unframed is what is behind the head of a WebSocket frame, where p begins with one: no other form
// of a message begins with a byte above 127 (RFC 6455, 5.2: FIN is set).
func unframed(p []byte) []byte {
	if len(p) < 2 || p[0] < 0x80 {
		return p
	}
	head := 2
	switch p[1] {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	return p[min(head, len(p)):]
}

// printable tells whether p is UTF-8, but for a rune that was cut at its end.
func printable(p []byte) bool {
	for i := range min(utf8.UTFMax, len(p)) {
		if utf8.Valid(p[:len(p)-i]) {
			return true
		}
	}
	return false
}

func (a *api) trace(w http.ResponseWriter, r *http.Request, _ string) {
	q, problem := readTrace(r)
	if problem != nil {
		problem.Write(w)
		return
	}
	v, ok := a.node.(Tracer)
	if !ok {
		NewProblem(http.StatusNotFound, "no_such_path", "this node cannot be traced").Write(w)
		return
	}
	if r.Method == http.MethodHead {
		writeBody(w, "text/event-stream", http.StatusOK, nil)
		return
	}
	s := newEventStream(w)
	end := s.beat()
	err := v.Trace(r.Context(), q, func(e *TraceEvent) error { return s.send("", e) })
	end()
	if err != nil && !s.opened {
		if errors.Is(err, ErrTraces) {
			NewProblem(http.StatusServiceUnavailable, "too_many_traces", err.Error()).Write(w)
		} else {
			unavailable(err).Write(w)
		}
	}
}

// readTrace reads what is to be traced: exactly one of four.
func readTrace(r *http.Request) (*trace.Query, *Problem) {
	params, problem := query(r, "conn", "sub", "topic", "address", "payload")
	if problem != nil {
		return nil, problem
	}
	q := &trace.Query{Sub: params["sub"], Topic: params["topic"]}
	given := 0
	for _, name := range []string{"conn", "sub", "topic", "address"} {
		if params[name] != "" {
			given++
		}
	}
	if given != 1 {
		return nil, NewProblem(http.StatusBadRequest, "bad_trace", "a trace is of exactly one of conn=, sub=, topic= and address=")
	}
	if text := params["conn"]; text != "" {
		if q.Conn, problem = connectionID(text); problem != nil {
			return nil, problem
		}
	}
	if q.Topic != "" && broadcast.ValidTopic(q.Topic) != nil {
		return nil, checkTopic(q.Topic)
	}
	if params["address"] != "" {
		if q.Addrs, problem = addresses(params); problem != nil {
			return nil, problem
		}
	}
	switch params["payload"] {
	case "", "0":
	case "1":
		q.Payload = true
	default:
		return nil, NewProblem(http.StatusBadRequest, "bad_trace", "payload is 0 or 1")
	}
	return q, nil
}

// TraceValues is the query of a request for a trace.
func TraceValues(q *trace.Query) url.Values {
	v := url.Values{}
	put(v, "sub", q.Sub)
	put(v, "topic", q.Topic)
	if q.Conn != netpoll.ID(0) {
		v.Set("conn", q.Conn.String())
	}
	if q.Addrs.IsValid() {
		v.Set("address", q.Addrs.String())
	}
	if q.Payload {
		v.Set("payload", "1")
	}
	return v
}
