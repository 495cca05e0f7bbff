// The enveloped form: a c100k.v1 client's commands, and what each does.

package topicws

import (
	"errors"
	"slices"

	"c100k/broadcast"
	"c100k/internal/jsontext"
	"c100k/netpoll"
)

// obey does what one command asks for, and answers it.
func (h *Handler) obey(l *netpoll.Loop, c *netpoll.Conn, s *session, p []byte) {
	cmd := &h.command
	no := ParseCommand(p, cmd)
	first := s.flags&flagSpoke == 0
	s.flags |= flagSpoke
	switch {
	case no.Code != CodeNone:
	case cmd.Verb == VerbConnect || cmd.Verb == VerbRefresh:
		if no = h.identify(l, c, s, cmd, first); no.Code == CodeNone {
			return
		}
	case h.mustWait(c, cmd.Verb):
		if no = h.wait(l, c, cmd.clone()); no.Code == CodeNone {
			return
		}
	default:
		h.perform(l, c, s, cmd, false)
		return
	}
	h.reply = AppendError(h.reply[:0], cmd.ID, no)
	h.Reply(l, c, h.reply)
}

// perform does a command, and answers it. allowed tells that it was decided elsewhere.
func (h *Handler) perform(l *netpoll.Loop, c *netpoll.Conn, s *session, cmd *Command, allowed bool) {
	var no Refusal
	switch cmd.Verb {
	case VerbSubscribe:
		no = h.subscribe(l, c, s, cmd, allowed)
	case VerbUnsubscribe:
		no = h.unsubscribe(c, cmd)
	case VerbPublish:
		var later bool
		if no, later = h.publish(l, c, s, cmd, allowed); later {
			return
		}
	case VerbPresence:
		if no = h.presence(l, c, s, cmd); no.Code == CodeNone {
			return
		}
	case VerbPing:
		h.reply = AppendPong(h.reply[:0], cmd.ID)
	}
	if no.Code != CodeNone {
		h.reply = AppendError(h.reply[:0], cmd.ID, no)
	}
	h.Reply(l, c, h.reply)
}

// subscribe adds all topics of the command or none.
func (h *Handler) subscribe(l *netpoll.Loop, c *netpoll.Conn, s *session, cmd *Command, allowed bool) Refusal {
	defer h.forgetNames()
	if no := h.takeNames(cmd.Topics); no.Code != CodeNone {
		return no
	}
	for _, topic := range h.names {
		if !allowed && !h.maySubscribe(s, topic) {
			return refuse(CodeForbidden, "you may not subscribe to", []byte(topic))
		}
	}
	if no := h.takeWishes(c, s, cmd.Wishes); no.Code != CodeNone {
		return no
	}
	defer h.forgetBegun()
	fresh := h.names[:0] // those new to the connection; it overwrites only names that are done with
	for i, topic := range h.names {
		added, err := h.join(l, c, s, topic, h.from[i])
		if err != nil {
			for _, topic := range fresh {
				h.cfg.WebSocket.Shard.Unsubscribe(c.Slot(), topic)
			}
			return refusalOf(err)
		}
		if added {
			fresh = append(fresh, topic)
		}
	}
	h.reply = appendResumed(appendAck(h.reply[:0], cmd.ID, h.begun), h.begun)
	return Refusal{}
}

// refusalOf turns an error of broadcast.Shard.Subscribe into the answer.
func refusalOf(err error) Refusal {
	if errors.Is(err, broadcast.ErrTopicsPerMember) {
		return refuse(CodeTooManyTopics, err.Error(), nil)
	}
	return refuse(CodeOverloaded, err.Error(), nil)
}

// unsubscribe takes topics away; one that the connection has not subscribed to is already as it
// should be.
func (h *Handler) unsubscribe(c *netpoll.Conn, cmd *Command) Refusal {
	defer h.forgetNames()
	if no := h.takeNames(cmd.Topics); no.Code != CodeNone {
		return no
	}
	for _, topic := range h.names {
		h.cfg.WebSocket.Shard.Unsubscribe(c.Slot(), topic)
	}
	h.reply = AppendAck(h.reply[:0], cmd.ID)
	return Refusal{}
}

// takeNames copies topic names out of the command into h.names, if all of them are valid.
func (h *Handler) takeNames(topics [][]byte) Refusal {
	for _, t := range topics {
		name := string(t)
		if err := broadcast.ValidTopic(name); err != nil {
			return invalidTopic(err, t)
		}
		h.names = append(h.names, name)
	}
	return Refusal{}
}

// forgetNames keeps the array and not the strings.
func (h *Handler) forgetNames() {
	clear(h.names)
	h.names = h.names[:0]
}

func invalidTopic(err error, topic []byte) Refusal {
	return refuse(CodeInvalidTopic, err.Error(), topic)
}

// publish sends the command's data to the subscribers of its topic. later is true if the answer
// comes after other nodes have counted their subscribers. A command without an id does not wait for
// that count.
func (h *Handler) publish(l *netpoll.Loop, c *netpoll.Conn, s *session, cmd *Command, allowed bool) (no Refusal, later bool) {
	topic := string(cmd.Topic)
	if err := broadcast.ValidTopic(topic); err != nil {
		return invalidTopic(err, cmd.Topic), false
	}
	if !allowed && !h.mayPublish(s, topic) {
		return refuse(CodeForbidden, "you may not publish to", cmd.Topic), false
	}
	kind, payload, fault := published(cmd.Data)
	if fault != "" {
		return refuse(CodeBadRequest, "data: "+string(fault), nil), false
	}
	post := h.post(c, topic, kind, payload)
	if h.cfg.Ask != nil && cmd.ID != nil {
		no = h.ask(l, c, s, cmd.ID, topic, post)
		return no, no.Code == CodeNone
	}
	result, no := h.send(topic, post)
	if no.Code == CodeNone {
		h.reply = AppendPublished(h.reply[:0], cmd.ID, Published{Result: result})
	}
	return no, false
}

// published is what a JSON value is published as, in memory of its own: the command lies in the
// read arena, and subscribers that lag keep the message for long. A string becomes text, as in the
// HTTP API: subscribers without an envelope get it without quotes. Any other value stays JSON.
func published(data []byte) (broadcast.Kind, []byte, jsontext.Fault) {
	payload := slices.Clone(data)
	if payload[0] != '"' {
		return broadcast.JSON, payload, ""
	}
	text, fault := jsontext.Unescape(payload[1 : len(payload)-1])
	return broadcast.Text, text, fault
}
