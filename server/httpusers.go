// Users who publish and ask for presence over HTTP on the public port, with their token in place of
// the API key: clients for which no WebSocket comes through.

package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/topicws"
	"c100k/netpoll"
)

// httpUser is a client of a request: an admin.User.
type httpUser struct {
	s   *Server
	who *auth.Principal
}

// httpUsersTransport is what hooks are told of such a client.
const httpUsersTransport = "http"

// forUser answers a request of a user; false for one that is not. Where a backend says who a client
// is, a token alone does not, so there is nothing for users then.
func (s *Server) forUser(w http.ResponseWriter, r *http.Request) bool {
	l := s.live.Load()
	if l.verifier == nil || len(s.identify.steps) > 0 {
		return false
	}
	if _, is := admin.ForUsers(r, l.apiKey, l.readKey); !is {
		return false
	}
	s.httpUsers.ServeHTTP(w, r)
	return true
}

// identifyHTTP says who sends a request.
func (s *Server) identifyHTTP(r *http.Request) (admin.User, *admin.Problem) {
	token, _ := admin.ForUsers(r)
	type answer struct {
		who     *auth.Principal
		refusal *edge.Refusal
	}
	who, refusal, decided := s.identifyNow([]byte(token), true)
	if !decided {
		answers := make(chan answer, 1)
		q := &question{transport: httpUsersTransport, token: token, found: true, tokenOnly: true, until: netpoll.Monotonic() + edge.WaitTimeoutDefault}
		q.answer = func(who *auth.Principal, refusal *edge.Refusal) { answers <- answer{who, refusal} }
		s.ask(q)
		select {
		case a := <-answers:
			who, refusal = a.who, a.refusal
		case <-r.Context().Done():
			refusal = edge.RefuseUnanswered
		}
	}
	if refusal == nil && who == nil {
		refusal = edge.RefuseUnanswered
	}
	if refusal != nil {
		return nil, admin.NewProblem(refusal.Status, refusal.Label, refusal.Reason)
	}
	return httpUser{s, who}, nil
}

// MayPublish implements admin.User.
func (u httpUser) MayPublish(ctx context.Context, topic string, kind broadcast.Kind, payload []byte) *admin.Problem {
	if !u.s.httpRate.take(u.who.Subject, netpoll.Monotonic()) {
		return admin.NewProblem(http.StatusTooManyRequests, "rate_limited", "this user publishes faster than the node allows (its --rate)")
	}
	decide := u.s.decider(u.s.hooks.publish, httpUsersTransport)
	if decide == nil {
		if !u.s.mayPublish(u.who, topic) {
			return forbidden("")
		}
		return nil
	}
	verdicts := make(chan topicws.Verdict, 1)
	decide(&topicws.Question{Who: u.who, Topics: []string{topic}, Kind: kind, Data: payload}, func(v topicws.Verdict) { verdicts <- v })
	select {
	case v := <-verdicts:
		switch {
		case v.Allow:
			return nil
		case !v.Failed:
			return forbidden(v.Reason)
		}
	case <-ctx.Done():
	}
	return admin.NewProblem(http.StatusServiceUnavailable, "unavailable", "the backend of this node, which decides about this, does not answer")
}

func forbidden(reason string) *admin.Problem {
	if reason == "" {
		reason = "you may not publish to this topic"
	}
	return admin.NewProblem(http.StatusForbidden, "forbidden", reason)
}

// MayWatch implements admin.User.
func (u httpUser) MayWatch(topic string) bool { return u.s.mayWatch(u.who, topic) }

// From implements admin.User.
func (u httpUser) From(topic string) string { return u.s.from(u.who, topic) }

const (
	// rateUsersMax bounds the users whose publishes are counted at one time. Beyond it those who are
	// new have to wait.
	rateUsersMax = 16 << 10

	// rateLongest is the longest time that a rate can say, so that times do not overflow.
	rateLongest = 365 * 24 * time.Hour
)

// userRate is Config.Rate for users over HTTP, where a connection is no measure. Any goroutine.
type userRate struct {
	each, full time.Duration // a publish, and those that may come at once; 0: no limit

	mu   sync.Mutex // guards the field below
	next map[string]time.Duration
}

func newUserRate(perSecond float64, burst int) *userRate {
	r := &userRate{next: map[string]time.Duration{}}
	if perSecond > 0 {
		if burst == 0 {
			burst = max(1, int(perSecond))
		}
		each := min(float64(time.Second)/perSecond, float64(rateLongest))
		r.each = max(time.Duration(each), 1)
		r.full = r.each + time.Duration(min(each*float64(burst-1), float64(rateLongest)))
	}
	return r
}

// take counts a publish of a user, if it may be.
func (r *userRate) take(sub string, now time.Duration) bool {
	if r.each == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next, known := r.next[sub]
	if !known && len(r.next) >= rateUsersMax {
		for other, at := range r.next {
			if at <= now {
				delete(r.next, other)
			}
		}
		if len(r.next) >= rateUsersMax {
			return false
		}
	}
	next = max(next, now) + r.each
	if next > now+r.full {
		return false
	}
	r.next[sub] = next
	return true
}
