// The backend that decides about clients, and is told what happens: the configuration's hooks.

package server

import (
	"context"
	"encoding/json"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/figures"
	"c100k/internal/hooks"
	"c100k/internal/topicws"
	"c100k/internal/version"
	"c100k/netpoll"
)

// The refusals of hooks.
var (
	refuseByHook = &edge.Refusal{Status: 403, Label: "hook_denied", Reason: "the backend of this node does not let this client in"}
	refuseNoHook = edge.RefuseUnanswered.With("the backend of this node, which decides about clients, does not answer")
	hookExpired  = &edge.Refusal{Status: 401, Label: "token_expired", Challenge: "Bearer", Reason: "what the backend of this node allows has ended already"}
)

// backendHooks are the hooks of a node; the zero value has none. Any goroutine.
type backendHooks struct {
	// Immutable after makeHooks.
	backends                    map[string]*hooks.Backend // by scheme and host
	connect, subscribe, publish *hooks.Hook               // nil: there is none
	events                      *hooks.Events             // likewise
	headers                     []string                  // that the backend gets to see
}

// makeHooks makes the hooks of the configuration.
func (s *Server) makeHooks() error {
	if !s.cfg.hasHooks() {
		return nil
	}
	secret, err := s.cfg.readHookSecret()
	if err != nil {
		return err
	}
	h := &s.hooks
	h.backends, h.headers = make(map[string]*hooks.Backend), s.cfg.hookHeaders()
	h.connect = s.makeHook(hooks.Connect, s.cfg.HookConnect, secret)
	h.subscribe = s.makeHook(hooks.Subscribe, s.cfg.HookSubscribe, secret)
	h.publish = s.makeHook(hooks.Publish, s.cfg.HookPublish, secret)
	if s.cfg.HookEvents != "" {
		err = s.makeEvents(secret)
	}
	if h.connect != nil {
		s.identify.steps = append(s.identify.steps, s.askConnect)
	}
	if h.subscribe != nil {
		s.identify.steps = append(s.identify.steps, s.askTopics)
	}
	return err
}

// backend is the server of a URL: those with the same host share one.
func (s *Server) backend(text string, secret []byte) *hooks.Backend {
	u, _ := url.Parse(text) // Validate has checked it
	name := u.Scheme + "://" + u.Host
	b := s.hooks.backends[name]
	if b == nil {
		number, count := 0, 1
		if w := s.cfg.Worker; w != nil {
			number, count = w.Number, w.Count
		}
		b = hooks.NewBackend(hooks.BackendOptions{
			Concurrency: hookConcurrency(s.cfg.HookConcurrency, number, count), Timeout: s.cfg.HookTimeout,
			Secret: secret, UserAgent: "c100k/" + version.Get().Version,
		})
		s.hooks.backends[name] = b
	}
	return b
}

func (s *Server) makeHook(kind hooks.Kind, url string, secret []byte) *hooks.Hook {
	if url == "" {
		return nil
	}
	return hooks.New(hooks.Options{
		Spans: s.spans,
		Kind:  kind, URL: url, Backend: s.backend(url, secret), FailOpen: s.cfg.HookFail == HookFailOpen,
		Failed: func(kind hooks.Kind, result string, err error) {
			s.notices.add("hook "+string(kind)+" "+result, func() (string, []any) {
				return "hook failed", []any{"hook", kind, "result", result, "url", redactedHook(url), "err", err}
			})
		},
	})
}

// makeEvents opens the queue of events.
func (s *Server) makeEvents(secret []byte) (err error) {
	host, _ := os.Hostname()
	dir := ""
	if s.cfg.StateDir != "" {
		dir = filepath.Join(s.cfg.StateDir, "hook-events", strconv.Itoa(int(s.workerNumber())))
	}
	s.hooks.events, err = hooks.NewEvents(hooks.EventsOptions{
		Spans: s.spans,
		URL:   s.cfg.HookEvents, Backend: s.backend(s.cfg.HookEvents, secret), Dir: dir,
		// A process that is started again is another source: what was connected to it before is gone.
		Source: host + "/" + strconv.Itoa(int(s.workerNumber())) + "/" + strconv.FormatInt(s.started.UnixMilli(), 36),
		Failed: func(err error) {
			s.notices.add("hook events", func() (string, []any) {
				return "events are not taken", []any{"url", redactedHook(s.cfg.HookEvents), "err", err}
			})
		},
	})
	return err
}

