// A packet on its way out.

package socketio

import (
	"bytes"
	"sync/atomic"

	"c100k/broadcast"
	"c100k/internal/engineio"
)

// flags are how a packet is to be sent.
type flags struct {
	volatile bool // only if it goes out at once
	plain    bool // without compression
}

// outgoing is a packet in the words of its parser, to be framed for each wire form. Immutable once
// it is given to a loop or the hub.
type outgoing struct {
	flags
	text        []byte   // with ParserMsgpack nil
	attachments [][]byte // with ParserMsgpack one: the packet

	number uint64        // in the log of recovery; 0: it is in none
	ack    *broadcastAck // of a broadcast that is acknowledged, or nil

	// heard is the event of a broadcast where sockets may listen to what is sent to them; nil: nobody
	// does.
	heard *heardEvent

	// shared holds the frames of a packet that is published more than once: on several loops, or
	// several topics. Nil: it is framed once anyway.
	shared *sharedFrames
}

// heardEvent is an event in Go values.
type heardEvent struct {
	event string
	args  []any
}

// sharedFrames are a packet's frames by form; nil: not made yet. Who makes one twice, because two
// loops need it at once, throws one away.
type sharedFrames [engineio.FormCount]atomic.Pointer[[]byte]

// packetHeadBytes is how long the head of a packet gets beside its namespace: type, count of
// attachments, comma, and an id of 64 bits.
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

// share makes the frames ready that clients of the server need, to be shared by all loops.
func (o *outgoing) share(io *Server) {
	o.shared = &sharedFrames{}
	for form := range o.shared {
		if io.forms[form].Load() > 0 {
			o.frames(engineio.Form(form))
		}
	}
}

// frames is the packet in a wire form; it must not be changed.
func (o *outgoing) frames(form engineio.Form) []byte {
	if o.shared == nil {
		return o.frame(nil, form)
	}
	at := &o.shared[form]
	if p := at.Load(); p != nil {
		return *p
	}
	made := o.frame(nil, form)
	if cap(made) > 2*len(made) {
		made = bytes.Clone(made) // a compressed form would hold the room of the plain one
	}
	made = made[:len(made):len(made)]
	if !at.CompareAndSwap(nil, &made) {
		return *at.Load()
	}
	return made
}

func (o *outgoing) frame(dst []byte, form engineio.Form) []byte {
	if o.plain && form != engineio.FormV3 {
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
			if o := m.Extra.(*outgoing); o.shared == nil {
				return o.frame(dst, engineio.Form(f))
			} else {
				return o.frames(engineio.Form(f))
			}
		}
	}
	return list
}

// formOf is a session's form in the rooms' hub.
func formOf(s *engineio.Session) broadcast.Form { return broadcast.Form(s.Form()) }
