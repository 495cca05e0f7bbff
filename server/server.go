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
	"sync"
	"sync/atomic"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/auth"
	"c100k/internal/budget"
	"c100k/internal/edge"
	"c100k/internal/figures"
	"c100k/internal/natsd"
	"c100k/internal/node"
	"c100k/internal/proto"
	"c100k/internal/quota"
	"c100k/internal/sio"
	"c100k/internal/spans"
	"c100k/internal/topicws"
	"c100k/internal/upstream"
	"c100k/netpoll"
	"c100k/socketio"
	"c100k/socketio/cluster"
)

// ErrServerClosed is what Serve and ListenAndServe return after Shutdown or Close.
var ErrServerClosed = http.ErrServerClosed

// ErrListen wraps the error of a port that could not be opened.
var ErrListen = errors.New("cannot listen")

// Server is a node: its loops, its topics, its public port and its admin port. Make one with New;
// all methods may be called on any goroutine.
type Server struct {
	// immutable after New
	cfg         Config
	log         *slog.Logger
	started     time.Time
	startedAt   time.Duration // the same on netpoll.Monotonic
	spans       *spans.Tracer // nil: nothing is traced
	seed        uint64
	node        *node.Node
	secured     *secured // nil: the public port is plain
	loops       []loop
	admission   *edge.Admission
	quota       *quota.Table // nil without limits of addresses or users
	origins     edge.OriginRules
	hosts       edge.HostRules
	notices     *notices
	budget      *budget.Budget
	upstream    *upstream.Proxy  // nil without Config.Upstream
	sameHost    edge.OriginRules // the default rule, to know another origin from our own
	past        *past            // what is kept of topics
	cluster     *natsd.Server    // that is the bus of the cluster; nil: none
	attendance  *attendance      // who is in topics; nil: nobody asks
	others      *neighbours      // nil for a node alone
	process     *figures.ProcessReader
	sio         *socketio.Server // nil: off
	sioCluster  *cluster.Cluster // nil: no other Socket.IO servers
	sioParts    []sio.Part
	marks       func(topic string) bool // whether messages of a topic say who has published them; nil: none do
	sioVerdicts []sioVerdicts           // by loop
	returnPause time.Duration           // sioReturnPause, but for tests
	api         http.Handler            // /v1/ on the public port, where there is a key
	httpUsers   http.Handler            // what of it is for users with a token
	httpRate    *userRate
	tls         tlsParts

	// any goroutine
	forward  atomic.Pointer[forwarding] // nil: requests are not passed on
	live     atomic.Pointer[live]       // what Reload may change
	rejected rejections
	identify identifier
	telling  atomic.Bool // what is revoked, to a node that has joined
	sweeping atomic.Bool // the connections will be looked at for revoked tokens

	revocations auth.Revocations

	ends    endings
	tracing tracing
	stored  stored
	reloads figures.Reloads

	hooks backendHooks

	occupancies occupancies
	requests    atomic.Int64  // that net/http serves
	movedIn     atomic.Uint64 // requests that other workers have handed over

	mu       sync.Mutex // guards the fields below
	admin    *http.Server
	adminLn  net.Listener
	redirect *http.Server  // nil without Config.HTTPRedirect
	served   bool          // the ports were open
	stopped  chan struct{} // closed when everything has ended
	stopOnce sync.Once
}

// New makes a node from c; its loops run and it hears the others from here on, and its ports open
// with Serve. The error names the field of c that is wrong, or what the machine refuses; one of a
// bus that cannot be reached wraps ErrBus.
func New(c Config) (*Server, error) { return newServer(c) }

