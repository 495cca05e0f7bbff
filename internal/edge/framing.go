// The framing of request bodies, RFC 9112, sections 6 and 7: where a body ends, and which of its
// bytes are data.

package edge

// framer follows the bytes of one body. The zero value is at the end of a body.
type framer struct {
	state framerState
	left  int64 // bytes of the body, or of the chunk, still to come
	count int   // digits of the chunk size, bytes of its extensions, or of the trailer section
}

type framerState uint8

const (
	bodyDone      framerState = iota
	bodyLength                // left bytes
	chunkSize                 // at least one hexadecimal digit
	chunkSizeMore             // more of them, or the end of the size
	extensionName             // white space, or the first byte of a name
	extensionNameMore
	extensionNameSpace // white space behind a name
	extensionValue     // white space, or the first byte of a value
	extensionValueMore
	extensionQuoted
	extensionEscape     // behind a backslash
	extensionValueEnd   // behind a quoted string
	extensionValueSpace // white space behind a value
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerLine // the first byte of a line
	trailerName
	trailerValue
	trailerLF
	trailerEndLF
)

// begin starts the body of a head.
func (f *framer) begin(h *Head) {
	*f = framer{}
	switch {
	case h.Chunked():
		f.state = chunkSize
	case h.length > 0:
		f.state, f.left = bodyLength, h.length
	}
}

// done tells whether the body is complete.
func (f *framer) done() bool { return f.state == bodyDone }

// readMax is how many bytes one read may take, so that the part that belongs to the next message is
// bounded.
func (f *framer) readMax() int64 {
	if f.state == bodyLength {
		return f.left
	}
	return guardReadBytesMax
}

// advance consumes the bytes of p that belong to the body; n is their number. It is less than
// len(p) at the end of the body, or in front of a byte that breaks the framing.
func (f *framer) advance(p []byte) (n int, refusal *Refusal) {
	for n < len(p) && f.state != bodyDone {
		if f.state == bodyLength || f.state == chunkData {
			n += f.skip(len(p) - n)
			continue
		}
		if refusal = f.step(p[n]); refusal != nil {
			return n, refusal
		}
		n++
	}
	return n, nil
}

// skip consumes up to n bytes of data.
func (f *framer) skip(n int) int {
	n = int(min(int64(n), f.left))
	f.left -= int64(n)
	if f.left == 0 {
		if f.state == chunkData {
			f.state = chunkDataCR
		} else {
			f.state = bodyDone
		}
	}
	return n
}

// step consumes one byte of the framing.
func (f *framer) step(b byte) *Refusal {
	switch f.state {
	case chunkSize, chunkSizeMore:
		return f.size(b)
	case extensionName, extensionNameMore, extensionNameSpace, extensionValue, extensionValueMore, extensionQuoted, extensionEscape,
		extensionValueEnd, extensionValueSpace:
		return f.extension(b)
	case chunkSizeLF:
		next := chunkData
		if f.left == 0 {
			next = trailerLine
		}
		return f.want(b, '\n', next, badChunkEnd)
	case chunkDataCR:
		return f.want(b, '\r', chunkDataLF, badChunkEnd)
	case chunkDataLF:
		return f.want(b, '\n', chunkSize, badChunkEnd)
	}
	return f.trailer(b)
}

// want consumes one required byte and resets the count.
func (f *framer) want(b, wanted byte, next framerState, refusal *Refusal) *Refusal {
	if b != wanted {
		return refusal
	}
	f.state, f.count = next, 0
	return nil
}

// size reads a chunk size: RFC 9112, 7.1: recipients MUST anticipate large numerals and prevent
// overflows.
func (f *framer) size(b byte) *Refusal {
	digit := unhex(b)
	switch {
	case digit >= 0 && f.count < chunkDigitsMax:
		f.left = f.left<<4 | int64(digit)
		f.count++
		f.state = chunkSizeMore
	case digit < 0 && f.state == chunkSizeMore && b == '\r':
		f.state = chunkSizeLF
	case digit < 0 && f.state == chunkSizeMore && b == ';':
		f.state, f.count = extensionName, 0
	default:
		return badChunkSize
	}
	return nil
}

