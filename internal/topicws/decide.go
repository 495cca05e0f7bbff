// Commands that wait for somebody else's decision: a backend that is asked about each subscription
// or message.
//
// A connection's commands are done in their order. While one waits, those behind it that could make
// a difference wait too, in a queue that is bounded; a ping is answered at once.

package topicws

import (
	"slices"
	"sync"
	"sync/atomic"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/auth"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// Question is what somebody else decides about. It must not be changed.
type Question struct {
	Conn   netpoll.ID
	Who    *auth.Principal // nil: not identified
	Topics []string
	Kind   broadcast.Kind
	Data   []byte // what is published; nil for a subscription
}

// Verdict is what was decided.
type Verdict struct {
	Allow  bool
	Failed bool   // nobody has decided, and Allow is what that means
	Reason string // of a refusal, for the client; may be empty
}

// Decide finds out about a question. It is called on the loop and must not block; done is called
// once, on any goroutine, perhaps before Decide returns.
type Decide func(q *Question, done func(Verdict))

// waiting is a connection's commands that wait, in their order; the first is being decided about.
type waiting struct {
	commands []held
	bytes    int
}

// held is one command, or a message of a bare connection.
type held struct {
	text    []byte // of the command; nil: a message
	kind    broadcast.Kind
	payload []byte
}

func (p *held) bytes() int { return len(p.text) + len(p.payload) + heldBytes }

// verdicts are on their way back to their loop: one for each connection that waits, at most.
type verdicts struct {
	ready atomic.Bool // spares the loop the lock when there are none

	mu   sync.Mutex // guards the field below
	list []decided
}

type decided struct {
	conn    netpoll.ID
	verdict Verdict
}

// put adds one. Any goroutine.
func (v *verdicts) put(one decided) {
	v.mu.Lock()
	v.list = append(v.list, one)
	v.ready.Store(true)
	v.mu.Unlock()
}

// take returns all there are.
func (v *verdicts) take() []decided {
	if !v.ready.Load() {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ready.Store(false)
	list := v.list
	v.list = nil
	return list
}

// mustWait tells whether a command has to wait: for a decision, or behind one that does.
func (h *Handler) mustWait(c *netpoll.Conn, verb Verb) bool {
	switch verb {
	case VerbSubscribe:
		return h.cfg.DecideSubscribe != nil || h.deciding[c.ID()] != nil
	case VerbPublish:
		return h.cfg.DecidePublish != nil || h.deciding[c.ID()] != nil
	case VerbUnsubscribe:
		return h.deciding[c.ID()] != nil
	}
	return false
}

// wait queues a command or message, and begins with it if it is the first. It refuses what is
// beyond the bounds.
func (h *Handler) wait(l *netpoll.Loop, c *netpoll.Conn, one held) Refusal {
	w := h.deciding[c.ID()]
	if w == nil {
		w = new(waiting)
		if h.deciding == nil {
			h.deciding = make(map[netpoll.ID]*waiting)
		}
		h.deciding[c.ID()] = w
	}
	if len(w.commands) >= WaitingCommandsMax || w.bytes+one.bytes() > WaitingBytesMax && len(w.commands) > 0 {
		return refuse(CodeOverloaded, "too many commands of this connection wait for a decision", nil)
	}
	w.commands = append(w.commands, one)
	w.bytes += one.bytes()
	h.waitingBytes.Add(int64(one.bytes()))
	if len(w.commands) == 1 {
		h.decideFirst(l, c, w)
	}
	return Refusal{}
}

// decideFirst has somebody decide about the first command, and does those that need no decision.
func (h *Handler) decideFirst(l *netpoll.Loop, c *netpoll.Conn, w *waiting) {
	for len(w.commands) > 0 && !c.Closing() {
		q, decide, no := h.question(c, &w.commands[0])
		switch {
		case no.Code != CodeNone:
			h.decline(l, c, &w.commands[0], no)
		case decide != nil:
			id, remote := c.ID(), l.Remote()
			decide(q, func(v Verdict) {
				h.verdicts.put(decided{id, v})
				remote.Wake()
			})
			return
		default:
			h.do(l, c, h.sessions.At(c.Session()), ParsedCommand(&h.command, w.commands[0].text))
		}
		h.dropFirst(w)
	}
	h.forgetWaiting(c.ID())
}
