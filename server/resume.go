// What must be there before a client can resume: the past of its topics, as far as it wants it, and
// as far as this process does not have it.

package server

import (
	"bytes"
	"context"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/history"
	"c100k/netpoll"
)

// prepareTimeout bounds the wait for the store of history. It is less than the time that a request
// may wait.
const prepareTimeout = 4 * time.Second

// refuseNoPast is the answer where the store cannot be asked: the client keeps its position, and
// comes back.
var refuseNoPast = edge.RefuseUnanswered.With("what was missed cannot be read at present: try again")

// wanted is a topic whose past is needed first.
type wanted struct {
	topic string
	from  broadcast.From
}

// missing are the topics of which this process does not have what is wanted. Any goroutine; it does
// not block.
func (p *past) missing(topics []string, from []history.From) (list []wanted) {
	now := netpoll.Monotonic()
	for i, topic := range topics {
		if from[i].IsNow() || !p.kept(topic) {
			continue
		}
		at := from[i].At(now)
		if covered, _ := p.hub.Covers(topic, at); covered != broadcast.CoveredYes {
			list = append(list, wanted{topic, at})
		}
	}
	return list
}

// fetch waits until all of it is here.
func (p *past) fetch(ctx context.Context, list []wanted) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	for _, one := range list {
		if err := p.store.Prepare(ctx, one.topic, one.from); err != nil {
			return err
		}
	}
	return nil
}

// prepare is topicws.Config.Prepare.
func (s *Server) prepare(topics []string, from []history.From, done func(error)) (waits bool) {
	list := s.past.missing(topics, from)
	if len(list) == 0 {
		return false
	}
	if !s.identify.slow.run(func() { done(s.past.fetch(context.Background(), list)) }) {
		done(history.ErrFull)
	}
	return true
}

// pastWords are in the query of each request that begins in the past.
var pastWords = [][]byte{[]byte("after="), []byte("last="), []byte("rewind="), []byte("last_event_id="), []byte("from=")}

// missingOf is missing for a request for a stream. A request that will be refused is not looked at.
func (s *Server) missingOf(h *edge.Head, who *auth.Principal) []wanted {
	if !s.past.engine {
		return nil
	}
	_, events := h.Get("last-event-id")
	for _, word := range pastWords {
		events = events || bytes.Contains(h.Query(), word)
	}
	if !events {
		return nil
	}
	b, r := &beginning{Server: s}, &arrival{head: h, who: who}
	if b.readTopics(r) != nil {
		return nil
	}
	b.topicN = who.AppendJoin(b.topicN)
	var from []history.From
	var refusal *edge.Refusal
	if string(h.Path()) == pathPoll {
		b.topicN = distinct(b.topicN)
		from, refusal = b.readPollFrom(r, b.resumable(who))
	} else {
		from, refusal = b.readFrom(r, string(h.Path()) == pathSSE)
	}
	if refusal != nil || from == nil {
		return nil
	}
	return s.past.missing(b.topicN, from)
}
