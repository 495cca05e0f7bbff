// A server that is mounted into somebody's http.ServeMux: it has loops of its own, and takes sockets over from net/http.

package socketio

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/edge"
	"c100k/internal/engineio"
	"c100k/internal/wsconn"
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

// The roles of a loop of our own.
const (
	roleHead netpoll.Role = iota
	rolePolling
	roleSocket
	roleSession
)

// maxConnsDefault is what Options.MaxConns = 0 means: below what most systems let a process open.
const maxConnsDefault = 10_000

// alone is what Handler starts, once.
type alone struct {
	mu        sync.Mutex // guards the fields below
	started   bool
	stopped   bool
	err       error
	loops     []*netpoll.Loop
	admission *edge.Admission
	fallback  *edge.Listener
	http      *http.Server
	mux       atomic.Pointer[http.Handler] // of the server that we are mounted in
}

// Handler serves the server's path in a http.Server or ServeMux, for other paths it answers 404. The first call starts the event loops;
// Close stops them. A client's socket is taken over from net/http, and from then on costs no goroutine. That needs HTTP/1.1 without TLS:
// other connections get 505 or 501. A client that polls keeps its connection, and what else comes on it goes back to the handler of the
// http.Server that it came from.
func (io *Server) Handler() http.Handler {
	err := io.alone.start(io)
	if err != nil {
		io.opt.Logger.Error("Socket.IO cannot be served", slog.Any("err", err))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.EscapedPath(), io.opt.Path):
			http.NotFound(w, r)
		case !io.opt.NoClient && ServeClient(w, r, strings.TrimPrefix(r.URL.Path, io.opt.Path)):
		case r.URL.EscapedPath() != io.opt.Path:
			http.NotFound(w, r)
		case err != nil:
			http.Error(w, "Socket.IO cannot be served", http.StatusServiceUnavailable)
		default:
			io.alone.take(io, w, r)
		}
	})
}

// start starts the loops, unless it has been done.
func (a *alone) start(io *Server) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.stopped:
		return ErrClosed
	case a.started:
		return a.err
	}
	a.started = true
	a.err = a.run(io)
	return a.err
}

func (a *alone) run(io *Server) error {
	origins, err := edge.ParseOriginRules(io.opt.Origins)
	if err != nil {
		return fmt.Errorf("socketio: Options.Origins: %w", err)
	}
	conns := io.opt.MaxConns
	if conns == 0 {
		conns = maxConnsDefault
	}
	a.admission = &edge.Admission{Max: conns}
	a.fallback = edge.NewListener(edge.ListenerOptions{Release: a.admission.Release})
	a.http = &http.Server{
		Handler:   http.HandlerFunc(a.serveOther),
		ConnState: edge.ConnState,
		ErrorLog:  slog.NewLogLogger(io.opt.Logger.Handler(), slog.LevelDebug),
	}
	n := io.opt.Loops
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	reactors := io.Host(n, io.opt.Outbox, func(i int) { a.loops[i].Remote().Wake() })
	for i, r := range reactors {
		l, err := a.newLoop(io, r, i, origins)
		if err != nil {
			a.stopLoops(i)
			return err
		}
		a.loops = append(a.loops, l)
	}
	for i, r := range reactors {
		r.Run(a.loops[i])
		if err := a.loops[i].Start(); err != nil {
			a.stopLoops(i)
			return err
		}
	}
	go func() {
		if err := a.http.Serve(a.fallback); !errors.Is(err, http.ErrServerClosed) {
			io.opt.Logger.Error("HTTP server ended", slog.Any("err", err))
		}
	}()
	return nil
}

