// Ordinary HTTP on the public port: what is not a stream goes to a stock net/http server.

package server

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"c100k/internal/admin"
	"c100k/internal/edge"
	"c100k/internal/sse"
	"c100k/internal/upstream"
	"c100k/internal/web"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Bounds of the public port's net/http server. There is none on writing: an upstream's answer may
// be a stream.
const (
	httpHeaderTimeout = 10 * time.Second
	httpIdleTimeout   = 75 * time.Second
)

// makeAPI makes what answers below /v1/ on the public port.
func (s *Server) makeAPI() {
	s.api = admin.NewPublic(s.apiConfig())
	if s.cfg.Worker != nil {
		s.api = admin.NewGate(s.apiConfig(), s.cfg.Worker.API)
	}
	s.api = s.crossOrigin(s.api)
	c := s.apiConfig()
	s.httpUsers, s.httpRate = s.crossOrigin(admin.NewUsers(c, s.identifyHTTP)), newUserRate(s.cfg.Rate, s.cfg.RateBurst)
}

// public routes a request that net/http has parsed and that is for no stream: the API stands under
// /v1/ where a key guards it, the client for pages at /c100k.js and /c100k.mjs, everything else is
// other's.
func (s *Server) public(other http.Handler) http.Handler {
	other = web.WithClient(other)
	return s.limited(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") && s.live.Load().apiKey != "" {
			if !s.forUser(w, r) {
				s.api.ServeHTTP(w, r)
			}
			return
		}
		other.ServeHTTP(w, r)
	}))
}

// limited bounds the requests that net/http serves at one time.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slot := &requestSlot{open: &s.requests}
		defer slot.release()
		if s.requests.Add(1) > int64(s.cfg.MaxRequests) {
			s.refusedFrom(edge.RefuseBusy, netip.Addr{})
			edge.RefuseBusy.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestSlotKey{}, slot)))
	})
}

// requestSlot is the place of one request among those that limited counts. A WebSocket through the
// upstream gives it back when it begins.
type requestSlot struct {
	open     *atomic.Int64
	released atomic.Bool
}

type requestSlotKey struct{}

func (q *requestSlot) release() {
	if q != nil && q.released.CompareAndSwap(false, true) {
		q.open.Add(-1)
	}
}

// crossOrigin lets pages of allowed origins use the API, and no others.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.answerOrigin(w, r, "GET, POST, DELETE") {
			next.ServeHTTP(w, r)
		}
	})
}

// answerOrigin judges the Origin of a request, sets the header fields of the Fetch standard's CORS
// protocol, and answers a refused origin and a preflight. It tells whether it has answered.
func (s *Server) answerOrigin(w http.ResponseWriter, r *http.Request, methods string) (answered bool) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !s.origins.Allowed([]byte(origin), []byte(r.Host)) {
		refusal := edge.OriginRefusal(origin)
		s.refusedFrom(refusal, netip.Addr{})
		refusal.ServeHTTP(w, r)
		return true
	}
	allowed, credentials := s.allowOrigin(origin)
	h.Set("Access-Control-Allow-Origin", allowed)
	if credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", methods)
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Add("Vary", "Access-Control-Request-Headers")
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// allowOrigin is what an allowed origin is told: with the rule "*" any page may ask, so none may
// use the credentials of its visitor.
func (s *Server) allowOrigin(origin string) (allowed string, credentials bool) {
	if s.origins.All() {
		return "*", false
	}
	return origin, true
}

