// Package prototest runs protocol handlers over a faked kernel and clock, from readable
// transcripts: what each client sends, what it must get, and prose between. For tests only.
package prototest

import (
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// Options say what a Node is made of.
type Options struct {
	Seed           uint64 // of the faked kernel's chaos; 0 for none
	Layered        bool   // the clients speak netpolltest.XORLayer; transcripts say what is in it
	Encoders       []broadcast.Encoder
	Policy         broadcast.Policy
	OutboxBytesMax int

	// Tick is that of netpoll.Options.
	Tick time.Duration

	// TopicsPerMemberMax is that of the hub; 0 for its default.
	TopicsPerMemberMax int

	// Topics changes the options of the hub, for topics with history; it may be nil.
	Topics func(o *broadcast.Options)

	// Gap appends the announcement of a gap in form f, or nothing.
	Gap func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte

	// Handlers makes the handlers, for the shard and sink of the node.
	Handlers func(n *Node) [netpoll.RolesMax]netpoll.Handler

	// Members is what the sink asks where members are not connections; nil where they are.
	Members Members

	// OnPanic is netpoll's; it may be nil.
	OnPanic func(l *netpoll.Loop, c *netpoll.Conn)

	// Flush runs behind the shard's Deliver, at the end of phase 6; it may be nil.
	Flush func(l *netpoll.Loop)
}

// Members is how a protocol serves members that are not just connections; c is a member's record.
type Members interface {
	MemberPending(l *netpoll.Loop, c *netpoll.Conn) int
	MemberSend(l *netpoll.Loop, c *netpoll.Conn, p []byte, mark, n uint32)
	MemberDrop(l *netpoll.Loop, c *netpoll.Conn, need int, dropped func(mark, n uint32)) (freed int)
	Slow(l *netpoll.Loop, c *netpoll.Conn)
}

// Node is one loop with its shard of a hub, as the server puts them together.
type Node struct {
	*netpolltest.Loop
	Hub   *broadcast.Hub
	Shard *broadcast.Shard
	Sink  broadcast.Sink

	// Reasons are those of the connections that ended, in their order.
	Reasons []netpoll.Reason
}

// NewNode makes a node.
func NewNode(t testing.TB, o Options) *Node {
	t.Helper()
	n := &Node{}
	hub := broadcast.Options{
		Shards: 1, Encoders: o.Encoders, Policy: o.Policy, OutboxBytesMax: o.OutboxBytesMax,
		TopicsPerMemberMax: o.TopicsPerMemberMax,
	}
	if o.Topics != nil {
		o.Topics(&hub)
	}
	n.Hub = broadcast.NewHub(hub)
	n.Shard = n.Hub.Shard(0)
	s := &sink{gap: o.Gap}
	n.Sink = s
	lo := netpolltest.Options{
		Seed: o.Seed, Tick: o.Tick,
		Deliver: func(l *netpoll.Loop, members int) bool {
			more := n.Shard.Deliver(n.Sink, members)
			if o.Flush != nil {
				o.Flush(l)
			}
			return more
		},
		OnPanic:   o.OnPanic,
		OnRelease: func(_ uint32, r netpoll.Reason) { n.Reasons = append(n.Reasons, r) },
	}
	if o.Layered {
		lo.Layer = new(netpolltest.XORLayer)
		lo.Wire = func() netpolltest.Wire { return new(netpolltest.XOR) }
	}
	lo.Handlers = o.Handlers(n)
	for i, h := range lo.Handlers {
		if h == nil {
			lo.Handlers[i] = absent{}
		}
	}
	s.handlers = lo.Handlers
	n.Loop = netpolltest.New(t, lo)
	s.loop = n.Loop.Loop
	if s.members = o.Members; s.members == nil {
		s.members = connections{s}
	}
	return n
}

// Do runs f for the peer's connection on the loop, and settles.
func (n *Node) Do(p *netpolltest.Peer, f func(l *netpoll.Loop, c *netpoll.Conn)) {
	n.Remote().PostTo(p.ID(), f)
	n.Settle()
}

// sink is the way from a shard to its members.
type sink struct {
	loop     *netpoll.Loop
	handlers [netpoll.RolesMax]netpoll.Handler
	members  Members
	gap      func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte
}

func (s *sink) Pending(member uint32) int {
	return s.members.MemberPending(s.loop, s.loop.ConnAt(member))
}

func (s *sink) Send(member uint32, p []byte, mark, n uint32) {
	s.members.MemberSend(s.loop, s.loop.ConnAt(member), p, mark, n)
}

func (s *sink) DropOldest(member uint32, need int, dropped func(mark, n uint32)) int {
	return s.members.MemberDrop(s.loop, s.loop.ConnAt(member), need, dropped)
}

func (s *sink) Gap(member uint32, f broadcast.Form, topic string, mark, missed uint32, first bool) {
	var p []byte
	if s.gap != nil {
		p = s.gap(nil, f, topic, missed)
	}
	switch c := s.loop.ConnAt(member); {
	case len(p) == 0:
	case first:
		s.loop.SendFirst(c, p, mark, missed)
	default:
		s.loop.SendMessages(c, p, mark, missed)
	}
}

func (s *sink) Encode(dst []byte, member uint32, m *broadcast.Message) []byte {
	if p, ok := s.members.(interface {
		Encode(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte
	}); ok {
		return p.Encode(dst, s.loop.ConnAt(member), m)
	}
	return dst
}

func (s *sink) Slow(member uint32) { s.members.Slow(s.loop, s.loop.ConnAt(member)) }

// connections are the members of most protocols.
type connections struct{ s *sink }

func (connections) MemberPending(_ *netpoll.Loop, c *netpoll.Conn) int { return c.Pending() }

func (connections) MemberSend(l *netpoll.Loop, c *netpoll.Conn, p []byte, mark, n uint32) {
	l.SendMessages(c, p, mark, n)
}

func (connections) MemberDrop(l *netpoll.Loop, c *netpoll.Conn, need int, dropped func(mark, n uint32)) int {
	return l.DropOldest(c, need, dropped)
}

func (m connections) Slow(l *netpoll.Loop, c *netpoll.Conn) {
	m.s.handlers[c.Role()].(interface {
		Slow(l *netpoll.Loop, c *netpoll.Conn)
	}).Slow(l, c)
}

// absent is the handler of roles that a test has no use for.
type absent struct{}

func (absent) OnOpen(*netpoll.Loop, *netpoll.Conn)                  {}
func (absent) OnData(*netpoll.Loop, *netpoll.Conn, []byte)          {}
func (absent) OnTimer(*netpoll.Loop, *netpoll.Conn)                 {}
func (absent) OnWritable(*netpoll.Loop, *netpoll.Conn)              {}
func (absent) OnClose(*netpoll.Loop, *netpoll.Conn, netpoll.Reason) {}
