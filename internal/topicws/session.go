// One connection's life in the topic protocol: what is common to both forms, and the bare form.

package topicws

import (
	"errors"
	"sync/atomic"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/history"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// session is all that an idle connection owns here: 16 bytes, and no pointer in them.
type session struct {
	wsconn.State
	form       broadcast.Form
	flags      sessionFlags
	unanswered uint16 // publishes whose ack has to wait for other nodes; at most UnansweredMax
}

type sessionFlags uint8

const (
	flagBare   sessionFlags = 1 << iota
	flagSpoke               // a command has come: connect would not be the first
	flagAsked               // a token is being verified, and commands wait
	flagWarned              // it was told that its rights end soon
	flagOne                 // subscribed to exactly one topic; of a bare connection, whose topics never change
)

// Handler serves the topic protocol's connections of one loop. It is the netpoll.Handler of their
// role; loop only.
type Handler struct {
	*wsconn.Endpoint
	cfg      Config
	sessions netpoll.Slab[session]
	acks     acks

	deciding     map[netpoll.ID]*waiting // connections whose commands wait for a decision
	verdicts     verdicts
	waitingBytes atomic.Int64 // of all deciding; the loop writes, any goroutine reads

	// Used by one call at a time, and kept to be used again.
	command Command
	reply   []byte
	names   []string
	from    []history.From // where each of names begins
	begun   []begun
	only    string
	setOnly func(topic string)

	spareAcks []ack
	held      map[uint32]*heldCommands // by session, while flagAsked is set
}

// NewHandler returns the handler of a role on one loop.
func NewHandler(cfg Config) *Handler {
	h := &Handler{cfg: cfg}
	h.Endpoint = wsconn.New(cfg.WebSocket, h)
	h.setOnly = func(topic string) { h.only = topic }
	return h
}

// Open begins a session on c, which has just become this role: it subscribes to the topics of the
// upgrade request and, in the enveloped form, says welcome.
func (h *Handler) Open(l *netpoll.Loop, c *netpoll.Conn, p Params) {
	i, s := h.sessions.Alloc()
	c.SetSession(i)
	s.form = h.cfg.Forms.of(&p)
	if p.Bare {
		s.flags = flagBare
	}
	h.Start(l, c, p.Window)
	h.Speak(l, c, p.Who)
	h.limit(l, c, s)
	topics := 0
	var err error
	for i, topic := range p.Topics {
		from := history.From{}
		if p.From != nil {
			from = p.From[i]
		}
		var added bool
		if added, err = h.join(l, c, s, topic, from); err != nil {
			break
		}
		if added {
			topics++
		}
	}
	if !p.Bare {
		h.reply = appendResumed(appendWelcome(h.reply[:0], c.ID().String(), p.Who.End(), h.begun), h.begun)
		h.Reply(l, c, h.reply)
	}
	h.forgetBegun()
	if err != nil {
		code := frame.CodeTryLater
		if errors.Is(err, broadcast.ErrTopicsPerMember) {
			code = frame.CodePolicy // coming back will not help
		}
		h.End(l, c, netpoll.ReasonPolicy, code, err.Error())
		return
	}
	if topics == 1 {
		s.flags |= flagOne
	}
}

// State implements wsconn.Protocol.
func (h *Handler) State(c *netpoll.Conn) *wsconn.State { return &h.sessions.At(c.Session()).State }

// Free implements wsconn.Protocol.
func (h *Handler) Free(c *netpoll.Conn) {
	if len(h.deciding) > 0 {
		h.forgetWaiting(c.ID())
	}
	delete(h.held, c.Session())
	h.sessions.Free(c.Session())
}

// Gap appends an event that tells of missed messages, in the forms that have an envelope.
func (h *Handler) Gap(dst []byte, f broadcast.Form, topic string, missed uint32) []byte {
	switch f {
	case h.cfg.Forms.Envelope, h.cfg.Forms.EnvelopeDeflated, h.cfg.Forms.EnvelopeNarrow:
		return AppendGap(dst, topic, uint64(missed))
	}
	return dst
}

// Message implements wsconn.Protocol.
func (h *Handler) Message(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message) {
	s := h.sessions.At(c.Session())
	switch {
	case s.flags&flagBare != 0:
		h.publishBare(l, c, s, m)
	case m.Op != frame.OpText:
		// RFC 6455, 7.4.1: 1003, a type of data it cannot accept.
		h.End(l, c, netpoll.ReasonProtocol, frame.CodeUnsupported, "c100k.v1 takes text messages only")
	case s.flags&flagAsked != 0:
		h.postpone(l, c, m.Payload)
	default:
		h.obey(l, c, s, m.Payload)
	}
}

// publishBare publishes a message of a bare connection to its topic. There is no way to say no but
// to close.
func (h *Handler) publishBare(l *netpoll.Loop, c *netpoll.Conn, s *session, m *frame.Message) {
	if s.flags&flagOne == 0 {
		h.End(l, c, netpoll.ReasonPolicy, frame.CodePolicy, "publishing without an envelope needs exactly one topic")
		return
	}
	kind, payload := wsconn.Published(m)
	topic := h.onlyTopic(c)
	switch {
	case h.cfg.DecidePublish != nil:
		if no := h.wait(l, c, &held{kind: kind, payload: payload, bytes: heldBytes + len(payload)}); no.Code != CodeNone {
			h.End(l, c, netpoll.ReasonPolicy, frame.CodeTryLater, no.Message)
		}
	case !h.mayPublish(s, topic):
		h.End(l, c, netpoll.ReasonPolicy, frame.CodePolicy, "publishing is not allowed on this connection")
	default:
		h.publishMessage(l, c, topic, kind, payload)
	}
}

// onlyTopic is the topic of a bare connection that has exactly one.
func (h *Handler) onlyTopic(c *netpoll.Conn) string {
	h.cfg.WebSocket.Shard.Topics(c.Slot(), h.setOnly)
	return h.only
}

// publishMessage publishes a message of a bare connection.
func (h *Handler) publishMessage(l *netpoll.Loop, c *netpoll.Conn, topic string, kind broadcast.Kind, payload []byte) {
	if _, no := h.send(topic, h.post(c, topic, kind, payload)); no.Code != CodeNone {
		h.End(l, c, netpoll.ReasonPolicy, frame.CodeTryLater, no.Message)
	}
}

// post is what the client of c publishes. payload is kept.
func (h *Handler) post(c *netpoll.Conn, topic string, kind broadcast.Kind, payload []byte) broadcast.Post {
	p := broadcast.Post{Kind: kind, Payload: payload}
	if h.cfg.From != nil {
		p.From = h.cfg.From(h.Who(c), topic)
	}
	return p
}

// send publishes.
func (h *Handler) send(topic string, post broadcast.Post) (broadcast.Result, Refusal) {
	result, err := h.cfg.Publish(topic, post)
	if err != nil {
		return result, refuse(CodeUnavailable, "the message could not be published", nil)
	}
	return result, overload(result)
}

// overload refuses a message that is not delivered because too much is pending.
func overload(r broadcast.Result) Refusal {
	if r.Dropped > 0 && r.Queued == 0 {
		return refuse(CodeOverloaded, "the node has too much to deliver", nil)
	}
	return Refusal{}
}

func (h *Handler) mayPublish(s *session, topic string) bool {
	return h.cfg.MayPublish == nil || h.cfg.MayPublish(h.cfg.WebSocket.Principals.At(s.Principal()), topic)
}

func (h *Handler) maySubscribe(s *session, topic string) bool {
	return h.cfg.MaySubscribe == nil || h.cfg.MaySubscribe(h.cfg.WebSocket.Principals.At(s.Principal()), topic)
}
