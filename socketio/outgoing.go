// Outgoing packets and their frames.

package socketio

import (
	"bytes"
	"sync/atomic"

	"c100k/broadcast"
	"c100k/internal/engineio"
)

// flags are the modifiers of a packet.
type flags struct {
	volatile bool // only if it can be sent at once
	plain    bool // without compression
}

// outgoing is a packet encoded by its parser and not yet framed for a wire form. Immutable once it
// is given to a loop or the hub.
type outgoing struct {
	flags
	text        []byte   // nil with ParserMsgpack
	attachments [][]byte // one with ParserMsgpack: the packet

	number uint64        // in the recovery log; 0: it is in none
	ack    *broadcastAck // of a broadcast with acknowledgements, or nil

	// observed is the event of a broadcast, for listeners of OnAnyOutgoing; nil: there are none.
	observed *eventValues

	// shared holds the frames of a packet that is published more than once: on several loops, or to
	// several topics. Nil: the packet is published once.
	shared *sharedFrames
}

// eventValues is an event as Go values.
type eventValues struct {
	event string
	args  []any
}

// sharedFrames are a packet's frames by form; nil: not made yet. If two loops make one at the same
// time, one of the two is discarded.
type sharedFrames [engineio.FormCount]atomic.Pointer[[]byte]

// packetHeadBytes is the most that the head of a packet has in addition to its namespace, in bytes:
// type, number of attachments, comma, and an id of 64 bits.
const packetHeadBytes = 24 + len("0,")

// newOutgoing encodes a packet.
func newOutgoing(parser Parser, k *packet, attachments [][]byte, f flags) *outgoing {
	k.attachments = len(attachments)
	if parser == ParserMsgpack {
		return &outgoing{flags: f, attachments: [][]byte{appendMsgpack(nil, k, attachments)}}
	}
	text := make([]byte, 0, len(k.payload)+len(k.namespace)+packetHeadBytes)
	return &outgoing{flags: f, text: appendPacket(text, k), attachments: attachments}
}

// size estimates the memory of the packet, in bytes.
func (o *outgoing) size() int {
	n := len(o.text)
	for _, a := range o.attachments {
		n += len(a)
	}
	return n
}

// share makes the frames that clients of the server need, to be shared by all loops.
func (o *outgoing) share(io *Server) {
	o.shared = &sharedFrames{}
	for form := range o.shared {
		if io.forms[form].Load() > 0 {
			o.frames(engineio.Form(form))
		}
	}
}

// frames returns the packet in a wire form; the caller must not change it.
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
		made = bytes.Clone(made) // the buffer of a compressed form is as large as the plain form
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

// encoders returns the encoders of the hub, one for each form of engineio.
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

// formOf returns a session's form in the hub.
func formOf(s *engineio.Session) broadcast.Form { return broadcast.Form(s.Form()) }