// extension checks and ignores the extensions of a chunk. RFC 9112, 7.1.1: a server ought to limit
// their total length, and the grammar is
//
//	*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )
func (f *framer) extension(b byte) *Refusal {
	f.count++
	next, ok := f.state, f.count <= chunkExtensionBytesMax
	token := classes[b]&inToken != 0
	switch f.state {
	case extensionName, extensionValue: // in front of the first byte of it
		switch {
		case isSpace(b):
		case token && f.state == extensionName:
			next = extensionNameMore
		case token:
			next = extensionValueMore
		case b == '"' && f.state == extensionValue:
			next = extensionQuoted
		default:
			ok = false
		}
	case extensionQuoted:
		switch {
		case b == '"':
			next = extensionValueEnd
		case b == '\\':
			next = extensionEscape
		default:
			ok = ok && classes[b]&inText != 0
		}
	case extensionEscape:
		next = extensionQuoted
		ok = ok && classes[b]&inText != 0
	default: // in a token, or behind one or a quoted string
		next, ok = f.extensionEnd(b, token, ok)
	}
	if !ok {
		return badChunkExtension
	}
	f.state = next
	return nil
}

// extensionEnd is the part of extension that is for the bytes of a name or value, except the first
// one, and for those behind it.
func (f *framer) extensionEnd(b byte, token, within bool) (next framerState, ok bool) {
	inToken := f.state == extensionNameMore || f.state == extensionValueMore
	ofName := f.state == extensionNameMore || f.state == extensionNameSpace
	afterSpace := f.state == extensionNameSpace || f.state == extensionValueSpace
	switch {
	case token && inToken:
		next = f.state
	case isSpace(b) && ofName:
		next = extensionNameSpace
	case isSpace(b):
		next = extensionValueSpace
	case b == ';':
		next = extensionName
	case b == '=' && ofName:
		next = extensionValue
	case b == '\r' && !afterSpace:
		next = chunkSizeLF
	default:
		return f.state, false
	}
	return next, within
}

// trailer checks and ignores the trailer section, whose fields have the grammar of header fields:
// RFC 9112, 7.1.2.
func (f *framer) trailer(b byte) *Refusal {
	if f.count++; f.count > trailerBytesMax {
		return badTrailer
	}
	token := classes[b]&inToken != 0
	switch {
	case f.state == trailerLine && b == '\r':
		f.state = trailerEndLF
	case f.state == trailerLine && token:
		f.state = trailerName
	case f.state == trailerName && token:
	case f.state == trailerName && b == ':':
		f.state = trailerValue
	case f.state == trailerValue && b == '\r':
		f.state = trailerLF
	case f.state == trailerValue && classes[b]&inText != 0:
	case f.state == trailerLF && b == '\n':
		f.state = trailerLine
	case f.state == trailerEndLF && b == '\n':
		f.state = bodyDone
	default:
		return badTrailer
	}
	return nil
}

// Body extracts the data of one request body for a loop that serves the request itself. It checks
// the framing as Conn does for net/http. The zero value is a complete body.
type Body struct{ framer framer }

// Begin begins the body of h.
func (b *Body) Begin(h *Head) { b.framer.begin(h) }

// Done tells whether the body is complete: what follows belongs to the next request.
func (b *Body) Done() bool { return b.framer.done() }

// Next consumes n bytes of p; data is the next piece of the body's data in them, and may be empty.
// Call it until p is used up or the body is Done. After a refusal the framing is broken, and the
// connection must be closed.
func (b *Body) Next(p []byte) (data []byte, n int, refusal *Refusal) {
	for n < len(p) && !b.framer.done() {
		if state := b.framer.state; state == bodyLength || state == chunkData {
			took := b.framer.skip(len(p) - n)
			return p[n : n+took : n+took], n + took, nil
		}
		if refusal = b.framer.step(p[n]); refusal != nil {
			return nil, n, refusal
		}
		n++
	}
	return nil, n, nil
}
