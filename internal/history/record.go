// Records: a message as it lies in a store that several processes use.

package history

import (
	"encoding/binary"
	"errors"

	"c100k/broadcast"
)

// A record is a byte that says what it is, which process has appended it (8 bytes) and under which
// number (4 bytes), the client that has published it (a byte for the length, and its subject), and
// the payload. Numbers are big-endian.
//
// RecordHeadBytes is what it has beside the client and the payload.
const RecordHeadBytes = 1 + 8 + 4 + 1

// What a record is: a message, with its broadcast.Kind, or a mark that all before it is forgotten.
const (
	recordMessage = 0x10
	recordForget  = 0x20
)

// ErrRecord is returned for bytes that are no record.
var ErrRecord = errors.New("not a record of this version")

// Record is a message, or a mark that all before it is forgotten.
type Record struct {
	Forget  bool
	Kind    broadcast.Kind
	Process uint64 // that has appended it
	Number  uint32 // of the Waiting there
	Author  string // broadcast.Post.From
	Payload []byte
}

// AppendRecord appends the bytes of a record.
func AppendRecord(dst []byte, r *Record) []byte {
	head := byte(recordMessage) | byte(r.Kind)
	if r.Forget {
		head = recordForget
	}
	dst = append(dst, head)
	dst = binary.BigEndian.AppendUint64(dst, r.Process)
	dst = binary.BigEndian.AppendUint32(dst, r.Number)
	author := r.Author[:min(len(r.Author), AuthorBytesMax)]
	dst = append(append(dst, byte(len(author))), author...)
	return append(dst, r.Payload...)
}

// ParseRecord reads a record; the payload is a part of p.
func ParseRecord(p []byte) (r Record, err error) {
	if len(p) < RecordHeadBytes {
		return r, ErrRecord
	}
	switch head := p[0]; {
	case head == recordForget && len(p) == RecordHeadBytes && p[RecordHeadBytes-1] == 0:
		r.Forget = true
	case head >= recordMessage && head <= recordMessage|byte(broadcast.Binary):
		r.Kind = broadcast.Kind(head &^ recordMessage)
	default:
		return r, ErrRecord
	}
	r.Process = binary.BigEndian.Uint64(p[1:])
	r.Number = binary.BigEndian.Uint32(p[9:])
	author := int(p[RecordHeadBytes-1])
	if len(p) < RecordHeadBytes+author {
		return r, ErrRecord
	}
	r.Author, r.Payload = string(p[RecordHeadBytes:RecordHeadBytes+author]), p[RecordHeadBytes+author:]
	return r, nil
}
