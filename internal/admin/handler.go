// The handlers: from a request to the function that answers it.

package admin

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is what a handler needs. Node is required.
type Config struct {
	Node Node

	// APIKey returns the key that is asked for as "Authorization: Bearer KEY"; it is called for each
	// request, so that a reload can change the key. Nil, or "": there is no key, and only peers on
	// loopback may call.
	APIKey func() string

	// ReadKey returns a key for those who may read and change nothing. Nil, or "": there is none.
	ReadKey func() string

	// Recorder keeps the figures that the dashboard draws. The caller runs it. Nil: GET /v1/figures is
	// 404.
	Recorder *Recorder

	// Hosts are names, with or without a port, that may stand in the Host and Origin headers of
	// requests that bring no key, besides loopback's own. Nil: none.
	Hosts []string

	// MessageBytesMax bounds a payload, in bytes. 0: MessageBytesMaxDefault.
	MessageBytesMax int

	// Metrics is what GET /metrics shows. Nil: the metrics of Node, of the Go runtime and of the
	// process.
	Metrics prometheus.Gatherer

	// Pprof returns the handler of profiles that a request wants; no handler and no problem is those
	// of this process, as is a nil Pprof.
	Pprof func(*http.Request) (http.Handler, *Problem)

	// Logger hears of drains and of connections that were closed on demand. Nil: nothing is logged.
	Logger *slog.Logger
}

// api is a handler. Immutable after newAPI.
type api struct {
	node            Node
	publishLater    func(p Publication, done func(Outcome)) error
	access          access
	identify        func(*http.Request) (User, *Problem) // nil: access judges
	routes          []route
	keys            *keys
	recorder        *Recorder
	messageBytesMax int
	publishBytesMax int
	pprof           func(*http.Request) (http.Handler, *Problem)
	log             *slog.Logger
}

// answer serves one method of a route. arg is what stood in the path where the route's pattern has
// a star, decoded.
type answer func(w http.ResponseWriter, r *http.Request, arg string)

type route struct {
	pattern []string // segments; "*" takes any one
	get     answer   // also answers HEAD
	post    answer
	delete  answer
	open    bool // answers any peer, without a key
	full    bool // a key that may only read does not open it
}

// New is the handler of the admin port: the API, health, metrics, pprof and the dashboard.
func New(c Config) http.Handler {
	a := newAPI(c, true)
	a.routes = append(a.routes,
		route{pattern: path("healthz"), get: a.healthz, open: true},
		route{pattern: path("readyz"), get: a.readyz, open: true},
		route{pattern: path("metrics"), get: serveMetrics(c)},
		route{pattern: path("debug/pprof"), get: redirectPprof, full: true},
		route{pattern: path("debug/pprof/*"), get: a.servePprof, post: a.servePprof, full: true},
	)
	a.routes = append(a.routes, a.dashboardRoutes()...)
	return a
}

// NewPublic is the API as it is mounted on the public port: only what is under /v1/, and nothing
// without the key, not even from loopback, where a proxy may stand. It is nil where c has no
// APIKey; where that returns "", every call is refused.
//
// Do not put it behind an http.ServeMux, which cleans paths: it would redirect the topic ".." away.
func NewPublic(c Config) http.Handler {
	if c.APIKey == nil {
		return nil
	}
	return newAPI(c, false)
}

func newAPI(c Config, loopback bool) *api {
	a := &api{
		node:            c.Node,
		publishLater:    later(c.Node),
		messageBytesMax: cmp.Or(c.MessageBytesMax, MessageBytesMaxDefault),
		pprof:           c.Pprof,
		keys:            newKeys(time.Now),
		recorder:        c.Recorder,
		log:             c.Logger,
	}
	a.publishBytesMax = max(PublishBytesMax, 2*a.messageBytesMax)
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.access = newAccess(c, loopback, a.log)
	a.routes = []route{
		{pattern: path("v1/publish"), post: a.publish},
		{pattern: path("v1/topics"), get: a.listTopics},
		{pattern: path("v1/topics/*"), get: a.showTopic, post: a.publishTopic},
		{pattern: path("v1/topics/*/history"), get: a.showHistory, delete: a.deleteHistory},
		{pattern: path("v1/topics/*/presence"), get: a.presence},
		{pattern: path("v1/stats"), get: a.stats},
		{pattern: path("v1/figures"), get: a.figures},
		{pattern: path("v1/connections"), get: a.connections},
		{pattern: path("v1/connections/*"), get: a.showConnection, delete: a.closeConnection},
		{pattern: path("v1/closes"), get: a.closes},
		{pattern: path("v1/trace"), get: a.trace},
		{pattern: path("v1/drain"), post: a.drain},
		{pattern: path("v1/openapi.json"), get: a.openAPI},
		{pattern: path("v1/revocations"), get: a.revocations, post: a.revoke},
		{pattern: path("v1/revocations/*"), delete: a.unrevoke},
		{pattern: path("v1/users/*/connections"), delete: a.closeUser},
	}
	return a
}

