// The packets of Engine.IO: one at a time. Pure; any goroutine.

package engineio

import (
	"encoding/base64"
	"errors"
)

// ErrPacket is returned for bytes that are no packet, or no payload. The session that they belong
// to ends with ReasonParseError.
var ErrPacket = errors.New("engine.io: not a packet")

// PacketType is the kind of a packet.
type PacketType uint8

// The types, as numbered on the wire.
const (
	PacketOpen PacketType = iota
	PacketClose
	PacketPing
	PacketPong
	PacketMessage
	PacketUpgrade
	PacketNoop

	packetTypes
)

// Packet is one packet. Data is a slice of what it was parsed from.
type Packet struct {
	Type   PacketType
	Binary bool // Data is bytes; else it is text
	Data   []byte
}

// base64Mark begins a binary packet where only text can travel.
const base64Mark = 'b'

// ParseText parses a packet that travels as text, in either protocol. It decodes base64 in place,
// so it changes p.
func ParseText(v3 bool, p []byte) (Packet, error) {
	if len(p) == 0 {
		return Packet{}, ErrPacket
	}
	if p[0] == base64Mark {
		return parseBase64(v3, p[1:])
	}
	return typed(p[0]-'0', false, p[1:])
}

// ParseBinary parses a packet that travels as bytes: in protocol 3 the first of them is its type,
// in protocol 4 it is a message.
func ParseBinary(v3 bool, p []byte) (Packet, error) {
	if !v3 {
		return Packet{Type: PacketMessage, Binary: true, Data: p}, nil
	}
	if len(p) == 0 {
		return Packet{}, ErrPacket
	}
	return typed(p[0], true, p[1:])
}

// parseBase64 parses what follows the mark: in protocol 3 a type and base64, in protocol 4 base64
// alone.
func parseBase64(v3 bool, p []byte) (Packet, error) {
	t := byte(PacketMessage)
	if v3 {
		if len(p) == 0 {
			return Packet{}, ErrPacket
		}
		t, p = p[0]-'0', p[1:]
	}
	// Decoded in place: the decoder has read four bytes before it writes three.
	n, err := base64.StdEncoding.Strict().Decode(p, p)
	if err != nil {
		return Packet{}, ErrPacket
	}
	return typed(t, true, p[:n:n])
}

func typed(t byte, binary bool, data []byte) (Packet, error) {
	if t >= byte(packetTypes) {
		return Packet{}, ErrPacket
	}
	return Packet{Type: PacketType(t), Binary: binary, Data: data}, nil
}
