// One poll: how it begins, what it is sent, and its answer.

package longpoll

import (
	"bytes"
	"strconv"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/history"
	"c100k/internal/jsontext"
	"c100k/netpoll"
)

// poll is all that a poll owns while it waits, beside its texts and its seat in a topic.
type poll struct {
	who    uint32 // index in Config.Principals
	lines  uint32 // text: header fields of the answer
	names  uint32 // text: the topics as JSON strings, one a line; none if there is only one
	after  uint32 // text: the topics' positions, one a line
	resets uint32 // text: what is to be said of topics, with commas
	sum    uint32 // of the topics, if there are several
	early  uint32 // index in Handler.early: what arrived behind the request; 0: nothing
	answer uint32 // 1 and the index in Handler.ready; 0: there is nothing yet
	putOff uint16 // with flagLater: how often
	flags  flags
}

type flags uint8

const (
	flagKeep    flags = 1 << iota // another request may follow
	flagMounted                   // its Mount is in Handler.mounts
	flagHeld                      // its holder is in Handler.holders
	flagLater                     // no poll, but a request in early that waits until the answer before it is sent
)

// ready is a poll that is answered at the end of phase 6.
type ready struct {
	id    netpoll.ID // zero: it was answered already
	runs  [][]byte   // messages; immutable and shared
	gaps  []byte
	bytes int // of runs
}

// Handler serves the polls of one loop. It is the netpoll.Handler of their role; loop only.
type Handler struct {
	cfg     Config
	polls   netpoll.Slab[poll]
	texts   texts
	early   netpoll.Slab[[]byte]
	held    int64                          // bytes of early
	mounts  map[uint32]*edge.Mount         // by slot: those of polls that came from a program's http.Server
	holders map[uint32]*edge.SessionHolder // by slot: those of polls that came through a trusted proxy
	ready   []ready

	// Scratch space, used by one call at a time.
	a, b, c, body, head []byte
	date                time.Time     // of the answers of about a second: the clock is not read for each
	dated               time.Duration // when that was, on the loop's clock
}

// NewHandler returns the handler of a role on one loop.
func NewHandler(cfg Config) *Handler {
	if cfg.Date == nil {
		cfg.Date = time.Now
	}
	return &Handler{cfg: cfg, mounts: map[uint32]*edge.Mount{}, holders: map[uint32]*edge.SessionHolder{}}
}

// Open begins a poll on c, which is in the head role and becomes one of polls. The error is that of
// broadcast.Shard.Resume: then the request is the caller's to answer, and to end c.
func (h *Handler) Open(l *netpoll.Loop, c *netpoll.Conn, p *Params) error {
	l.Become(c, h.cfg.Role)
	i, x := h.polls.Alloc()
	c.SetSession(i)
	x.who = h.cfg.Principals.Add(p.Who) // before it is a member: presence looks at it
	behind, urgent, err := h.subscribe(l, c, p)
	if err != nil {
		h.cfg.Shard.Leave(c.Slot())
		h.cfg.Principals.Free(x.who)
		h.free(c, x)
		return err
	}
	h.cfg.Count.Opened()
	x.after, x.resets, x.lines = h.texts.put(h.a), h.texts.put(h.b), h.texts.put(p.Lines)
	if len(p.Topics) > 1 {
		x.names, x.sum = h.texts.put(h.c), history.TopicsSum(p.Topics)
	}
	if p.Keep {
		x.flags |= flagKeep
	}
	if p.Mount != nil {
		x.flags |= flagMounted
		h.mounts[c.Slot()] = p.Mount
	}
	if p.Holder != nil {
		x.flags |= flagHeld
		h.holders[c.Slot()] = p.Holder
	}
	h.keepEarly(x, p.Early)
	switch {
	case urgent, p.Wait <= 0 && !behind:
		h.makeReady(c, x)
	case p.Wait <= 0:
		h.arm(l, c, p.Who, replayPatience)
	default:
		h.arm(l, c, p.Who, p.Wait)
	}
	return nil
}

