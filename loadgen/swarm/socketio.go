// Socket.IO 5 over Engine.IO 4 over WebSocket: connect, join, and count events.

package swarm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"c100k/frame"
	"c100k/netpoll"
)

// The steps of a client's handshake. From stepConnected on, what is above it is the number of
// attachments still to come.
const (
	stepOpen uint8 = iota // Engine.IO's open packet is to come
	stepConnect
	stepConnected
)

// newJoin is what a client emits when it is connected.
func newJoin(spec *Spec) (template, error) {
	text := spec.Join
	if text == "" {
		if len(spec.Topics) == 0 {
			return template{}, nil
		}
		text = `["subscribe","{topic}"]`
	}
	t := newTemplate(text, spec.Topics, func(topic string) string {
		quoted := quote(topic)
		return quoted[1 : len(quoted)-1] // it stands in a string already
	})
	var event []any
	if err := json.Unmarshal(t.append(nil, 0, 0), &event); err != nil || len(event) == 0 {
		return template{}, fmt.Errorf("join %q: want a JSON array of an event's name and its arguments", text)
	}
	return t, nil
}

// packet is one Socket.IO packet, as far as a client of the main namespace wants to know it.
type packet struct {
	kind        byte // '0' to '6'
	namespace   []byte
	attachments uint8
	data        []byte
}

// parsePacket reads what follows Engine.IO's '4'.
func parsePacket(p []byte) (k packet, ok bool) {
	if len(p) == 0 || p[0] < '0' || p[0] > '6' {
		return k, false
	}
	k.kind, p = p[0], p[1:]
	if k.kind == '5' || k.kind == '6' {
		count, rest, found := bytes.Cut(p, []byte("-"))
		n, err := strconv.ParseUint(string(count[:min(len(count), 4)]), 10, 8)
		if !found || err != nil || len(count) > 3 || n > attachmentsMax {
			return k, false
		}
		k.attachments, p = uint8(n), rest
	}
	if len(p) > 0 && p[0] == '/' {
		k.namespace, p, _ = bytes.Cut(p, []byte(","))
	}
	k.data = bytes.TrimLeft(p, "0123456789") // behind the id of an answer that is wanted
	return k, true
}

// takeEngineIO handles one message of the server: an Engine.IO packet.
func (s *Swarm) takeEngineIO(l *netpoll.Loop, c *netpoll.Conn, i uint32, m frame.Message) {
	cl := &s.clients[i]
	if m.Op == frame.OpBinary {
		if cl.step <= stepConnected {
			s.refuse(l, c, "bad packet", 0)
			return
		}
		cl.step--
		s.receive(l, c, i, m.Payload)
		return
	}
	kind := byte(0)
	if len(m.Payload) > 0 && cl.step <= stepConnected { // text must not come while attachments are missing
		kind = m.Payload[0]
	}
	switch {
	case kind == '0' && cl.step == stepOpen:
		cl.step = stepConnect
		s.payload = s.connectPacket(s.payload[:0], i)
		s.sendFrame(l, c, frame.OpText, s.payload)
	case kind == '4' && cl.step > stepOpen:
		s.takeSocketIO(l, c, i, m.Payload[1:])
	case kind == '2' && cl.step > stepOpen:
		m.Payload[0] = '3'
		s.sendFrame(l, c, frame.OpText, m.Payload)
	case kind == '6' && cl.step > stepOpen:
	case kind == '1':
		s.refuse(l, c, "closed by engine.io", 0)
	default:
		s.refuse(l, c, "bad packet", 0)
	}
}

// takeSocketIO handles one Socket.IO packet.
func (s *Swarm) takeSocketIO(l *netpoll.Loop, c *netpoll.Conn, i uint32, p []byte) {
	cl := &s.clients[i]
	k, ok := parsePacket(p)
	if ok && (k.kind == '2' || k.kind == '5') && cl.step == stepConnect && s.resumes(i) {
		// Node's server sends what was missed in front of its answer.
		s.recovered(i)
		s.connected(l, c, i, true)
	}
	switch {
	case !ok:
		s.refuse(l, c, "bad packet", 0)
	case len(k.namespace) > 1:
		s.tally.foreign++ // of a namespace that we did not ask for
	case k.kind == '0' && cl.step == stepConnected && s.places != nil:
		s.takePID(i, k.data)
	case k.kind == '0' && cl.step == stepConnect:
		s.connected(l, c, i, s.takePID(i, k.data))
	case k.kind == '4' && cl.step == stepConnect:
		s.refuse(l, c, "connect error", 0)
	case k.kind == '1':
		s.refuse(l, c, "disconnected", 0)
	case cl.step != stepConnected:
		s.refuse(l, c, "bad packet", 0)
	case k.kind == '5' || k.kind == '6':
		s.note(i, lastArgument(k.data))
		cl.step += k.attachments
		if _, at := FindToken(k.data); at >= 0 || k.attachments == 0 {
			s.receive(l, c, i, k.data)
		}
	default:
		s.note(i, lastArgument(k.data))
		s.receive(l, c, i, k.data)
	}
}

// connected is for a client whose namespace has let it in. One that was recovered is in its rooms.
func (s *Swarm) connected(l *netpoll.Loop, c *netpoll.Conn, i uint32, recovered bool) {
	s.clients[i].step = stepConnected
	if len(s.join.pieces) > 0 && !recovered {
		s.payload = s.join.append(append(s.payload[:0], "42"...), s.topic(i), s.number(i))
		s.sendFrame(l, c, frame.OpText, s.payload)
	}
	s.opened(l, c, i)
}

// emitSocketIO sends s.payload as the argument of an event. With Echo the number of the message
// asks for an acknowledgement.
func (s *Swarm) emitSocketIO(l *netpoll.Loop, c *netpoll.Conn, t Token) {
	kind, argument := "42", `,"`
	if s.spec.Binary {
		kind, argument = "451-", `,{"_placeholder":true,"num":0}]`
	}
	s.envelope = append(s.envelope[:0], kind...)
	if s.spec.Mode == Echo {
		s.envelope = strconv.AppendUint(s.envelope, t.Seq, 10)
	}
	s.envelope = append(append(append(s.envelope, '['), s.event...), argument...)
	if s.spec.Binary {
		s.sendFrame(l, c, frame.OpText, s.envelope)
		s.sendFrame(l, c, frame.OpBinary, s.payload)
		return
	}
	s.envelope = append(append(s.envelope, s.payload...), `"]`...)
	s.sendFrame(l, c, frame.OpText, s.envelope)
}
