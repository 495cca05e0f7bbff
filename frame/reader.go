// The incremental parser: bytes of one connection in, complete messages out.

package frame

import (
	"math/bits"
	"unicode/utf8"

	asm "github.com/segmentio/asm/utf8"
)

// Options is what a Reader must know of its connection. It is not changed and may be shared by all
// connections of a role.
type Options struct {
	MessageBytesMax int  // largest payload, in bytes: declared, over all fragments, and inflated. 0 means MessageBytesDefault
	Client          bool // reads a server's frames, which are unmasked; the default is the server's side
	Deflate         bool // permessage-deflate was negotiated: RSV1 is legal
}

// messageBytesMax is the limit in force.
func (o *Options) messageBytesMax() int {
	if o.MessageBytesMax <= 0 {
		return MessageBytesDefault
	}
	return min(o.MessageBytesMax, messageBytesMost)
}

// Message is one complete message or one control frame. The zero Message, with Complete false, says
// that more bytes are needed.
type Message struct {
	Payload    []byte
	Head       []byte // bytes directly in front of Payload, in the same memory, free for a reply's header; nil where there are none
	Op         OpCode
	Complete   bool
	Compressed bool // the message came compressed; Payload is inflated
	Owned      bool // Payload is heap memory that nothing else refers to: the caller may keep it for good
}

// InPlace makes a server's frame of m, of kind m.Op, by writing the header into the end of m.Head,
// in front of the payload: header and payload come back as one slice, which lives as long as the
// payload does. The payload may have been changed or cut at its end before. ok is false, and
// nothing is written, where there is no room: the message was inflated, is a control frame that
// straddled reads, or its header came in pieces.
func (m *Message) InPlace() (reply []byte, ok bool) {
	n := len(m.Payload)
	size := replyHeaderBytes(n)
	if len(m.Head) < size || cap(m.Head) < len(m.Head)+n {
		return nil, false
	}
	if n > 0 && &m.Head[:len(m.Head)+1][len(m.Head)] != &m.Payload[0] {
		return nil, false
	}
	reply = m.Head[len(m.Head)-size : len(m.Head)+n]
	AppendHeader(reply[:0], m.Op, false, n)
	return reply, true
}

// stage is where in the stream a Reader stands.
type stage uint8

const (
	stageHeader  stage = iota // before or inside a header
	stagePayload              // inside a payload
	stageClosed               // behind a close frame
	stageDead                 // behind an error
)

// Reader parses the frames that one connection receives. The zero value stands at a frame boundary
// and holds nothing. The owner of the connection calls it, one goroutine at a time. It is not to be
// copied while it is in use.
type Reader struct {
	buf []byte // what has come of a split message, behind room for a reply's header; nil if nothing
	err *Error // what a dead Reader answers

	// The current frame.
	remain int64  // payload bytes still to come
	mask   uint32 // rotated so that its lowest byte meets the next payload byte
	first  byte   // first byte of its header

	stage      stage
	op         OpCode // kind of the open message; 0 when none is
	compressed bool   // the open message is
	text       utf8Check

	// An unfinished header, or what has come of a control frame's payload: never both.
	nheld uint8
	held  [ControlBytesMax]byte
}

// Idle reports whether the Reader stands at a frame boundary and holds nothing: it may be dropped,
// and a zero Reader continues in its place.
func (r *Reader) Idle() bool {
	return r.stage == stageHeader && r.nheld == 0 && r.op == 0
}

// Buffered returns the heap memory that the Reader holds, in bytes: at most twice what has arrived
// of the open message, and never more than the limit (and a few bytes).
func (r *Reader) Buffered() int { return cap(r.buf) }

// Release gives everything back and makes the Reader the zero value again, ready for another
// connection. Payloads that it handed out stay valid except those of control frames that straddled
// reads.
func (r *Reader) Release() { *r = Reader{} }

// Next returns the next complete message or control frame that p, together with what came before,
// holds, and the rest of p, to be given to the next call. A Message that is not Complete says that
// p is used up and more is needed. p may be modified; see Message for how long the payload lives.
//
// err is an *Error, the connection is to be closed with its code, and every later call returns it
// again. After a close frame, all input is discarded (RFC 6455, 1.4). o must be the same in all
// calls.
func (r *Reader) Next(o *Options, p []byte) (m Message, rest []byte, err error) {
	rest, err = r.Read(o, p, &m)
	return m, rest, err
}

