// A server's part on one loop: the protocol that internal/wsconn serves, and a member of the
// topics.

package websocket

import (
	"log/slog"
	"math"
	"runtime/debug"
	"slices"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/trace"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

const (
	// frameHeadMax is the length of the longest server header, in bytes.
	frameHeadMax = 10

	// inPlaceBytesMin is the size of a reply from which it is sent from where its request lies, in
	// bytes. Smaller ones are copied: the replies to pipelined messages then go out in one piece.
	inPlaceBytesMin = 4 << 10

	// sharedBytesMin is the size of a message from which its frame is made on the heap, in bytes:
	// the turn's buffer would otherwise keep the size of the largest message.
	sharedBytesMin = 64 << 10
)

// part is a Server on one loop. Loop only, but for orders.
type part struct {
	*wsconn.Endpoint
	server *Server
	index  int
	role   netpoll.Role
	forms  broadcast.Form // the first of the two
	loop   *netpoll.Loop
	shard  *broadcast.Shard
	edge   *edge.Config
	orders orders
	crew   crew
	watch  watch
	asked  *Upgrade // the handshake that serve has parked, until ask

	conns  netpoll.Slab[*Conn]
	last   uint32 // the highest index of conns that was ever in use
	extras netpoll.Slab[extra]

	heldBytes int64 // of all extras

	// The close that the endpoint is about to report.
	code   int
	reason string

	// The message that OnMessage is being called for, and whose it is.
	current *frame.Message
	whose   netpoll.ID

	// Used by one call at a time, and kept to be used again.
	frame, text []byte
}

// seat is what the process gives a Server for one of its loops.
type seat struct {
	role     netpoll.Role
	form     broadcast.Form // the first of two
	shard    *broadcast.Shard
	sink     broadcast.Sink // nil: the part itself
	counters *wsconn.Counters
	seed     uint64
	farewell func(c *netpoll.Conn, code uint16, text string) // nil: nobody asks
	tap      *trace.Tap

	principals *auth.Principals // nil: nobody is identified
}

func newPart(s *Server, i int, at seat) *part {
	p := &part{server: s, index: i, role: at.role, forms: at.form, shard: at.shard}
	sink := at.sink
	if sink == nil {
		sink = (*sinkOf)(p)
	}
	o := &s.opt
	p.Endpoint = wsconn.New(wsconn.Config{
		MessageBytesMax: o.MaxMessage, OutboxBytesMax: o.Outbox,
		PingInterval: max(o.PingInterval, 0), PingTimeout: o.PingTimeout,
		Rate: o.Rate, RateBurst: o.RateBurst, ByteRate: o.ByteRate, Principals: at.principals,
		Shard: at.shard, Sink: sink, Ended: p.ended, Closing: p.closing, Control: p.pinged,
		Seed: at.seed, Counters: at.counters, Farewell: at.farewell, Tap: at.tap,
	}, p)
	return p
}

// run tells the part its loop, before that starts.
func (p *part) run(l *netpoll.Loop) {
	p.loop = l
	p.orders.remote.Store(l.Remote())
	p.orders.drain = p.obey
}

// open begins a connection that has just become the part's role.
func (p *part) open(l *netpoll.Loop, n *netpoll.Conn, u *Upgrade, window frame.Window) {
	i, at := p.conns.Alloc()
	p.last = max(p.last, i)
	c := &Conn{part: p, id: n.ID(), data: u.data}
	*at = c
	n.SetSession(i)
	p.server.open.Add(1)
	p.Start(l, n, window)
	if o := &p.server.opt; o.IdleTimeout > 0 {
		l.Arm(n, o.IdleTimeout)
	}
	p.Speak(l, n, u.request.who)
	if u.chosen != "" {
		p.of(c).subprotocol = u.chosen
	}
	if _, err := p.shard.Subscribe(n.Slot(), p.form(&c.state), p.topic(everybody)); err != nil {
		p.End(l, n, netpoll.ReasonPolicy, frame.CodeTryLater, err.Error())
		return
	}
	if f := p.server.onConnection; f != nil {
		p.enter()
		f(c, u.request)
		p.exit()
	}
}

// State implements wsconn.Protocol.
func (p *part) State(n *netpoll.Conn) *wsconn.State { return &(*p.conns.At(n.Session())).state }

// at is the connection of a record that has a session.
func (p *part) at(n *netpoll.Conn) *Conn { return *p.conns.At(n.Session()) }

// Free implements wsconn.Protocol.
func (p *part) Free(n *netpoll.Conn) {
	c := p.at(n)
	if c.extra != 0 {
		p.extras.Free(c.extra)
		c.extra = 0
	}
	p.conns.Free(n.Session())
}

// OnData implements netpoll.Handler.
func (p *part) OnData(l *netpoll.Loop, n *netpoll.Conn, b []byte) {
	p.enter()
	p.Endpoint.OnData(l, n, b)
	p.exit()
}

// Message implements wsconn.Protocol.
func (p *part) Message(_ *netpoll.Loop, n *netpoll.Conn, m *frame.Message) {
	f := p.server.onMessage
	if f == nil {
		return
	}
	kind := Text
	if m.Op == frame.OpBinary {
		kind = Binary
	}
	p.current, p.whose = m, n.ID()
	f(p.at(n), Message{Kind: kind, Data: m.Payload})
	if p.current != nil { // it has not become a reply where it lies
		p.current = nil
		poison(m.Payload)
	}
}

// inPlace makes the frame of a reply that consists of the message being handled, where that lies.
func (p *part) inPlace(n *netpoll.Conn, op frame.OpCode, data []byte) (reply []byte, ok bool) {
	m := p.current
	if m == nil || len(data) == 0 || len(m.Payload) < len(data) || &data[0] != &m.Payload[0] || p.whose != n.ID() || op != m.Op {
		return nil, false
	}
	p.current = nil // its header is written once
	at := *m
	at.Payload = data
	return at.InPlace()
}

// OnWritable implements netpoll.Handler: the connection has caught up.
func (p *part) OnWritable(l *netpoll.Loop, n *netpoll.Conn) {
	p.Endpoint.OnWritable(l, n)
	if f := p.server.onDrain; f != nil && n.Session() != 0 && !n.Closing() {
		p.enter()
		f(p.at(n))
		p.exit()
	}
}

// OnTimer implements netpoll.Handler: heartbeats, or without them the end of an idle connection.
func (p *part) OnTimer(l *netpoll.Loop, n *netpoll.Conn) {
	o := &p.server.opt
	if c := p.at(n); c.extra != 0 {
		if x := p.extras.At(c.extra); x.async != nil && x.async.idle() && !x.asyncPaused {
			x.async = nil
			p.tidy(c)
		}
	}
	if o.IdleTimeout <= 0 {
		p.Endpoint.OnTimer(l, n)
		return
	}
	if p.Expire(l, n) {
		return
	}
	p.ForgetBudget(l, p.State(n))
	if idle := l.Now() - l.Seen(n); idle < o.IdleTimeout {
		l.Arm(n, o.IdleTimeout-idle)
		p.Limit(l, n, true)
		return
	}
	p.End(l, n, netpoll.ReasonTimeout, frame.CodeGoingAway, "idle timeout")
}

// pinged is told of the control frames that a client sends.
func (p *part) pinged(_ *netpoll.Loop, n *netpoll.Conn, m *frame.Message) {
	f := p.server.onPing
	if m.Op == frame.OpPong {
		f = p.server.onPong
	}
	if f != nil {
		f(p.at(n), m.Payload)
	}
}

// closing is told with which close frame a connection ends, before ended is.
func (p *part) closing(code uint16, reason string) {
	if code == 0 {
		code = frame.CodeNoStatus // frame.AppendClose makes no difference
	}
	p.code, p.reason = int(code), reason
}

// ended hears that nothing more comes from a connection and nothing more can be sent to it; and
// once more when it is gone.
func (p *part) ended(l *netpoll.Loop, n *netpoll.Conn, _ netpoll.Reason) {
	code, reason := p.code, p.reason
	p.code, p.reason = 0, ""
	c := p.at(n)
	if c.data == ended {
		return
	}
	if code == 0 {
		code = 1006 // RFC 6455, 7.1.5: no close frame was received, nor sent
	}
	if c.extra != 0 {
		x := p.extras.At(c.extra)
		p.forgetHeld(x)
		x.async.end()
	}
	p.server.open.Add(-1)
	p.enter()
	defer func() {
		p.exit()
		c.data = ended // and what the program stored is garbage
		if v := recover(); v != nil {
			p.server.opt.Logger.Error("OnClose panicked", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
		}
	}()
	if f := p.server.onClose; f != nil {
		f(c, code, reason)
	}
}

// ended is the data of a connection for which OnClose has been called.
var endedMark = new(byte)
var ended any = endedMark

// terminate cuts a connection.
func (p *part) terminate(n *netpoll.Conn) { p.loop.Close(n, netpoll.ReasonLocal) }

// tooFar acts by the policy on a connection whose Outbox lacks room for need bytes more.
func (p *part) tooFar(n *netpoll.Conn, need int) Result {
	switch p.server.policy {
	case broadcast.DropNewest:
	case broadcast.DropOldest:
		if p.loop.DropOldest(n, need, p.lost) >= need {
			return Sent
		}
	default:
		p.Slow(p.loop, n)
		return Dropped
	}
	p.server.dropped.Add(1)
	return Dropped
}

// lost counts published messages that made room for others.
func (p *part) lost(_, n uint32) { p.server.dropped.Add(uint64(n)) }

// of is the connection's extra, made if it has none.
func (p *part) of(c *Conn) *extra {
	if c.extra == 0 {
		c.extra, _ = p.extras.Alloc()
	}
	return p.extras.At(c.extra)
}

// tidy gives the connection's extra back if there is nothing in it.
func (p *part) tidy(c *Conn) {
	if c.extra == 0 {
		return
	}
	x := p.extras.At(c.extra)
	if x.async == nil && x.held == nil && !x.fragment && !x.paused && !x.asyncPaused && x.subprotocol == "" {
		p.extras.Free(c.extra)
		c.extra = 0
	}
}

// pending is what a connection lags behind, in bytes.
func (p *part) pending(n *netpoll.Conn, c *Conn) int {
	if c.extra == 0 {
		return n.Pending()
	}
	return n.Pending() + p.extras.At(c.extra).heldBytes
}

// release ends a fragmented message: what was published meanwhile follows.
func (p *part) release(n *netpoll.Conn, c *Conn) {
	x := p.extras.At(c.extra)
	x.fragment = false
	for _, h := range x.held {
		p.loop.SendMessages(n, h.p, h.mark, h.n)
	}
	p.forgetHeld(x)
	p.tidy(c)
}

// MemberPending is how much a member of the topics lags behind, in bytes.
func (p *part) MemberPending(_ *netpoll.Loop, n *netpoll.Conn) int {
	if n.Session() == 0 {
		return n.Pending()
	}
	return p.pending(n, p.at(n))
}

// MemberSend sends a member n whole messages, behind a fragmented one that has begun.
func (p *part) MemberSend(l *netpoll.Loop, n *netpoll.Conn, b []byte, mark, count uint32) {
	if c := p.at(n); c.extra != 0 && !n.Closing() {
		if x := p.extras.At(c.extra); x.fragment {
			x.held = append(x.held, held{b, mark, count})
			x.heldBytes += len(b)
			p.heldBytes += int64(len(b))
			return
		}
	}
	l.SendMessages(n, b, mark, count)
}

// MemberDrop takes back messages that a member has not begun to get, oldest first.
func (p *part) MemberDrop(l *netpoll.Loop, n *netpoll.Conn, need int, dropped func(mark, n uint32)) (freed int) {
	freed = l.DropOldest(n, need, dropped)
	c := p.at(n)
	if freed >= need || c.extra == 0 {
		return freed
	}
	x := p.extras.At(c.extra)
	i := 0
	for ; i < len(x.held) && freed < need; i++ {
		h := &x.held[i]
		dropped(h.mark, h.n)
		freed += len(h.p)
		x.heldBytes -= len(h.p)
		p.heldBytes -= int64(len(h.p))
	}
	x.held = slices.Delete(x.held, 0, i)
	return freed
}

// Slow ends a member that lags too far behind.
func (p *part) Slow(l *netpoll.Loop, n *netpoll.Conn) {
	if !n.Closing() && n.Session() != 0 {
		if c := p.at(n); c.extra != 0 {
			x := p.extras.At(c.extra)
			p.forgetHeld(x)
			if x.fragment { // a close frame may stand between two fragments: RFC 6455, 5.4
				l.DropOldest(n, math.MaxInt, func(_, _ uint32) {})
			}
		}
	}
	p.Endpoint.Slow(l, n)
}

// Shed ends a connection for which the process holds too much.
func (p *part) Shed(l *netpoll.Loop, n *netpoll.Conn) {
	if !n.Closing() && n.Session() != 0 {
		if c := p.at(n); c.extra != 0 {
			p.forgetHeld(p.extras.At(c.extra))
		}
	}
	p.Endpoint.Shed(l, n)
}

// Held implements proto.Holder: parts of messages, and what waits behind a fragmented one.
func (p *part) Held(l *netpoll.Loop, n *netpoll.Conn) int {
	if n.Session() == 0 {
		return 0
	}
	held := p.Endpoint.Held(l, n)
	if c := p.at(n); c.extra != 0 {
		held += p.extras.At(c.extra).heldBytes
	}
	return held
}

// HeldBytes implements proto.Holder.
func (p *part) HeldBytes() int64 { return p.Endpoint.HeldBytes() + p.heldBytes }

// forgetHeld drops what waits behind a fragmented message.
func (p *part) forgetHeld(x *extra) {
	p.heldBytes -= int64(x.heldBytes)
	x.held, x.heldBytes = nil, 0
}

// Gap has no form: a program's messages have no envelope. What was dropped is counted.
func (p *part) Gap(dst []byte, _ broadcast.Form, _ string, _ uint32) []byte { return dst }

// Panicked ends a connection whose handler has panicked: RFC 6455, 7.4.1.
func (p *part) Panicked(l *netpoll.Loop, n *netpoll.Conn) {
	p.abandon()
	p.current = nil
	p.End(l, n, netpoll.ReasonPanic, frame.CodeInternal, "internal error")
}

// sinkOf is the part as the sink of a hub of its own: a member's number is its slot.
type sinkOf part

func (s *sinkOf) member(member uint32) *netpoll.Conn {
	n := s.loop.ConnAt(member)
	if n == nil || n.Role() != s.role || n.Session() == 0 {
		return nil
	}
	return n
}

// Pending implements broadcast.Sink.
func (s *sinkOf) Pending(member uint32) int {
	if n := s.member(member); n != nil {
		return (*part)(s).MemberPending(s.loop, n)
	}
	return 0
}

// Send implements broadcast.Sink.
func (s *sinkOf) Send(member uint32, b []byte, mark, count uint32) {
	if n := s.member(member); n != nil {
		(*part)(s).MemberSend(s.loop, n, b, mark, count)
	}
}

// DropOldest implements broadcast.Sink.
func (s *sinkOf) DropOldest(member uint32, need int, dropped func(mark, n uint32)) int {
	if n := s.member(member); n != nil {
		return (*part)(s).MemberDrop(s.loop, n, need, dropped)
	}
	return 0
}

// Gap implements broadcast.Sink.
func (s *sinkOf) Gap(uint32, broadcast.Form, string, uint32, uint32, bool) {}

// Encode is for forms of one member; there are none here.
func (s *sinkOf) Encode(dst []byte, _ uint32, _ *broadcast.Message) []byte { return dst }

// Slow implements broadcast.Sink.
func (s *sinkOf) Slow(member uint32) {
	if n := s.member(member); n != nil {
		(*part)(s).Slow(s.loop, n)
	}
}
