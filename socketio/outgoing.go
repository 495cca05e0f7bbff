// A packet on its way out.

package socketio

import (
	"sync"

	"c100k/broadcast"
	"c100k/internal/engineio"
)

// flags are how a packet is to be sent.
type flags struct {
	volatile bool // only if it goes out at once
	plain    bool // without compression
}

// outgoing is a packet in the words of its parser, to be framed for each wire form. Immutable once it is given to a loop or
// the hub.
type outgoing struct {
	flags
	text        []byte   // with ParserMsgpack nil
	attachments [][]byte // with ParserMsgpack one: the packet

	number uint64        // in the log of recovery; 0: it is in none
	ack    *broadcastAck // of a broadcast that is acknowledged, or nil

	// said is the event of a broadcast where sockets may listen to what is sent to them; nil: nobody does.
	said *said

	// again holds the frames where the same packet is published on several topics. Nil: it is framed once anyway.
	again *framed
}

// said is an event in Go values.
type said struct {
	event string
	args  []any
}

type framed struct {
	once  [engineio.FormCount]sync.Once
	bytes [engineio.FormCount][]byte
}

// packetHeadBytes is how long the head of a packet gets beside its namespace: type, count of attachments, comma, and an id of 64 bits.
const packetHeadBytes = 24 + len("0,")

// newOutgoing writes a packet.
func newOutgoing(parser Parser, k *packet, attachments [][]byte, f flags) *outgoing {
	k.attachments = len(attachments)
	if parser == ParserMsgpack {
		return &outgoing{flags: f, attachments: [][]byte{appendMsgpack(nil, k, attachments)}}
	}
	text := make([]byte, 0, len(k.payload)+len(k.namespace)+packetHeadBytes)
	return &outgoing{flags: f, text: appendPacket(text, k), attachments: attachments}
}

// size is about how many bytes it keeps.
func (o *outgoing) size() int {
	n := len(o.text)
	for _, a := range o.attachments {
		n += len(a)
	}
	return n
}

// appendFrames appends the packet in a wire form.
func (o *outgoing) appendFrames(dst []byte, form engineio.Form) []byte {
	if o.again == nil {
		return o.frame(dst, form)
	}
	o.again.once[form].Do(func() { o.again.bytes[form] = o.frame(nil, form) })
	return append(dst, o.again.bytes[form]...)
}

func (o *outgoing) frame(dst []byte, form engineio.Form) []byte {
	if o.plain && form == engineio.FormV4Deflated {
		form = engineio.FormV4 // RFC 7692, 6: a sender need not compress
	}
	if o.text != nil {
		return engineio.AppendMessage(dst, form, o.text, o.attachments...)
	}
	return engineio.AppendBinary(dst, form, o.attachments[0])
}

// encoders are those of the rooms' hub: a form of it is a form of engineio.
func encoders() []broadcast.Encoder {
	list := make([]broadcast.Encoder, engineio.FormCount)
	for f := range list {
		list[f] = func(dst []byte, m *broadcast.Message) []byte {
			return m.Extra.(*outgoing).appendFrames(dst, engineio.Form(f))
		}
	}
	return list
}

// formOf is a session's form in the rooms' hub.
func formOf(s *engineio.Session) broadcast.Form { return broadcast.Form(s.Form()) }
