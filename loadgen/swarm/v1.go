// The subprotocol c100k.v1: commands, their answers, and messages in an envelope.

package swarm

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"c100k/frame"
	"c100k/internal/jsontext"
	"c100k/netpoll"
)

// subscribeID is the id of the one command that opens a client. Those of its publishes are their
// due times in microseconds, which are higher: so an acknowledgement says by itself how long it
// took.
const subscribeID = 1

var errV1 = errors.New("not a message of c100k.v1")

// v1Message is what a client wants to know of a server's message. Its slices are raw JSON.
type v1Message struct {
	kind   string // "" where there is none
	id     uint64 // 0 where there is none, or no number
	code   []byte
	data   []byte
	missed uint64
	offset []byte // the text of the string
}

// parseV1 reads one message of a server.
func parseV1(p []byte) (m v1Message, err error) {
	i := jsontext.SkipSpace(p, 0)
	if i >= len(p) || p[i] != '{' {
		return m, errV1
	}
	i = jsontext.SkipSpace(p, i+1)
	last := i < len(p) && p[i] == '}'
	if last {
		i++
	}
	for !last {
		from, to, value, bad := jsontext.SkipName(p, i)
		if bad != "" {
			return m, errV1
		}
		end, bad := jsontext.SkipValue(p, value, 1)
		if bad != "" {
			return m, errV1
		}
		m.member(p[from:to], p[value:end])
		if i, last, bad = jsontext.SkipComma(p, end, '}'); bad != "" {
			return m, errV1
		}
	}
	if m.kind == "" || jsontext.SkipSpace(p, i) < len(p) {
		return m, errV1
	}
	return m, nil
}

// member takes one of the outermost object.
func (m *v1Message) member(name, value []byte) {
	switch string(name) {
	case "type":
		m.kind = kindOf(value)
	case "id":
		m.id = numberOf(value)
	case "code":
		m.code = value
	case "data":
		m.data = value
	case "missed":
		m.missed = numberOf(value)
	case "offset":
		m.offset = bytes.Trim(value, `"`)
	case "offsets": // a client has one topic
		if at := bytes.LastIndex(value, []byte(`":`)); at >= 0 {
			m.offset = bytes.Trim(value[at+2:], " \"}")
		}
	}
}

// kindOf is a message's type; those that we have no use for are all "other".
func kindOf(value []byte) string {
	switch string(value) {
	case `"message"`:
		return "message"
	case `"ack"`:
		return "ack"
	case `"error"`:
		return "error"
	case `"gap"`:
		return "gap"
	case `"resumed"`:
		return "resumed"
	case `"reset"`:
		return "reset"
	}
	return "other"
}

func numberOf(value []byte) uint64 {
	n, err := strconv.ParseUint(string(value), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// subscribe begins the life of a client of c100k.v1.
func (s *Swarm) subscribe(l *netpoll.Loop, c *netpoll.Conn, i uint32) {
	if len(s.quoted) == 0 {
		s.opened(l, c, i)
		return
	}
	s.payload = append(s.payload[:0], `{"type":"subscribe","topics":[`...)
	if s.shows(i) {
		s.show(i)
		s.payload = append(append(append(s.payload, `{"topic":`...), s.quoted[s.topic(i)]...), `,"after":"`...)
		s.payload = append(append(s.payload, s.places[i].position()...), `"}`...)
	} else {
		s.payload = append(s.payload, s.quoted[s.topic(i)]...)
	}
	s.payload = append(s.payload, `],"id":1}`...)
	s.sendFrame(l, c, frame.OpText, s.payload)
}

// publishV1 sends s.payload as a publish to the client's topic.
func (s *Swarm) publishV1(l *netpoll.Loop, c *netpoll.Conn, i uint32, t Token) {
	s.envelope = append(s.envelope[:0], `{"type":"publish","topic":`...)
	s.envelope = append(s.envelope, s.quoted[s.topic(i)]...)
	s.envelope = append(append(append(s.envelope, `,"data":"`...), s.payload...), '"')
	if s.spec.Mode == Publish {
		s.envelope = strconv.AppendInt(append(s.envelope, `,"id":`...), int64(t.Sent/time.Microsecond), 10)
	}
	s.sendFrame(l, c, frame.OpText, append(s.envelope, '}'))
}

// takeV1 handles one message of the server.
func (s *Swarm) takeV1(l *netpoll.Loop, c *netpoll.Conn, i uint32, p []byte) {
	m, err := parseV1(p)
	if err != nil {
		s.refuse(l, c, "bad message", 0)
		return
	}
	joining := s.clients[i].state == connecting
	switch {
	case m.kind == "message":
		s.note(i, m.offset)
		s.receive(l, c, i, m.data)
	case m.kind == "resumed":
		s.recovered(i)
	case m.kind == "reset":
		s.note(i, m.offset)
		s.beganAnew(i)
	case m.kind == "gap":
		s.tally.gaps += m.missed
	case m.kind == "ack" && joining && m.id == subscribeID:
		s.note(i, m.offset)
		s.opened(l, c, i)
	case m.kind == "error" && joining:
		s.refuse(l, c, "error "+strings.Trim(string(m.code[:min(len(m.code), 32)]), `"`), 0)
	case m.kind == "ack" && s.spec.Mode == Publish && m.id > subscribeID:
		s.acknowledged(l, c, i, time.Duration(m.id)*time.Microsecond)
	default:
		s.tally.foreign++
	}
}

// acknowledged is for the answer to a publish that was due at a time.
func (s *Swarm) acknowledged(l *netpoll.Loop, c *netpoll.Conn, i uint32, due time.Duration) {
	now := s.at(l)
	if cl := &s.clients[i]; due >= s.begun && due <= now && cl.track.next < cl.sent {
		cl.track.next++
		s.tally.heard++
		record(s.measured.latency, now-due)
	}
	if s.spec.InFlight > 0 && s.clients[i].state == open {
		s.emit(l, c, i, now)
	}
}

// quote is a topic as a JSON string.
func quote(topic string) string {
	b, err := json.Marshal(topic)
	if err != nil {
		return `""` // a string has no way to fail
	}
	return string(b)
}
