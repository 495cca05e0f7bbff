// Who a client is: its token, what the program says of it, and what its backend says. All of that
// is asked in one place, before a client is let in.
//
// A loop asks Server.identifyNow. It answers what needs no wait: no token, a token that was
// verified within the last minute, and one whose key is a secret, which takes some microseconds.
// Everything else is a question that goes to a goroutine: public keys to one of a few that use a
// processor each, and what waits for others (keys that are fetched, Config.Authenticate, hooks) to
// one of many. Both have a bounded queue, and a question has a deadline.

package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// Bounds of the questions.
const (
	// questionsMax bounds the questions in each queue; without it a backend that does not answer
	// would make the node keep every client that tries. Beyond it: 503.
	questionsMax = 16 << 10

	// waitersMax bounds the goroutines that wait for others. Each has a stack of some KiB.
	waitersMax = 1024
)

// Identity is who a client is and what it may do, as a token or Config.Authenticate says it. The
// lists are patterns of topics; see docs/auth.md.
type Identity struct {
	Subject  string    // the user; required where a pattern has {sub}
	ID       string    // of the token (jti), by which it can be revoked
	IssuedAt time.Time // zero if it is not known
	Expires  time.Time // when the connection ends; zero: never

	Subscribe, Publish, History, Presence []string
	Deny                                  []string // wins over the others
	Join                                  []string // topics that are subscribed at connect

	Info json.RawMessage // what others see of the client in presence: at most 2 KiB
}

// AuthError is an error of Config.Authenticate whose reason the client is told.
type AuthError struct {
	Status int    // 401 who are you, 403 not you, 429 not so often, 503 not now
	Reason string // a sentence
}

// Error implements error.
func (e *AuthError) Error() string { return e.Reason }

// The refusals of clients that do not say who they are.
var (
	refuseNoToken = (&edge.Refusal{Status: 401, Label: "unauthorized", Challenge: "Bearer", Reason: "this node needs a token: see Authorization: Bearer, ?access_token= or the subprotocol " + edge.TokenProtocol + "TOKEN (its --require-token)"}).DecidedBy("--require-token")
	refuseToken   = &edge.Refusal{Status: 401, Label: "unauthorized", Challenge: `Bearer error="invalid_token"`, Reason: "the token is not valid"}
	refuseExpired = &edge.Refusal{Status: 401, Label: "token_expired", Challenge: `Bearer error="invalid_token"`, Reason: auth.ErrExpired.Reason}
	refuseRevoked = &edge.Refusal{Status: 401, Label: "token_revoked", Challenge: `Bearer error="invalid_token"`, Reason: "the token was revoked"}
	refuseClient  = &edge.Refusal{Status: 403, Label: "forbidden", Reason: "this client is not let in"}
	refuseTooMany = &edge.Refusal{Status: 429, Label: "rate", Reason: "this client comes too often"}
	refuseNoKeys  = refuseToken.With("this node has no key to verify a token with (--token-key, --token-jwks)")
)

// question is what is known of a client that wants in. It is immutable.
type question struct {
	conn        netpoll.ID
	transport   string // the label of the figures
	addr        netip.Addr
	certificate string     // the subject of the client's
	proxied     bool       // a trusted proxy has sent the request
	head        *edge.Head // a copy; nil where nobody looks at it
	token       string
	found       bool          // there is a token, which may be empty
	shown       bool          // it was shown on the connection, not with the request of head
	tokenOnly   bool          // nothing else is asked about
	until       time.Duration // the deadline, on the clock of netpoll.Monotonic

	// answer is called once, on any goroutine.
	answer func(*auth.Principal, *edge.Refusal)
}

// step finds out more about a client: it gets what the steps before it have found, and its result
// is what counts. It runs on a goroutine and may block until ctx ends.
type step func(ctx context.Context, q *question, who *auth.Principal) (*auth.Principal, *edge.Refusal)

// identifier answers the questions of a node.
type identifier struct {
	registry auth.Registry
	steps    []step // behind the token; immutable after New
	quick    pool   // of those that use a processor
	slow     pool   // of those that wait for others
}

// makeIdentifier prepares for questions.
func (s *Server) makeIdentifier() {
	s.identify.quick.init(runtime.GOMAXPROCS(0))
	s.identify.slow.init(waitersMax)
	if s.cfg.Authenticate != nil {
		s.identify.steps = append(s.identify.steps, s.authenticate)
	}
}

