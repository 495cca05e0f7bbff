// The presence command: the members of a topic, and its changes.

package topicws

import (
	"c100k/broadcast"
	"c100k/internal/jsontext"
	"c100k/internal/presence"
	"c100k/netpoll"
)

// Presence knows the members of topics. Its methods must not block.
type Presence interface {
	// Wanted tells whether the members of a topic are known.
	Wanted(topic string) bool
	// Ask has done called with a page of members: see presence.Table. False: too many wait.
	Ask(topic, after string, watch bool, done func(presence.Page)) bool
}

// takePresence reads "topic", "watch" and "after".
func (cmd *Command) takePresence(m *members) Refusal {
	if m[memberTopics] != nil || m[memberData] != nil || m[memberToken] != nil {
		return refuse(CodeBadRequest, `"presence" takes no member but "topic", "watch", "after" and "id"`, nil)
	}
	topic, ok := stringOf(m[memberTopic])
	if !ok {
		return refuse(CodeBadRequest, `"topic" must be a string`, nil)
	}
	cmd.Topic = topic
	switch string(m[memberWatch]) {
	case "":
	case "true":
		cmd.Watch = WatchOn
	case "false":
		cmd.Watch = WatchOff
	default:
		return refuse(CodeBadRequest, `"watch" must be true or false`, nil)
	}
	if m[memberAfter] != nil {
		if cmd.After, ok = stringOf(m[memberAfter]); !ok {
			return refuse(CodeBadRequest, `"after" must be a string: the "next" of the page before`, nil)
		}
	}
	return Refusal{}
}

// Watch is whether a presence command begins or ends to watch.
type Watch uint8

// What a command may say of it.
const (
	WatchSame Watch = iota // nothing
	WatchOn
	WatchOff
)

// presence answers who is in a topic. The answer comes later, if the command is not refused.
func (h *Handler) presence(l *netpoll.Loop, c *netpoll.Conn, s *session, cmd *Command) Refusal {
	topic := string(cmd.Topic)
	if err := broadcast.ValidTopic(topic); err != nil {
		return invalidTopic(err, cmd.Topic)
	}
	if h.cfg.Presence == nil || !h.cfg.Presence.Wanted(topic) {
		return refuse(CodeBadRequest, "the members of this topic are not known (this node's --presence)", cmd.Topic)
	}
	if !h.cfg.MayWatch(h.Who(c), topic) {
		return refuse(CodeForbidden, "you may not know who is in", cmd.Topic)
	}
	shard, watchers := h.cfg.WebSocket.Shard, presence.WatchTopic(topic)
	watched := false
	switch cmd.Watch {
	case WatchOn:
		var err error
		if watched, err = shard.Subscribe(c.Slot(), s.form, watchers); err != nil {
			return refusalOf(err)
		}
	case WatchOff:
		shard.Unsubscribe(c.Slot(), watchers)
	}
	remote, id, answer := l.Remote(), c.ID(), appendPresence(nil, cmd.ID, topic)
	asked := h.cfg.Presence.Ask(topic, string(cmd.After), cmd.Watch == WatchOn, func(p presence.Page) {
		answer := closeText(append(p.AppendMembers(answer), '}'), 0)
		remote.PostTo(id, func(l *netpoll.Loop, c *netpoll.Conn) {
			if !c.Closing() {
				h.Reply(l, c, answer)
			}
		})
	})
	if !asked {
		if watched {
			shard.Unsubscribe(c.Slot(), watchers)
		}
		return refuse(CodeOverloaded, "too many wait for members of topics", nil)
	}
	return Refusal{}
}

// appendPresence begins the answer to a presence command.
func appendPresence(dst, id []byte, topic string) []byte {
	dst = appendID(append(openText(dst), `{"type":"presence"`...), id)
	return append(jsontext.AppendString(append(dst, `,"topic":`...), topic), ',')
}

// appendWatched appends what watchers of the members of a topic are told; ok is false for a message
// of another kind of topic.
func appendWatched(dst []byte, m *broadcast.Message) (_ []byte, ok bool) {
	if m.Kind != broadcast.JSON || !presence.Hidden(m.Topic) {
		return dst, false
	}
	return append(dst, m.Payload...), true
}
