// Long polling: how a poll begins. Package longpoll does the rest.

package server

import (
	"bytes"
	"net/http"
	"slices"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/history"
	"c100k/internal/longpoll"
	"c100k/internal/node"
	"c100k/internal/proto"
	"c100k/netpoll"
)

const (
	rowPoll  = "poll"
	pathPoll = "/poll"
)

// The refusals of polls, beside those that other protocols have too.
var (
	refusePollMethod = &edge.Refusal{Status: 405, Label: "bad_handshake", Reason: "a poll is a GET request", Allow: "GET"}
	refusePollTopic  = &edge.Refusal{Status: 400, Label: "bad_topic", Reason: "the query names no topic: ask for ?topic=NAME"}
	refusePollTopics = &edge.Refusal{Status: 400, Label: "bad_topic", Reason: "a poll has at most 64 topics"}
	refusePollWait   = &edge.Refusal{Status: 400, Label: "bad_wait", Reason: "wait is a duration from 0s to 55s, as in wait=25s"}
	refusePollFrom   = &edge.Refusal{Status: 400, Label: "bad_position", Reason: "one of after=POSITION (the after of the last answer), last=1 to 1000, rewind=DURATION such as 30s"}
	refuseNoRoom     = edge.RefuseOverCapacity.With(broadcast.ErrShardFull.Error())
)

// newPoll makes polls on one loop.
func (s *Server) newPoll(p *proto.Place) proto.Part {
	h := longpoll.NewHandler(longpoll.Config{
		Shard: p.Shard, Form: p.Form, Head: node.RoleHead, Role: p.Role, Principals: p.Principals, Count: p.Count,
		Ended: s.pollEnded,
		Keep:  p.Keep, Draining: p.Draining, Revoked: refuseRevoked,
		Release: func(holder *edge.SessionHolder) { p.Edge.Admission.ReleaseSession(holder) },
	})
	b := s.begin(p, rowPoll)
	part := proto.Part{
		Protocols: []proto.Protocol{h},
		Deliver: func(l *netpoll.Loop, _ int) (more bool) {
			h.Flush(l)
			return false
		},
	}
	serve, ask, resume := s.admitted(p, rowPoll, func(l *netpoll.Loop, c *netpoll.Conn, head *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
		if refusal := b.pollAdmitted(l, c, h, &arrival{head, rest, who}); refusal != nil {
			b.edge.Refuse(l, c, head, refusal)
		}
		return edge.Handled
	})
	part.Ask, part.Resume = ask, resume
	part.Serve = func(l *netpoll.Loop, c *netpoll.Conn, head *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
		if string(head.Method()) == http.MethodOptions {
			return edge.NotOurs // preflight answers
		}
		return serve(l, c, head, rest, who)
	}
	return part
}

// pollAdmitted begins a poll that counts for its client. One that came through a proxy does not
// count by its connection, which the proxy uses for others too.
func (b *beginning) pollAdmitted(l *netpoll.Loop, c *netpoll.Conn, h *longpoll.Handler, r *arrival) *edge.Refusal {
	if refusal := b.judge(r.head); refusal != nil {
		return refusal
	}
	var holder *edge.SessionHolder
	if edge.Proxied(c) {
		var refusal *edge.Refusal
		if holder, refusal = b.edge.AdmitSession(l, c, r.head); refusal != nil {
			return refusal
		}
	}
	refusal := b.beginStream(l, c, r, func(l *netpoll.Loop, c *netpoll.Conn, r *arrival) *edge.Refusal {
		return b.poll(l, c, h, r, holder)
	})
	if refusal != nil && holder != nil {
		b.edge.Admission.ReleaseSession(holder)
	}
	return refusal
}

