// The frame header of RFC 6455, sections 5.2 and 5.3: parsed strictly, appended in its shortest
// form, and the mask that it carries applied to the payload.

package frame

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// OpCode is the kind of a frame.
type OpCode = ws.OpCode

// The opcodes of RFC 6455, section 11.8. A Message never carries OpContinuation.
const (
	OpContinuation = ws.OpContinuation
	OpText         = ws.OpText
	OpBinary       = ws.OpBinary
	OpClose        = ws.OpClose
	OpPing         = ws.OpPing
	OpPong         = ws.OpPong
)

// Bits of a header's two first bytes.
const (
	bitFin  = 0x80
	bitRsv1 = 0x40 // RFC 7692, 6: the message is compressed
	bitRsv2 = 0x20
	bitRsv3 = 0x10
	bitMask = 0x80
)

const (
	length16 = 126 // the length follows in two bytes
	length64 = 127 // the length follows in eight bytes
)

// header is a parsed frame header. size is zero while bytes are missing.
type header struct {
	length int64
	mask   uint32 // little-endian: its lowest byte meets the payload's first
	size   int
	first  byte
}

func (h header) op() OpCode       { return OpCode(h.first & 0x0f) }
func (h header) fin() bool        { return h.first&bitFin != 0 }
func (h header) compressed() bool { return h.first&bitRsv1 != 0 }

// parseHeader reads the header that p begins with. It judges each byte as soon as it is there, in
// their order, so that the verdict on a stream does not depend on how it was cut into reads.
func parseHeader(p []byte, client bool) (h header, bad *Error) {
	if len(p) == 0 {
		return header{}, nil
	}
	first := p[0]
	if first != bitFin|byte(OpText) && first != bitFin|byte(OpBinary) {
		if bad = checkFirst(first); bad != nil {
			return header{}, bad
		}
	}
	if len(p) < 2 {
		return header{}, nil
	}
	if bad = checkSecond(first, p[1], client); bad != nil {
		return header{}, bad
	}

	size, length := 2, int64(p[1]&^bitMask)
	if length >= length16 {
		if size, length, bad = parseLength(p); size == 0 {
			return header{}, bad
		}
	}
	if client {
		return header{length: length, size: size, first: first}, nil
	}
	if len(p) < size+4 {
		return header{}, nil
	}
	return header{length: length, mask: binary.LittleEndian.Uint32(p[size:]), size: size + 4, first: first}, nil
}

// checkFirst judges a header's first byte.
func checkFirst(first byte) *Error {
	op := OpCode(first & 0x0f)
	// RFC 6455, 5.2: RSV1, RSV2, RSV3 MUST be 0 unless an extension is negotiated that defines
	// meanings for non-zero values.
	if first&(bitRsv2|bitRsv3) != 0 {
		return errReserved
	}
	// RFC 7692, 6.1: an endpoint MUST NOT set RSV1 of control frames and of non-first fragments.
	if first&bitRsv1 != 0 && op != OpText && op != OpBinary {
		return errReserved
	}
	// RFC 6455, 5.2: if an unknown opcode is received, the receiving endpoint MUST fail the
	// connection.
	if op.IsReserved() {
		return errOpCode
	}
	// RFC 6455, 5.5: all control frames MUST NOT be fragmented.
	if op.IsControl() && first&bitFin == 0 {
		return errControlSplit
	}
	return nil
}

// checkSecond judges a header's second byte.
func checkSecond(first, second byte, client bool) *Error {
	// RFC 6455, 5.1: a client MUST mask all frames, a server MUST NOT mask any.
	if masked := second&bitMask != 0; masked == client {
		if client {
			return errMasked
		}
		return errUnmasked
	}
	// RFC 6455, 5.5: all control frames MUST have a payload length of 125 bytes or less.
	if second&^bitMask > ControlBytesMax && OpCode(first&0x0f).IsControl() {
		return errControlLength
	}
	return nil
}