// newServer is New with more protocols than those of the configuration.
func newServer(c Config, more ...proto.Row) (_ *Server, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.WithDefaults()
	if err := c.oneProcess(); err != nil {
		return nil, err
	}
	s := &Server{cfg: c, log: c.Logger, started: time.Now(), startedAt: netpoll.Monotonic(), seed: rand.Uint64(), process: figures.NewProcessReader(), stopped: make(chan struct{}), returnPause: sioReturnPause}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.notices = newNotices(s.log)
	s.rejected.begin()
	s.reloads.Begin(s.started)
	if s.spans, err = c.NewTracer(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.spans.Close()
		}
	}()
	s.ends.init(s.log)
	s.makeIdentifier()
	if err := s.openRevocations(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.revocations.Close() // the error before it says more
		}
	}()
	l, err := s.newLive(&c)
	if err != nil {
		return nil, err
	}
	s.live.Store(l)
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if s.origins, err = edge.ParseOriginRules(c.Origins); err != nil {
		return nil, &SettingError{"Origins", err}
	}
	if c.Dev {
		s.hosts = edge.LoopbackHosts()
	}
	if s.hosts, err = s.hosts.With(c.Hosts); err != nil {
		return nil, &SettingError{"Hosts", err}
	}
	if err = s.makeQuota(); err != nil {
		return nil, err
	}
	s.admission = &edge.Admission{Max: c.MaxConns, MaxPerAddr: c.MaxConnsPerIP, RatePerAddr: c.ConnRatePerIP, Addresses: s.quota,
		RefusalsMax: refusalsMax, Trusted: c.TrustedProxies,
		TrustLocal: c.isUnix(), Short: s.shortOfMemory,
		OnRefused: s.refusedFrom}
	s.budget = budget.New(heldMax(c.Memory), s.memoryChanged)
	s.makeAPI()
	if s.past, err = newPast(&c, s.seed); err != nil {
		return nil, &SettingError{"History", err}
	}
	s.makeSIO()
	if err := s.openTLS(); err != nil {
		return nil, err
	}
	if err := s.makeHooks(); err != nil {
		s.closeHooks()
		s.tls.close()
		return nil, err
	}
	s.secure()
	if err = s.startCluster(); err == nil {
		err = s.openPast()
	}
	if err == nil {
		if err = s.makeNode(more); err != nil {
			s.past.close()
		}
	}
	if err != nil {
		s.leaveCluster()
		s.closeHooks()
		s.tls.close()
		return nil, err
	}
	s.watchMemory()
	if err = s.node.Start(); err == nil {
		err = s.past.store.Start(context.Background(), s.node.Hub())
	}
	if err == nil {
		err = s.joinBus()
	}
	if err == nil {
		s.startForwarding()
		if err = s.joinSIO(); err != nil {
			s.leaveBus()
		}
	}
	if err != nil {
		s.node.Close()
		s.past.close()
		s.leaveCluster()
		s.closeHooks()
		s.tls.close()
		return nil, err
	}
	go s.notices.run(s.stopped)
	go s.ends.run(s.stopped)
	go s.purgeRevocations()
	if s.hooks.events != nil {
		go s.watchTopics()
	}
	if s.past.rules.Any() {
		go s.past.run(s.node.Hub(), s.stopped)
	}
	s.attendance.run()
	return s, nil
}

// makeNode makes the loops with their protocols.
func (s *Server) makeNode(more []proto.Row) error {
	other, err := s.otherHandler()
	if err != nil {
		return err
	}
	rows, err := s.rows()
	if err != nil {
		return err
	}
	policy, _ := broadcast.ParsePolicy(s.cfg.SlowConsumer) // Validate has checked it
	s.loops = make([]loop, s.cfg.Loops)
	cfg := node.Config{
		Rows:  append(rows, more...),
		Loops: s.cfg.Loops, LoopBase: s.loopBase(), Process: s.workerNumber(), Generation: uint32(s.seed >> 32),
		IO: netpoll.IOMode(s.cfg.IO), Layer: s.layer(), LayeredConn: layeredConn,
		Topics: &broadcast.Options{
			Policy: policy, OutboxBytesMax: s.cfg.Outbox, TopicsPerMemberMax: topicws.TopicsPerConnectionMax,
			TopicNameBytesPerMemberMax: topicws.TopicNameBytesPerConnectionMax, Done: s.delivered,
		},
		AfterFlush:   s.afterFlush,
		Admission:    s.admission,
		ReturnMemory: s.cfg.ReturnMemory,
		Shortest:     node.Shortest(s.cfg.PingInterval, s.cfg.PingTimeout, s.cfg.HandshakeTimeout),
		HeadTimeout:  s.cfg.HandshakeTimeout,
		HeadLimits:   edge.Limits{HeadBytes: s.cfg.MaxHead},
		Hosts:        s.hosts,
		Subject:      s.subjectOf,
		Answer:       s.refuseInForm,
		Refused:      func(refusal *edge.Refusal) { s.refusedFrom(refusal, netip.Addr{}) },
		HandOver:     s.handOver,
		Budget:       s.budget,
		Handler:      s.public(other), HTTPHeaderTimeout: httpHeaderTimeout, HTTPIdleTimeout: httpIdleTimeout,
		HTTPBodyTimeout: max(s.cfg.BodyTimeout, 0),
		Logger:          s.log,
		Ended:           s.connEnded,
		Notes:           true,
	}
	if s.hooks.events != nil {
		s.occupancies.changed = make(chan string, occupanciesMax)
		cfg.Topics.Occupied = s.topicChanged
	}
	if s.attendance = newAttendance(s); s.attendance != nil {
		cfg.Topics.Members = s.attendance
	}
	if s.past.rules.Any() {
		cfg.Topics.Positions, cfg.Topics.Keep, cfg.Topics.KeptBytesMax = s.past.store.First, s.past.keep, s.cfg.HistoryBytes
		if s.past.engine {
			cfg.Topics.Older, cfg.Topics.Floor, cfg.Topics.Reached = true, s.past.store.Floor, s.past.store.Reached
		}
	}
	if w := s.cfg.Worker; w != nil {
		cfg.Alive, cfg.AliveEvery = w.Alive, w.AliveEvery
	}
	if s.node, err = node.New(cfg); err == nil {
		s.past.hub = s.node.Hub()
	}
	return err
}

