// Where a shard's messages meet a loop's connections: broadcast.Sink over netpoll.

package node

import (
	"c100k/broadcast"
	"c100k/internal/proto"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// sink is one loop's broadcast.Sink. A member's number is its connection's slot. A member leaves
// its shard before its slot is free for another connection, so the number always means the same
// one. Loop only.
type sink struct {
	loop      *netpoll.Loop
	protocols *proto.Protocols
	reactor   *reactor
	sent      uint64 // messages handed to connections
}

// Pending is how many bytes wait to be sent to the member.
func (s *sink) Pending(member uint32) int {
	c := s.loop.ConnAt(member)
	if c == nil {
		return 0
	}
	if m := s.protocols.Members(c.Role()); m != nil {
		return m.MemberPending(s.loop, c)
	}
	return c.Pending()
}

// Send sends the member n whole messages.
func (s *sink) Send(member uint32, p []byte, mark, n uint32) {
	c := s.loop.ConnAt(member)
	if c == nil {
		return
	}
	s.sent += uint64(n)
	if s.reactor.tap.On() {
		s.reactor.tap.Message(s.loop, c, trace.Out, s.reactor.shard.TopicOf(mark), int(n), p)
	}
	if m := s.protocols.Members(c.Role()); m != nil {
		m.MemberSend(s.loop, c, p, mark, n)
		return
	}
	s.loop.SendMessages(c, p, mark, n)
}

// DropOldest drops messages that wait to be sent to the member.
func (s *sink) DropOldest(member uint32, need int, dropped func(mark, n uint32)) int {
	c := s.loop.ConnAt(member)
	if c == nil {
		return 0
	}
	if m := s.protocols.Members(c.Role()); m != nil {
		return m.MemberDrop(s.loop, c, need, dropped)
	}
	return s.loop.DropOldest(c, need, dropped)
}

// Gap tells the member what it missed, where its protocol can.
func (s *sink) Gap(member uint32, f broadcast.Form, topic string, mark, missed uint32, first bool) {
	c := s.loop.ConnAt(member)
	if c == nil {
		return
	}
	protocol := s.protocols.At(c.Role())
	if protocol == nil {
		return
	}
	p := protocol.Gap(nil, f, topic, missed)
	if len(p) == 0 {
		return
	}
	if m := s.protocols.Members(c.Role()); m != nil {
		m.MemberSend(s.loop, c, p, mark, missed)
		return
	}
	if first {
		s.loop.SendFirst(c, p, mark, missed)
	} else {
		s.loop.SendMessages(c, p, mark, missed)
	}
}

// Slow ends a member that takes its messages too slowly.
func (s *sink) Slow(member uint32) {
	c := s.loop.ConnAt(member)
	if c == nil {
		return
	}
	if protocol := s.protocols.At(c.Role()); protocol != nil {
		s.reactor.owes(c, s.Pending(member))
		protocol.Slow(s.loop, c)
	}
}

// Encode makes a message as one member gets it.
func (s *sink) Encode(dst []byte, member uint32, m *broadcast.Message) []byte {
	if c := s.loop.ConnAt(member); c != nil {
		if p, ok := s.protocols.At(c.Role()).(proto.Personal); ok {
			return p.Encode(dst, c, m)
		}
	}
	return dst
}

// Sent is how many messages of topics loop i has handed to its connections. Loop only.
func (n *Node) Sent(i int) uint64 { return n.reactors[i].sink.sent }
