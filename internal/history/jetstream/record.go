// Records: a message as it lies in a stream, and its topic as a subject.

package jetstream

import (
	"encoding/binary"
	"errors"

	"c100k/broadcast"
)

// A record is a byte that says what it is, which process has appended it (8 bytes) and under which
// number (4 bytes), the client that has published it (a byte for the length, and its subject), and
// the payload. Numbers are big-endian.
const recordHeadBytes = 1 + 8 + 4 + 1

// authorBytesMax bounds the subject of a client in a record, in bytes.
const authorBytesMax = 255

// What a record is: a message, with its broadcast.Kind, or a mark that all before it is forgotten.
const (
	recordMessage = 0x10
	recordForget  = 0x20
)

var errRecord = errors.New("not a record of this version")

type record struct {
	forget  bool
	kind    broadcast.Kind
	from    uint64 // the process
	number  uint32 // of the Append there
	author  string
	payload []byte
}

func appendRecord(dst []byte, r *record) []byte {
	head := byte(recordMessage) | byte(r.kind)
	if r.forget {
		head = recordForget
	}
	dst = append(dst, head)
	dst = binary.BigEndian.AppendUint64(dst, r.from)
	dst = binary.BigEndian.AppendUint32(dst, r.number)
	author := r.author[:min(len(r.author), authorBytesMax)]
	dst = append(append(dst, byte(len(author))), author...)
	return append(dst, r.payload...)
}

// parseRecord reads a record; the payload is a part of p.
func parseRecord(p []byte) (r record, err error) {
	if len(p) < recordHeadBytes {
		return r, errRecord
	}
	switch head := p[0]; {
	case head == recordForget && len(p) == recordHeadBytes && p[recordHeadBytes-1] == 0:
		r.forget = true
	case head >= recordMessage && head <= recordMessage|byte(broadcast.Binary):
		r.kind = broadcast.Kind(head &^ recordMessage)
	default:
		return r, errRecord
	}
	r.from = binary.BigEndian.Uint64(p[1:])
	r.number = binary.BigEndian.Uint32(p[9:])
	author := int(p[recordHeadBytes-1])
	if len(p) < recordHeadBytes+author {
		return r, errRecord
	}
	r.author, r.payload = string(p[recordHeadBytes:recordHeadBytes+author]), p[recordHeadBytes+author:]
	return r, nil
}

const hexDigits = "0123456789ABCDEF"

// plain tells whether a byte of a topic stands for itself in a subject: not what NATS divides
// subjects with, nor what is a wildcard, white space or beyond ASCII.
func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == ':' || c == '/'
}

// appendToken appends a topic as one token of a subject.
func appendToken(dst []byte, topic string) []byte {
	for i := range len(topic) {
		if c := topic[i]; plain(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// parseToken is the inverse of appendToken; ok is false for what it does not make.
func parseToken(token string) (topic string, ok bool) {
	clean := true
	for i := range len(token) {
		clean = clean && plain(token[i])
	}
	if clean {
		return token, token != ""
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		switch {
		case plain(c):
			b = append(b, c)
		case c == '=' && i+2 < len(token):
			high, low := unhex(token[i+1]), unhex(token[i+2])
			if c = high<<4 | low; high > 15 || low > 15 || plain(c) {
				return "", false
			}
			b = append(b, c)
			i += 2
		default:
			return "", false
		}
	}
	return string(b), true
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
