// The netpoll.Handler of every WebSocket role: it turns bytes into messages.

package wsconn

import (
	"math"
	"unsafe"

	"c100k/frame"
	"c100k/internal/jitter"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// Protocol is the part in which WebSocket protocols differ. All methods run on the loop.
type Protocol interface {
	// State gives the endpoint's part of c's session record.
	State(c *netpoll.Conn) *State

	// Message is called for each data message, complete, inflated, and UTF-8 where it is text.
	// m.Payload and m.Head may be changed in place and are valid during the call, as m is; with
	// m.Head not nil they are a slice of the read arena, and live until the end of the turn. m.Op
	// is frame.OpText or frame.OpBinary.
	Message(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message)

	// Free takes back c's session record. It is the last call for c.
	Free(c *netpoll.Conn)
}

// State is the endpoint's part of a session record. The zero value is right for a connection that
// Start is about to be called for.
type State struct {
	partial uint32 // index in Endpoint.partials while a frame or message is incomplete, else 0
	budget  uint32 // index in Endpoint.budgets once a message was counted against the rate, else 0
	flags   stateFlags
	who     [3]byte // Principal, in the bytes that alignment leaves
}

type stateFlags uint8

const (
	flagDeflate stateFlags = 1 << iota // permessage-deflate was negotiated
	flagNarrow                         // in a narrow window
	flagFresh                          // no heartbeat yet: the first one is spread over half the interval
	flagPinged                         // a ping was sent, and nothing has arrived since
)

// Principal is the index that SetPrincipal has stored, 0 at first.
func (s *State) Principal() uint32 {
	return uint32(s.who[0]) | uint32(s.who[1])<<8 | uint32(s.who[2])<<16
}

// SetPrincipal stores the index of the connection's principal, below 1<<24: a loop has no more
// connections than that. It panics for a larger index, which ends the connection, because it must
// not get the rights of another principal.
func (s *State) SetPrincipal(i uint32) {
	if i >= 1<<24 {
		panic("wsconn: no room for the index of a principal")
	}
	s.who = [3]byte{byte(i), byte(i >> 8), byte(i >> 16)}
}

// Window is the window in which messages to the connection are compressed; frame.NoWindow if it did
// not negotiate permessage-deflate.
func (s *State) Window() frame.Window {
	switch s.flags & (flagDeflate | flagNarrow) {
	case flagDeflate:
		return frame.WindowFull
	case flagDeflate | flagNarrow:
		return frame.WindowNarrow
	}
	return frame.NoWindow
}

// Endpoint serves the connections of one WebSocket role on one loop.
type Endpoint struct {
	cfg      Config
	protocol Protocol
	plain    frame.Options
	deflated frame.Options

	repliesBytesMax int // to one read
	unreadBytesMax  int // pending output beyond which nothing more is read

	partials netpoll.Slab[partial]
	held     int64 // bytes of all partials
	budgets  netpoll.Slab[budget]
	jitter   jitter.Source
	messages Allowance
	bytes    Allowance

	reader  frame.Reader  // for connections without a partial; idle between calls
	message frame.Message // the current message: one for all connections, so that passing it on needs no copy and no allocation
	scratch []byte        // for control frames
}

// New returns an endpoint for protocol.
func New(cfg Config, protocol Protocol) *Endpoint {
	if cfg.RateBurst == 0 {
		cfg.RateBurst = max(1, int(min(cfg.Rate, math.MaxInt32)))
	}
	if cfg.Counters == nil {
		cfg.Counters = new(Counters)
	}
	e := &Endpoint{cfg: cfg, protocol: protocol, jitter: jitter.New(cfg.Seed)}
	e.messages, e.bytes = messageAllowance(cfg.Rate, cfg.RateBurst), byteAllowance(cfg.ByteRate, cfg.MessageBytesMax)
	e.repliesBytesMax = max(cfg.OutboxBytesMax, RepliesBytesMin) + cfg.MessageBytesMax
	// Broadcasts alone stay within the outbox. A client that lags behind them must still be read, so
	// that it can unsubscribe.
	e.unreadBytesMax = cfg.OutboxBytesMax + cfg.OutboxBytesMax/4
	e.plain = frame.Options{MessageBytesMax: cfg.MessageBytesMax}
	e.deflated = frame.Options{MessageBytesMax: cfg.MessageBytesMax, Deflate: true}
	return e
}

// Start begins the life of a connection whose session record is in place. window is what
// frame.NegotiateDeflate has returned, frame.NoWindow without compression.
func (e *Endpoint) Start(l *netpoll.Loop, c *netpoll.Conn, window frame.Window) {
	s := e.protocol.State(c)
	s.flags |= flagFresh
	switch window {
	case frame.WindowFull:
		s.flags |= flagDeflate
	case frame.WindowNarrow:
		s.flags |= flagDeflate | flagNarrow
	}
	if e.cfg.PingInterval > 0 {
		l.Arm(c, e.firstPing())
	}
}

// OnOpen does nothing: Open of the protocol makes the session and calls Start.
func (e *Endpoint) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

// OnWritable is called when the backlog of c has been sent.
func (e *Endpoint) OnWritable(_ *netpoll.Loop, c *netpoll.Conn) {
	if e.cfg.Shard != nil {
		e.cfg.Shard.Drained(e.cfg.Sink, c.Slot())
	}
}

// OnData parses p.
func (e *Endpoint) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	s := e.protocol.State(c)
	s.flags &^= flagPinged // any byte is a sign of life
	owed := c.Pending()
	r := e.attach(s)
	options := &e.plain
	if s.flags&flagDeflate != 0 {
		options = &e.deflated
	}
	m := &e.message
	for len(p) > 0 && !c.Closing() {
		rest, err := r.Read(options, p, m)
		if err != nil {
			e.fail(l, c, err)
			break
		}
		if !m.Complete {
			break
		}
		p = rest
		e.take(l, c, s, m)
		if c.Pending()-owed > e.repliesBytesMax {
			e.Slow(l, c)
		}
	}
	*m = frame.Message{} // keeps no memory alive
	if c.Closing() {
		r.Release()
		e.drop(s)
		return
	}
	e.keep(s, r)
	if c.Pending() > e.unreadBytesMax {
		l.PauseRead(c)
	}
}