// identifyNow answers about a client with what is known without a wait. decided is false if it has
// to be asked. Any goroutine; it neither blocks nor takes a lock.
func (s *Server) identifyNow(token []byte, found bool) (who *auth.Principal, refusal *edge.Refusal, decided bool) {
	l := s.live.Load()
	more := len(s.identify.steps) > 0
	switch {
	case !found && more:
		return nil, nil, false
	case !found && l.requireToken:
		return nil, refuseNoToken, true
	case !found:
		return nil, nil, true
	case l.verifier == nil && more:
		return nil, nil, false // it is for them to read
	case l.verifier == nil:
		return nil, refuseNoKeys, true
	}
	who, err, known := l.verifier.Cached(token)
	if !known {
		if !l.verifier.Quick() {
			return nil, nil, false
		}
		who, err = l.verifier.TryVerify(string(token))
	}
	refusal = s.judgeToken(who, err)
	return who, refusal, refusal != nil || !more
}

// judgeToken is the answer to a token that is not valid, or that was revoked.
func (s *Server) judgeToken(who *auth.Principal, err error) *edge.Refusal {
	if err == nil && s.revocations.Revoked(who) {
		return refuseRevoked
	}
	return refusalOfToken(err)
}

// refusalOfToken is the answer to a token that is not valid.
func refusalOfToken(err error) *edge.Refusal {
	var bad *auth.TokenError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &bad) && bad.Expired:
		return refuseExpired
	case errors.As(err, &bad):
		return refuseToken.With(bad.Reason)
	}
	return edge.RefuseUnanswered
}

// ask has a question answered. Any goroutine; it does not block.
func (s *Server) ask(q *question) {
	to := &s.identify.slow
	if v := s.live.Load().verifier; q.found && v != nil {
		to = &s.identify.quick
	}
	if !to.run(func() { s.find(q, to == &s.identify.quick) }) {
		q.answer(nil, edge.RefuseWaiting)
	}
}

// find answers a question; quick tells that it must not wait here.
func (s *Server) find(q *question, quick bool) {
	left := q.until - netpoll.Monotonic()
	if left <= 0 {
		q.answer(nil, edge.RefuseUnanswered)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), left)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("Authenticate panicked", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			q.answer(nil, edge.RefuseUnanswered)
		}
	}()
	who, refusal, later := s.verify(ctx, q, quick)
	if q.tokenOnly && !later {
		q.answer(who, refusal)
		return
	}
	var past []wanted
	if refusal == nil && !later && q.head != nil && len(s.identify.steps) == 0 {
		past = s.missingOf(q.head, who)
	}
	if refusal == nil && !later {
		later = quick && len(s.identify.steps)+len(past) > 0
	}
	if later {
		if !s.identify.slow.run(func() { s.find(q, false) }) {
			q.answer(nil, edge.RefuseWaiting)
		}
		return
	}
	for _, more := range s.identify.steps {
		if refusal != nil {
			break
		}
		who, refusal = more(ctx, q, who)
	}
	if refusal == nil && who == nil && s.live.Load().requireToken {
		refusal = refuseNoToken
	}
	if refusal == nil && s.revocations.Revoked(who) {
		refusal = refuseRevoked // also where it was not a token that said who this is
	}
	if refusal == nil && q.head != nil {
		refusal = s.bringPast(ctx, q, who)
	}
	if refusal != nil {
		who = nil
	}
	q.answer(who, refusal)
}

// bringPast waits until what the client of a request has missed is here.
func (s *Server) bringPast(ctx context.Context, q *question, who *auth.Principal) *edge.Refusal {
	if list := s.missingOf(q.head, who); len(list) > 0 && s.past.fetch(ctx, list) != nil {
		return refuseNoPast
	}
	return nil
}

// verify is the first step; later tells that it would have to wait.
func (s *Server) verify(ctx context.Context, q *question, quick bool) (who *auth.Principal, refusal *edge.Refusal, later bool) {
	v := s.live.Load().verifier
	if !q.found || v == nil {
		return nil, nil, false
	}
	who, err, known := v.Cached([]byte(q.token))
	switch {
	case known:
	case quick:
		if who, err = v.TryVerify(q.token); errors.Is(err, auth.ErrKeyUnknown) {
			return nil, nil, true
		}
	default:
		who, err = v.Verify(ctx, q.token)
	}
	return who, s.judgeToken(who, err), false
}

// authenticate asks Config.Authenticate.
func (s *Server) authenticate(ctx context.Context, q *question, who *auth.Principal) (*auth.Principal, *edge.Refusal) {
	r, err := requestOf(q)
	if err != nil {
		return nil, edge.RefuseUnanswered // net/http is stricter than we are about something
	}
	r.RemoteAddr = net.JoinHostPort(q.addr.String(), "0")
	id, err := s.cfg.Authenticate(r.WithContext(ctx), identityOf(who))
	var known *AuthError
	switch {
	case errors.As(err, &known):
		return nil, refusalOfStatus(known.Status, known.Reason)
	case err != nil:
		s.notices.add("authenticate", func() (string, []any) { return "Authenticate failed", []any{"err", err} })
		return nil, edge.RefuseUnanswered
	case id == nil:
		return nil, nil
	}
	who, err = s.principal(id)
	if err != nil {
		s.notices.add("authenticate", func() (string, []any) { return "Authenticate gave no valid identity", []any{"err", err} })
		return nil, edge.RefuseUnanswered
	}
	return who, nil
}

