// Where a shard's messages meet a loop's connections: broadcast.Sink over netpoll.

package server

import (
	"c100k/broadcast"
	"c100k/internal/engineio"
	"c100k/internal/sse"
	"c100k/internal/topicws"
	"c100k/netpoll"
)

// sink is one loop's broadcast.Sink. A member's number is its connection's slot; a member leaves its shard before its slot is
// free for another, so the number never means somebody else. Loop only.
type sink struct {
	loop    *netpoll.Loop
	reactor *reactor
	sent    uint64 // messages handed to connections
}

// Pending is how much the member is owed.
func (s *sink) Pending(member uint32) int {
	switch c := s.loop.ConnAt(member); {
	case c == nil:
		return 0
	case isSIO(c.Role()):
		return s.reactor.sio.Endpoint().MemberPending(s.loop, c)
	default:
		return c.Pending()
	}
}

// Send owes the member n whole messages.
func (s *sink) Send(member uint32, p []byte, mark, n uint32) {
	c := s.loop.ConnAt(member)
	if c == nil {
		return
	}
	s.sent += uint64(n)
	if isSIO(c.Role()) {
		s.reactor.sio.Endpoint().MemberSend(s.loop, c, p, mark, n)
		return
	}
	s.loop.SendMessages(c, p, mark, n)
}

// DropOldest makes room in the member's outbox.
func (s *sink) DropOldest(member uint32, need int, dropped func(mark, n uint32)) int {
	switch c := s.loop.ConnAt(member); {
	case c == nil:
		return 0
	case isSIO(c.Role()):
		return s.reactor.sio.Endpoint().MemberDrop(s.loop, c, need, dropped)
	default:
		return s.loop.DropOldest(c, need, dropped)
	}
}

// Gap tells the member what it missed, where its protocol has a word for it.
func (s *sink) Gap(member uint32, f broadcast.Form, topic string, mark, missed uint32, first bool) {
	c := s.loop.ConnAt(member)
	if c == nil {
		return
	}
	if f >= formSIO {
		s.reactor.sio.Endpoint().MemberSend(s.loop, c, appendSIOGap(engineio.Form(f-formSIO), topic, missed), mark, missed)
		return
	}
	var p []byte
	switch f {
	case formEnvelope, formEnvelopeDeflated:
		p = topicws.AppendGap(nil, topic, uint64(missed))
	case formSSE:
		p = sse.AppendGap(nil, topic, uint64(missed))
	default:
		return // a bare connection gets payloads and nothing else
	}
	if first {
		s.loop.SendFirst(c, p, mark, missed)
	} else {
		s.loop.SendMessages(c, p, mark, missed)
	}
}

// Slow ends a member that lags too far.
func (s *sink) Slow(member uint32) {
	c := s.loop.ConnAt(member)
	if c == nil {
		return
	}
	if e := s.reactor.endpoint(c.Role()); e != nil {
		e.Slow(s.loop, c)
		return
	}
	if isSIO(c.Role()) {
		s.reactor.sio.Endpoint().Slow(s.loop, c)
		return
	}
	s.reactor.sse.Slow(s.loop, c)
}
