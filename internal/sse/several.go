// Streams with several topics: their ids say where they are in each.

package sse

import (
	"slices"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/netpoll"
)

// place is where a stream with several topics is.
type place struct {
	topics    []string
	sum       uint32
	positions []broadcast.Position
	enveloped bool
}

func newPlace(topics []string) *place {
	return &place{topics: slices.Clone(topics), sum: history.TopicsSum(topics), positions: make([]broadcast.Position, len(topics))}
}

// id appends the stream's id, or returns nil if it would be longer than a request head should have.
func (p *place) id(dst []byte) []byte {
	if dst = history.AppendEventID(dst, p.sum, p.positions); len(dst) > history.EventIDBytesMax {
		return nil
	}
	return dst
}

// Encode appends the event of a message for c alone: its id is where the stream is after it. It
// implements proto.Personal.
func (h *Handler) Encode(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte {
	p := h.places[c.Slot()]
	if p == nil {
		return dst // gone meanwhile
	}
	if at, ok := m.Position(); ok {
		if i := slices.Index(p.topics, m.Topic); i >= 0 {
			p.positions[i] = at
		}
	}
	h.id = p.id(h.id[:0])
	if p.enveloped {
		return appendEnveloped(dst, h.id, m, h.cfg.Envelope)
	}
	return AppendEvent(dst, h.id, m.Kind, m.Payload)
}
