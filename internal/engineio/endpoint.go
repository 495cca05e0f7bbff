// Engine.IO on one loop: the API for the layer above and for the owner of the loop, the interface
// of the layer above, and the three roles on a node.

package engineio

import (
	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/jitter"
	"c100k/internal/proto"
	"c100k/internal/trace"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// App is the layer above: Socket.IO. All methods are called on the session's home loop; they must
// not block, and must keep neither l nor s nor p: another goroutine gets s.ID(). They may send to
// any session of the loop, and close any, s included: after that nothing more arrives from it.
type App interface {
	// Opened: a handshake was accepted, and the open packet is on its way. The App may send, and may
	// give the session a number of its own (Session.SetValue). r is valid during the call.
	Opened(l *netpoll.Loop, s *Session, r *Request)

	// Text: a text message has arrived. p may be changed in place and is valid during the call. It is
	// valid UTF-8.
	Text(l *netpoll.Loop, s *Session, p []byte)

	// Binary: a binary message has arrived; p as for Text.
	Binary(l *netpoll.Loop, s *Session, p []byte)

	// Upgraded: the session's transport is now WebSocket. Nothing was lost, and nothing else changes.
	Upgraded(l *netpoll.Loop, s *Session)

	// Closed: the session has ended; the last call for it. Endpoint.Close calls it too, before it
	// returns. s has left its shard.
	Closed(l *netpoll.Loop, s *Session, r Reason)
}

// Speaker is implemented by an App whose clients may be identified, each perhaps as several users.
// Its methods are called on the loop.
type Speaker interface {
	// Speaks tells whether a client speaks for a principal that matches says it of.
	Speaks(s *Session, matches func(*auth.Principal) bool) bool
	// Revoke takes the rights of those principals back.
	Revoke(l *netpoll.Loop, s *Session, matches func(*auth.Principal) bool)
}

// Endpoint serves Engine.IO on one loop. Loop only.
type Endpoint struct {
	cfg          Config
	owedBytesMax int // pending output of a session whose requests are being answered; beyond it, it is slow

	messages, bytes wsconn.Allowance // of Rate and ByteRate
	queued          int64            // bytes in queues
	exchanged       int64            // bytes kept of requests that are not answered
	keeper          Keeper           // the App if it is one, else nil
	speaker         Speaker          // likewise

	sockets   sockets
	sessions  netpoll.Slab[Session]
	exchanges netpoll.Slab[exchange]
	queues    netpoll.Slab[queue]
	secrets   secrets
	holders   map[uint32]*edge.SessionHolder // the admission of polling sessions, by member
	jitter    jitter.Source

	ready []netpoll.ID // sessions with a queue while their poll waits

	// Scratch space, used by one call at a time.
	request Request
	frames  []byte
	runs    [][]byte
	payload []byte
	answer  []byte
	date    date
}

// New returns an endpoint. Fields of cfg that are zero get their defaults.
func New(cfg Config) *Endpoint {
	cfg.setDefaults()
	e := &Endpoint{cfg: cfg, holders: make(map[uint32]*edge.SessionHolder), jitter: jitter.New(cfg.Seed)}
	e.keeper, _ = cfg.App.(Keeper)
	e.speaker, _ = cfg.App.(Speaker)
	e.owedBytesMax = max(cfg.OutboxBytesMax, RepliesBytesMin) + cfg.PayloadBytesMax
	e.sockets.e = e
	e.sockets.Endpoint = wsconn.New(wsconn.Config{
		MessageBytesMax: cfg.PayloadBytesMax, OutboxBytesMax: cfg.OutboxBytesMax,
		Rate: cfg.Rate, RateBurst: cfg.RateBurst, ByteRate: cfg.ByteRate, Counters: cfg.Counters, Ended: e.sockets.ended,
		Farewell: cfg.Farewell,
	}, &e.sockets)
	e.messages, e.bytes = e.sockets.Allowances()
	return e
}

// PollingHandler is the netpoll.Handler of Roles.Polling.
func (e *Endpoint) PollingHandler() netpoll.Handler { return polling{e} }

// SocketHandler is the netpoll.Handler of Roles.Socket.
func (e *Endpoint) SocketHandler() netpoll.Handler { return &e.sockets }

// SessionHandler is the netpoll.Handler of Roles.Session.
func (e *Endpoint) SessionHandler() netpoll.Handler { return anchors{e} }

// PayloadBytesMax is that of the settings, in bytes. Any goroutine.
func (e *Endpoint) PayloadBytesMax() int { return e.cfg.PayloadBytesMax }

// Lookup finds a session by its ID; nil if it has ended.
func (e *Endpoint) Lookup(l *netpoll.Loop, id netpoll.ID) *Session {
	if s := e.find(l, id); s != nil && s.flags&flagClosed == 0 {
		return s
	}
	return nil
}

// find is Lookup that also finds sessions whose end is still on its way to the client.
func (e *Endpoint) find(l *netpoll.Loop, id netpoll.ID) *Session {
	if c := l.Lookup(id); c != nil {
		return e.anchored(c)
	}
	return nil
}

// anchored is the session whose anchor is c, or nil.
func (e *Endpoint) anchored(c *netpoll.Conn) *Session {
	if role := c.Role(); c.Session() == 0 || role != e.cfg.Roles.Socket && role != e.cfg.Roles.Session {
		return nil
	}
	if s := e.sessions.At(c.Session()); s.anchor == c.ID() {
		return s
	}
	return nil
}

// socket is the session's WebSocket, if that is its transport and still open.
func (e *Endpoint) socket(l *netpoll.Loop, s *Session) *netpoll.Conn {
	if s.flags&flagSocket == 0 {
		return nil
	}
	return l.Lookup(s.socket)
}

// SID is the session's id on the wire, 20 characters. It is a secret of the server and the client.
func (e *Endpoint) SID(s *Session) string { return string(e.appendSID(nil, s)) }

func (e *Endpoint) appendSID(dst []byte, s *Session) []byte {
	return appendID(dst, &place{secret: s.secret, process: e.cfg.Process, loop: e.cfg.Loop, slot: s.Member()})
}

// SendText sends a text message, which is copied. It must be UTF-8 without U+001E, which separates
// packets where clients poll; JSON text has none.
func (e *Endpoint) SendText(l *netpoll.Loop, s *Session, text []byte) { e.SendMessage(l, s, text) }

// SendMessage sends a text message and the binary messages that belong to it, with nothing in
// between. They are copied.
func (e *Endpoint) SendMessage(l *netpoll.Loop, s *Session, text []byte, attachments ...[]byte) {
	e.frames = AppendMessage(e.frames[:0], s.Form(), text, attachments...)
	p := e.frames
	if cap(p) > scratchBytesMax {
		e.frames = nil
	}
	switch c := e.socket(l, s); {
	case s.flags&flagClosed != 0:
		return
	case c != nil:
		l.Send(c, p)
	case s.flags&flagSocket == 0:
		e.queueOf(l, s).add(p)
		e.queued += int64(len(p))
	}
	e.cfg.Counters.MessagesSent++
	if e.cfg.Tap.On() {
		e.tell(l, s, trace.Out, p)
	}
	e.checkOwed(l, s, len(p))
}

// SendShared sends a run of messages that AppendMessage has made in the session's form, without a
// copy: p must never change again. Many sessions may be sent the same p.
func (e *Endpoint) SendShared(l *netpoll.Loop, s *Session, p []byte) {
	if s.flags&flagClosed == 0 && len(p) > 0 {
		e.cfg.Counters.MessagesSent++
		if e.cfg.Tap.On() {
			e.tell(l, s, trace.Out, p)
		}
		e.share(l, s, p, 0, 0)
		e.checkOwed(l, s, len(p))
	}
}

// share sends a run of frames without a copy: n messages of a broadcast, or none.
func (e *Endpoint) share(l *netpoll.Loop, s *Session, p []byte, mark, n uint32) {
	switch c := e.socket(l, s); {
	case c != nil:
		l.SendMessages(c, p, mark, n)
	case s.flags&flagSocket == 0:
		e.queueOf(l, s).share(p, mark, n)
		e.queued += int64(len(p))
	}
}

// queueOf is the queue of a polling session; the caller adds to it. A poll that waits will be
// answered at the end of the turn.
func (e *Endpoint) queueOf(l *netpoll.Loop, s *Session) *queue {
	if s.poll != 0 && s.flags&flagReady == 0 {
		s.flags |= flagReady
		e.ready = append(e.ready, s.anchor)
		l.Remote().Wake() // for messages sent after phase 6, for example by OnClose
	}
	if s.queue == 0 {
		s.queue, _ = e.queues.Alloc()
	}
	return e.queues.At(s.queue)
}

// forgetQueue drops the session's queue.
func (e *Endpoint) forgetQueue(s *Session) {
	if s.queue != 0 {
		e.queued -= int64(e.queues.At(s.queue).bytes)
		e.queues.Free(s.queue)
		s.queue = 0
	}
}

// Writable tells whether a message sent now goes out at once: a poll waits, or the WebSocket has no
// backlog. Volatile messages are sent only then.
func (e *Endpoint) Writable(l *netpoll.Loop, s *Session) bool {
	if s.flags&(flagClosed|flagSocket) != flagSocket {
		return s.flags&flagClosed == 0 && s.poll != 0
	}
	c := e.socket(l, s)
	return c != nil && !c.Closing() && !c.Backlogged()
}

// Pending is the session's pending output, in bytes.
func (e *Endpoint) Pending(l *netpoll.Loop, s *Session) int {
	if c := e.socket(l, s); c != nil {
		return c.Pending()
	}
	if s.queue != 0 {
		return e.queues.At(s.queue).bytes
	}
	return 0
}

// QueuedBytes is the size of all queues of polling sessions, in bytes.
func (e *Endpoint) QueuedBytes() int64 { return e.queued }

// checkOwed ends a session with too much pending output. Without a waiting poll the output has to
// fit into the outbox, because the client may never fetch it; one message may exceed the outbox if
// nothing else is pending. n is the number of bytes that were added last.
func (e *Endpoint) checkOwed(l *netpoll.Loop, s *Session, n int) {
	owed, most := e.Pending(l, s), e.owedBytesMax
	if s.flags&flagSocket == 0 && s.poll == 0 && owed > n {
		most = e.cfg.OutboxBytesMax
	}
	if owed > most {
		e.slow(l, s)
	}
}

// PauseRead stops reading from the session's WebSocket until its backlog is sent. It does nothing
// without a backlog, nor for a polling session, whose client can send only one payload at a time.
func (e *Endpoint) PauseRead(l *netpoll.Loop, s *Session) {
	if c := e.socket(l, s); c != nil {
		l.PauseRead(c)
	}
}

// Each calls f for each session of the loop until f returns false. f may send and close.
func (e *Endpoint) Each(l *netpoll.Loop, f func(s *Session) bool) {
	l.Each(func(c *netpoll.Conn) bool {
		s := e.anchored(c)
		return s == nil || s.flags&flagClosed != 0 || f(s)
	})
}

// Serve serves a request to the endpoint's path, whatever it is. It is what edge.Config.Route
// calls, with the same arguments: c is in the head role, h and rest are valid during the call.
func (e *Endpoint) Serve(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) {
	r := arrival{c: c, h: h, rest: rest, lines: h.Mount().Lines()}
	e.serve(l, &r)
}

// Forbid refuses a request to the endpoint's path with CodeForbidden and a message. Its other
// arguments are those of Serve.
func (e *Endpoint) Forbid(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, message string) {
	r := arrival{c: c, h: h, rest: rest, lines: h.Mount().Lines()}
	r.readQuery()
	e.allowOrigin(l, &r) // for the header fields that let a page read the answer
	e.refuse(l, &r, CodeForbidden, message)
}

// ServeHere is Serve for a request that Config.Move could not deliver: it is not moved again, and
// is answered like one for an unknown session.
func (e *Endpoint) ServeHere(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) {
	r := arrival{c: c, h: h, rest: rest, stays: true}
	e.serve(l, &r)
}

// Protocols are those of Roles.Polling, Roles.Socket and Roles.Session, in this order. gap is
// proto.Protocol.Gap of all of them; nil appends nothing.
func (e *Endpoint) Protocols(gap func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte) []proto.Protocol {
	if gap == nil {
		gap = func(dst []byte, _ broadcast.Form, _ string, _ uint32) []byte { return dst }
	}
	return []proto.Protocol{
		roleProtocol{e.PollingHandler(), e, gap, true}, roleProtocol{e.SocketHandler(), e, gap, false}, roleProtocol{e.SessionHandler(), e, gap, false},
	}
}

// roleProtocol is one of the three roles. A connection of any of them is drained, closed and sent
// to through its session.
type roleProtocol struct {
	netpoll.Handler
	*Endpoint
	gap func(dst []byte, f broadcast.Form, topic string, missed uint32) []byte
	sum bool // HeldBytes is that of all three
}

// Client implements proto.Clients: a session is a client, and its anchor names it.
func (p roleProtocol) Client(_ *netpoll.Loop, c *netpoll.Conn) (who *auth.Principal, ok bool) {
	s := p.anchored(c)
	if s == nil || s.flags&flagClosed != 0 {
		return nil, false
	}
	if p.cfg.Who != nil {
		who = p.cfg.Who(s)
	}
	return who, true
}

// HeldBytes implements proto.Holder. The endpoint is counted once.
func (p roleProtocol) HeldBytes() int64 {
	if p.sum {
		return p.Endpoint.HeldBytes()
	}
	return 0
}

// Encode implements proto.Personal.
func (p roleProtocol) Encode(dst []byte, c *netpoll.Conn, m *broadcast.Message) []byte {
	return p.cfg.Encode(dst, c, m)
}

// Gap implements proto.Protocol.
func (p roleProtocol) Gap(dst []byte, f broadcast.Form, topic string, missed uint32) []byte {
	return p.gap(dst, f, topic, missed)
}