// parseLength reads an extended length. size is how far the header goes without its mask; zero
// while bytes are missing or when bad is set.
func parseLength(p []byte) (size int, length int64, bad *Error) {
	if p[1]&^bitMask == length16 {
		if len(p) < 4 {
			return 0, 0, nil
		}
		length = int64(binary.BigEndian.Uint16(p[2:]))
		// RFC 6455, 5.2: in all cases, the minimal number of bytes MUST be used to encode the
		// length.
		if length < length16 {
			return 0, 0, errLengthForm
		}
		return 4, length, nil
	}
	// RFC 6455, 5.2: the most significant bit MUST be 0.
	if len(p) > 2 && p[2]&0x80 != 0 {
		return 0, 0, errLengthSign
	}
	if len(p) < 10 {
		return 0, 0, nil
	}
	length = int64(binary.BigEndian.Uint64(p[2:]))
	if length <= 0xffff {
		return 0, 0, errLengthForm
	}
	return 10, length, nil
}

// AppendHeader appends a server's header of an unfragmented frame with n bytes of payload;
// compressed sets RSV1. At most 10 bytes.
func AppendHeader(dst []byte, op OpCode, compressed bool, n int) []byte {
	first := bitFin | byte(op)
	if compressed {
		first |= bitRsv1
	}
	return appendLength(append(dst, first), 0, n)
}

// AppendFrame appends a server's unfragmented, uncompressed frame. payload is copied.
func AppendFrame(dst []byte, op OpCode, payload []byte) []byte {
	return append(AppendHeader(dst, op, false, len(payload)), payload...)
}

// AppendFragment appends a server's frame that is a part of a message: op is the message's kind in
// the first and OpContinuation in the others, and fin marks the last (RFC 6455, 5.4). payload is
// copied.
func AppendFragment(dst []byte, op OpCode, fin bool, payload []byte) []byte {
	first := byte(op)
	if fin {
		first |= bitFin
	}
	return append(appendLength(append(dst, first), 0, len(payload)), payload...)
}

// AppendMasked appends a client's frame. payload is copied, then masked; RFC 6455, 5.3 wants a mask
// that cannot be guessed, new for every frame.
func AppendMasked(dst []byte, op OpCode, fin bool, mask [4]byte, payload []byte) []byte {
	first := byte(op)
	if fin {
		first |= bitFin
	}
	dst = appendLength(append(dst, first), bitMask, len(payload))
	dst = append(dst, mask[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	unmask(dst[start:], binary.LittleEndian.Uint32(mask[:]))
	return dst
}

// appendLength appends a length in its shortest form, with the mask bit or without.
func appendLength(dst []byte, maskBit byte, n int) []byte {
	switch {
	case n < length16:
		return append(dst, maskBit|byte(n))
	case n <= 0xffff:
		return append(dst, maskBit|length16, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, maskBit|length64), uint64(n))
	}
}

// replyHeaderBytes is the length of the header that AppendHeader writes for n bytes of payload.
func replyHeaderBytes(n int) int {
	switch {
	case n < length16:
		return 2
	case n <= 0xffff:
		return 4
	default:
		return replyHeaderBytesMax
	}
}

// unmask applies the mask to p in place; mask's lowest byte meets p[0]. Masking is the same
// operation.
//
// ws.Cipher does whole blocks of 16 in vector code and the rest byte by byte, which costs up to 20
// ns at the lengths that chat and echo use: it is given the blocks, and the rest goes by words.
func unmask(p []byte, mask uint32) {
	if mask == 0 { // a server's frame
		return
	}
	if len(p) >= wideBytesMin {
		blocks := len(p) &^ 15
		ws.Cipher(p[:blocks], [4]byte{byte(mask), byte(mask >> 8), byte(mask >> 16), byte(mask >> 24)}, 0)
		p = p[blocks:]
	}
	for wide := uint64(mask)<<32 | uint64(mask); len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
	}
	if len(p) >= 4 {
		binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)^mask)
		p = p[4:]
	}
	for i := range p {
		p[i] ^= byte(mask)
		mask >>= 8
	}
}
