// The buffer of a message that is split over reads or fragments. It pays for bytes that have arrived, not for fragments and not for promises.

package frame

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

// grow makes room for need bytes, doubling so that each byte is moved once on average, but never beyond what the message can still become.
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

// gathered is how much of the open message has come, in bytes.
func (r *Reader) gathered() int {
	return max(len(r.buf)-replyHeaderBytesMax, 0)
}

// Idle reports whether the Reader stands at a frame boundary and holds nothing: it may be dropped, and a zero Reader continues in its place.
func (r *Reader) Idle() bool {
	return r.stage == stageHeader && r.nheld == 0 && r.op == 0
}

// Buffered returns the heap memory that the Reader holds, in bytes: at most twice what has arrived of the open message, and never more than the limit
// (and a few bytes).
func (r *Reader) Buffered() int { return cap(r.buf) }

// Release gives everything back and makes the Reader the zero value again, ready for another connection. Payloads that it handed out stay valid
// except those of control frames that straddled reads.
func (r *Reader) Release() { *r = Reader{} }
