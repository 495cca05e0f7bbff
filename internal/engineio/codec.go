// Payloads: the packets of one HTTP request or answer. This file has protocol 4 and what both
// share; codec3.go has protocol 3. Pure; any goroutine.

package engineio

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"c100k/frame"
)

// separator stands between two packets of a payload of protocol 4: the record separator, which no
// JSON text contains as it is.
const separator = 0x1e

// Payload parses a payload packet by packet. It keeps and changes the bytes that it was given.
type Payload struct {
	rest   []byte
	next   func(*Payload) (Packet, error)
	packet bool // one more packet follows, although rest may be empty
}

// ParsePayload begins a payload of the protocol's version; binary says that it came as bytes
// (application/octet-stream), which only protocol 3 has. ErrPacket if it is empty, or not UTF-8
// where it should be.
func ParsePayload(v3, binary bool, p []byte) (Payload, error) {
	switch {
	case len(p) == 0, binary && !v3, !binary && !utf8.Valid(p):
		return Payload{}, ErrPacket
	case binary:
		return Payload{rest: p, next: (*Payload).binary3, packet: true}, nil
	case v3:
		return Payload{rest: p, next: (*Payload).text3, packet: true}, nil
	}
	return Payload{rest: p, next: (*Payload).text4, packet: true}, nil
}

// Next is the next packet; ok is false behind the last one. After an error there is no next packet:
// those behind a broken one are not parsed.
func (p *Payload) Next() (packet Packet, ok bool, err error) {
	if !p.packet {
		return Packet{}, false, nil
	}
	packet, err = p.next(p)
	if err == errNothing {
		return Packet{}, false, nil
	}
	p.packet = p.packet && err == nil
	return packet, err == nil, err
}

// text4 parses one packet of protocol 4.
func (p *Payload) text4() (Packet, error) {
	packet, rest, more := bytes.Cut(p.rest, []byte{separator})
	p.rest, p.packet = rest, more
	return ParseText(false, packet)
}

// AppendPayload appends the payload of protocol 4 that carries the frames of run, which
// AppendMessage has made. first says that nothing of the payload is there yet.
func AppendPayload(dst []byte, first bool, run []byte) []byte {
	eachFrame(run, func(op frame.OpCode, data []byte) {
		if !first {
			dst = append(dst, separator)
		}
		first = false
		if op == frame.OpBinary {
			dst = base64.StdEncoding.AppendEncode(append(dst, base64Mark), data)
			return
		}
		dst = append(dst, data...)
	})
	return dst
}

// eachFrame iterates over a run of frames that this package has made.
func eachFrame(run []byte, f func(op frame.OpCode, data []byte)) {
	for len(run) > 0 {
		op, head, n := frame.OpCode(run[0]&0x0f), 2, int(run[1])
		switch n {
		case 126:
			head, n = 4, int(run[2])<<8|int(run[3])
		case 127:
			head, n = 10, 0
			for _, b := range run[2:10] {
				n = n<<8 | int(b)
			}
		}
		f(op, run[head:head+n:head+n])
		run = run[head+n:]
	}
}