// refusalsMax bounds the refused connections that are being told why: they use descriptors that
// Config.MaxConns does not count, out of the reserve.
const refusalsMax = 64

// ListenAndServe opens the ports of the configuration and serves until ctx ends; then it drains and
// returns nil. Another stop (Shutdown, Close) makes it return ErrServerClosed. Errors of opening a
// port wrap ErrListen, and end the Server.
func (s *Server) ListenAndServe(ctx context.Context) error {
	ln, err := s.listenPublic(ctx)
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

// Serve serves the connections of ln, which must be a TCP or Unix listener, and opens the admin
// port if the configuration has one. It returns when the node has been stopped. Connections inherit
// their options from ln.
func (s *Server) Serve(ln net.Listener) error {
	socket, ok := ln.(netpoll.Socket)
	if !ok {
		return fmt.Errorf("server: listener is a %T: want a *net.TCPListener or *net.UnixListener", ln)
	}
	if err := s.open(socket); err != nil {
		ln.Close()
		if !errors.Is(err, ErrServerClosed) {
			_ = s.Close() // a node that cannot open its ports is of no use, and its loops would stay
		}
		return err
	}
	s.serves()
	<-s.stopped
	return ErrServerClosed
}

// Stuck is nil while all event loops run, or names those that are stuck in a call. Any goroutine.
func (s *Server) Stuck() error { return s.node.Stuck() }

// Addr is the public port's address, nil before Serve has opened it.
func (s *Server) Addr() net.Addr { return s.node.Addr() }

// AdminAddr is the admin port's address, nil if there is none.
func (s *Server) AdminAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.adminLn == nil {
		return nil
	}
	return s.adminLn.Addr()
}

// Handler serves the node's streams (/ws, /sse, /socket.io/, and the demo endpoints if they are on)
// in another http.Server or ServeMux; for other paths it answers 404. It takes the socket over from
// net/http: from then on the connection costs no goroutine. That needs HTTP/1.1 without TLS; other
// connections get 505 or 501. The node's loops serve it whether or not Serve was called.
//
// Handlers around this one see each request on such a connection. A stream is one request; of a
// client of Socket.IO that polls they see every poll and POST. Header fields that they set before
// they call it are sent with the answer, except those that say how it is sent or what its body is.
// They must not read the body, and a ResponseWriter of their own must have the method Unwrap. The
// next request on the connection goes to the Handler of the http.Server that it came from. They see
// nothing of connections of the node's own port. Of Socket.IO, socketio.Options.Use then sees each
// request, and AllowRequest each handshake, on both kinds of connections.
func (s *Server) Handler() http.Handler { return s.node.Mount() }

// Shutdown drains the node and returns when it has ended: /readyz answers 503, new connections are
// refused, those there are told to come back elsewhere (WebSocket: close 1012; SSE: a retry time),
// spread evenly over Config.Drain. When ctx ends first, what is left is closed at once and the
// error is ctx's. A second Shutdown waits for the first.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginDrain()
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		_ = s.Close()
		return ctx.Err()
	}
}

// Close stops at once: connections are cut without a word.
func (s *Server) Close() error {
	s.stopOnce.Do(s.stop)
	<-s.stopped
	return nil
}

// draining tells whether the node goes down.
func (s *Server) draining() bool { return s.node.Draining() }

// beginDrain starts the drain, if it has not begun, and returns at once.
func (s *Server) beginDrain() {
	if !s.node.BeginDrain() {
		return
	}
	over := max(s.cfg.Drain, 0)
	s.logLife("draining", "connections", s.node.Connections(), "over", over)
	go func() {
		s.drainAll(over)
		s.stopOnce.Do(s.stop)
	}()
}

// drainAll ends the connections of the loops and the WebSockets of the upstream at the same time.
func (s *Server) drainAll(over time.Duration) {
	if s.upstream == nil {
		s.node.Drain(over)
		return
	}
	var tunnels sync.WaitGroup
	tunnels.Go(func() { s.upstream.Drain(over, s.stopped) })
	s.node.Drain(over)
	tunnels.Wait()
}

// stop ends everything, in the order in which things use each other.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node.Close()
	if s.upstream != nil {
		s.upstream.Close()
	}
	s.closeHooks() // they are told of the ends of all connections
	s.leaveSIO()
	s.leaveBus()
	s.past.close()
	s.leaveCluster()
	s.live.Load().close()
	if err := s.revocations.Close(); err != nil {
		s.log.Warn("revocations were not kept", "err", err)
	}
	for _, h := range []*http.Server{s.admin, s.redirect} {
		if h != nil {
			admin.Close(h)
		}
	}
	s.tls.close()
	s.spans.Close()
	if s.served { // otherwise the reason comes first: the error of the call that opened the ports
		s.logLife("stopped", "uptime", time.Since(s.started).Round(time.Millisecond))
	}
	close(s.stopped)
}