// Read is Next for callers that read very many short messages: it overwrites m. A Message that is
// returned is copied, and that is a good part of what a short one costs.
func (r *Reader) Read(o *Options, p []byte, m *Message) (rest []byte, err error) {
	if r.stage != stageHeader || r.nheld != 0 || r.op != 0 {
		return r.read(o, p, m)
	}
	h, bad := parseHeader(p, o.Client)
	if bad != nil {
		return r.fail(bad, m)
	}
	op, n := h.op(), len(p)-h.size
	if h.size == 0 || !h.fin() || h.compressed() || h.length > int64(n) || op == OpContinuation || op == OpClose {
		return r.read(o, p, m)
	}

	// A whole message of one frame, the usual case: nothing of it passes through the Reader.
	if h.length > int64(o.messageBytesMax()) && !op.IsControl() {
		return r.fail(ErrTooBig, m)
	}
	end := h.size + int(h.length)
	payload := p[h.size:end:end]
	unmask(payload, h.mask)
	if op == OpText && !validUTF8(payload) {
		return r.fail(ErrNotUTF8, m)
	}
	// Field by field: a Message made elsewhere and copied here is read before its parts have left
	// the processor's store buffer.
	m.Payload, m.Head = payload, p[:h.size:end]
	m.Op, m.Complete, m.Compressed, m.Owned = op, true, false, false
	return p[end:], nil
}

// read is Read for everything that is split, compressed, closing or wrong.
func (r *Reader) read(o *Options, p []byte, m *Message) (rest []byte, err error) {
	*m = Message{}
	for {
		var head []byte // the current frame's header, or its end, if it lies in p in front of the payload
		switch r.stage {
		case stageHeader:
			n, bad := r.readHeader(o, p)
			if bad != nil {
				return r.fail(bad, m)
			}
			if r.stage == stageHeader {
				return nil, nil
			}
			head, p = p[:n], p[n:]
		case stageClosed:
			return nil, nil
		case stageDead:
			return nil, r.err
		}

		whole, n, bad := r.readPayload(o, p)
		if bad != nil {
			return r.fail(bad, m)
		}
		if whole.Complete {
			if len(head) > 0 && !whole.Owned {
				whole.Head = head[: len(head) : len(head)+n]
			}
			*m = whole
			return p[n:], nil
		}
		if r.stage == stagePayload {
			return nil, nil
		}
		p = p[n:]
	}
}

// fail kills the Reader.
func (r *Reader) fail(bad *Error, m *Message) (rest []byte, err error) {
	*r = Reader{stage: stageDead, err: bad}
	*m = Message{}
	return nil, bad
}

// readHeader takes n bytes of header from p. The stage says whether the header is complete.
func (r *Reader) readHeader(o *Options, p []byte) (n int, bad *Error) {
	var h header
	if r.nheld == 0 {
		if h, bad = parseHeader(p, o.Client); bad != nil {
			return 0, bad
		}
		if h.size != 0 {
			return h.size, r.begin(o, h)
		}
	}
	for _, b := range p {
		r.held[r.nheld] = b
		r.nheld++
		n++
		if h, bad = parseHeader(r.held[:r.nheld], o.Client); bad != nil {
			return 0, bad
		}
		if h.size != 0 {
			r.nheld = 0
			return n, r.begin(o, h)
		}
	}
	return n, nil
}

// begin starts a frame, after judging its header by what came before it.
func (r *Reader) begin(o *Options, h header) *Error {
	if op := h.op(); !op.IsControl() {
		if bad := r.beginData(o, h, op); bad != nil {
			return bad
		}
	}
	r.first, r.mask, r.remain = h.first, h.mask, h.length
	r.stage = stagePayload
	return nil
}

// beginData starts a data frame.
func (r *Reader) beginData(o *Options, h header, op OpCode) *Error {
	switch {
	case h.compressed() && !o.Deflate:
		// RFC 6455, 5.2: RSV1 MUST be 0 unless an extension is negotiated that defines a meaning.
		return errReserved
	case op == OpContinuation && r.op == 0:
		// RFC 6455, 5.4: a continuation belongs to a message begun.
		return errContinuation
	case op != OpContinuation && r.op != 0:
		// RFC 6455, 5.4: the fragments of one message MUST NOT be interleaved between the fragments
		// of another.
		return errNoContinuation
	case op != OpContinuation:
		r.op, r.compressed, r.text = op, h.compressed(), utf8Check{}
	}
	// Refused before a byte of it is held, and with all fragments counted.
	if h.length > int64(r.limit(o)-r.gathered()) {
		return ErrTooBig
	}
	return nil
}

// limit bounds the open message as it comes over the wire, in bytes.
func (r *Reader) limit(o *Options) int {
	if r.compressed {
		return compressedBytesMax(o.messageBytesMax())
	}
	return o.messageBytesMax()
}

