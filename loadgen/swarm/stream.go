// The role of event streams: the body of a response that does not end.

package swarm

import "c100k/netpoll"

// eventStream is the netpoll.Handler of connections of SSE.
type eventStream struct{ s *Swarm }

// stream is what a client keeps of its event stream.
type stream struct {
	lines lines
	body  body
	data  bool // the event has had a data line
	token bool // in which was a token
}

// beginStream makes the record of a connection whose head has been read.
func (s *Swarm) beginStream(cl *client, r *response) {
	index, st := s.streams.Alloc()
	cl.partial = index
	switch {
	case r.chunked: // RFC 9112, 6.3: it overrides a length
		st.body.state = chunkSize
	case r.length >= 0:
		st.body.state, st.body.left = bodyLength, r.length
	}
	if st.body.state == bodyLength && st.body.left == 0 {
		st.body.state = bodyEnded
	}
}

// OnOpen does nothing: the answer has been judged already.
func (e *eventStream) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

// OnData takes p apart: pieces of the body, lines of the stream.
func (e *eventStream) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	s, i := e.s, c.Tag()-1
	s.handled = true
	st := s.streams.At(s.clients[i].partial)
	for len(p) > 0 {
		piece, rest, err := st.body.next(p)
		switch {
		case err == errBodyEnd:
			s.refuse(l, c, "eof", 0)
			return
		case err != nil:
			s.refuse(l, c, "bad chunk", 0)
			return
		}
		p = rest
		if err := s.takeLines(l, c, i, st, piece); err != nil {
			s.refuse(l, c, err.Error(), 0)
			return
		}
	}
	if st.body.state == bodyEnded {
		s.refuse(l, c, "eof", 0)
	}
}

func (s *Swarm) takeLines(l *netpoll.Loop, c *netpoll.Conn, i uint32, st *stream, p []byte) error {
	for len(p) > 0 {
		line, rest, ok, err := st.lines.next(p)
		if err != nil {
			return err
		}
		if ok {
			s.takeLine(l, c, i, st, line)
		}
		p = rest
	}
	return nil
}

// takeLine counts an event where its empty line comes, except that one with a token is received
// with the line that holds it.
func (s *Swarm) takeLine(l *netpoll.Loop, c *netpoll.Conn, i uint32, st *stream, line []byte) {
	if len(line) == 0 {
		if st.data && !st.token {
			s.tally.foreign++
		}
		st.data, st.token = false, false
		return
	}
	switch name, value := field(line); string(name) {
	case "id":
		s.note(i, value)
	case "event":
		if string(value) == "reset" {
			s.beganAnew(i)
		}
	case "data":
		st.data = true
		if t, at := FindToken(value); at >= 0 {
			st.token = true
			s.receiveToken(l, c, i, value, at, t)
		}
	}
}

// OnTimer is the end of a lingering close.
func (e *eventStream) OnTimer(l *netpoll.Loop, c *netpoll.Conn) { l.Close(c, netpoll.ReasonLocal) }

// OnWritable does nothing: the request is all that a stream sends.
func (e *eventStream) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

// OnClose is for what the server or the network has ended.
func (e *eventStream) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) { e.s.gone(l, c, r) }
