package wire

// session.go: from the bytes of a read to the bytes that they ask to be sent.

import (
	"bytes"
	"flag"

	"c100k-peers/peer"

	"github.com/gobwas/ws"
)

var each = flag.Bool("each", false, "write each message by itself, as the simplest examples of the library do, and not all that one read has brought at once")

// Session is the protocol state of one connection. The zero value awaits the handshake. It is not
// safe for concurrent use.
type Session struct {
	open      bool
	broadcast bool
	closed    bool
	held      []byte    // the beginning of a head or frame; nil while there is none, so that an idle connection has no buffer
	fragments []byte    // the message so far, when it comes in several frames
	op        ws.OpCode // of the first of them
	state     ws.State
}

// Output is what a read asks for. Its buffers may be used again for the next read.
type Output struct {
	Reply    []byte // to the sender: the handshake's answer, echoes, pongs, the close
	Everyone []byte // to the room
	Joined   bool   // the handshake to the room is done
	End      bool   // the connection ends when Reply has been sent

	send func()
}

// Begin makes the output ready for a read. Send is to send what the output has and to call Sent;
// Take calls it where it must not wait for more.
func (o *Output) Begin(send func()) {
	*o = Output{Reply: o.Reply[:0], Everyone: o.Everyone[:0], send: send}
}

// Sent empties the output.
func (o *Output) Sent() {
	o.Reply, o.Everyone, o.Joined = o.Reply[:0], o.Everyone[:0], false
}

// Take reads all that p completes, which may be many frames, so that they are answered by one
// write; with --each by one for each message. It unmasks in p and keeps nothing of it. What it asks
// for has been sent when it returns.
func (s *Session) Take(p []byte, out *Output) {
	if s.closed {
		return
	}
	defer out.send()
	if s.held != nil {
		s.held = append(s.held, p...)
		p = s.held
	}
	n := s.takeAll(p, out)
	switch {
	case out.End:
		s.closed = true
		s.held = nil
	case n == len(p):
		s.held = nil
	case n > 0 || s.held == nil:
		s.held = bytes.Clone(p[n:])
	}
}

// takeAll returns how much of p it has read.
func (s *Session) takeAll(p []byte, out *Output) (n int) {
	if !s.open {
		head, path, reply, err := upgrade(p, out.Reply)
		out.Reply = reply
		if err != nil {
			out.End = true
			return 0
		}
		if head == 0 {
			return 0
		}
		n = head
		s.open = true
		s.state = ws.StateServerSide
		s.broadcast = path == "/broadcast"
		out.Joined = s.broadcast
	}
	for n < len(p) && !out.End {
		used := s.takeFrame(p[n:], out)
		if used == 0 {
			break
		}
		n += used
	}
	return n
}

// takeFrame returns the frame's length, or 0 when p does not hold the whole of it.
func (s *Session) takeFrame(p []byte, out *Output) int {
	r := bytes.NewReader(p)
	h, err := ws.ReadHeader(r)
	if err != nil {
		return 0 // in memory a header can only be cut short
	}
	switch {
	case ws.CheckHeader(h, s.state) != nil:
		s.end(out, ws.StatusProtocolError)
		return len(p)
	case h.Length+int64(len(s.fragments)) > peer.MessageMax:
		s.end(out, ws.StatusMessageTooBig)
		return len(p)
	case int64(r.Len()) < h.Length:
		return 0
	}
	header := len(p) - r.Len()
	payload := p[header : header+int(h.Length)]
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		s.control(h.OpCode, payload, out)
	} else {
		s.data(h, payload, out)
	}
	return header + len(payload)
}

func (s *Session) control(op ws.OpCode, payload []byte, out *Output) {
	switch op {
	case ws.OpPing:
		out.Reply = appendFrame(out.Reply, ws.OpPong, payload)
	case ws.OpClose:
		out.Reply = appendFrame(out.Reply, ws.OpClose, payload[:min(2, len(payload))])
		out.End = true
	}
}

// data answers a whole message. Fragments are gathered until they are one.
func (s *Session) data(h ws.Header, payload []byte, out *Output) {
	switch {
	case h.Fin && h.OpCode != ws.OpContinuation:
		s.message(h.OpCode, payload, out)
	case h.OpCode != ws.OpContinuation:
		s.op = h.OpCode
		s.state = s.state.Set(ws.StateFragmented)
		s.fragments = append(s.fragments, payload...)
	default:
		s.fragments = append(s.fragments, payload...)
		if h.Fin {
			s.message(s.op, s.fragments, out)
			s.state = s.state.Clear(ws.StateFragmented)
			s.fragments = nil
		}
	}
}

func (s *Session) message(op ws.OpCode, payload []byte, out *Output) {
	if s.broadcast {
		out.Everyone = appendFrame(out.Everyone, op, payload)
	} else {
		out.Reply = appendFrame(out.Reply, op, payload)
	}
	if *each {
		out.send()
	}
}

func (s *Session) end(out *Output, code ws.StatusCode) {
	out.Reply = appendFrame(out.Reply, ws.OpClose, ws.NewCloseFrameBody(code, ""))
	out.End = true
}

func appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	b := bytes.NewBuffer(dst)
	ws.WriteHeader(b, ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))}) // to memory: it cannot fail
	b.Write(payload)
	return b.Bytes()
}