// requestOf is the request of a client; where its head is not known, one with the token and nothing
// else. A token that was shown on the connection is added to it.
func requestOf(q *question) (r *http.Request, err error) {
	if q.head != nil {
		r, err = http.ReadRequest(bufio.NewReader(bytes.NewReader(q.head.Bytes())))
	} else {
		r, err = http.NewRequest(http.MethodGet, "/", nil)
	}
	if err == nil && q.shown {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	return r, err
}

// principal makes one of an identity.
func (s *Server) principal(id *Identity) (*auth.Principal, error) {
	return auth.NewPrincipal(&auth.Identity{
		Subject: id.Subject, ID: id.ID, IssuedAt: id.IssuedAt, Expires: id.Expires, Info: id.Info,
		Lists: auth.Lists{Subscribe: id.Subscribe, Publish: id.Publish, History: id.History, Presence: id.Presence, Deny: id.Deny, Join: id.Join},
	}, &s.identify.registry, time.Now(), netpoll.Monotonic(), 0)
}

// identityOf is a principal as the program sees it.
func identityOf(who *auth.Principal) *Identity {
	if who == nil {
		return nil
	}
	id := &Identity{Subject: who.Subject, ID: who.ID, Info: who.Info}
	if who.IssuedAt != 0 {
		id.IssuedAt = time.Unix(who.IssuedAt, 0)
	}
	if who.ExpiresAt != 0 {
		id.Expires = time.Unix(who.ExpiresAt, 0)
	}
	if who.Rights != nil {
		lists := who.Rights.Lists()
		id.Subscribe, id.Publish, id.History, id.Presence = lists.Subscribe, lists.Publish, lists.History, lists.Presence
		id.Deny, id.Join = lists.Deny, lists.Join
	}
	return id
}

// refusalOfStatus is the answer that a program or a backend wants given.
func refusalOfStatus(status int, reason string) *edge.Refusal {
	r := map[int]*edge.Refusal{401: refuseToken, 429: refuseTooMany, 503: edge.RefuseUnanswered}[status]
	if r == nil {
		r = refuseClient
	}
	if reason == "" {
		return r
	}
	return r.With(reason)
}

// identified is the answer to a question as the value of a request that waits.
type identified struct{ who *auth.Principal }

// token finds the token of a request.
func (s *Server) token(h *edge.Head) (token []byte, found bool, refusal *edge.Refusal) {
	l := s.live.Load()
	cookie := l.tokenCookie
	if cookie != "" && !s.origins.OwnCookies(h) {
		cookie = ""
	}
	token, place, refusal := edge.Token(h, cookie)
	return token, place != edge.TokenNowhere, refusal
}

// identifyHead is identifyNow for the client of a request that Server.judge does not refuse.
func (s *Server) identifyHead(h *edge.Head) (who *auth.Principal, refusal *edge.Refusal, decided bool) {
	if refusal = s.judge(h); refusal != nil {
		return nil, refusal, true
	}
	return s.identifyToken(h)
}

// identifyToken is identifyNow for the client of a request.
func (s *Server) identifyToken(h *edge.Head) (who *auth.Principal, refusal *edge.Refusal, decided bool) {
	token, found, refusal := s.token(h)
	if refusal != nil {
		return nil, refusal, true
	}
	return s.identifyNow(token, found)
}

// admitted makes the routes of a protocol whose clients are identified before serve begins with
// them: those of proto.Part.
func (s *Server) admitted(p *proto.Place, transport string, serve proto.Route) (first proto.Route, ask func(*netpoll.Loop, *netpoll.Conn, *edge.Head, edge.Ticket), resume func(*netpoll.Loop, *netpoll.Conn, *edge.Head, []byte, any) edge.Decision) {
	return s.identifying(p, transport, s.identifyHead, serve)
}

// identifying is admitted with a function of the caller's that identifies clients at once, if it
// can.
func (s *Server) identifying(p *proto.Place, transport string, identify func(*edge.Head) (*auth.Principal, *edge.Refusal, bool), serve proto.Route) (first proto.Route, ask func(*netpoll.Loop, *netpoll.Conn, *edge.Head, edge.Ticket), resume func(*netpoll.Loop, *netpoll.Conn, *edge.Head, []byte, any) edge.Decision) {
	first = func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, _ *auth.Principal) edge.Decision {
		who, refusal, decided := identify(h)
		switch {
		case refusal != nil:
			p.Edge.Refuse(l, c, h, refusal)
			return edge.Handled
		case !decided || len(s.missingOf(h, who)) > 0:
			return edge.Wait
		}
		return serve(l, c, h, rest, who)
	}
	ask = func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, t edge.Ticket) {
		s.ask(s.questionOf(l, c, h, p.Edge, transport, answerTo(t)))
	}
	return first, ask, resumed(serve)
}

