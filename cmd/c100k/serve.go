// `c100k serve`: runs a node until a signal stops it.

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"c100k/internal/settings"
	"c100k/internal/version"
	"c100k/internal/workers"
	"c100k/server"
)

func (a *app) serve() *cobra.Command {
	return a.command(verb{
		path: "serve", use: "serve", short: "Runs a node: WebSocket, Server-Sent Events and plain HTTP on one port",
		examples: []string{
			"c100k serve --dev                                       # everything open, on loopback only",
			"c100k serve --public-topics 'news.>' --origin https://example.com",
			"c100k serve --config /etc/c100k.yaml --log-level debug",
			"c100k serve --upstream http://127.0.0.1:3000            # in front of an application",
			"c100k serve --tls-cert fullchain.pem --tls-key key.pem --http-redirect :80 --listen :443",
			"c100k serve --workers auto --max-conns 100000           # as many processes as that needs",
			"C100K_API_KEY_FILE=/run/secrets/key c100k serve --admin 0.0.0.0:9100",
		},
		long: `Without --dev, nothing is open that was not configured open.
Settings come from defaults < --config FILE < environment < flags.

With --workers N, a parent starts N processes that share the public port, joins them by a bus of
their own, restarts those that die, and answers for all of them on the admin port. The kernel deals
connections to them by a hash, so each takes an even share of --max-conns and a tenth more. Limits
by address and by user hold over all of them. Signals and the API go to the parent.

Signals: TERM and INT drain, a second one stops at once (exit code 1); HUP reloads the
configuration, all or nothing. Under systemd the node tells when it serves, reloads and stops, feeds
the watchdog, and takes sockets that systemd has opened: those with the name admin or redirect for
these ports, any other for the public port.
Exit codes: 0 clean stop, 1 failure, 2 usage, 3 cannot listen or cannot reach the bus,
78 invalid configuration.`,
		node: true,
		args: arguments(0, 0, "no arguments"),
		run:  func(ctx context.Context, c call) error { return (&serving{app: a, call: c}).run(ctx) },
	})
}

// serving is a node that runs, and what it takes to stop and to reload it.
type serving struct {
	*app
	call
	level slog.LevelVar
	where logSettings
	log   *slog.Logger
	greet bool          // on a terminal
	drain time.Duration // Config.Drain of the node that runs
	ports *server.Ports // that systemd has opened; nil: none
	node  node
}

func (s *serving) run(ctx context.Context) error {
	s.level.Set(levelOf(s.Options.LogLevel))
	s.where = logSettings{file: s.Options.LogFile}
	s.where.format = logFormat(s.Options.LogFormat, s.where.file == "" && s.terminal(s.stderr))
	var err error
	if s.log, err = s.openLog(s.where, &s.level); err != nil {
		return misconfigured(&settings.Problem{Source: s.Source("log-file"), Err: err})
	}
	s.greet = s.terminal(s.stdout)
	if s.greet { // a terminal that takes nothing must not keep the node from serving
		s.stdout = s.enqueue(s.stdout, func(uint64) []byte { return nil })
	}
	slog.SetDefault(s.log)
	if s.ports, err = s.app.ports(); err != nil {
		return &exit{exitListen, err}
	}
	config, err := s.nodeConfig(s.call)
	if err != nil {
		return err
	}
	s.warnOfLimits()
	workers.LimitHeap(workers.ParentMemory(&config))
	if config.Workers == 1 { // each of many workers would keep as much
		workers.SpareHeap()
	}
	// Signals from here on: a TERM during the start must not be lost. To the very end: one that comes
	// while the process is ending must not replace its exit code.
	signals, _ := s.signals(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	// One processor more than loops: a loop that waits briefly keeps its own, and the acceptor, HTTP
	// and the collector must not have to wait with it.
	if config.Workers == 1 {
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), config.Loops+1))
	}
	if s.node, err = s.newNode(config, s.where, &s.level); err != nil {
		return s.explain(err)
	}
	s.drain = config.Drain
	feeding, stopFeeding := context.WithCancel(ctx)
	defer stopFeeding()
	s.startWatchdog(feeding)
	ended := make(chan error, 1)
	go func() { ended <- s.node.ListenAndServe(ctx) }()
	return s.supervise(ctx, signals, ended)
}

