// Payloads of protocol 3: packets with their lengths in front, as text or as bytes. Pure; any
// goroutine.

package engineio

import (
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf8"

	"c100k/frame"
)

// errNothing says that the payload has ended where a packet could have been.
var errNothing = errors.New("engine.io: no packet follows")

// text3 parses one packet of a text payload: length, colon, packet. The length counts UTF-16 code
// units, because clients are written in JavaScript. An empty packet is skipped: clients send it for
// an empty payload.
func (p *Payload) text3() (Packet, error) {
	for len(p.rest) > 0 {
		units, digits := decimal(p.rest, ':', '0')
		if digits == 0 {
			return Packet{}, ErrPacket
		}
		p.rest = p.rest[digits+1:]
		n := unitsToBytes(p.rest, units)
		if n < 0 {
			return Packet{}, ErrPacket
		}
		packet := p.rest[:n:n]
		if p.rest = p.rest[n:]; n > 0 {
			return ParseText(true, packet)
		}
	}
	p.packet = false
	return Packet{}, errNothing
}

// binary3 parses one packet of a payload of bytes: a byte that says what follows (0: text, 1:
// bytes), the length in bytes as decimal digits of one byte each, 255, packet.
func (p *Payload) binary3() (Packet, error) {
	if len(p.rest) == 0 {
		p.packet = false
		return Packet{}, errNothing
	}
	kind := p.rest[0]
	n, digits := decimal(p.rest[1:], 255, 0)
	if kind > 1 || digits == 0 || n > len(p.rest)-digits-2 {
		return Packet{}, ErrPacket
	}
	packet := p.rest[digits+2:][:n:n]
	p.rest = p.rest[digits+2+n:]
	if kind == 1 {
		return ParseBinary(true, packet)
	}
	if !utf8.Valid(packet) {
		return Packet{}, ErrPacket
	}
	return ParseText(true, packet)
}

// decimal reads digits, of which zero is the first, up to end; digits is 0 if that is not what p
// begins with.
func decimal(p []byte, end, zero byte) (n, digits int) {
	for i, b := range p {
		d := b - zero
		switch {
		case b == end && i > 0:
			return n, i
		case d > 9 || i == lengthDigitsMax:
			return 0, 0
		}
		n = n*10 + int(d)
	}
	return 0, 0
}

// unitsToBytes is how many bytes of p are units UTF-16 code units; -1 if p is shorter, or a
// character would be split.
func unitsToBytes(p []byte, units int) (n int) {
	for units > 0 {
		if n == len(p) {
			return -1
		}
		if p[n] < utf8.RuneSelf {
			n++
			units--
			continue
		}
		_, size := utf8.DecodeRune(p[n:])
		n += size
		if units--; size == utf8.UTFMax { // beyond the basic plane: a surrogate pair
			units--
		}
	}
	if units < 0 {
		return -1
	}
	return n
}

// utf16Length counts the UTF-16 code units of p.
func utf16Length(p []byte) (units int) {
	for _, b := range p {
		if b < 0x80 || b >= 0xc0 { // not within a character
			units++
		}
		if b >= 0xf0 { // beyond the basic plane
			units++
		}
	}
	return units
}

// AppendPayload3 appends the text payload of protocol 3 that carries the frames of run; binary
// packets are in base64.
func AppendPayload3(dst, run []byte) []byte {
	eachFrame(run, func(op frame.OpCode, data []byte) {
		if op != frame.OpBinary {
			dst = append(strconv.AppendInt(dst, int64(utf16Length(data)), 10), ':')
			dst = append(dst, data...)
			return
		}
		// The frame begins with the packet's type.
		dst = strconv.AppendInt(dst, int64(2+base64.StdEncoding.EncodedLen(len(data)-1)), 10)
		dst = append(dst, ':', base64Mark, '0'+data[0])
		dst = base64.StdEncoding.AppendEncode(dst, data[1:])
	})
	return dst
}

// AppendPayload3Binary appends the payload of bytes of protocol 3 that carries the frames of run.
func AppendPayload3Binary(dst, run []byte) []byte {
	eachFrame(run, func(op frame.OpCode, data []byte) {
		kind := byte(0)
		if op == frame.OpBinary {
			kind = 1
		}
		dst = append(dst, kind)
		at := len(dst)
		dst = strconv.AppendInt(dst, int64(len(data)), 10)
		for i := range dst[at:] {
			dst[at+i] -= '0'
		}
		dst = append(append(dst, 255), data...)
	})
	return dst
}

// hasBinary tells whether a run has a binary frame.
func hasBinary(run []byte) (found bool) {
	eachFrame(run, func(op frame.OpCode, _ []byte) { found = found || op == frame.OpBinary })
	return found
}
