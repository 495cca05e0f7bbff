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
	commands []*held
	bytes    int
}

// held is one command, or a message of a bare connection.
type held struct {
	command *Command       // nil: a message
	kind    broadcast.Kind // of what is published
	payload []byte         // likewise
	bytes   int
	allowed bool // it was decided elsewhere
	ready   bool // what it wants of the past is there: Config.Prepare
}

// verdicts are on their way back to their loop: at most one for each connection that waits.
type verdicts struct {
	ready atomic.Bool // spares the loop the lock when there are none

	mu   sync.Mutex // guards the field below
	list []decided
}

type decided struct {
	conn     netpoll.ID
	verdict  Verdict
	prepared bool  // this is no verdict, but the end of Config.Prepare
	err      error // of that
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
	switch {
	case verb == VerbSubscribe && h.cfg.DecideSubscribe != nil, verb == VerbPublish && h.cfg.DecidePublish != nil:
		return true
	case verb == VerbSubscribe && h.cfg.Prepare != nil && wishes(h.command.Wishes):
		return true
	case verb == VerbPing || len(h.deciding) == 0:
		return false
	}
	return h.deciding[c.ID()] != nil
}

// wait queues a command or message, and begins with it if it is the first. It refuses what is
// beyond the bounds.
func (h *Handler) wait(l *netpoll.Loop, c *netpoll.Conn, one *held) Refusal {
	w := h.deciding[c.ID()]
	switch {
	case w == nil:
		w = new(waiting)
		if h.deciding == nil {
			h.deciding = make(map[netpoll.ID]*waiting)
		}
		h.deciding[c.ID()] = w
	case len(w.commands) >= WaitingCommandsMax || w.bytes+one.bytes > WaitingBytesMax:
		return refuse(CodeOverloaded, "too much of this connection waits for a decision", nil)
	}
	w.commands = append(w.commands, one)
	h.hold(w, one.bytes)
	if len(w.commands) == 1 {
		h.goOn(l, c, w)
	}
	return Refusal{}
}

// hold counts what a connection holds here.
func (h *Handler) hold(w *waiting, bytes int) {
	w.bytes += bytes
	h.waitingBytes.Add(int64(bytes))
}

// goOn does the commands of a connection until one needs a decision, or none is left.
func (h *Handler) goOn(l *netpoll.Loop, c *netpoll.Conn, w *waiting) {
	for len(w.commands) > 0 && !c.Closing() {
		s, one := h.sessions.At(c.Session()), w.commands[0]
		q, decide, no := h.question(c, s, one)
		switch {
		case no.Code != CodeNone:
			h.decline(l, c, one, no)
		case decide != nil:
			id, remote := c.ID(), l.Remote()
			decide(q, func(v Verdict) {
				h.verdicts.put(decided{conn: id, verdict: v})
				remote.Wake()
			})
			return
		case h.prepare(l, c, s, one):
			return
		default:
			h.perform(l, c, s, one.command, false)
		}
		h.dropFirst(w)
	}
	h.forgetWaiting(c.ID())
}

// question is what is to be decided about a command; decide is nil if nothing is. A refusal needs
// no decision.
func (h *Handler) question(c *netpoll.Conn, s *session, one *held) (q *Question, decide Decide, no Refusal) {
	q = &Question{Conn: c.ID(), Who: h.cfg.WebSocket.Principals.At(s.Principal()), Kind: one.kind, Data: one.payload}
	switch {
	case one.command == nil:
		q.Topics = []string{h.onlyTopic(c)}
		return q, h.cfg.DecidePublish, no
	case one.command.Verb == VerbSubscribe && h.cfg.DecideSubscribe != nil:
		defer h.forgetNames()
		no = h.takeNames(one.command.Topics)
		q.Topics = slices.Clone(h.names)
		return q, h.cfg.DecideSubscribe, no
	case one.command.Verb == VerbPublish && h.cfg.DecidePublish != nil:
		q.Topics = []string{string(one.command.Topic)}
		if err := broadcast.ValidTopic(q.Topics[0]); err != nil {
			return nil, nil, invalidTopic(err, one.command.Topic)
		}
		kind, payload, fault := published(one.command.Data)
		if fault != "" {
			return nil, nil, refuse(CodeBadRequest, "data: "+string(fault), nil)
		}
		q.Kind, q.Data = kind, payload
		return q, h.cfg.DecidePublish, no
	}
	return nil, nil, no
}

// Decided goes on with the commands about which has been decided since. The node calls it in each
// turn in which messages are delivered, if a command may have to wait.
func (h *Handler) Decided(l *netpoll.Loop) {
	for _, one := range h.verdicts.take() {
		c, w := l.Lookup(one.conn), h.deciding[one.conn]
		if c == nil || c.Closing() || w == nil {
			continue // gone meanwhile
		}
		if one.prepared {
			h.prepared(l, c, w.commands[0], one.err)
		} else if h.decided(l, c, w.commands[0], one.verdict) {
			continue
		}
		h.dropFirst(w)
		h.goOn(l, c, w)
	}
}