// partialBytes is the memory of one partial without its buffer.
const partialBytes = int64(unsafe.Sizeof(partial{}))

// partial is the parser of a connection whose frame or message is incomplete.
type partial struct {
	frame.Reader
	counted int64 // what it counts for in Endpoint.held
}

// attach returns the parser in the state in which the last input left it.
func (e *Endpoint) attach(s *State) *frame.Reader {
	if s.partial != 0 {
		return &e.partials.At(s.partial).Reader
	}
	if !e.reader.Idle() {
		e.reader.Release() // a handler panicked in the middle of a read
	}
	return &e.reader
}

// keep stores the parser if it is in the middle of a frame or message, and otherwise frees it.
func (e *Endpoint) keep(s *State, r *frame.Reader) {
	switch idle := r.Idle(); {
	case s.partial == 0 && !idle:
		i, p := e.partials.Alloc()
		p.Reader, e.reader = e.reader, frame.Reader{}
		s.partial = i
		e.count(p)
	case s.partial != 0 && idle:
		e.drop(s)
	case s.partial != 0:
		e.count(e.partials.At(s.partial))
	}
}

// count brings what p counts for up to date.
func (e *Endpoint) count(p *partial) {
	held := partialBytes + int64(p.Held())
	e.held += held - p.counted
	p.counted = held
}

func (e *Endpoint) drop(s *State) {
	if s.partial != 0 {
		p := e.partials.At(s.partial)
		e.held -= p.counted
		p.Release()
		e.partials.Free(s.partial)
		s.partial = 0
	}
}