// preflight answers OPTIONS requests for the stream of events and for polls.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) bool {
	path := r.URL.EscapedPath()
	if r.Method != http.MethodOptions || path != pathSSE && path != pathPoll {
		return false
	}
	if !s.answerOrigin(w, r, "GET") {
		w.Header().Set("Allow", "GET, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	}
	return true
}

// refuseInForm answers a refusal in the form that a client of the path understands.
func (s *Server) refuseInForm(dst []byte, h *edge.Head, r *edge.Refusal) []byte {
	if string(h.Path()) == pathPoll {
		return s.refusePoll(dst, h, r)
	}
	if r.Temporary() {
		return s.refuseEventSource(dst, h, r)
	}
	return nil
}

// refuseEventSource answers a temporary refusal to an EventSource, for which any status but 200
// would be final.
func (s *Server) refuseEventSource(dst []byte, h *edge.Head, r *edge.Refusal) []byte {
	accept, _ := h.Get("accept")
	if !isEventSource(string(h.Path()), string(accept)) || string(h.Method()) != http.MethodGet {
		return nil
	}
	allowed, credentials := s.eventOrigin(h)
	return sse.AppendRefusal(dst, time.Now(), allowed, credentials, r.RetryAfter(), r.Reason)
}

// eventOrigin is what the page of another allowed origin is told; nothing for our own, and
// nothing where the program's handlers have said it.
func (s *Server) eventOrigin(h *edge.Head) (allowed string, credentials bool) {
	origin, n := h.Origin()
	if n != 1 || h.Mount().SetsCORS() || s.sameHost.Allowed(origin, h.Host()) || !s.origins.Allowed(origin, h.Host()) {
		return "", false
	}
	return s.allowOrigin(string(origin))
}

// otherHandler answers what is not ours.
func (s *Server) otherHandler() (http.Handler, error) {
	switch {
	case s.cfg.Handler != nil:
		return s.cfg.Handler, nil
	case s.cfg.Upstream != "":
		return s.makeUpstream()
	case s.cfg.Static != "":
		files, err := web.Files(s.cfg.Static, s.cfg.StaticDotfiles)
		if err != nil {
			return nil, &SettingError{"Static", err}
		}
		return files, nil
	case s.cfg.Dev:
		return web.New(web.Config{PublishURL: s.publishURL()}), nil
	}
	return http.NotFoundHandler(), nil
}

// makeUpstream makes the reverse proxy to the application.
func (s *Server) makeUpstream() (http.Handler, error) {
	target, err := url.Parse(s.cfg.Upstream)
	if err != nil {
		return nil, &SettingError{"Upstream", err}
	}
	s.upstream = upstream.New(upstream.Options{
		URL: target, Timeout: max(s.cfg.UpstreamTimeout, 0), Trusted: s.trusted,
		Failed: func(outcome string, r *http.Request, err error) {
			s.notices.add("upstream "+outcome, func() (string, []any) {
				return "upstream failed", []any{"outcome", outcome, "upstream", target.Redacted(), "path", r.URL.Path, "err", err}
			})
		},
		Switched: func(r *http.Request) {
			slot, _ := r.Context().Value(requestSlotKey{}).(*requestSlot)
			slot.release()
		},
		Logger: s.log,
	})
	return s.upstream, nil
}

// AdminHandler is what the admin port serves: health, metrics, the API, pprof. It is for programs
// that serve it on a listener of their own, with a server as careful as admin ports need. Who comes
// over a unix socket counts as on this machine. The error is that of registering the node's
// metrics.
func (s *Server) AdminHandler() (http.Handler, error) {
	registry := s.cfg.Registry
	if registry == nil {
		own := prometheus.NewRegistry()
		own.MustRegister(collectors.NewGoCollector(), admin.NewProcessCollector())
		registry = own
	}
	err := registry.Register(admin.NewCollector(adminNode{s}.Stats))
	var twice prometheus.AlreadyRegisteredError
	if err != nil && !errors.As(err, &twice) {
		return nil, &SettingError{"Registry", err}
	}
	c := s.apiConfig()
	c.Metrics = registry
	if s.cfg.Worker == nil { // the parent records for all
		c.Recorder = admin.NewRecorder(c.Node.Stats)
		go c.Recorder.Run(s.stopped)
	}
	return admin.New(c), nil
}

func (s *Server) apiConfig() admin.Config {
	return admin.Config{
		Node: adminNode{s}, APIKey: func() string { return s.live.Load().apiKey }, ReadKey: func() string { return s.live.Load().readKey },
		MessageBytesMax: s.cfg.MaxMessage, Logger: s.log,
	}
}

// publishURL is where the demo page says that the admin port is: as configured, for the page is
// made before the port is open.
func (s *Server) publishURL() string {
	if s.cfg.Admin == "" {
		return ""
	}
	if s.cfg.AdminTLSCert != "" {
		return "https://" + s.cfg.Admin
	}
	return "http://" + s.cfg.Admin
}

// trusted tells whether a request's RemoteAddr, "address:port", is one of Config.TrustedProxies.
//
// Those speak for their clients in two ways. In front of a connection a PROXY header names the
// client of all of it: that address counts against Config.MaxConnsPerIP, and net/http has it as the
// request's RemoteAddr. In each request X-Forwarded-For names a client: it counts where the request
// keeps the connection for itself, as a stream does. A proxy's kept-alive connection for ordinary
// requests, each of another client, counts in the total only.
func (s *Server) trusted(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	if err != nil && s.admission.TrustLocal {
		return true // a peer on a Unix socket
	}
	return err == nil && s.admission.Trusted.Contains(addr.Addr())
}
