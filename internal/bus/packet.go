// The wire format: packets of records. Pure; any goroutine.

package bus

import (
	"encoding/binary"
	"errors"
)

// packetVersion is the first byte of a packet. A node that meets another version says so in its
// log, and hears nothing of it.
const packetVersion = 1

// packetHeaderBytes is the version and the sender's id.
const packetHeaderBytes = 1 + 8

// recordType is the first byte of a record.
type recordType uint8

const (
	recordMessage  recordType = iota + 1 // sequence, kind, topic, payload
	recordQuestion                       // the same, and the sender wants to know what becomes of it
	recordAnswer                         // sequence of the question, matched, queued, dropped
	recordLost                           // sequence of the question: it was not delivered
	recordHello                          // latest sequence, name; wants a beat of everybody
	recordBeat                           // latest sequence, name
	recordBye                            // latest sequence, name
	recordGone                           // name of another node
	recordDirect                         // kind, topic, payload; for the node alone that it is sent to
	recordProbe                          // number of the probe; for the sender itself
)

// record is one record taken apart. Its slices point into the packet.
type record struct {
	typ      recordType
	sequence uint64
	kind     uint8
	topic    []byte
	payload  []byte
	tally    Tally
	name     []byte
}

var (
	errVersion   = errors.New("packet of another version")
	errMalformed = errors.New("malformed packet")
)

// Numbers are unsigned varints; a topic and a name have one byte of length in front, a payload a
// varint.

func appendPacketHeader(dst []byte, sender uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, packetVersion), sender)
}

// messageBytes is the most that appendMessage appends for m.
func messageBytes(m *Message) int {
	return 1 + binary.MaxVarintLen64 + 1 + 1 + len(m.Topic) + binary.MaxVarintLen64 + len(m.Payload)
}

func appendMessage(dst []byte, typ recordType, sequence uint64, m *Message) []byte {
	dst = binary.AppendUvarint(append(dst, byte(typ)), sequence)
	dst = append(append(dst, m.Kind, byte(len(m.Topic))), m.Topic...)
	return append(binary.AppendUvarint(dst, uint64(len(m.Payload))), m.Payload...)
}

// appendDirect appends at most messageBytes(m).
func appendDirect(dst []byte, m *Message) []byte {
	dst = append(append(dst, byte(recordDirect), m.Kind, byte(len(m.Topic))), m.Topic...)
	return append(binary.AppendUvarint(dst, uint64(len(m.Payload))), m.Payload...)
}

func appendAnswer(dst []byte, sequence uint64, t Tally) []byte {
	dst = binary.AppendUvarint(append(dst, byte(recordAnswer)), sequence)
	dst = binary.AppendUvarint(dst, uint64(t.Matched))
	dst = binary.AppendUvarint(dst, uint64(t.Queued))
	return binary.AppendUvarint(dst, uint64(t.Dropped))
}

func appendLost(dst []byte, sequence uint64) []byte {
	return binary.AppendUvarint(append(dst, byte(recordLost)), sequence)
}

// appendPresence appends a hello, a beat or a bye.
func appendPresence(dst []byte, typ recordType, latest uint64, name string) []byte {
	return appendName(binary.AppendUvarint(append(dst, byte(typ)), latest), name)
}

func appendGone(dst []byte, name string) []byte {
	return appendName(append(dst, byte(recordGone)), name)
}

func appendName(dst []byte, name string) []byte { return append(append(dst, byte(len(name))), name...) }

func appendProbe(dst []byte, number uint64) []byte {
	return binary.AppendUvarint(append(dst, byte(recordProbe)), number)
}

// readPacketHeader returns the sender and the records.
func readPacketHeader(p []byte) (sender uint64, records []byte, err error) {
	switch {
	case len(p) > 0 && p[0] != packetVersion:
		return 0, nil, errVersion
	case len(p) < packetHeaderBytes:
		return 0, nil, errMalformed
	}
	return binary.BigEndian.Uint64(p[1:]), p[packetHeaderBytes:], nil
}

// nextRecord takes the first record off p, which is not empty.
func nextRecord(p []byte) (r record, rest []byte, err error) {
	d := decoder{p: p}
	r.typ = recordType(d.byte())
	switch r.typ {
	case recordMessage, recordQuestion:
		r.sequence, r.kind = d.sequence(), d.byte()
		r.topic = d.bytes(uint64(d.byte()))
		r.payload = d.bytes(d.number())
		d.bad = d.bad || r.sequence == 0 // the first message has number 1
	case recordAnswer:
		r.sequence = d.number()
		r.tally = Tally{Matched: d.count(), Queued: d.count(), Dropped: d.count()}
	case recordLost, recordProbe:
		r.sequence = d.number()
	case recordHello, recordBeat, recordBye:
		r.sequence = d.sequence()
		r.name = d.bytes(uint64(d.byte()))
	case recordGone:
		r.name = d.bytes(uint64(d.byte()))
	case recordDirect:
		r.kind = d.byte()
		r.topic = d.bytes(uint64(d.byte()))
		r.payload = d.bytes(d.number())
	default:
		d.bad = true
	}
	if d.bad {
		return record{}, nil, errMalformed
	}
	return r, d.p, nil
}

// decoder takes values off the front of p. Once something is missing it is bad, and all that
// follows is zero.
type decoder struct {
	p   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.p) == 0 {
		d.bad = true
		return 0
	}
	b := d.p[0]
	d.p = d.p[1:]
	return b
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.p)
	if n <= 0 {
		d.p, d.bad = nil, true
		return 0
	}
	d.p = d.p[n:]
	return v
}

// sequence is the number of a message.
func (d *decoder) sequence() uint64 {
	v := d.number()
	if v > sequenceMax {
		d.bad = true
		return 0
	}
	return v
}

// countMax is more members than a node can have. Sums of counts over all nodes stay far from
// overflow.
const countMax = 1 << 32

func (d *decoder) count() int {
	v := d.number()
	if v > countMax {
		d.bad = true
		return 0
	}
	return int(v)
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.p)) {
		d.p, d.bad = nil, true
		return nil
	}
	b := d.p[:n:n]
	d.p = d.p[n:]
	return b
}
