// One stream's life: the answer, heartbeats, and the end.

package sse

import (
	"errors"
	"math"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/history"
	"c100k/internal/jitter"
	"c100k/netpoll"
)

// session is all that an idle stream owns here.
type session struct {
	input   uint16  // bytes that the client sent behind its request
	who     [3]byte // index in Config.Principals; a loop has fewer connections than it can count
	stalled bool    // it had not taken everything when the last heartbeat was due
}

func (s *session) principal() uint32 {
	return uint32(s.who[0]) | uint32(s.who[1])<<8 | uint32(s.who[2])<<16
}

func (s *session) setPrincipal(i uint32) { s.who = [3]byte{byte(i), byte(i >> 8), byte(i >> 16)} }

// Handler serves the streams of one loop. It is the netpoll.Handler of their role; loop only.
type Handler struct {
	cfg      Config
	sessions netpoll.Slab[session]
	jitter   jitter.Source
	places   map[uint32]*place // streams with several topics of which some have a history, by slot
	scratch  []byte
	id       []byte
	resets   []reset
	begun    []begun
}

// NewHandler returns the handler of a role on one loop.
func NewHandler(cfg Config) *Handler {
	if cfg.Date == nil {
		cfg.Date = time.Now
	}
	return &Handler{cfg: cfg, jitter: jitter.New(cfg.Seed), places: map[uint32]*place{}}
}

// Open begins a stream on c, which has just become this role: it subscribes to the topics and
// answers the request.
func (h *Handler) Open(l *netpoll.Loop, c *netpoll.Conn, p Params) {
	i, s := h.sessions.Alloc()
	c.SetSession(i)
	s.setPrincipal(h.cfg.Principals.Add(p.Who))
	form, several := h.cfg.Form, h.cfg.Several
	if p.Enveloped {
		form, several = h.cfg.Enveloped, h.cfg.EnvelopedSeveral
	}
	at := newPlace(p.Topics)
	at.enveloped = p.Enveloped
	if p.Kept && len(p.Topics) > 1 {
		form = several
		h.places[c.Slot()] = at
	}
	h.begun, h.resets = h.begun[:0], h.resets[:0]
	for i, topic := range p.Topics {
		from := history.From{}
		if p.From != nil {
			from = p.From[i]
		}
		r, err := h.cfg.Shard.Resume(c.Slot(), form, topic, from.At(l.Now()))
		if err == nil && !r.Added {
			continue // it is in the list twice
		}
		at.positions[i] = r.Behind
		if p.Enveloped {
			h.begun = append(h.begun, begun{topic, r, !from.IsNow()})
		}
		if r.Reset != broadcast.ResetNone {
			h.resets = append(h.resets, reset{topic, r.Reset, r.Position})
		}
		if err != nil {
			h.refuse(l, c, &p, err)
			return
		}
	}
	if err := h.watch(l, c, &p); err != nil {
		h.refuse(l, c, &p, err)
		return
	}
	h.scratch = AppendHead(h.scratch[:0], h.cfg.Date(), p.AllowOrigin, p.AllowCredentials, p.Lines, h.retry())
	h.begin(c, &p, at)
	l.Send(c, h.scratch)
	if h.cfg.PingInterval > 0 {
		half := h.cfg.PingInterval / 2
		l.Arm(c, half+h.jitter.Under(half)) // streams that begin together are not to be pinged together
	}
	h.limit(l, c, s)
}

// refuse ends c, which was not answered yet.
func (h *Handler) refuse(l *netpoll.Loop, c *netpoll.Conn, p *Params, err error) {
	h.scratch = h.scratch[:0]
	switch {
	case errors.Is(err, errAsks):
		h.scratch = AppendHead(h.scratch, h.cfg.Date(), p.AllowOrigin, p.AllowCredentials, p.Lines, h.retry())
		h.scratch = append(append(append(h.scratch, ": "...), err.Error()...), "\n\n"...)
	case errors.Is(err, broadcast.ErrTopicsPerMember): // coming back will not help
		h.scratch = appendRefusal(h.scratch, h.cfg.Date(), "400 Bad Request", p.Lines, err.Error())
	default:
		h.scratch = appendRefusal(h.scratch, h.cfg.Date(), "503 Service Unavailable\r\nRetry-After: 5", p.Lines, err.Error())
	}
	h.end(l, c, netpoll.ReasonRefused)
}

// limit has the stream looked at when its client's rights end, if no deadline comes before that.
func (h *Handler) limit(l *netpoll.Loop, c *netpoll.Conn, s *session) {
	end, ends := h.cfg.Principals.At(s.principal()).Left(l.Now(), true)
	if !ends || c.Closing() {
		return
	}
	if left, armed := l.Left(c); !armed || end < left {
		l.Arm(c, end)
	}
}

// Who implements proto.Identified.
func (h *Handler) Who(c *netpoll.Conn) *auth.Principal {
	if c.Session() == 0 {
		return nil
	}
	return h.cfg.Principals.At(h.sessions.At(c.Session()).principal())
}

// Revoke ends c because its client's rights were taken back. When the client comes back it is
// refused.
func (h *Handler) Revoke(l *netpoll.Loop, c *netpoll.Conn) {
	h.scratch = append(h.scratch[:0], byeRevoked...)
	h.end(l, c, netpoll.ReasonRevoked)
}

// reset is a topic whose stream does not begin where its client had ended.
type reset struct {
	topic  string
	reason broadcast.Reset
	at     broadcast.Position
}

