// The role of WebSocket connections: frames in, messages out, whatever the protocol inside.

package swarm

import (
	"strconv"

	"c100k/frame"
	"c100k/netpoll"
)

// socket is the netpoll.Handler of WebSocket connections.
type socket struct{ s *Swarm }

// OnOpen begins the protocol's own handshake, where it has one.
func (w *socket) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	s, i := w.s, c.Tag()-1
	l.Arm(c, s.spec.Timeout-(l.Now()-s.clients[i].began)) // it holds for all of the handshake
	switch s.spec.Protocol {
	case V1:
		s.subscribe(l, c, i)
	case SocketIO: // the server speaks first
	default:
		s.hello(l, c, i)
	}
}

// hello says what the Spec wants said first, and opens the client where that is nothing.
func (s *Swarm) hello(l *netpoll.Loop, c *netpoll.Conn, i uint32) {
	if s.spec.Hello == "" {
		s.opened(l, c, i)
		return
	}
	l.Arm(c, s.spec.Timeout)
	s.sendFrame(l, c, frame.OpText, []byte(s.spec.Hello))
}

// OnData takes p apart.
func (w *socket) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	s, i := w.s, c.Tag()-1
	s.handled = true
	cl := &s.clients[i]
	r := s.attach(cl)
	for len(p) > 0 {
		m, rest, err := r.Next(&s.options, p)
		if err != nil {
			s.protest(l, c, err)
			return
		}
		if !m.Complete {
			break
		}
		p = rest
		s.take(l, c, i, m)
		if c.Closing() || c.Tag() == 0 {
			return
		}
	}
	s.keep(cl, r)
	s.answerPing(l, c)
}

// attach returns the parser that stands where the connection's input stopped.
func (s *Swarm) attach(cl *client) *frame.Reader {
	s.pinged = false
	if cl.partial != 0 {
		return s.readers.At(cl.partial)
	}
	if !s.reader.Idle() {
		s.reader.Release() // of a connection that ended in the middle of a read
	}
	return &s.reader
}

// keep stores the parser if it holds something, and otherwise gives it back.
func (s *Swarm) keep(cl *client, r *frame.Reader) {
	switch idle := r.Idle(); {
	case cl.partial == 0 && !idle:
		index, held := s.readers.Alloc()
		*held, s.reader = s.reader, frame.Reader{}
		cl.partial = index
	case cl.partial != 0 && idle:
		s.readers.Free(cl.partial)
		cl.partial = 0
	}
}

// take handles one message or control frame.
func (s *Swarm) take(l *netpoll.Loop, c *netpoll.Conn, i uint32, m frame.Message) {
	switch m.Op {
	case frame.OpPing:
		// RFC 6455, 5.5.3: of several pings only the latest need be answered.
		s.pong, s.pinged = append(s.pong[:0], m.Payload...), true
	case frame.OpPong:
	case frame.OpClose:
		s.closeAnswered(l, c, i, m.Payload)
	default:
		switch s.spec.Protocol {
		case V1:
			s.takeV1(l, c, i, m.Payload)
		case SocketIO:
			s.takeEngineIO(l, c, i, m)
		default:
			if s.clients[i].state == connecting { // the answer to hello
				s.tally.foreign++
				s.opened(l, c, i)
				return
			}
			s.receive(l, c, i, m.Payload)
		}
	}
}

func (s *Swarm) answerPing(l *netpoll.Loop, c *netpoll.Conn) {
	if s.pinged {
		s.pinged = false
		s.sendFrame(l, c, frame.OpPong, s.pong)
	}
}

// sendFrame sends one frame; payload is copied.
func (s *Swarm) sendFrame(l *netpoll.Loop, c *netpoll.Conn, op frame.OpCode, payload []byte) {
	s.scratch = frame.AppendMasked(s.scratch[:0], op, true, s.mask(), payload)
	l.Send(c, s.scratch)
}

// closeAnswered is for the server's close frame: the answer to ours, or one that we answer.
func (s *Swarm) closeAnswered(l *netpoll.Loop, c *netpoll.Conn, i uint32, payload []byte) {
	code, _, err := frame.ParseClose(payload)
	if err != nil {
		s.protest(l, c, err)
		return
	}
	cl := &s.clients[i]
	if cl.state == closing {
		return // the server closes the connection now
	}
	if cl.state == connecting {
		s.refuse(l, c, "closed "+strconv.Itoa(int(code)), 0)
		return
	}
	s.beginClose(i)
	cl.code = code
	s.sendFrame(l, c, frame.OpClose, frame.AppendCloseBody(nil, code, ""))
	l.Arm(c, closeLinger)
}

// protest ends a connection whose server breaks the rules.
func (s *Swarm) protest(l *netpoll.Loop, c *netpoll.Conn, err error) {
	bad := err.(*frame.Error) // frame returns no other
	s.sendFrame(l, c, frame.OpClose, frame.AppendCloseBody(nil, bad.Code, bad.Reason))
	s.leave(s.forget(c), "bad frame: "+bad.Reason, 0)
	l.Finish(c, netpoll.ReasonProtocol, closeLinger)
}

// sayClose sends a close frame because we want to end: the server is to answer it and to close the
// connection (RFC 6455, 7.1.1).
func (s *Swarm) sayClose(l *netpoll.Loop, c *netpoll.Conn, i uint32) {
	cl := &s.clients[i]
	cl.flags |= flagOurs
	s.beginClose(i)
	if c.Role() != roleSocket {
		l.Finish(c, netpoll.ReasonLocal, closeLinger)
		return
	}
	s.sendFrame(l, c, frame.OpClose, frame.AppendCloseBody(nil, frame.CodeNormal, ""))
	l.Arm(c, closeLinger)
}

// beginClose makes an open client one that closes.
func (s *Swarm) beginClose(i uint32) {
	cl := &s.clients[i]
	if cl.state == open {
		s.open--
		s.away(i)
	}
	cl.state = closing
}

// OnTimer is the timeout of the protocol's handshake, or of a server that should have
// closed.
func (w *socket) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	s := w.s
	if s.clients[c.Tag()-1].state == closing {
		l.Close(c, netpoll.ReasonLocal)
		return
	}
	s.refuse(l, c, "timeout", 0)
}

// OnWritable does nothing: the schedule passes over a connection with too much pending output.
func (w *socket) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose is the last of a connection.
func (w *socket) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) { w.s.gone(l, c, r) }
