// The supervisor: the parent process of a node of several workers.

package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"c100k/internal/admin"
	"c100k/internal/bus"
	"c100k/internal/bus/dial"
	"c100k/internal/certs"
	"c100k/internal/figures"
	"c100k/internal/history"
	"c100k/internal/natsd"
	"c100k/internal/procfs"
	"c100k/internal/quota"
	"c100k/internal/redirect"
	"c100k/internal/spans"
	"c100k/server"
)

// Options are what a supervisor is made of.
type Options struct {
	// Config is that of the node, with its defaults; Workers is at least 2.
	Config server.Config
	// LogFormat is "text" or "json": how workers log.
	LogFormat string
	// LogFile is the file that workers log to; empty: standard error.
	LogFile string
	// LogLevel is the level at which workers log, read when one starts and at a reload.
	LogLevel *slog.LevelVar
	// Command makes the command that runs a worker: a program that calls Inherited and Work. Nil:
	// this program, with its own arguments and environment.
	Command func() *exec.Cmd
	// Liveness is how long a worker may be silent; zero fields mean the defaults.
	Liveness Liveness
}

// Supervisor runs a node of several processes. Any goroutine.
type Supervisor struct {
	// immutable after New
	opt    Options
	log    *slog.Logger
	slots  []*slot
	fleet  *fleet
	self   *figures.ProcessReader
	public http.Handler     // the API behind the key, for requests that clients of the workers make
	tls    *certs.Source    // nil: the public port is plain
	secure *server.AdminTLS // nil: the admin port is plain
	spans  *spans.Tracer    // nil: nothing is traced
	quota  *quota.Table     // nil: no limit holds for all workers

	// immutable after open
	port     *reservation
	admin    net.Listener
	plain    net.Listener // for plain HTTP, that is redirected; nil: none
	api      *http.Server
	toHTTPS  *http.Server   // on plain
	broker   *natsd.Server  // of the workers alone; nil: they use another bus
	cluster  *natsd.Server  // of the workers and other nodes; nil: none
	past     history.Store  // nil: nothing is kept
	rules    *history.Rules // of past
	bus      *bus.Core
	channels *bus.Channels
	figures  *bus.Channel
	url      string // of the bus, with its secret
	starter  *starter

	// any goroutine
	up       atomic.Bool // all workers have served at the same time, once
	draining atomic.Bool
	killing  atomic.Bool // a drain is cut short
	began    time.Time
	stop     chan struct{} // closed when a drain begins
	stopped  chan struct{} // closed when everything has ended
	setup    atomic.Pointer[setup]
	reloads  figures.Reloads

	published publications

	reloading sync.Mutex // one reload at a time
}

// setup is a configuration with what was read for it. It is replaced as a whole.
type setup struct {
	config server.Config
	key    string          // the API key, wherever it came from
	tls    *certs.Material // nil: the public port is plain
}