// begin appends what a stream begins with: an id, so that a client that has heard nothing can
// resume too, and what could not be resumed.
func (h *Handler) begin(c *netpoll.Conn, p *Params, at *place) {
	h.id = nil
	if p.Kept {
		h.id = at.id(nil)
	}
	if p.Enveloped {
		h.welcome(c, p.Who)
		return
	}
	if h.id != nil {
		h.scratch = AppendID(h.scratch, h.id)
	}
	for _, r := range h.resets {
		h.scratch = AppendReset(h.scratch, h.id, r.topic, r.reason, r.at)
	}
}

// OnOpen does nothing: Open makes the session.
func (h *Handler) OnOpen(*netpoll.Loop, *netpoll.Conn) {}

// OnData discards input: a client has nothing to send on a stream.
func (h *Handler) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
	s := h.sessions.At(c.Session())
	if len(p) > InputBytesMax-int(s.input) {
		l.Close(c, netpoll.ReasonProtocol)
		return
	}
	s.input += uint16(len(p))
}

// OnTimer is the heartbeat, and the end of the client's rights if that comes first.
func (h *Handler) OnTimer(l *netpoll.Loop, c *netpoll.Conn) {
	s := h.sessions.At(c.Session())
	if who := h.cfg.Principals.At(s.principal()); who != nil && who.Expired(l.Now()) {
		// The client comes back, and is told 401, which is final.
		h.scratch = append(h.scratch[:0], byeExpired...)
		h.end(l, c, netpoll.ReasonExpired)
		return
	}
	if h.cfg.PingInterval > 0 {
		h.heartbeat(l, c, s)
	}
	h.limit(l, c, s)
}

// heartbeat is what OnTimer does for a stream that goes on. A comment tells the client, and what
// lies between, that the stream lives. A client with pending output gets no further comment. It is
// closed if it reads nothing until the timeout.
func (h *Handler) heartbeat(l *netpoll.Loop, c *netpoll.Conn, s *session) {
	if c.Pending() == 0 {
		s.stalled = false
		l.SendShared(c, heartbeat)
		l.Arm(c, h.cfg.PingInterval)
		return
	}
	idle := l.Now() - l.Seen(c)
	switch {
	case !s.stalled:
		s.stalled = true // the backlog may be a moment old: it has PingTimeout from now
		idle = 0
	case idle >= h.cfg.PingTimeout:
		l.Close(c, netpoll.ReasonTimeout)
		return
	}
	l.Arm(c, h.cfg.PingTimeout-idle)
}

// OnWritable is called when c has caught up: now it learns what it missed.
func (h *Handler) OnWritable(_ *netpoll.Loop, c *netpoll.Conn) {
	h.cfg.Shard.Drained(h.cfg.Sink, c.Slot())
}

// OnClose frees all that the stream had.
func (h *Handler) OnClose(_ *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) {
	if c.Session() == 0 {
		return // gone before it was opened
	}
	h.cfg.Shard.Leave(c.Slot())
	h.cfg.Principals.Free(h.sessions.At(c.Session()).principal())
	delete(h.places, c.Slot())
	h.sessions.Free(c.Session())
	c.SetSession(0)
}

// end sends the scratch buffer as the last bytes of c.
func (h *Handler) end(l *netpoll.Loop, c *netpoll.Conn, reason netpoll.Reason) {
	if c.Closing() {
		return
	}
	l.Send(c, h.scratch)
	h.cfg.Shard.Leave(c.Slot())
	l.Finish(c, reason, CloseLinger)
}

// Drain ends c because the node goes down, and tells it when to come back.
func (h *Handler) Drain(l *netpoll.Loop, c *netpoll.Conn) {
	h.scratch = append(AppendRetry(h.scratch[:0], h.retry()), byeRestart...)
	h.end(l, c, netpoll.ReasonDrain)
}

// Kick ends c because an operator asked for it. An EventSource comes back nevertheless.
func (h *Handler) Kick(l *netpoll.Loop, c *netpoll.Conn) {
	h.scratch = append(h.scratch[:0], byeAdmin...)
	h.end(l, c, netpoll.ReasonAdmin)
}

// Slow ends c because it takes its events too slowly; those it has not begun to get are given up.
func (h *Handler) Slow(l *netpoll.Loop, c *netpoll.Conn) {
	if c.Closing() {
		return
	}
	l.DropOldest(c, math.MaxInt, func(_, _ uint32) {})
	h.scratch = append(h.scratch[:0], byeSlow...)
	h.end(l, c, netpoll.ReasonSlow)
}

// Shed ends c because the process holds too much for its clients. A client that takes nothing is
// not told why.
func (h *Handler) Shed(l *netpoll.Loop, c *netpoll.Conn) {
	l.DropOldest(c, math.MaxInt, func(_, _ uint32) {})
	if c.Pending() > shedBytesMax {
		l.Close(c, netpoll.ReasonMemory)
		return
	}
	h.scratch = append(AppendRetry(h.scratch[:0], h.retry()), byeMemory...)
	h.end(l, c, netpoll.ReasonMemory)
}

// Gap appends an event that tells of missed messages.
func (h *Handler) Gap(dst []byte, f broadcast.Form, topic string, missed uint32) []byte {
	if h.cfg.Envelope != nil && (f == h.cfg.Enveloped || f == h.cfg.EnvelopedSeveral) {
		return appendEnvelopedGap(dst, topic, uint64(missed))
	}
	return AppendGap(dst, topic, uint64(missed))
}

// retry draws the time after which a client is to come back.
func (h *Handler) retry() time.Duration { return RetryMin + h.jitter.Under(RetryMax-RetryMin) }