// answerTo makes a question's answer that of a request that waits.
func answerTo(t edge.Ticket) func(*auth.Principal, *edge.Refusal) {
	return func(who *auth.Principal, refusal *edge.Refusal) {
		if refusal != nil {
			t.Refuse(refusal)
		} else {
			t.Answer(identified{who})
		}
	}
}

// resumed serves a request that has waited for answerTo.
func resumed(serve proto.Route) func(*netpoll.Loop, *netpoll.Conn, *edge.Head, []byte, any) edge.Decision {
	return func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, value any) edge.Decision {
		return serve(l, c, h, rest, value.(identified).who)
	}
}

// questionOf is the question about the client of a request. Loop only.
func (s *Server) questionOf(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, e *edge.Config, transport string, answer func(*auth.Principal, *edge.Refusal)) *question {
	token, found, _ := s.token(h)
	q := &question{
		conn: c.ID(), transport: transport, token: string(token), found: found,
		until: netpoll.Monotonic() + edge.WaitTimeoutDefault, answer: answer,
	}
	if len(s.identify.steps) > 0 || s.past.engine {
		q.addr, q.proxied, q.head = e.ClientAddr(l, c, h), edge.Proxied(c), h.Clone()
		q.certificate = h.ClientSubject()
	}
	return q
}

// identifyConn makes what finds out who shows a token on a connection: a topicws.Config.Identify.
func (s *Server) identifyConn(p *proto.Place, transport string) func(*netpoll.Loop, *netpoll.Conn, []byte, func(*netpoll.Loop, *netpoll.Conn, *auth.Principal, string)) {
	return func(l *netpoll.Loop, c *netpoll.Conn, token []byte, done func(*netpoll.Loop, *netpoll.Conn, *auth.Principal, string)) {
		who, refusal, decided := s.identifyNow(token, true)
		if decided {
			done(l, c, who, reasonOf(refusal))
			return
		}
		remote, id := l.Remote(), c.ID()
		q := &question{
			conn: id, transport: transport, token: string(token), found: true, shown: true, until: netpoll.Monotonic() + edge.WaitTimeoutDefault,
			answer: func(who *auth.Principal, refusal *edge.Refusal) {
				remote.PostTo(id, func(l *netpoll.Loop, c *netpoll.Conn) { done(l, c, who, reasonOf(refusal)) })
			},
		}
		if len(s.identify.steps) > 0 {
			q.addr, q.certificate = s.node.ClientAddr(l, c), s.subjectOf(l, c)
		}
		s.ask(q)
	}
}

func reasonOf(r *edge.Refusal) string {
	if r == nil {
		return ""
	}
	return r.Reason
}

// pool runs functions on goroutines, which are started as they are needed and end when there is
// nothing to do. Any goroutine.
type pool struct {
	most    int32 // immutable after init
	once    sync.Once
	queue   chan func() // made by the first run: most nodes ask nobody
	running atomic.Int32
}

func (p *pool) init(most int) { p.most = int32(most) }

// run has f run soon. False: too much waits already.
func (p *pool) run(f func()) bool {
	p.once.Do(func() { p.queue = make(chan func(), questionsMax) })
	select {
	case p.queue <- f:
	default:
		return false
	}
	if p.start() {
		go p.work()
	}
	return true
}

// start takes the place of one goroutine more, if there is one.
func (p *pool) start() bool {
	for {
		n := p.running.Load()
		if n >= p.most {
			return false
		}
		if p.running.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (p *pool) work() {
	for {
		select {
		case f := <-p.queue:
			f()
		default:
			p.running.Add(-1)
			// Between the look at the queue and this, one may have been put there by a caller that saw
			// all places taken.
			if len(p.queue) == 0 || !p.start() {
				return
			}
		}
	}
}

// newVerifier reads the keys that tokens are verified with; nil if there are none.
func (s *Server) newVerifier(c *Config) (*auth.Verifier, error) {
	if len(c.TokenKeys) == 0 && c.TokenJWKS == "" {
		return nil, nil
	}
	v, err := auth.NewVerifier(auth.VerifierConfig{
		Files: c.TokenKeys, JWKS: c.TokenJWKS, Issuers: c.TokenIssuers, Audiences: c.TokenAudiences, Leeway: max(c.TokenLeeway, 0),
		Registry: &s.identify.registry,
		Failed: func(err error) {
			s.notices.add("jwks", func() (string, []any) { return "keys of tokens could not be fetched", []any{"err", err} })
		},
	})
	if err != nil {
		return nil, &SettingError{"TokenKeys", err}
	}
	return v, nil
}
