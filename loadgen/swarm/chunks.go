// The body of a response: chunks (RFC 9112, 7.1), a length, or all until the end.

package swarm

import "errors"

// bodyState is where in a body a reader of it stands.
type bodyState uint8

const (
	bodyEndless  bodyState = iota // up to the connection's end
	bodyLength                    // left more bytes
	chunkSize                     // in front of or in the digits of a chunk's size
	chunkExt                      // behind them
	chunkSizeEnd                  // the line feed of that line
	chunkData                     // left more bytes of the chunk
	chunkDataCR
	chunkDataLF
	bodyEnded
)

// body reads one response's body. The zero value is one without chunks and without a length.
type body struct {
	left  int64
	state bodyState
	digit bool // of a size, there has been one
}

var (
	errBody    = errors.New("illegal chunk")
	errBodyEnd = errors.New("end of the body")
)

// next returns the first piece of the body in p, and what lies behind it. The piece may be empty.
func (b *body) next(p []byte) (piece, rest []byte, err error) {
	switch b.state {
	case bodyEndless:
		return p, nil, nil
	case bodyLength, chunkData:
		n := int(min(int64(len(p)), b.left))
		if b.left -= int64(n); b.left == 0 && b.state == chunkData {
			b.state = chunkDataCR
		} else if b.left == 0 {
			b.state = bodyEnded
		}
		return p[:n], p[n:], nil
	case bodyEnded:
		return nil, nil, errBodyEnd
	}
	for i, c := range p {
		if err := b.frame(c); err != nil {
			return nil, nil, err
		}
		if b.state == chunkData || b.state == bodyEnded {
			return nil, p[i+1:], nil
		}
	}
	return nil, nil, nil
}

// frame takes one byte of what is around the chunks.
func (b *body) frame(c byte) error {
	switch b.state {
	case chunkSize:
		return b.size(c)
	case chunkExt:
		if c == '\r' {
			b.state = chunkSizeEnd
		}
	case chunkSizeEnd:
		if c != '\n' {
			return errBody
		}
		b.state, b.digit = chunkData, false
		if b.left == 0 { // the last chunk; nobody wants the trailers
			b.state = bodyEnded
		}
	case chunkDataCR:
		if c != '\r' {
			return errBody
		}
		b.state = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return errBody
		}
		b.state = chunkSize
	}
	return nil
}

// size takes one byte of the line with a chunk's size.
func (b *body) size(c byte) error {
	var v byte
	switch {
	case c >= '0' && c <= '9':
		v = c - '0'
	case c >= 'a' && c <= 'f':
		v = c - 'a' + 10
	case c >= 'A' && c <= 'F':
		v = c - 'A' + 10
	case c == '\r' && b.digit:
		b.state = chunkSizeEnd
		return nil
	case (c == ';' || c == ' ' || c == '\t') && b.digit:
		b.state = chunkExt
		return nil
	default:
		return errBody
	}
	if b.left >= 1<<56 {
		return errBody
	}
	b.left, b.digit = b.left<<4|int64(v), true
	return nil
}
