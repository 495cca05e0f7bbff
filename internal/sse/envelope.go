// Streams whose events are messages of c100k.v1: for clients that have no WebSocket and want what
// it brings, the topic of each message, its position and its value.

package sse

import (
	"strconv"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/history"
	"c100k/internal/jsontext"
	"c100k/netpoll"
)

// NewEnveloper returns the encoder of enveloped streams with one topic, and of those without
// history. envelope appends a message of c100k.v1. An event has an id if its message has a
// position.
func NewEnveloper(envelope func(dst []byte, m *broadcast.Message) []byte) broadcast.Encoder {
	return func(dst []byte, m *broadcast.Message) []byte {
		var room [64]byte
		var id []byte
		if p, ok := m.Position(); ok {
			id = history.AppendPosition(room[:0], p)
		}
		return appendEnveloped(dst, id, m, envelope)
	}
}

// appendEnveloped appends an event that is a message of c100k.v1, in one line: where the published
// JSON has line ends they stand between tokens, and a space does as well (RFC 8259, 2).
func appendEnveloped(dst, id []byte, m *broadcast.Message, envelope func([]byte, *broadcast.Message) []byte) []byte {
	dst = append(appendID(dst, id), "data: "...)
	at := len(dst)
	return append(oneLine(envelope(dst, m), at), "\n\n"...)
}

// oneLine replaces the line ends of the JSON in dst[at:] by spaces.
func oneLine(dst []byte, at int) []byte {
	for i := at; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return dst
}

// begun is a topic of an enveloped stream that has just been subscribed to.
type begun struct {
	topic   string
	resumed broadcast.Resumed
	wished  bool
}

// welcome appends the first event of an enveloped stream: what welcome is in c100k.v1. Behind it
// come, for each topic whose beginning was wished for, how that went.
func (h *Handler) welcome(c *netpoll.Conn, who *auth.Principal) {
	dst := appendID(h.scratch, h.id)
	dst = jsontext.AppendString(append(dst, `data: {"type":"welcome","conn":`...), c.ID().String())
	if end := who.End(); end != 0 {
		dst = strconv.AppendInt(append(dst, `,"expires":`...), end, 10)
	}
	name := `,"offsets":{`
	for i := range h.begun {
		if b := &h.begun[i]; b.resumed.Position != (broadcast.Position{}) {
			dst = jsontext.AppendString(append(dst, name...), b.topic)
			dst = append(history.AppendPosition(append(dst, `:"`...), b.resumed.Behind), '"')
			name = ","
		}
	}
	if name == "," {
		dst = append(dst, '}')
	}
	dst = append(dst, "}\n\n"...)
	for i := range h.begun {
		if b := &h.begun[i]; b.wished {
			dst = appendResumed(dst, b)
		}
	}
	clear(h.begun)
	h.scratch = dst
}

func appendResumed(dst []byte, b *begun) []byte {
	r := &b.resumed
	if r.Reset == broadcast.ResetNone {
		dst = jsontext.AppendString(append(dst, `data: {"type":"resumed","topic":`...), b.topic)
		return append(strconv.AppendInt(append(dst, `,"messages":`...), int64(r.Messages), 10), "}\n\n"...)
	}
	dst = jsontext.AppendString(append(dst, `data: {"type":"reset","topic":`...), b.topic)
	dst = append(append(append(dst, `,"reason":"`...), r.Reset.String()...), '"')
	if r.Position != (broadcast.Position{}) {
		dst = append(history.AppendPosition(append(dst, `,"offset":"`...), r.Position), '"')
	}
	return append(dst, "}\n\n"...)
}

// appendEnvelopedGap is AppendGap for an enveloped stream.
func appendEnvelopedGap(dst []byte, topic string, missed uint64) []byte {
	dst = jsontext.AppendString(append(dst, `data: {"type":"gap","topic":`...), topic)
	return append(strconv.AppendUint(append(dst, `,"missed":`...), missed, 10), "}\n\n"...)
}
