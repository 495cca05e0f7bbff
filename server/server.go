// The node: made, run and stopped.

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/edge"
	"c100k/internal/topicws"
	"c100k/netpoll"
	"c100k/socketio"
)

// ErrServerClosed is what Serve and ListenAndServe return after Shutdown or Close.
var ErrServerClosed = http.ErrServerClosed

// ErrListen wraps the error of a port that could not be opened.
var ErrListen = errors.New("cannot listen")

// Server is a node: its loops, its topics, its public port and its admin port. Make one with New; all methods may be called on
// any goroutine.
type Server struct {
	// immutable after New
	cfg       Config
	log       *slog.Logger
	started   time.Time
	hub       *broadcast.Hub
	reactors  []*reactor
	acceptor  *netpoll.Acceptor
	admission *edge.Admission
	crowd     *crowd // nil without Config.ReturnMemory
	origins   edge.OriginRules
	sameHost  edge.OriginRules // the default rule, to know another origin from our own
	fallback  *edge.Listener
	http      *http.Server
	admin     *http.Server
	others    *neighbours // nil for a node alone
	watchdog  *watchdog
	io        string
	seed      uint64
	sio       *socketio.Server // nil: off
	sioParts  []*socketio.Reactor

	// any goroutine
	live       atomic.Pointer[live] // what Reload may change
	api        http.Handler         // /v1/ on the public port, where there is a key
	transports [transportCount]transportCounters
	rejected   rejections
	movedIn    atomic.Uint64 // requests that other workers have handed over
	draining   atomic.Bool
	foreign    foreign

	mu       sync.Mutex // guards the fields below
	addr     net.Addr   // of the public port
	adminLn  net.Listener
	closers  []net.Listener
	stopped  chan struct{} // closed when the loops have ended
	stopOnce sync.Once
}

// live is the part of the configuration that a running node can change.
type live struct {
	apiKey string
	public topicPatterns
}

// New makes a node from c; its loops run and it hears the others from here on, and its ports open with Serve. The error names the
// field of c that is wrong, or what the machine refuses; one of a bus that cannot be reached wraps ErrBus.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.WithDefaults()
	if err := c.oneProcess(); err != nil {
		return nil, err
	}
	s := &Server{cfg: c, log: c.Logger, started: time.Now(), seed: rand.Uint64(), stopped: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	l, err := newLive(&c)
	if err != nil {
		return nil, err
	}
	s.live.Store(l)
	if s.origins, err = edge.ParseOriginRules(c.Origins); err != nil {
		return nil, fmt.Errorf("field Origins: %w", err)
	}
	s.admission = &edge.Admission{Max: c.MaxConns, MaxPerAddr: c.MaxConnsPerIP, RefusalsMax: refusalsMax, Trusted: c.TrustedProxies}
	if c.ReturnMemory {
		s.crowd = newCrowd(s.admission.Open)
	}
	s.makeHub()
	s.makeSIO()
	if err := s.makeHTTP(); err != nil {
		return nil, err
	}
	err = s.startLoops()
	if err == nil {
		err = s.joinBus()
	}
	if err != nil {
		s.abandon()
		return nil, err
	}
	if s.crowd != nil {
		s.crowd.started()
	}
	s.startWatchdog()
	return s, nil
}

// abandon ends what runs of a node that could not be made.
func (s *Server) abandon() {
	_ = s.http.Close() // and with it the goroutine that serves it
	if s.acceptor != nil {
		_ = s.acceptor.Close()
	}
	s.stopLoops()
}

// newLive reads what Reload may change.
func newLive(c *Config) (*live, error) {
	key, err := c.ReadAPIKey()
	if err != nil {
		return nil, err
	}
	return &live{apiKey: key, public: c.PublicTopics}, nil
}

func (s *Server) makeHub() {
	policy, _ := broadcast.ParsePolicy(s.cfg.SlowConsumer) // Validate has seen it
	s.hub = broadcast.NewHub(broadcast.Options{
		Shards: s.cfg.Loops, Encoders: encoders(strconv.FormatUint(s.seed, 36)), Policy: policy, OutboxBytesMax: s.cfg.Outbox,
		TopicsPerMemberMax: topicws.TopicsPerConnectionMax,
		Wake:               func(shard int) { s.reactors[shard].loop.Remote().Wake() },
		Now:                netpoll.Monotonic,
		Done:               func(shard int, m *broadcast.Message) { s.reactors[shard].passed(m) },
	})
}

func (s *Server) startLoops() error {
	for i := range s.cfg.Loops {
		r, err := s.newReactor(i)
		if err != nil {
			return err
		}
		s.reactors = append(s.reactors, r)
	}
	for _, r := range s.reactors {
		if err := r.loop.Start(); err != nil {
			return err
		}
		r.running = true
	}
	s.io = s.reactors[0].loop.Kernel()
	loops := make([]*netpoll.Loop, len(s.reactors))
	for i, r := range s.reactors {
		loops[i] = r.loop
	}
	var err error
	s.acceptor, err = netpoll.NewAcceptor(netpoll.AcceptorOptions{
		Loops: loops, Role: roleHead, Admit: s.admit, Discard: s.admission.Release, Busy: edge.AppendRefusal(nil, edge.RefuseOverCapacity, true),
		OnExhausted: func(err error) { s.log.Warn("no descriptor left for a new connection; the listener rests", "err", err) },
	})
	return err
}

