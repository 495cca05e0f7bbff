// Acknowledgements that come later: of publishes whose count other nodes have to say.

package topicws

import (
	"slices"
	"sync"
	"sync/atomic"

	"c100k/broadcast"
	"c100k/netpoll"
)

// Published is what a publish did on all nodes.
type Published struct {
	broadcast.Result       // the sum over the nodes that have answered
	Partial          bool  // not all have, or not in time
	Unreached        int   // how many of those that are known
	Err              error // the message was not published, or that is not known
}

// ack is one whose count is known.
type ack struct {
	conn   netpoll.ID
	id     []byte // JSON text of the command's id
	result Published
}

// acks are on their way back to their loop. Not more of them can be here than publishes were let in
// (UnansweredMax).
type acks struct {
	ready atomic.Bool // spares the loop the lock when there are none

	mu   sync.Mutex // guards the field below
	list []ack
}

// put adds one. Any goroutine.
func (a *acks) put(one ack) {
	a.mu.Lock()
	a.list = append(a.list, one)
	a.ready.Store(true)
	a.mu.Unlock()
}

// take returns all there are, in spare or an array of its own.
func (a *acks) take(spare []ack) []ack {
	if !a.ready.Load() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ready.Store(false)
	list := a.list
	a.list = spare
	return list
}

// ask publishes on all nodes and has the ack sent when they have said what they did.
func (h *Handler) ask(l *netpoll.Loop, c *netpoll.Conn, s *session, id []byte, topic string, post broadcast.Post) Refusal {
	if s.unanswered >= UnansweredMax {
		return refuse(CodeOverloaded, "too many publishes of this connection wait for their acks", nil)
	}
	one := ack{conn: c.ID(), id: slices.Clone(id)} // the command lies in the read arena
	remote := l.Remote()
	err := h.cfg.Ask(topic, post, func(r Published) {
		one.result = r
		h.acks.put(one)
		remote.Wake()
	})
	if err != nil {
		return refuse(CodeUnavailable, "the message could not be published", nil)
	}
	s.unanswered++
	return Refusal{}
}

// Acknowledge sends the acks whose counts have come since. The node calls it in each turn in which
// messages are delivered, if Config.Ask is set.
func (h *Handler) Acknowledge(l *netpoll.Loop) {
	list := h.acks.take(h.spareAcks)
	for i := range list {
		one := &list[i]
		c := l.Lookup(one.conn)
		if c == nil {
			continue // gone meanwhile
		}
		h.sessions.At(c.Session()).unanswered--
		if !c.Closing() {
			h.acknowledge(l, c, one)
		}
	}
	if list != nil {
		clear(list)
		h.spareAcks = list[:0]
	}
}

func (h *Handler) acknowledge(l *netpoll.Loop, c *netpoll.Conn, one *ack) {
	if one.result.Err != nil {
		h.reply = AppendError(h.reply[:0], one.id, refuse(CodeUnavailable, one.result.Err.Error(), nil))
	} else if no := overload(one.result.Result); no.Code != CodeNone {
		h.reply = AppendError(h.reply[:0], one.id, no)
	} else {
		h.reply = AppendPublished(h.reply[:0], one.id, one.result)
	}
	h.Reply(l, c, h.reply)
}