// nodeConfig completes and checks the node's part of the settings.
func (s *serving) nodeConfig(c call) (server.Config, error) {
	if s.ports != nil {
		s.ports.Use(&c.Options.Node)
	}
	if err := validate(c.Loaded); err != nil {
		return server.Config{}, err
	}
	config := c.Options.Node.WithDefaults()
	if err := c.Explain(config.FitsMachine()); err != nil {
		return server.Config{}, misconfigured(err)
	}
	config.Logger = s.log
	config.ReturnMemory = true
	config.OnListen = func(public, admin net.Addr) {
		if s.greet {
			fmt.Fprint(s.stdout, greeting(&config, version.Get(), public, admin, s.fingerprint()))
		}
		if sum := s.fingerprint(); sum != "" && !s.greet {
			s.log.Info("certificate made for this start", "sha256", sum)
		}
		notify(daemon.SdNotifyReady)
	}
	return config, nil
}

// fingerprint is that of a certificate that the node has made for this start; empty: none.
func (s *serving) fingerprint() string {
	if made, ok := s.node.(interface{ DevFingerprint() string }); ok {
		return made.DevFingerprint()
	}
	return ""
}

// supervise waits for the end of the node, and does what signals ask for.
func (s *serving) supervise(ctx context.Context, signals <-chan os.Signal, ended <-chan error) error {
	ctx, stopNow := context.WithCancel(ctx)
	defer stopNow()
	var drained chan error // nil until the first signal
	for {
		select {
		case err := <-ended:
			if drained == nil {
				// A node that could not listen still has its loops; with nothing left to wait for, this ends
				// them.
				stopNow()
				_ = s.node.Shutdown(ctx)
				return s.explain(err)
			}
			ended = nil // Shutdown tells how it went
		case err := <-drained:
			return s.explain(err)
		case signal := <-signals:
			switch {
			case signal == syscall.SIGHUP:
				s.reload()
			case drained == nil:
				s.log.Info("stopping; a second signal stops at once", "signal", signal.String())
				notify(daemon.SdNotifyStopping + "\n" + extendTimeout(s.drain))
				drained = make(chan error, 1)
				go func() { drained <- s.node.Shutdown(ctx) }()
			default:
				stopNow()
				select { // other processes of the node must not outlive this one
				case <-drained:
				case <-time.After(stopNowMax):
				}
				return &exit{exitFailure, errors.New("stopped at once by a second signal: connections were cut")}
			}
		}
	}
}

// stopNowMax bounds how long a second signal waits for the node to stop at once.
const stopNowMax = 3 * time.Second

// explain gives an error of the node its exit code.
func (s *serving) explain(err error) error {
	var field *server.FieldError
	var setting *server.SettingError
	switch {
	case err == nil, errors.Is(err, server.ErrServerClosed):
		return nil
	case errors.Is(err, server.ErrHistory): // also where it is part of the bus
		return &exit{exitFailure, s.Explain(err)}
	case errors.Is(err, server.ErrListen), errors.Is(err, server.ErrBus):
		return &exit{exitListen, err}
	case errors.As(err, &field), errors.As(err, &setting):
		return misconfigured(s.Explain(err))
	}
	return &exit{exitFailure, s.Explain(err)}
}

// reload gives the node the settings as they are now in file and environment. Either everything
// changes or nothing.
func (s *serving) reload() {
	notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
	defer notify(daemon.SdNotifyReady)
	changed, err := s.tryReload()
	if err != nil {
		s.log.Error("configuration not reloaded; the old one stays", "err", err)
		return
	}
	s.log.Info("configuration reloaded", "changed", changed)
}

// tryReload returns what has changed, as settings.Changes has it.
func (s *serving) tryReload() ([]string, error) {
	again, config, err := s.readAgain()
	if err != nil {
		s.node.NoteReload(err)
		return nil, err
	}
	before := s.level.Level()
	s.level.Set(levelOf(again.Options.LogLevel)) // before the reload, for workers get it with that
	if err := s.node.Reload(config); err != nil {
		s.level.Set(before)
		return nil, again.Explain(err)
	}
	changed := settings.Changes(s.Loaded, again.Loaded)
	s.call = again
	return changed, nil
}

// readAgain reads the settings as they are now.
func (s *serving) readAgain() (again call, config server.Config, err error) {
	again = s.call
	if again.Loaded, err = s.load(); err != nil {
		return again, config, err
	}
	if again.Options.LogFormat != s.Options.LogFormat {
		return again, config, errors.New("log-format has changed, and needs a restart")
	}
	if again.Options.LogFile != s.Options.LogFile {
		return again, config, errors.New("log-file has changed, and needs a restart")
	}
	config, err = s.nodeConfig(again)
	return again, config, err
}
