// The id of a session: a secret, and the location of the session.

package engineio

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"

	"c100k/internal/edge"
)

// secretBytes is the random part of an id: 80 bits that cannot be guessed, because the id is the
// only credential of a poll.
const secretBytes = 10

// An id is 15 bytes in base64, which is 20 characters, a length that other servers of the Socket.IO
// family rely on: the secret, process, loop, and the anchor's slot in three bytes. So any loop can
// find a session without a table of ids.
const (
	idBytes = secretBytes + 5
	idChars = 20
)

// place is the location of a session, as in its id.
type place struct {
	secret        [secretBytes]byte
	process, loop uint8
	slot          uint32
}

// appendID appends the id of a session in a place.
func appendID(dst []byte, p *place) []byte {
	var raw [idBytes]byte
	copy(raw[:], p.secret[:])
	tail := raw[secretBytes:]
	tail[0], tail[1] = p.process, p.loop
	tail[2], tail[3], tail[4] = byte(p.slot>>16), byte(p.slot>>8), byte(p.slot)
	return base64.RawURLEncoding.AppendEncode(dst, raw[:])
}

// parseID reads an id; ok is false if this server has not made it.
func parseID(id []byte) (p place, ok bool) {
	var raw [idBytes]byte
	if len(id) != idChars {
		return p, false
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(raw[:], id); err != nil || n != idBytes {
		return p, false
	}
	tail := raw[copy(p.secret[:], raw[:secretBytes]):]
	p.process, p.loop = tail[0], tail[1]
	p.slot = uint32(tail[2])<<16 | uint32(tail[3])<<8 | uint32(tail[4])
	return p, true
}

// secrets makes secrets. It reads random bytes for 64 of them at a time.
type secrets struct {
	buf  [64 * secretBytes]byte
	left int
}

func (s *secrets) next() (secret [secretBytes]byte) {
	if s.left == 0 {
		rand.Read(s.buf[:]) // which never fails
		s.left = len(s.buf)
	}
	s.left -= secretBytes
	copy(secret[:], s.buf[s.left:])
	clear(s.buf[s.left:])
	return secret
}

// NodeOf returns the Config.Node of the server that made the session that a query names; ok is
// false if it names none. Where nodes have numbers, the last two bytes of the secret are the
// number, and 64 bits are random.
func NodeOf(query []byte) (node uint16, ok bool) {
	for q := edge.NewParams(query); ; {
		name, value, more, refusal := q.Next()
		if refusal != nil || !more {
			return 0, false
		}
		if string(name) == "sid" {
			p, ok := parseID(value)
			return binary.BigEndian.Uint16(p.secret[secretBytes-2:]), ok
		}
	}
}
