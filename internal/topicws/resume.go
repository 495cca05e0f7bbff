// Subscriptions that begin in the past: behind a position, before the last messages, or some time
// ago.

package topicws

import (
	"strconv"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/jsontext"
	"c100k/netpoll"
)

// Wish is where the client wants a topic of a subscribe command to begin; nil members are absent.
// The slices point into the command.
type Wish struct {
	After  []byte // a position, decoded
	Last   []byte // JSON text of a number
	Rewind []byte // a duration, decoded
}

// takeTopic reads an element of a subscribe command's topics that is an object.
func takeTopic(p []byte) (topic []byte, w Wish, no Refusal) {
	i := jsontext.SkipSpace(p, 1)
	for last := p[i] == '}'; !last; {
		from, to, next, _ := jsontext.SkipName(p, i) // ParseCommand has scanned it
		end, _ := jsontext.SkipValue(p, next, 3)
		name, bad := jsontext.Unescape(p[from:to])
		if bad != "" {
			return nil, w, refuse(CodeBadRequest, string(bad)+" in a name", nil)
		}
		if no := w.put(name, p[next:end:end], &topic); no.Code != CodeNone {
			return nil, w, no
		}
		i, last, _ = jsontext.SkipComma(p, end, '}')
	}
	if topic == nil {
		return nil, w, refuse(CodeBadRequest, `an object in "topics" needs "topic"`, nil)
	}
	return topic, w, Refusal{}
}

func (w *Wish) put(name, value []byte, topic *[]byte) Refusal {
	var field *[]byte
	switch string(name) {
	case "topic":
		field = topic
	case "after":
		field = &w.After
	case "last":
		field = &w.Last
	case "rewind":
		field = &w.Rewind
	default:
		return refuse(CodeBadRequest, "unknown member of a topic", name)
	}
	if *field != nil {
		return refuse(CodeBadRequest, "a member that stands there twice", name)
	}
	if field == &w.Last {
		*field = value
		return Refusal{}
	}
	text, ok := stringOf(value)
	if !ok || len(text) == 0 && field != topic {
		return refuse(CodeBadRequest, "must be a string", name)
	}
	if *field = text; text == nil {
		*field = value[:0] // an empty topic, which is refused as such
	}
	return Refusal{}
}

// wishes tells whether any topic is to begin in the past.
func wishes(list []Wish) bool {
	for i := range list {
		if w := &list[i]; w.After != nil || w.Last != nil || w.Rewind != nil {
			return true
		}
	}
	return false
}

// from reads a wish.
func (w *Wish) from() (history.From, Refusal) {
	f, err := history.ParseFrom(string(w.After), string(w.Last), string(w.Rewind))
	if err != nil {
		return f, refuse(CodeBadRequest, err.Error(), nil)
	}
	return f, Refusal{}
}

// takeWishes reads where the topics of h.names begin, and judges it; h.from is empty if all begin
// now.
func (h *Handler) takeWishes(c *netpoll.Conn, s *session, wishes []Wish) Refusal {
	h.from = h.from[:0]
	for i := range wishes {
		from, no := wishes[i].from()
		switch topic := h.names[i]; {
		case no.Code != CodeNone:
			return no
		case from.IsNow():
		case h.cfg.WebSocket.Shard.Subscribed(c.Slot(), topic):
			return refuse(CodeBadRequest, "unsubscribe before you resume", []byte(topic))
		case !h.mayResume(s, topic):
			return refuse(CodeForbidden, "you may not have kept messages of", []byte(topic))
		}
		h.from = append(h.from, from)
	}
	return Refusal{}
}

// join subscribes c to a topic from a point on, and notes what the client is to be told.
func (h *Handler) join(l *netpoll.Loop, c *netpoll.Conn, s *session, topic string, from history.From) (added bool, err error) {
	r, err := h.cfg.WebSocket.Shard.Resume(c.Slot(), s.form, topic, from.At(l.Now()))
	if err != nil {
		return false, err
	}
	if r.Position != (broadcast.Position{}) || r.Reset != broadcast.ResetNone {
		h.begun = append(h.begun, begun{topic: topic, resumed: r, wished: !from.IsNow()})
	}
	return r.Added, nil
}

// begun is a topic with history that a client has just subscribed to.
type begun struct {
	topic   string
	resumed broadcast.Resumed
	wished  bool
}

// appendOffsets appends the member that says where each topic with history begins, so that a client
// that hears nothing can resume too.
func appendOffsets(dst []byte, list []begun) []byte {
	name := `,"offsets":{`
	for i := range list {
		if list[i].resumed.Position == (broadcast.Position{}) {
			continue
		}
		dst = jsontext.AppendString(append(dst, name...), list[i].topic)
		dst = append(history.AppendPosition(append(dst, `:"`...), list[i].resumed.Behind), '"')
		name = ","
	}
	if name == "," {
		dst = append(dst, '}')
	}
	return dst
}

// appendResumed appends, for each topic whose beginning was wished for, how that went.
func appendResumed(dst []byte, list []begun) []byte {
	for i := range list {
		if !list[i].wished {
			continue
		}
		r, at := &list[i].resumed, len(dst)
		if r.Reset == broadcast.ResetNone {
			dst = jsontext.AppendString(append(openText(dst), `{"type":"resumed","topic":`...), list[i].topic)
			dst = strconv.AppendInt(append(dst, `,"messages":`...), int64(r.Messages), 10)
		} else {
			dst = jsontext.AppendString(append(openText(dst), `{"type":"reset","topic":`...), list[i].topic)
			dst = append(append(append(dst, `,"reason":"`...), r.Reset.String()...), '"')
			if r.Position != (broadcast.Position{}) {
				dst = append(history.AppendPosition(append(dst, `,"offset":"`...), r.Position), '"')
			}
		}
		dst = closeText(append(dst, '}'), at)
	}
	return dst
}

// forgetBegun keeps the array and not the strings.
func (h *Handler) forgetBegun() {
	clear(h.begun)
	h.begun = h.begun[:0]
}

func (h *Handler) mayResume(s *session, topic string) bool {
	return h.cfg.MayResume == nil || h.cfg.MayResume(h.cfg.WebSocket.Principals.At(s.Principal()), topic)
}