// newLoop makes loop i.
func (a *alone) newLoop(io *Server, r *Reactor, i int, origins edge.OriginRules) (*netpoll.Loop, error) {
	head := &edge.Config{Fallback: a.fallback, Admission: a.admission}
	e := r.Attach(engineio.Config{
		Roles:     engineio.Roles{Head: roleHead, Polling: rolePolling, Socket: roleSocket, Session: roleSession},
		Loop:      uint8(i),
		Move:      a.move,
		NoPolling: io.opt.NoPolling, NoWebSocket: io.opt.NoWebSocket, NoUpgrades: io.opt.NoUpgrades,
		PingInterval: io.opt.PingInterval, PingTimeout: io.opt.PingTimeout, UpgradeTimeout: io.opt.UpgradeTimeout,
		PayloadBytesMax: io.opt.MaxPayload, OutboxBytesMax: io.opt.Outbox,
		Compress: io.opt.Compress, Origins: origins, CORS: io.opt.CORS, Cookie: io.opt.Cookie,
		Address:  head.ClientAddr,
		Counters: &wsconn.Counters{},
		Seed:     uint64(i),
	}, Watch{})
	path := []byte(io.opt.Path)
	head.Route = func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte) edge.Decision {
		if string(h.Path()) != string(path) {
			return edge.NotOurs
		}
		e.Serve(l, c, h, rest)
		return edge.Handled
	}
	opt := netpoll.Options{
		Index:     i,
		Deliver:   r.Deliver,
		OnRelease: func(tag uint32, _ netpoll.Reason) { a.admission.Release(tag) },
		Logger:    io.opt.Logger,
	}
	opt.Handlers[roleHead] = edge.NewHeadHandler(head)
	opt.Handlers[rolePolling], opt.Handlers[roleSocket], opt.Handlers[roleSession] = e.PollingHandler(), e.SocketHandler(), e.SessionHandler()
	return netpoll.NewLoop(opt)
}

// move takes a request to the loop that its session lives on.
func (a *alone) move(l *netpoll.Loop, c *netpoll.Conn, _, loop uint8, first []byte) bool {
	if int(loop) >= len(a.loops) {
		return false
	}
	tag := c.Tag()
	fd := l.Detach(c)
	a.adopt(int(loop), fd, tag, first)
	return true
}

// adopt gives a socket to a loop.
func (a *alone) adopt(loop, fd int, tag uint32, first []byte) {
	if !a.loops[loop].Remote().Post(func(l *netpoll.Loop) { l.Adopt(fd, roleHead, tag, first) }) {
		unix.Close(fd)
		a.admission.Release(tag)
	}
}

// take takes a request's socket over from net/http.
func (a *alone) take(io *Server, w http.ResponseWriter, r *http.Request) {
	if s, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && s != a.http {
		h := s.Handler
		if h == nil {
			h = http.DefaultServeMux
		}
		a.mux.Store(&h)
	}
	fd, tag, first, ok := edge.TakeRequest(w, r, a.admission, nil)
	if !ok {
		return
	}
	least := 0
	for i := range a.loops {
		if a.loops[i].Remote().Load() < a.loops[least].Remote().Load() {
			least = i
		}
	}
	a.adopt(least, fd, tag, first)
}

// serveOther answers what comes on a connection of ours and is not for us.
func (a *alone) serveOther(w http.ResponseWriter, r *http.Request) {
	if mux := a.mux.Load(); mux != nil {
		(*mux).ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

func (a *alone) stopLoops(n int) {
	for _, l := range a.loops[:n] {
		l.Stop()
	}
}

// closeGrace is how long Close waits for clients to hear of it.
const closeGrace = time.Second

// farewell waits until all connections have gone, for a bounded time.
func (a *alone) farewell() {
	over := time.NewTimer(closeGrace)
	defer over.Stop()
	look := time.NewTicker(closeGrace / 200)
	defer look.Stop()
	for {
		open := 0
		for _, l := range a.loops {
			open += l.Remote().Load()
		}
		if open == 0 {
			return
		}
		select {
		case <-over.C:
			return
		case <-look.C:
		}
	}
}

// stop ends what start has started.
func (a *alone) stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.started || a.stopped || a.err != nil {
		a.stopped = true
		return nil
	}
	a.stopped = true
	a.farewell()
	err := a.http.Close()
	_ = a.fallback.Close() // closed with the server, if that had begun
	a.stopLoops(len(a.loops))
	return err
}