// arm sets the deadline of a poll, which is never behind the end of its client's rights.
func (h *Handler) arm(l *netpoll.Loop, c *netpoll.Conn, who *auth.Principal, wait time.Duration) {
	if end, ends := who.Left(l.Now(), true); ends {
		wait = min(wait, end)
	}
	l.Arm(c, wait)
}

// subscribe makes c a member of the topics. h.a then has their positions, h.b what could not be
// resumed, and h.c their names. behind tells that there are kept messages, urgent that the client
// is to hear at once of what it missed: from the positions of this answer it can go on.
func (h *Handler) subscribe(l *netpoll.Loop, c *netpoll.Conn, p *Params) (behind, urgent bool, err error) {
	h.a, h.b, h.c = h.a[:0], h.b[:0], h.c[:0]
	for i, topic := range p.Topics {
		var from history.From
		if p.From != nil {
			from = p.From[i]
		}
		r, err := h.cfg.Shard.Resume(c.Slot(), h.cfg.Form, topic, from.At(l.Now()))
		if err != nil {
			return false, false, err
		}
		behind = behind || r.Messages > 0
		if r.Reset != broadcast.ResetNone {
			h.b = appendReset(h.b, topic, r.Reset, r.Position)
			urgent = urgent || p.Kept[i]
		}
		if i > 0 {
			h.a, h.c = append(h.a, '\n'), append(h.c, '\n')
		}
		if p.Kept[i] {
			h.a = history.AppendPosition(h.a, r.Behind)
		} else {
			h.a = append(h.a, none...)
		}
		h.c = jsontext.AppendString(h.c, topic)
	}
	return behind, urgent, nil
}

// makeReady has a poll answered at the end of phase 6.
func (h *Handler) makeReady(c *netpoll.Conn, x *poll) *ready {
	if x.answer == 0 {
		if len(h.ready) < cap(h.ready) {
			h.ready = h.ready[:len(h.ready)+1] // with the arrays that it had
		} else {
			h.ready = append(h.ready, ready{})
		}
		x.answer = uint32(len(h.ready))
		h.ready[x.answer-1].id = c.ID()
	}
	return &h.ready[x.answer-1]
}

// MemberPending implements proto.Members. A poll that has got something is answered in this turn,
// so it is never slow; what is too much for one answer comes with the next poll.
func (h *Handler) MemberPending(*netpoll.Loop, *netpoll.Conn) int { return 0 }

// MemberSend implements proto.Members: p is a run of messages of one topic, or the announcement of
// a gap.
func (h *Handler) MemberSend(_ *netpoll.Loop, c *netpoll.Conn, p []byte, _, _ uint32) {
	i := c.Session()
	if i == 0 || c.Closing() || len(p) == 0 {
		return
	}
	x := h.polls.At(i)
	r := h.makeReady(c, x)
	switch {
	case p[0] == '{':
		r.gaps = append(append(r.gaps, ','), p...)
	case r.bytes < AnswerBytesMax:
		r.runs = append(r.runs, p)
		r.bytes += len(p)
		h.advance(x, p)
	}
}

// MemberDrop implements proto.Members: nothing waits.
func (h *Handler) MemberDrop(*netpoll.Loop, *netpoll.Conn, int, func(_, _ uint32)) int { return 0 }

// advance notes that a poll has got a run of messages.
func (h *Handler) advance(x *poll, run []byte) {
	at, ok := lastOffset(run)
	if !ok {
		return
	}
	h.a = h.texts.appendTo(h.a[:0], x.after)
	index := 0
	if x.names != 0 {
		h.c = h.texts.appendTo(h.c[:0], x.names)
		for name := range bytes.SplitSeq(h.c, []byte{'\n'}) {
			if topicOf(run, name) {
				break
			}
			index++
		}
	}
	h.b = h.b[:0]
	for line := range bytes.SplitSeq(h.a, []byte{'\n'}) {
		if index == 0 && string(line) != none {
			line = at
		}
		index--
		h.b = append(append(h.b, line...), '\n')
	}
	h.texts.replace(&x.after, h.b[:len(h.b)-1])
}