// closeHooks ends them: the events are sent first, as far as the backend takes them.
func (s *Server) closeHooks() {
	if s.hooks.events != nil {
		s.hooks.events.Close()
	}
	for _, b := range s.hooks.backends {
		b.Close()
	}
	for _, h := range []*hooks.Hook{s.hooks.connect, s.hooks.subscribe, s.hooks.publish} {
		if h != nil {
			h.Close()
		}
	}
}

// asked is Ask that waits for the verdict; false if ctx has ended.
func asked(ctx context.Context, h *hooks.Hook, r *hooks.Request) (hooks.Verdict, bool) {
	verdict := make(chan hooks.Verdict, 1)
	h.Ask(r, func(v hooks.Verdict) { verdict <- v })
	select {
	case v := <-verdict:
		return v, true
	case <-ctx.Done():
		return hooks.Verdict{}, false
	}
}

// request is what the backend hears of a client that wants in.
func (s *Server) request(q *question, who *auth.Principal) *hooks.Request {
	r := &hooks.Request{Conn: q.conn.String(), Transport: q.transport}
	if who != nil {
		r.Sub = who.Subject
	}
	r.Address, r.Certificate = addressText(q.addr), q.certificate
	if q.head == nil {
		return r
	}
	r.Topics, _ = edge.QueryValues(nil, q.head.Query(), "topic") // the protocol says what is wrong with it
	for _, name := range s.hooks.headers {
		value, there := joined(q.head, name)
		if !there {
			continue
		}
		if r.Headers == nil {
			r.Headers = make(map[string]string)
		}
		r.Headers[name] = strings.ToValidUTF8(value, "\uFFFD")
		if !q.proxied {
			r.Forgeable = append(r.Forgeable, name)
		}
	}
	return r
}

// joined is the value of a header field; several of one name are joined as RFC 9110, 5.3 says, and
// cookies as RFC 6265, 4.2.1 does.
func joined(h *edge.Head, name string) (value string, there bool) {
	separator := ", "
	if strings.EqualFold(name, "Cookie") {
		separator = "; "
	}
	for i := range h.Fields() {
		n, v := h.Field(i)
		switch {
		case !strings.EqualFold(string(n), name):
		case there:
			value += separator + string(v)
		default:
			value, there = string(v), true
		}
	}
	return value, there
}

// askConnect is the step of the connect hook.
func (s *Server) askConnect(ctx context.Context, q *question, who *auth.Principal) (*auth.Principal, *edge.Refusal) {
	v, answered := asked(ctx, s.hooks.connect, s.request(q, who))
	switch {
	case !answered || v.Failed && !v.Allow:
		return nil, refuseNoHook
	case v.Failed:
		return who, nil
	case !v.Allow:
		return nil, refusalByHook(v.Answer.Reason)
	}
	who, err := s.answered(who, v.Answer)
	if err != nil {
		s.notices.add("hook connect identity", func() (string, []any) {
			return "the connect hook gave no valid identity", []any{"err", err}
		})
		return nil, refuseNoHook
	}
	if who != nil && who.Expired(netpoll.Monotonic()) {
		return nil, hookExpired
	}
	return who, nil
}

func refusalByHook(reason string) *edge.Refusal {
	if reason == "" {
		return refuseByHook
	}
	return refuseByHook.With(reason)
}

// answered is a client as the backend sees it: what the answer says, and else what is known of it.
// Its rights end with its token at the latest.
func (s *Server) answered(who *auth.Principal, a *hooks.Answer) (*auth.Principal, error) {
	if a.Sub == "" && a.Lists == nil && a.Expires.IsZero() {
		return who, nil
	}
	id := identityOf(who)
	if id == nil {
		id = new(Identity)
	}
	if a.Sub != "" {
		id.Subject = a.Sub
	}
	if !a.Expires.IsZero() && (id.Expires.IsZero() || a.Expires.Before(id.Expires)) {
		id.Expires = a.Expires
	}
	if l := a.Lists; l != nil {
		if l.Subscribe != nil || l.Publish != nil || l.History != nil || l.Presence != nil || l.Deny != nil || l.Join != nil {
			id.Subscribe, id.Publish, id.History, id.Presence, id.Deny, id.Join = l.Subscribe, l.Publish, l.History, l.Presence, l.Deny, l.Join
		}
		if l.Info != nil {
			id.Info = l.Info
		}
	}
	return s.principal(id)
}

