// Ordinary HTTP on the public port: what is not a stream goes to a stock net/http server.

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"c100k/internal/admin"
	"c100k/internal/edge"
	"c100k/internal/web"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Bounds of the public port's net/http server. There is none on writing: an upstream's answer may be a stream.
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
}

// public routes a request that net/http has parsed and that is for no stream: the API stands under
// /v1/ where a key guards it, everything else is other's.
func (s *Server) public(other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") && s.live.Load().apiKey != "" {
			s.api.ServeHTTP(w, r)
			return
		}
		s.node.Other(other).ServeHTTP(w, r)
	})
}

// crossOrigin lets pages of allowed origins use the API, and no others (Fetch standard, CORS protocol).
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Origin")
		if !s.origins.Allowed([]byte(origin), []byte(r.Host)) {
			edge.RefuseOrigin.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// otherHandler answers what is not ours.
func (s *Server) otherHandler() (http.Handler, error) {
	switch {
	case s.cfg.Handler != nil:
		return s.cfg.Handler, nil
	case s.cfg.Upstream != "":
		return s.upstream()
	case s.cfg.Static != "":
		return static(s.cfg.Static)
	case s.cfg.Dev:
		return web.New(web.Config{PublishURL: s.publishURL()}), nil
	}
	return http.NotFoundHandler(), nil
}

// static serves the files below a directory, and nothing outside of it that a link may point to.
func static(dir string) (http.Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("field Static: %w", err)
	}
	return http.FileServerFS(confined{root.FS()}), nil
}

// confined puts errors into words that http.FileServerFS has an answer for; others it takes for ours, and answers 500.
type confined struct{ fs.FS }

// Open opens a file for reading.
func (c confined) Open(name string) (fs.File, error) {
	file, err := c.FS.Open(name)
	var path *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR):
		return nil, fs.ErrNotExist // a name that no file can have
	case errors.As(err, &path) && !errors.As(path.Err, &errno):
		return nil, fs.ErrPermission // os.Root has refused, not the system: a link that leads outside
	}
	return file, err
}

// upstream is a reverse proxy. Requests from trusted proxies keep what those say of the client.
func (s *Server) upstream() (http.Handler, error) {
	target, err := url.Parse(s.cfg.Upstream)
	if err != nil {
		return nil, fmt.Errorf("field Upstream: %w", err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			if s.trusted(r.In.RemoteAddr) {
				r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			}
			r.SetXForwarded()
		},
		FlushInterval: -1, // an upstream's stream of events must not wait for a full buffer
		ErrorLog:      slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			s.log.Warn("upstream failed", "upstream", target.Redacted(), "path", r.URL.Path, "err", err)
			http.Error(w, "the upstream server cannot be reached", http.StatusBadGateway)
		},
	}, nil
}

// AdminHandler is what the admin port serves: health, metrics, the API, pprof. It is for programs that serve it on a listener of
// their own, with a server as careful as admin ports need. Who comes over a unix socket counts as on this machine. The error is
// that of registering the node's metrics.
func (s *Server) AdminHandler() (http.Handler, error) {
	registry := s.cfg.Registry
	if registry == nil {
		own := prometheus.NewRegistry()
		own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		registry = own
	}
	err := registry.Register(admin.NewCollector(adminNode{s}.Stats))
	var twice prometheus.AlreadyRegisteredError
	if err != nil && !errors.As(err, &twice) {
		return nil, fmt.Errorf("field Registry: %w", err)
	}
	c := s.apiConfig()
	c.Metrics = registry
	return admin.New(c), nil
}

func (s *Server) apiConfig() admin.Config {
	return admin.Config{
		Node: adminNode{s}, APIKey: func() string { return s.live.Load().apiKey },
		MessageBytesMax: s.cfg.MaxMessage, Logger: s.log,
	}
}

// publishURL is where the demo page says that the admin port is: as configured, for the page is made before the port is open.
func (s *Server) publishURL() string {
	if s.cfg.Admin == "" {
		return ""
	}
	return "http://" + s.cfg.Admin
}