// Held is how much is kept of the message that c has begun, in bytes.
func (e *Endpoint) Held(_ *netpoll.Loop, c *netpoll.Conn) int {
	if c.Session() == 0 {
		return 0
	}
	if s := e.protocol.State(c); s.partial != 0 {
		return int(e.partials.At(s.partial).counted)
	}
	return 0
}

// HeldBytes is the sum of Held over all connections.
func (e *Endpoint) HeldBytes() int64 { return e.held }

// take handles one message or control frame.
func (e *Endpoint) take(l *netpoll.Loop, c *netpoll.Conn, s *State, m *frame.Message) {
	switch m.Op {
	case frame.OpPing:
		// RFC 6455, 5.5.3: a pong has the payload of its ping. Each ping is answered, as others do,
		// though only the latest must be; a pong is shorter than its ping, so a flood of them is
		// bounded like every other reply.
		e.scratch = frame.AppendFrame(e.scratch[:0], frame.OpPong, m.Payload)
		l.Send(c, e.scratch)
		e.control(l, c, m)
	case frame.OpPong:
		e.control(l, c, m)
	case frame.OpClose:
		e.closed(l, c, m.Payload)
	default:
		if !e.Within(l, s, len(m.Payload)) {
			e.End(l, c, netpoll.ReasonPolicy, frame.CodePolicy, "rate limit exceeded")
			return
		}
		e.cfg.Counters.MessagesReceived++
		e.cfg.Counters.BytesReceived += uint64(len(m.Payload))
		if e.cfg.Tap.On() {
			e.cfg.Tap.Message(l, c, trace.In, "", 1, m.Payload)
		}
		e.protocol.Message(l, c, m)
	}
}

// control passes a ping or a pong to a protocol that has Config.Control.
func (e *Endpoint) control(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message) {
	if e.cfg.Control != nil {
		e.cfg.Control(l, c, m)
	}
}

// Reply sends one message to c alone: a whole frame, copied.
func (e *Endpoint) Reply(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	e.cfg.Counters.MessagesSent++
	if e.cfg.Tap.On() {
		e.cfg.Tap.Message(l, c, trace.Out, "", 1, p)
	}
	l.Send(c, p)
}

// ReplyTurn is Reply without a copy: p must not change until the turn ends.
func (e *Endpoint) ReplyTurn(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	e.cfg.Counters.MessagesSent++
	if e.cfg.Tap.On() {
		e.cfg.Tap.Message(l, c, trace.Out, "", 1, p)
	}
	l.SendTurn(c, p)
}

// ReplyShared is Reply without a copy: p must never change again.
func (e *Endpoint) ReplyShared(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	e.cfg.Counters.MessagesSent++
	if e.cfg.Tap.On() {
		e.cfg.Tap.Message(l, c, trace.Out, "", 1, p)
	}
	l.SendShared(c, p)
}

// CountSent counts a message that the protocol has sent without Reply.
func (e *Endpoint) CountSent() { e.cfg.Counters.MessagesSent++ }

// OnClose frees the state of the connection.
func (e *Endpoint) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	if c.Session() == 0 {
		return // closed before the protocol opened it
	}
	e.leave(l, c, r)
	e.Forget(e.protocol.State(c))
	e.protocol.Free(c)
	c.SetSession(0)
}

// Forget frees the entries of s in the endpoint, and makes s the zero State.
func (e *Endpoint) Forget(s *State) {
	e.drop(s)
	if s.budget != 0 {
		e.budgets.Free(s.budget)
	}
	e.cfg.Principals.Free(s.Principal())
	*s = State{}
}

// leave removes c from all topics. A second call does nothing.
func (e *Endpoint) leave(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	if e.cfg.Shard != nil {
		e.cfg.Shard.Leave(c.Slot())
	}
	if e.cfg.Ended != nil {
		e.cfg.Ended(l, c, r)
	}
}
