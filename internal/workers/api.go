// The parent's admin port: the API of one node, for all workers.

package workers

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"c100k/internal/admin"
)

func (s *Supervisor) apiConfig() admin.Config {
	return admin.Config{
		Node: s.fleet, APIKey: func() string { return s.setup.Load().key }, ReadKey: func() string { return s.setup.Load().config.AdminReadKey },
		MessageBytesMax: s.opt.Config.MaxMessage, Logger: s.log,
	}
}

// adminHandler is what the admin port serves. The metrics of the process and of the Go runtime are
// the parent's own.
func (s *Supervisor) adminHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(admin.NewCollector(s.fleet.Stats), collectors.NewGoCollector(),
		admin.NewProcessCollector())
	c := s.apiConfig()
	c.Metrics = registry
	c.Pprof = s.pprofOf
	c.Recorder = admin.NewRecorder(s.fleet.Stats)
	go c.Recorder.Run(s.stopped)
	return admin.New(c)
}

// pprofOf is the handler of profiles that a request wants: with ?worker=N those of a worker,
// otherwise nil, which are the parent's.
func (s *Supervisor) pprofOf(r *http.Request) (http.Handler, *admin.Problem) {
	query := r.URL.Query()
	if !query.Has("worker") {
		return nil, nil
	}
	number, err := strconv.Atoi(query.Get("worker"))
	if err != nil || number < 0 || number >= len(s.slots) {
		return nil, admin.NewProblem(http.StatusNotFound, "no_such_worker", "workers are numbered from 0 to "+strconv.Itoa(len(s.slots)-1))
	}
	process := s.slots[number].process()
	if process == nil {
		return nil, admin.NewProblem(http.StatusServiceUnavailable, "unavailable", s.slots[number].label()+" is not there at present")
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "localhost"})
			r.Out.Host = "localhost"
			for _, asked := range []string{"Authorization", "Origin", "Sec-Fetch-Site"} { // here, and answered
				r.Out.Header.Del(asked)
			}
			query.Del("worker")
			r.Out.URL.RawQuery = query.Encode()
		},
		Transport: process.client.http.Transport,
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, err error) {
			admin.NewProblem(http.StatusServiceUnavailable, "unavailable", s.slots[number].label()+" does not answer: "+err.Error()).Write(rw)
		},
	}, nil
}