// refuse answers a request whose body has not been read, and does not wait for it: net/http would,
// before it sends the answer.
func refuse(w http.ResponseWriter, r *http.Request, problem *Problem) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
		// Not every ResponseWriter has a connection. One that has none has nothing to wait for.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
	problem.Write(w)
}

func path(pattern string) []string { return strings.Split(pattern, "/") }

// ServeHTTP finds the route, asks whether the peer may, and lets the method answer. A peer that may
// not is not told which paths there are.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")

	parts, err := segments(r.URL.EscapedPath())
	found, arg := a.find(parts)
	if a.identify != nil {
		u, problem := a.identify(r)
		if problem != nil {
			challenge(w, problem)
			refuse(w, r, problem)
			return
		}
		admit(r)
		r = r.WithContext(context.WithValue(r.Context(), userKey{}, u))
	} else if found == nil || !found.open {
		may, problem := a.access.judge(r)
		if problem == nil && may != roleFull && (!reads(r) || found != nil && found.full || r.URL.Query().Get("payload") == "1") {
			problem = NewProblem(http.StatusForbidden, "read_only", "this key may read and change nothing, and it sees no payloads and no profiles")
		}
		if problem != nil {
			challenge(w, problem)
			refuse(w, r, problem)
			return
		}
		admit(r)
	}
	switch {
	case err != nil:
		refuse(w, r, NewProblem(http.StatusBadRequest, "bad_path", err.Error()))
	case found == nil:
		refuse(w, r, notFound(parts))
	default:
		found.serve(w, r, arg)
	}
}

// challenge sets the header fields of a refusal.
func challenge(w http.ResponseWriter, problem *Problem) {
	switch problem.Status {
	case http.StatusUnauthorized:
		// RFC 9110, 15.5.2: a 401 MUST have a challenge.
		w.Header().Set("WWW-Authenticate", `Bearer realm="c100k"`)
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(GuessEvery.Seconds())))
	}
}

// find is the route of a path, and nil where there is none.
func (a *api) find(parts []string) (*route, string) {
	for i := range a.routes {
		if arg, ok := a.routes[i].match(parts); ok {
			return &a.routes[i], arg
		}
	}
	return nil, ""
}

func (t *route) match(parts []string) (arg string, ok bool) {
	if len(parts) != len(t.pattern) {
		return "", false
	}
	for i, want := range t.pattern {
		switch {
		case want == "*":
			arg = parts[i]
		case want != parts[i]:
			return "", false
		}
	}
	return arg, true
}

// notFound helps those who forgot that a slash in a topic has to be encoded.
func notFound(parts []string) *Problem {
	detail := "there is nothing at this path"
	if len(parts) > 3 && parts[0] == "v1" && parts[1] == "topics" {
		detail = "a slash within a topic has to be sent as %2F"
	}
	return NewProblem(http.StatusNotFound, "no_such_path", detail)
}

func (t *route) serve(w http.ResponseWriter, r *http.Request, arg string) {
	var serve answer
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		serve = t.get // net/http leaves the body of an answer to HEAD away
	case http.MethodPost:
		serve = t.post
	case http.MethodDelete:
		serve = t.delete
	case http.MethodOptions:
		serve = t.options
	}
	if serve == nil {
		// RFC 9110, 15.5.6: a 405 MUST have Allow.
		w.Header().Set("Allow", t.allow())
		refuse(w, r, NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this path answers "+t.allow()))
		return
	}
	serve(w, r, arg)
}

func (t *route) options(w http.ResponseWriter, _ *http.Request, _ string) {
	w.Header().Set("Allow", t.allow())
	w.WriteHeader(http.StatusNoContent)
}

func (t *route) allow() string {
	var methods []string
	if t.get != nil {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	if t.post != nil {
		methods = append(methods, http.MethodPost)
	}
	if t.delete != nil {
		methods = append(methods, http.MethodDelete)
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}