// Flush answers the polls that have got something. It is called at the end of phase 6 of each turn,
// behind broadcast.Shard.Deliver.
func (h *Handler) Flush(l *netpoll.Loop) {
	for i := range h.ready {
		r := &h.ready[i]
		if c := l.Lookup(r.id); c != nil && !c.Closing() {
			h.reply(l, c, netpoll.ReasonLocal, true)
		}
		clear(r.runs)
		*r = ready{runs: r.runs[:0], gaps: r.gaps[:0]}
	}
	h.ready = h.ready[:0]
}

// reply answers the poll on c, which ends with it. keep false ends its connection too.
func (h *Handler) reply(l *netpoll.Loop, c *netpoll.Conn, reason netpoll.Reason, keep bool) {
	x := h.polls.At(c.Session())
	h.appendBody(x)
	keep = keep && x.flags&flagKeep != 0 && !h.cfg.Draining()
	h.a = h.texts.appendTo(h.a[:0], x.lines)
	h.head = appendHead(h.head[:0], h.now(l), keep, h.a, len(h.body))
	mount, early := h.mounts[c.Slot()], h.takeEarly(x)
	h.end(c, x, reason)
	l.Send(c, h.head)
	l.Send(c, h.body)
	if cap(h.body) > scratchBytesMax {
		h.body = nil
	}
	switch {
	case !keep:
		l.Finish(c, reason, closeLinger)
	case mount != nil:
		h.cfg.Keep(l, c, mount, early)
	case len(early) > 0:
		h.later(l, c, early)
	default:
		l.Arm(c, KeepAliveTimeout)
	}
}

// now is the time of day, for the Date header.
func (h *Handler) now(l *netpoll.Loop) time.Time {
	if h.date.IsZero() || l.Now()-h.dated >= time.Second {
		h.date, h.dated = h.cfg.Date(), l.Now()
	}
	return h.date
}

// appendBody makes the body of an answer.
func (h *Handler) appendBody(x *poll) {
	h.body = append(h.body[:0], `{"messages":[`...)
	var gaps []byte
	if x.answer != 0 {
		r := &h.ready[x.answer-1]
		for i, run := range r.runs {
			if i == 0 {
				run = run[1:]
			}
			h.body = append(h.body, run...)
		}
		gaps = r.gaps
	}
	h.body = append(h.body, `],"after":"`...)
	at := len(h.body)
	h.body = h.texts.appendTo(h.body, x.after)
	for i, b := range h.body[at:] {
		if b == '\n' {
			h.body[at+i] = ','
		}
	}
	if x.names != 0 {
		h.body = strconv.AppendUint(append(h.body, ';'), uint64(x.sum), 16)
	}
	h.body = append(h.body, '"')
	if x.resets != 0 {
		h.b = h.texts.appendTo(h.b[:0], x.resets)
		h.body = appendList(h.body, "reset", h.b)
	}
	if len(gaps) > 0 {
		h.body = appendList(h.body, "gap", gaps)
	}
	h.body = append(h.body, '}')
}

// end frees what the poll on c has.
func (h *Handler) end(c *netpoll.Conn, x *poll, reason netpoll.Reason) {
	h.cfg.Shard.Leave(c.Slot())
	h.cfg.Count.Closed(reason)
	if h.cfg.Ended != nil {
		h.cfg.Ended(c, h.cfg.Principals.At(x.who), reason)
	}
	h.cfg.Principals.Free(x.who)
	if x.flags&flagMounted != 0 {
		delete(h.mounts, c.Slot())
	}
	if x.flags&flagHeld != 0 {
		h.cfg.Release(h.holders[c.Slot()])
		delete(h.holders, c.Slot())
	}
	if x.answer != 0 {
		h.ready[x.answer-1].id = netpoll.ID(0)
	}
	h.free(c, x)
}

// free frees the record of c and its texts.
func (h *Handler) free(c *netpoll.Conn, x *poll) {
	for _, text := range []*uint32{&x.lines, &x.names, &x.after, &x.resets} {
		h.texts.drop(text)
	}
	h.takeEarly(x)
	h.polls.Free(c.Session())
	c.SetSession(0)
}