// admit judges a new connection.
func (s *Server) admit(addr netip.Addr) (tag uint32, ok bool) {
	if s.crowd != nil {
		s.crowd.moved()
	}
	return s.admission.Admit(addr)
}

// released hears of a connection that has left its loop by closing.
func (s *Server) released(tag uint32, _ netpoll.Reason) {
	if s.crowd != nil {
		s.crowd.moved()
	}
	s.admission.Release(tag)
}

// refusalsMax bounds the refused connections that are being told why: they use descriptors that Config.MaxConns does not count,
// out of the reserve.
const refusalsMax = 64

// userTimeoutMax is TCP_USER_TIMEOUT without heartbeats.
const userTimeoutMax = 2 * time.Minute

// ListenAndServe opens the ports of the configuration and serves until ctx ends; then it drains and returns nil. Another stop
// (Shutdown, Close) makes it return ErrServerClosed. Errors of opening a port wrap ErrListen,
// and end the Server.
func (s *Server) ListenAndServe(ctx context.Context) error {
	ln, err := listen(ctx, s.cfg.Listen)
	if err != nil {
		_ = s.Close()
		return fmt.Errorf("%w on %s: %w", ErrListen, s.cfg.Listen, err)
	}
	stop := context.AfterFunc(ctx, func() {
		// The drain has its own bound, so it may go on after ctx.
		_ = s.Shutdown(context.Background())
	})
	defer stop()
	err = s.Serve(ln)
	if ctx.Err() != nil && errors.Is(err, ErrServerClosed) {
		<-s.stopped
		return nil
	}
	return err
}

// listen opens the public port as plain TCP: a multipath socket, which is net's default, costs more a connection and knows no
// TCP_USER_TIMEOUT.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp", addr)
}

// Serve serves the connections of ln, which must be a TCP listener, and opens the admin port if the configuration has one. It
// returns when the node has been stopped. Connections inherit their options from ln.
func (s *Server) Serve(ln net.Listener) error {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return fmt.Errorf("server: listener is a %T: want a *net.TCPListener", ln)
	}
	if err := s.open(tcp); err != nil {
		ln.Close()
		if !errors.Is(err, ErrServerClosed) {
			_ = s.Close() // a node that cannot open its ports is of no use, and its loops would stay
		}
		return err
	}
	if s.cfg.OnListen != nil {
		s.cfg.OnListen(s.Addr(), s.AdminAddr()) // without the lock: it may want to ask the Server for more
	}
	<-s.stopped
	return ErrServerClosed
}

// open opens the admin port, then the public one.
func (s *Server) open(ln *net.TCPListener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		return ErrServerClosed
	}
	if err := s.openAdmin(); err != nil {
		return err
	}
	if err := s.acceptor.Listen(ln, s.userTimeout()); err != nil {
		return fmt.Errorf("%w on %s: %w", ErrListen, ln.Addr(), err)
	}
	s.addr = ln.Addr()
	s.closers = append(s.closers, ln)
	s.logLife("serving", "listen", ln.Addr().String(), "admin", addrText(s.adminLn), "loops", s.cfg.Loops,
		"io", s.io, "max_conns", s.cfg.MaxConns)
	return nil
}

func (s *Server) openAdmin() error {
	if s.cfg.Admin == "" || s.adminLn != nil || s.cfg.Worker != nil {
		return nil
	}
	ln, err := net.Listen("tcp", s.cfg.Admin)
	if err != nil {
		return fmt.Errorf("%w on %s (admin): %w", ErrListen, s.cfg.Admin, err)
	}
	s.adminLn = ln
	handler, err := s.AdminHandler()
	if err != nil {
		ln.Close()
		return err
	}
	s.admin = admin.Server(handler)
	go s.serveHTTP(s.admin, ln, "admin")
	return nil
}

func (s *Server) serveHTTP(h *http.Server, ln net.Listener, name string) {
	if err := h.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("HTTP server ended", "port", name, "err", err)
	}
}

func addrText(ln net.Listener) string {
	if ln == nil {
		return "off"
	}
	return ln.Addr().String()
}

// userTimeout is TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged. It finds the peer that is gone without a word and
// to whom we do send; the heartbeat finds the others.
func (s *Server) userTimeout() time.Duration {
	if s.cfg.PingInterval == Off {
		return userTimeoutMax
	}
	return min(s.cfg.PingInterval+s.cfg.PingTimeout, userTimeoutMax)
}

// Addr is the public port's address, nil before Serve has opened it.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// AdminAddr is the admin port's address, nil if there is none.
func (s *Server) AdminAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.adminLn == nil {
		return nil
	}
	return s.adminLn.Addr()
}