// askTopics is the step of the subscribe hook, for the topics of a request. All are asked about at
// once.
func (s *Server) askTopics(ctx context.Context, q *question, who *auth.Principal) (*auth.Principal, *edge.Refusal) {
	r := s.request(q, who)
	if len(r.Topics) == 0 {
		return who, nil
	}
	r.Headers, r.Forgeable = nil, nil
	for _, topic := range r.Topics {
		if broadcast.ValidTopic(topic) != nil || denied(who, topic) {
			return who, nil // it is refused without the backend
		}
	}
	v, answered := asked(ctx, s.hooks.subscribe, r)
	switch {
	case !answered || v.Failed && !v.Allow:
		return nil, refuseNoHook
	case !v.Allow && v.Answer.Reason == "":
		return nil, refuseForbidden
	case !v.Allow:
		return nil, refuseForbidden.With(v.Answer.Reason)
	}
	return who, nil
}

// denied tells whether a token denies the topic: nobody can allow that.
func denied(who *auth.Principal, topic string) bool {
	return who != nil && who.Denied(topic, netpoll.Monotonic())
}

// mayBegin tells whether a request for a stream may name a topic: the subscribe hook has been asked
// before, and else the rights decide.
func (s *Server) mayBegin(who *auth.Principal, topic string) bool {
	if s.hooks.subscribe != nil {
		return !denied(who, topic)
	}
	return s.maySubscribe(who, topic)
}

// decider is what a protocol asks before a client does something, nil without a hook.
func (s *Server) decider(h *hooks.Hook, transport string) topicws.Decide {
	if h == nil {
		return nil
	}
	return func(q *topicws.Question, done func(topicws.Verdict)) {
		for _, topic := range q.Topics {
			if denied(q.Who, topic) {
				done(topicws.Verdict{})
				return
			}
		}
		r := &hooks.Request{Conn: q.Conn.String(), Transport: transport, Topics: q.Topics}
		if q.Who != nil {
			r.Sub = q.Who.Subject
		}
		switch {
		case q.Data == nil:
		case q.Kind == broadcast.Binary:
			r.Binary = q.Data
		case q.Kind == broadcast.Text:
			r.Data, _ = json.Marshal(string(q.Data)) // text is valid UTF-8
		default:
			r.Data = q.Data
		}
		h.Ask(r, func(v hooks.Verdict) {
			verdict := topicws.Verdict{Allow: v.Allow, Failed: v.Failed}
			if v.Answer != nil {
				verdict.Reason = v.Answer.Reason
			}
			done(verdict)
		})
	}
}

// readHooks are the figures of the hooks.
func (s *Server) readHooks() figures.Hooks {
	var f figures.Hooks
	for kind, h := range map[hooks.Kind]*hooks.Hook{hooks.Connect: s.hooks.connect, hooks.Subscribe: s.hooks.subscribe, hooks.Publish: s.hooks.publish} {
		if h == nil {
			continue
		}
		if f.Requests == nil {
			f.Requests = make(map[string]map[string]uint64)
		}
		f.Requests[string(kind)] = h.Counts()
		f.Times.Add(h.Times())
		f.Cached += h.Cached()
		f.Waiting += h.Waiting()
	}
	for _, b := range s.hooks.backends {
		f.Waiting += b.Waiting()
	}
	if s.hooks.events != nil {
		e := s.hooks.events.Figures()
		f.EventsSent, f.EventBatchesFailed, f.EventsLost = e.Sent, e.Failed, e.Lost
		f.EventsQueued, f.EventsQueuedBytes = e.Queued, e.Bytes
	}
	return f
}

// event tells the backend of one thing that has happened. Any goroutine; it does not block.
func (s *Server) event(e *hooks.Event) {
	if s.hooks.events != nil {
		e.Time = time.Now()
		s.hooks.events.Add(e)
	}
}

// addressText is an address as the backend hears it, empty if it is not known.
func addressText(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.Unmap().String()
}