// prepare has the past of the topics of a command brought here. False: it is here, or the command
// wants none of it.
func (h *Handler) prepare(l *netpoll.Loop, c *netpoll.Conn, s *session, one *held) (waits bool) {
	if h.cfg.Prepare == nil || one.command == nil || one.ready || !wishes(one.command.Wishes) {
		return false
	}
	defer h.forgetNames()
	if no := h.takeNames(one.command.Topics); no.Code != CodeNone {
		return false // perform says so
	}
	if no := h.takeWishes(c, s, one.command.Wishes); no.Code != CodeNone {
		return false
	}
	if !one.allowed {
		for _, topic := range h.names {
			if !h.maySubscribe(s, topic) {
				return false
			}
		}
	}
	id, remote := c.ID(), l.Remote()
	return h.cfg.Prepare(h.names, h.from, func(err error) {
		h.verdicts.put(decided{conn: id, prepared: true, err: err})
		remote.Wake()
	})
}

// prepared does the first command, or says why not.
func (h *Handler) prepared(l *netpoll.Loop, c *netpoll.Conn, one *held, err error) {
	if err != nil {
		h.decline(l, c, one, refuse(CodeUnavailable, err.Error(), nil))
		return
	}
	h.perform(l, c, h.sessions.At(c.Session()), one.command, one.allowed)
}

// decided does the first command, or says why not. waits is true if it needs something else first.
func (h *Handler) decided(l *netpoll.Loop, c *netpoll.Conn, one *held, v Verdict) (waits bool) {
	one.allowed = v.Allow
	switch {
	case !v.Allow && v.Failed:
		h.decline(l, c, one, refuse(CodeUnavailable, "the backend of this node, which decides about this, does not answer", nil))
	case !v.Allow && v.Reason != "":
		h.decline(l, c, one, refuse(CodeForbidden, v.Reason, nil))
	case !v.Allow:
		h.decline(l, c, one, refuse(CodeForbidden, "this is not allowed to you", nil))
	case one.command == nil:
		h.publishMessage(l, c, h.onlyTopic(c), one.kind, one.payload)
	case h.prepare(l, c, h.sessions.At(c.Session()), one):
		return true
	default:
		h.perform(l, c, h.sessions.At(c.Session()), one.command, true)
	}
	return false
}

// decline answers a command that is not done. On a bare connection there is no way to say no but to
// close.
func (h *Handler) decline(l *netpoll.Loop, c *netpoll.Conn, one *held, no Refusal) {
	switch {
	case one.command != nil:
		h.reply = AppendError(h.reply[:0], one.command.ID, no)
		h.Reply(l, c, h.reply)
	case no.Code == CodeUnavailable:
		h.End(l, c, netpoll.ReasonPolicy, frame.CodeTryLater, no.Message)
	default:
		h.End(l, c, netpoll.ReasonPolicy, frame.CodePolicy, no.Message)
	}
}

func (h *Handler) dropFirst(w *waiting) {
	h.hold(w, -w.commands[0].bytes)
	w.commands[0] = nil
	w.commands = w.commands[1:]
}

// forgetWaiting forgets what a connection holds here: it has ended, or nothing waits any more.
func (h *Handler) forgetWaiting(id netpoll.ID) {
	if w := h.deciding[id]; w != nil {
		h.hold(w, -w.bytes)
		delete(h.deciding, id)
	}
}

// HeldBytes is what the handler holds for its connections, in bytes. Any goroutine.
func (h *Handler) HeldBytes() int64 { return h.Endpoint.HeldBytes() + h.waitingBytes.Load() }

// Held is what it holds for one. Loop only.
func (h *Handler) Held(l *netpoll.Loop, c *netpoll.Conn) int {
	held := h.Endpoint.Held(l, c)
	if w := h.deciding[c.ID()]; w != nil {
		held += w.bytes
	}
	return held
}

// clone is a command in memory of its own.
func (cmd *Command) clone() *held {
	one := &Command{Verb: cmd.Verb, ID: slices.Clone(cmd.ID), Topic: slices.Clone(cmd.Topic), Data: slices.Clone(cmd.Data)}
	bytes := heldBytes + len(cmd.ID) + len(cmd.Topic) + 2*len(cmd.Data) // the data is what is published, too
	for _, topic := range cmd.Topics {
		one.Topics = append(one.Topics, slices.Clone(topic))
		bytes += 2*len(topic) + topicBytes
	}
	for _, wish := range cmd.Wishes {
		one.Wishes = append(one.Wishes, Wish{After: slices.Clone(wish.After), Last: slices.Clone(wish.Last), Rewind: slices.Clone(wish.Rewind)})
		bytes += len(wish.After) + len(wish.Last) + len(wish.Rewind) + topicBytes
	}
	return &held{command: one, bytes: bytes}
}