// New makes a node of several processes that does not run yet. The error names the field of the
// configuration that is wrong.
func New(opt Options) (*Supervisor, error) {
	c := opt.Config
	if err := c.Validate(); err != nil {
		return nil, err
	}
	key, err := c.ReadAPIKey()
	if err != nil {
		return nil, err
	}
	s := &Supervisor{opt: opt, log: c.Logger, stop: make(chan struct{}), stopped: make(chan struct{}), began: time.Now(), self: figures.NewProcessReader()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.reloads.Begin(s.began)
	s.opt.Liveness = s.opt.Liveness.withDefaults()
	if s.opt.Command == nil {
		s.opt.Command = thisProgram
	}
	if err := s.openTLS(&c); err != nil {
		return nil, err
	}
	if err := s.openQuota(&c); err != nil {
		s.closeTLS()
		return nil, err
	}
	if s.spans, err = c.NewTracer(); err != nil {
		s.closeQuota()
		s.closeTLS()
		return nil, err
	}
	s.setup.Store(&setup{c, key, s.tls.Material()})
	for i := range c.Workers {
		s.slots = append(s.slots, newSlot(s, i))
	}
	s.fleet = &fleet{s}
	s.public = admin.NewPublic(s.apiConfig())
	return s, nil
}

// thisProgram runs this program again: the same file, even if the path has another one by now,
// because parent and workers must be of one build. Only the parent reads standard input.
func thisProgram() *exec.Cmd {
	program, err := procfs.Program()
	if err != nil {
		program = os.Args[0] // starting it returns the error
	}
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// ListenAndServe starts everything and returns when the node has ended: nil if ctx has ended,
// server.ErrServerClosed after another stop. Errors of opening a port wrap server.ErrListen, and
// those of the bus server.ErrBus, also if a worker reports them at its first start. Call it once.
func (s *Supervisor) ListenAndServe(ctx context.Context) error {
	defer close(s.stopped)
	defer s.closeTLS()
	defer s.closeQuota()
	defer s.spans.Close()
	defer s.shut()
	if err := s.open(); err != nil {
		return err
	}
	drain := context.AfterFunc(ctx, s.beginDrain)
	defer drain()
	err := s.run()
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return nil
	}
	return server.ErrServerClosed
}

// open takes the ports and starts the bus.
func (s *Supervisor) open() error {
	c := &s.setup.Load().config
	var err error
	if s.port, err = reserve(c.Listen); err != nil {
		return fmt.Errorf("%w on %s: %w", server.ErrListen, c.Listen, err)
	}
	if c.Admin != "" {
		if s.admin, err = c.ListenAdmin(); err != nil {
			return err
		}
	}
	if c.HTTPRedirect != "" {
		if s.plain, err = c.ListenRedirect(); err != nil {
			return err
		}
	}
	s.url = c.Bus
	switch {
	case c.Cluster != "":
		if s.cluster, err = server.StartCluster(c, natsd.Options{Logger: s.log}); err != nil {
			return err
		}
		s.url = s.cluster.URL()
		s.log.Info("in a cluster", "addr", s.cluster.ClusterAddr().String())
	case c.Bus == server.BusMemory:
		if s.broker, err = startBroker(c, s.log); err != nil {
			return fmt.Errorf("%w: %w", server.ErrBus, err)
		}
		s.url = s.broker.URL()
	}
	s.bus, err = dial.Join(context.Background(), dial.Options{URL: s.url, Credentials: c.BusCreds, Name: bus.NodeName(os.Getpid()), MessageBytesMax: c.MaxMessage, Logger: s.log})
	if err != nil {
		return fmt.Errorf("%w: %w", server.ErrBus, err)
	}
	if s.broker == nil { // on a bus of their own all others are the workers
		s.bus.LogPeers()
	}
	s.shareFigures()
	go s.hear()
	if err := s.openPast(c); err != nil {
		return err
	}
	s.starter = newStarter()
	if s.admin != nil {
		s.api = admin.Server(s.adminHandler())
		ln := s.admin
		if s.secure != nil {
			ln = s.secure.Listener(ln)
		}
		go s.serve(s.api, ln, "admin")
	}
	if s.plain != nil {
		s.toHTTPS = redirect.Server(redirect.Options{To: s.port.addr, Here: s.plain.Addr(), Challenges: s.tls.Challenges})
		go s.serve(s.toHTTPS, s.plain, "redirect")
	}
	return nil
}

// shareFigures opens the channel of figures, on which the parent answers for its workers. It has no
// other channels: calls on those are answered so, and nobody waits for it.
func (s *Supervisor) shareFigures() {
	s.channels = bus.NewChannels(s.bus)
	s.figures = figures.Share(s.channels, s.bus.Name(), s.fleet.Stats)
}

// hear receives until the bus is closed.
func (s *Supervisor) hear() {
	defer s.channels.Close()
	deliver := func(m bus.Message) bus.Tally {
		if m.Kind > bus.KindChannels {
			s.channels.Deliver(m)
		}
		return bus.Tally{}
	}
	if err := s.bus.Run(context.Background(), deliver); err != nil {
		s.log.Error("the bus ended", "err", err)
	}
}

// serve serves one of the parent's own ports.
func (s *Supervisor) serve(h *http.Server, ln net.Listener, port string) {
	if err := h.Serve(admin.Lasting(ln, port, s.log)); err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("HTTP server ended", "port", port, "err", err)
	}
}

// run fills all places, and waits until they are empty for good.
func (s *Supervisor) run() error {
	reading, stopReading := context.WithCancel(context.Background())
	defer stopReading()
	go s.fleet.keepReading(reading)
	failed := make(chan error, len(s.slots))
	var all sync.WaitGroup
	for _, p := range s.slots {
		all.Go(func() {
			if err := p.run(); err != nil {
				failed <- fmt.Errorf("%s: %w", p.label(), err)
			}
		})
	}
	empty := make(chan struct{})
	go func() { all.Wait(); close(empty) }()
	select {
	case err := <-failed:
		// The same error keeps all workers from serving, so one message is enough.
		s.beginDrain()
		s.kill()
		<-empty
		return err
	case <-empty:
		return nil
	}
}

// shut closes everything that open has opened. All workers have ended.
func (s *Supervisor) shut() {
	if s.starter != nil {
		s.starter.stop()
	}
	if s.api != nil {
		admin.Close(s.api)
	} else if s.admin != nil {
		_ = s.admin.Close()
	}
	if s.toHTTPS != nil {
		admin.Close(s.toHTTPS)
	} else if s.plain != nil {
		_ = s.plain.Close()
	}
	if err := s.closeBus(); err != nil {
		s.log.Warn("the bus was not left in order", "err", err)
	}
	if s.port != nil {
		_ = s.port.Close()
		s.log.Info("stopped", "uptime", time.Since(s.began).Round(time.Millisecond))
	}
}

