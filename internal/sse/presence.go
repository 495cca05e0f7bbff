// Presence on a stream: who is in a topic, and what changes.

package sse

import (
	"errors"

	"c100k/broadcast"
	"c100k/internal/jsontext"
	"c100k/internal/presence"
	"c100k/netpoll"
)

// Presence knows the members of topics. Its methods must not block.
type Presence interface {
	// Ask has done called with a page of members: see presence.Table. False: too many wait.
	Ask(topic, after string, watch bool, done func(presence.Page)) bool
}

// errAsks ends a stream whose client is to come back.
var errAsks = errors.New("too many wait for members of topics")

// watch has the stream on c told who is in p.Watch, and then what changes. The first event about a
// topic follows the answer's head: it is posted to the loop.
func (h *Handler) watch(l *netpoll.Loop, c *netpoll.Conn, p *Params) error {
	form := h.cfg.Form
	if p.Enveloped {
		form = h.cfg.Enveloped
	}
	for _, topic := range p.Watch {
		added, err := h.cfg.Shard.Subscribe(c.Slot(), form, presence.WatchTopic(topic))
		if err != nil {
			return err
		}
		if !added {
			continue // it is in the list twice
		}
		remote, id, named := l.Remote(), c.ID(), !p.Enveloped
		asked := h.cfg.Presence.Ask(topic, "", true, func(page presence.Page) {
			members := jsontext.AppendString([]byte(`{"type":"presence","topic":`), topic)
			members = append(page.AppendMembers(append(members, ',')), '}')
			event := appendPresence(nil, members, named)
			remote.PostTo(id, func(l *netpoll.Loop, c *netpoll.Conn) { l.SendShared(c, event) })
		})
		if !asked {
			return errAsks
		}
	}
	return nil
}

// appendWatched appends the event of a message to those who watch a topic; ok is false for a
// message of another kind of topic.
func appendWatched(dst []byte, m *broadcast.Message) (_ []byte, ok bool) {
	if m.Kind != broadcast.JSON || !presence.Hidden(m.Topic) {
		return dst, false
	}
	return appendPresence(dst, m.Payload, true), true
}

// appendPresence appends an event about the members of a topic. It has no id: there is nothing to
// resume from.
func appendPresence(dst, members []byte, named bool) []byte {
	if named {
		dst = append(dst, "event: presence\n"...)
	}
	dst = append(dst, "data: "...)
	at := len(dst)
	dst = append(dst, members...)
	return append(oneLine(dst, at), "\n\n"...)
}
