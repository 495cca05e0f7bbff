// permessage-deflate without context takeover (RFC 7692, section 7.2): each message is a stream of
// its own.

package frame

import (
	stdflate "compress/flate"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/flate"
)

// flushTail ends a stream that was flushed and not finished. RFC 7692, 7.2.1: the sender removes
// it.
const flushTail = "\x00\x00\xff\xff"

// inflateTail is what is read behind a payload. RFC 7692, 7.2.2: append 00 00 ff ff. The empty
// final block behind it tells the decompressor that the end is meant.
const inflateTail = flushTail + "\x01\x00\x00\xff\xff"

// Window is the window of a compressor, as the base-2 logarithm of its size in bytes: a match in
// compressed data lies at most that far behind. The zero value means that a connection has no
// compression.
type Window uint8

// The windows in which a server compresses. A message that is compressed once must fit many
// connections, so there are only two.
const (
	NoWindow     Window = 0
	WindowNarrow Window = 8  // fits every client that asks for a smaller window than the largest
	WindowFull   Window = 15 // the largest
)

// AppendCompressed appends payload as the payload of a compressed frame (its header: AppendHeader
// with compressed set), in WindowNarrow or WindowFull. The result depends on nothing but payload
// and window, so it fits every connection for which NegotiateDeflate has returned that window, and
// with WindowNarrow those with WindowFull too. Data that does not compress grows a little: callers
// compare.
func AppendCompressed(dst, payload []byte, window Window) []byte {
	if len(payload) == 0 {
		// RFC 7692, 7.2.3.6: an empty message is one byte 0x00.
		return append(dst, 0)
	}
	if window == WindowNarrow {
		dst = appendNarrow(dst, payload)
	} else {
		dst = appendFull(dst, payload)
	}
	return dst[:len(dst)-len(flushTail)]
}

// appendFull needs no memory between calls. The only errors are those of the writer, which has
// none.
func appendFull(dst, payload []byte) []byte {
	w := writers.Get().(*writer)
	w.buf = dst
	_ = flate.StatelessDeflate(w, payload, false, nil)
	dst, w.buf = w.buf, nil
	writers.Put(w)
	return dst
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// appendNarrow takes a compressor whose window can be chosen. It has 700 KiB of tables, which the
// pool keeps while there are connections that need it.
func appendNarrow(dst, payload []byte) []byte {
	w := narrowWriters.Get().(*narrowWriter)
	w.buf = dst
	w.stream.Reset(&w.writer)
	_, _ = w.stream.Write(payload)
	_ = w.stream.Flush()
	dst, w.buf = w.buf, nil
	narrowWriters.Put(w)
	return dst
}

var narrowWriters = sync.Pool{New: func() any {
	w := new(narrowWriter)
	w.stream, _ = flate.NewWriterWindow(&w.writer, 1<<WindowNarrow) // which refuses sizes below 32 only
	return w
}}

type narrowWriter struct {
	writer
	stream *flate.Writer
}

// writer appends what is written to it.
type writer struct{ buf []byte }

func (w *writer) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

// Inflate appends the message whose compressed payload is given. It returns ErrTooBig if that has
// more than limit bytes and ErrCorrupt if it is not DEFLATE; dst is returned unchanged then. dst
// grows once, to exactly the size needed, after the size is known: beside it a call holds a pooled
// window of fixed size and nothing else, whatever the payload claims. payload is not kept.
func Inflate(dst, payload []byte, limit int) ([]byte, error) {
	dst, bad := inflate(dst, payload, limit)
	if bad != nil {
		return dst, bad
	}
	return dst, nil
}

func inflate(dst, payload []byte, limit int) ([]byte, *Error) {
	f := inflaters.Get().(*inflater)
	defer f.free()

	f.open(payload)
	n, ended, bad := f.read(f.window[:])
	if ended && n <= limit {
		return append(dst, f.window[:n]...), nil
	}
	// It goes on behind the window: measure it first, by letting the rest pass through.
	total := n
	for bad == nil && !ended && total <= limit {
		n, ended, bad = f.read(f.window[:])
		total += n
	}
	if bad != nil {
		return dst, bad
	}
	if total > limit {
		return dst, ErrTooBig
	}
	f.open(payload)
	whole := slices.Grow(dst, total)[:len(dst)+total]
	if n, _, bad = f.read(whole[len(dst):]); bad != nil || n != total {
		return dst, ErrCorrupt
	}
	return whole, nil
}

// inflater is a pooled decompressor with its input and its window.
type inflater struct {
	payload []byte
	pos     int // bytes consumed, of payload and then of inflateTail
	stream  io.ReadCloser
	window  [inflateWindowBytes]byte
}

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// open starts a message.
func (f *inflater) open(payload []byte) {
	f.payload, f.pos = payload, 0
	f.reset()
}

// reset starts a stream at the current position, with an empty window.
func (f *inflater) reset() {
	if f.stream == nil {
		f.stream = stdflate.NewReader(f)
		return
	}
	// Reset only fails without a reader.
	_ = f.stream.(stdflate.Resetter).Reset(f, nil)
}

func (f *inflater) free() {
	f.payload = nil
	inflaters.Put(f)
}

// read fills p. ended says that the message ends with it.
func (f *inflater) read(p []byte) (n int, ended bool, bad *Error) {
	for {
		k, err := f.stream.Read(p[n:])
		n += k
		switch {
		case err == io.EOF:
			if f.atEnd() {
				return n, true, nil
			}
			if f.pos > len(f.payload) {
				return n, false, ErrCorrupt
			}
			// RFC 7692, 7.2.3.4: a sender may flush by blocks with BFINAL set. Each ends a stream
			// in the middle of the message; the next one begins at the next byte.
			f.reset()
		case err != nil:
			return n, false, ErrCorrupt
		case n == len(p):
			return n, false, nil
		}
	}
}

// atEnd reports whether a stream that has just ended was the message's last: behind the tail, or
// with a final block at the payload's very end.
func (f *inflater) atEnd() bool {
	return f.pos == len(f.payload) || f.pos == len(f.payload)+len(inflateTail)
}

// ReadByte hands payload and tail to the decompressor, which takes no byte more than it needs from
// an io.ByteReader.
func (f *inflater) ReadByte() (byte, error) {
	i := f.pos
	if i < len(f.payload) {
		f.pos++
		return f.payload[i], nil
	}
	if i -= len(f.payload); i < len(inflateTail) {
		f.pos++
		return inflateTail[i], nil
	}
	return 0, io.EOF
}

// Read does the same for stored blocks.
func (f *inflater) Read(p []byte) (n int, err error) {
	if f.pos < len(f.payload) {
		n = copy(p, f.payload[f.pos:])
	} else if n = copy(p, inflateTail[f.pos-len(f.payload):]); n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	f.pos += n
	return n, nil
}