// orders are those of a worker with the given setup.
func (s *Supervisor) orders(number int, of *setup) *Orders {
	c := &of.config
	return &Orders{
		Worker: number, Workers: c.Workers, Listen: s.port.addr.String(), LoopBase: number * c.Loops, Procs: procs(c),
		Beat: s.opt.Liveness.Beat, Durable: s.durable(c), Config: s.share(of), TLS: of.tls, Log: LogOrders{Format: s.opt.LogFormat, File: s.opt.LogFile, Level: s.opt.LogLevel.Level()},
	}
}

// share is a worker's part of the configuration. The key was read here, so that all have the same.
func (s *Supervisor) share(of *setup) server.Config {
	part := of.config.Share()
	part.Listen, part.Bus = s.port.addr.String(), s.url
	part.APIKey, part.APIKeyFile = of.key, ""
	if s.admin != nil {
		part.Admin = s.admin.Addr().String() // for the demo page
	}
	return part
}

// served is called when a worker serves. When all do for the first time, the node is up.
func (s *Supervisor) served(number int, p *process) {
	s.log.Debug("worker serves", "worker", number, "pid", p.pid(), "after", time.Since(p.started).Round(time.Millisecond))
	for _, slot := range s.slots {
		if now := slot.process(); now == nil || !now.serves() {
			return
		}
	}
	if s.up.Swap(true) {
		return
	}
	c := &s.setup.Load().config
	s.tls.StartACME(s.port.addr, addrOf(s.plain))
	if c.OnListen != nil {
		c.OnListen(s.port.addr, addrOf(s.admin))
	}
	// Last: who reads it may stop the node at once, and a service manager has heard by then that the
	// node is ready.
	s.log.Info("serving", "listen", s.port.addr.String(), "admin", addrText(s.admin), "workers", c.Workers, "loops", c.Loops, "max_conns", c.MaxConns)
}

func addrOf(ln net.Listener) net.Addr {
	if ln == nil {
		return nil
	}
	return ln.Addr()
}

func addrText(ln net.Listener) string {
	if ln == nil {
		return "off"
	}
	return ln.Addr().String()
}

// gone tells the bus that a process has ended, so that its answers are not waited for.
func (s *Supervisor) gone(p *process) {
	if err := s.bus.Gone(bus.NodeName(p.pid())); err != nil {
		s.log.Warn("the bus does not hear that a worker is gone", "pid", p.pid(), "err", err)
	}
}

// Shutdown drains all workers together and returns when everything has ended. When ctx ends first,
// they are killed, and the error is ctx's. A second Shutdown waits for the first.
func (s *Supervisor) Shutdown(ctx context.Context) error {
	s.beginDrain()
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		s.kill()
		<-s.stopped
		return ctx.Err()
	}
}

// beginDrain tells all workers to drain, if it has not, and returns at once.
func (s *Supervisor) beginDrain() {
	if s.draining.Swap(true) {
		return
	}
	select {
	case <-s.stopped:
		return // a node that could not open its ports has no connections
	default:
	}
	c := &s.setup.Load().config
	s.log.Info("draining", "workers", len(s.slots), "over", max(c.Drain, 0))
	close(s.stop)
	s.signal(syscall.SIGTERM)
	late := time.AfterFunc(max(c.Drain, 0)+stopGrace, func() {
		s.log.Error("workers have not drained in time and are killed")
		s.kill()
	})
	go func() {
		<-s.stopped
		late.Stop()
	}()
}

// kill ends all workers at once; a drain has begun.
func (s *Supervisor) kill() {
	s.killing.Store(true)
	s.signal(syscall.SIGKILL)
}

// signal sends a signal to all workers that run.
func (s *Supervisor) signal(sig syscall.Signal) {
	for _, slot := range s.slots {
		if p := slot.process(); p != nil {
			p.signal(sig)
		}
	}
}

// Reload applies c to the running node: it is checked here, and only if it can be applied do the
// workers get it. The error names what is wrong with c, or the fields that differ and need a
// restart; then nothing has changed.
func (s *Supervisor) Reload(c server.Config) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	err := s.reload(c)
	s.reloads.Note(time.Now(), err)
	return err
}

// NoteReload counts a reload that failed before there was a configuration to give to Reload.
func (s *Supervisor) NoteReload(err error) { s.reloads.Note(time.Now(), err) }

func (s *Supervisor) reload(c server.Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.WithDefaults()
	if err := s.setup.Load().config.Reloadable(&c); err != nil {
		return err
	}
	key, err := c.ReadAPIKey()
	if err != nil {
		return err
	}
	if err := s.reloadTLS(&c); err != nil {
		return err
	}
	s.setup.Store(&setup{c, key, s.tls.Material()}) // from here on a worker that starts gets it
	s.fleet.reload()
	return nil
}