// readPayload takes n bytes of the current frame's payload from p. The stage says whether the frame
// is complete, m whether the message is.
func (r *Reader) readPayload(o *Options, p []byte) (m Message, n int, bad *Error) {
	chunk := p[:min(int64(len(p)), r.remain)]
	chunk = chunk[:len(chunk):len(chunk)]
	r.remain -= int64(len(chunk))
	// RFC 6455, 5.3: byte i of the payload meets byte i modulo 4 of the mask, whatever the reads
	// were.
	unmask(chunk, r.mask)
	r.mask = bits.RotateLeft32(r.mask, -8*(len(chunk)&3))
	if r.remain == 0 {
		r.stage = stageHeader
	}
	if op := OpCode(r.first & 0x0f); op.IsControl() {
		return r.readControl(op, chunk), len(chunk), nil
	}
	m, bad = r.readData(o, chunk)
	return m, len(chunk), bad
}

// readControl takes a piece of a control frame.
func (r *Reader) readControl(op OpCode, chunk []byte) Message {
	if r.remain > 0 || r.nheld > 0 {
		r.nheld += uint8(copy(r.held[r.nheld:], chunk))
		chunk = r.held[:r.nheld]
	}
	if r.remain > 0 {
		return Message{}
	}
	r.nheld = 0
	if op == OpClose {
		r.stage, r.op, r.buf = stageClosed, 0, nil
	}
	return Message{Op: op, Complete: true, Payload: chunk}
}

// readData takes a piece of a data frame.
func (r *Reader) readData(o *Options, chunk []byte) (m Message, bad *Error) {
	plainText := r.op == OpText && !r.compressed
	// RFC 6455, 8.1: text that is not UTF-8 MUST fail the connection; no later byte can repair it, so
	// it fails now.
	if plainText && !r.text.write(chunk) {
		return Message{}, ErrNotUTF8
	}
	fin := r.first&bitFin != 0
	if r.remain > 0 || !fin {
		r.gather(o, chunk)
		return Message{}, nil
	}
	if plainText && !r.text.complete() {
		return Message{}, ErrNotUTF8
	}
	return r.finish(o, chunk)
}

// finish makes the message whose last piece is chunk.
func (r *Reader) finish(o *Options, chunk []byte) (Message, *Error) {
	m := Message{Op: r.op, Complete: true, Compressed: r.compressed, Payload: chunk}
	if r.buf != nil {
		r.gather(o, chunk)
		m.Head, m.Payload, m.Owned = r.buf[:replyHeaderBytesMax], r.buf[replyHeaderBytesMax:], true
		r.buf = nil
	}
	r.op, r.compressed = 0, false
	if !m.Compressed {
		return m, nil
	}
	inflated, err := inflate(nil, m.Payload, o.messageBytesMax())
	if err != nil {
		return Message{}, err
	}
	if m.Op == OpText && !validUTF8(inflated) {
		return Message{}, ErrNotUTF8
	}
	m.Head, m.Payload, m.Owned = nil, inflated, true
	return m, nil
}

// gather keeps a piece of the open message.
func (r *Reader) gather(o *Options, chunk []byte) {
	if len(chunk) == 0 {
		return
	}
	need := max(len(r.buf), replyHeaderBytesMax) + len(chunk)
	if need > cap(r.buf) {
		r.grow(o, need)
	}
	r.buf = append(r.buf, chunk...)
}

// grow makes room for need bytes, doubling so that each byte is moved once on average, but never
// beyond what the message can still become.
func (r *Reader) grow(o *Options, need int) {
	most := replyHeaderBytesMax + r.limit(o)
	if r.first&bitFin != 0 {
		most = need + int(r.remain)
	}
	buf := make([]byte, replyHeaderBytesMax, min(max(need, 2*cap(r.buf), bufferBytesMin), most))
	if r.buf != nil {
		buf = append(buf, r.buf[replyHeaderBytesMax:]...)
	}
	r.buf = buf
}

// Held is the memory of the open message, in bytes.
func (r *Reader) Held() int { return cap(r.buf) }

// gathered is how much of the open message has come, in bytes.
func (r *Reader) gathered() int {
	return max(len(r.buf)-replyHeaderBytesMax, 0)
}

// validUTF8 reports whether p is UTF-8. The vector code does non-ASCII text at ten times the speed
// of the standard library, which is as fast on ASCII and faster on what is shorter than one vector.
func validUTF8(p []byte) bool {
	if len(p) < 32 {
		return utf8.Valid(p)
	}
	return asm.Valid(p)
}