// poll begins one.
func (b *beginning) poll(l *netpoll.Loop, c *netpoll.Conn, h *longpoll.Handler, r *arrival, holder *edge.SessionHolder) *edge.Refusal {
	switch {
	case string(r.head.Method()) != http.MethodGet:
		return refusePollMethod
	case r.head.HasBody():
		return refuseBody
	}
	if refusal := b.readTopics(r); refusal != nil {
		return refusal
	}
	b.topicN = distinct(r.who.AppendJoin(b.topicN))
	switch {
	case len(b.topicN) == 0:
		return refusePollTopic
	case len(b.topicN) > longpoll.TopicsMax:
		return refusePollTopics
	}
	m := r.head.Mount()
	p := longpoll.Params{
		Topics: b.topicN, Lines: append(b.originLines(r.head), m.Lines()...), Early: bytes.Clone(r.rest), Mount: m, Holder: holder, Who: r.who,
		Keep: r.head.KeepAlive() && !r.head.UpgradeRequested() && m.Keeps(),
	}
	p.Kept = b.resumable(r.who)
	var refusal *edge.Refusal
	if p.Wait, refusal = readWait(r.head.Query()); refusal != nil {
		return refusal
	}
	if p.From, refusal = b.readPollFrom(r, p.Kept); refusal != nil {
		return refusal
	}
	if h.Open(l, c, &p) != nil {
		return refuseNoRoom // TopicsMax is below what a member may have
	}
	return nil
}

// resumable tells of each topic whether a client can come back to a position in it.
func (b *beginning) resumable(who *auth.Principal) (kept []bool) {
	for _, topic := range b.topicN {
		kept = append(kept, b.past.kept(topic) && b.mayResume(who, topic))
	}
	return kept
}

// distinct is topics with each of them once, in place.
func distinct(topics []string) []string {
	list := topics[:0]
	for _, topic := range topics {
		if !slices.Contains(list, topic) {
			list = append(list, topic)
		}
	}
	return list
}

// readWait reads how long a poll may wait.
func readWait(query []byte) (time.Duration, *edge.Refusal) {
	values, refusal := edge.QueryValues(nil, query, "wait")
	switch {
	case refusal != nil:
		return 0, refusal
	case len(values) == 0:
		return longpoll.WaitDefault, nil
	}
	wait, err := time.ParseDuration(values[0])
	if err != nil || len(values) > 1 || wait < 0 || wait > longpoll.WaitMax {
		return 0, refusePollWait
	}
	return wait, nil
}

// readPollFrom reads where the topics of a poll begin. A client that comes back to a topic without
// a position in it is told that it may have missed something.
func (b *beginning) readPollFrom(r *arrival, kept []bool) ([]history.From, *edge.Refusal) {
	after, refusal := queryValue(r.head.Query(), "after")
	switch {
	case refusal != nil:
		return nil, refusePollFrom
	case after == "":
		return b.readFrom(r, false)
	}
	for _, other := range [...]string{"last", "rewind"} {
		if values, _ := edge.QueryValues(nil, r.head.Query(), other); len(values) > 0 {
			return nil, refusePollFrom
		}
	}
	from := history.ParseEventID(after, b.topicN)
	for i := range from {
		if !kept[i] {
			from[i] = history.Unknown()
		}
	}
	return from, nil
}

// originLines are the header fields that let the page of another allowed origin read an answer.
func (s *Server) originLines(h *edge.Head) (lines []byte) {
	allowed, credentials := s.eventOrigin(h)
	if allowed == "" {
		return nil
	}
	lines = append(append(append(lines, "Access-Control-Allow-Origin: "...), allowed...), "\r\nVary: Origin\r\n"...)
	if credentials {
		lines = append(lines, "Access-Control-Allow-Credentials: true\r\n"...)
	}
	return lines
}

// refusePoll answers a refused poll so that the page of another allowed origin can read why, and
// when to come back.
func (s *Server) refusePoll(dst []byte, h *edge.Head, r *edge.Refusal) []byte {
	lines := s.originLines(h)
	if lines == nil {
		return nil
	}
	if r.Temporary() {
		lines = append(lines, "Access-Control-Expose-Headers: Retry-After\r\n"...)
	}
	at := len(dst)
	dst = edge.AppendRefusal(dst, r, string(h.Method()) != http.MethodHead)
	return slices.Insert(dst, at+bytes.IndexByte(dst[at:], '\n')+1, lines...)
}

// pollEnded hears of each poll that ends. It is not kept as an end of a connection: a client that
// polls has one every few seconds. Loop only.
func (s *Server) pollEnded(c *netpoll.Conn, who *auth.Principal, r netpoll.Reason) {
	s.clientEnded(c, rowPoll, who, r)
}
