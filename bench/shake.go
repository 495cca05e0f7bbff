package main

// shake.go: what a TLS handshake costs a server. The client is that of crypto/tls, in a process of
// its own on the load's core.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"c100k/bench/rig"
	"c100k/internal/procfs"
)

// shakeCommand is the first argument of this program where it is the client. Its arguments are the
// address, how many handshakes, and full or resumed.
const shakeCommand = "shake"

const (
	// shakesAtOnce is how many handshakes are under way at a time.
	shakesAtOnce = 16

	// shakeTimeout bounds one connection of the client.
	shakeTimeout = 30 * time.Second
)

// shakeMain is the client: it opens connections, shakes hands and closes, and ends when the server
// has closed the last one.
func shakeMain(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("want an address, a number, and full or resumed")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	c := &shaker{addr: args[0], resumes: args[2] == resumedKey}
	c.config = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: []string{"http/1.1"}}
	if c.resumes {
		if err := c.getTicket(ctx); err != nil {
			return fmt.Errorf("no session to resume: %w", err)
		}
	}
	return c.run(ctx, n)
}

// shaker is the client.
type shaker struct {
	addr    string
	config  *tls.Config
	resumes bool
}

// run makes n connections.
func (c *shaker) run(ctx context.Context, n int) error {
	var begun atomic.Int64
	failed := make([]error, shakesAtOnce)
	var all sync.WaitGroup
	for i := range failed {
		all.Go(func() {
			for failed[i] == nil && begun.Add(1) <= int64(n) {
				failed[i] = c.one(ctx)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

// one is a connection: the server has seen its end when the client reads it.
func (c *shaker) one(ctx context.Context) error {
	raw, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	conn := tls.Client(raw, c.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	if got := conn.ConnectionState().DidResume; got != c.resumes {
		return fmt.Errorf("resumed is %v", got)
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	if err := raw.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, raw) // a reset is an end as well
	return nil
}

func (c *shaker) dial(ctx context.Context) (net.Conn, error) {
	raw, err := (&net.Dialer{Timeout: shakeTimeout}).DialContext(ctx, "tcp", c.addr)
	if err == nil {
		err = raw.SetDeadline(time.Now().Add(shakeTimeout))
	}
	return raw, err
}

// getTicket has all connections resume the session of one.
func (c *shaker) getTicket(ctx context.Context) error {
	got := &ticketCache{came: make(chan struct{})}
	c.config.ClientSessionCache = got
	raw, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	conn := tls.Client(raw, c.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1)) // tickets come before data
		ended <- err
	}()
	select {
	case <-got.came:
		return nil
	case err := <-ended:
		return err
	}
}

// ticketCache is a tls.ClientSessionCache that keeps the first session.
type ticketCache struct {
	came  chan struct{} // closed when there is one
	once  sync.Once
	state *tls.ClientSessionState // read behind came
}

// Get is ClientSessionCache.Get.
func (t *ticketCache) Get(string) (*tls.ClientSessionState, bool) {
	select {
	case <-t.came:
		return t.state, true
	default:
		return nil, false
	}
}

// Put is ClientSessionCache.Put.
func (t *ticketCache) Put(_ string, state *tls.ClientSessionState) {
	if state == nil {
		return // a session that is over
	}
	t.once.Do(func() {
		t.state = state
		close(t.came)
	})
}

// shakes has the client make n connections, and returns the server's CPU for one, in microseconds.
func (b *bench) shakes(ctx context.Context, pid int, addr, kind string, n int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	before, err := treeTime(pid)
	if err != nil {
		return 0, err
	}
	err = onThread(b.generator.core, 0, func() error {
		text, err := exec.CommandContext(ctx, self, shakeCommand, addr, strconv.Itoa(n), kind).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s handshakes: %w\n%s", kind, err, text)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	after, err := treeTime(pid)
	return float64((after - before).Nanoseconds()) / 1e3 / float64(n), err
}

// treeTime is the processor time of a process and its children.
func treeTime(pid int) (sum time.Duration, err error) {
	for _, p := range append(rig.Children(pid), pid) {
		if kids := rig.Children(p); p != pid {
			for _, kid := range kids {
				t, err := procfs.CPUTime(kid)
				if err != nil {
					return 0, err
				}
				sum += t
			}
		}
		t, err := procfs.CPUTime(p)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// runShakes measures both kinds of handshakes, behind a few that warm the server up.
func runShakes(ctx context.Context, b *bench, s *server) (*sample, error) {
	figures := map[string]float64{}
	for _, kind := range []string{fullKey, resumedKey} {
		if _, err := b.shakes(ctx, s.pid(), s.addr, kind, b.size.shakes/4); err != nil {
			return nil, err
		}
		us, err := b.shakes(ctx, s.pid(), s.addr, kind, b.size.shakes)
		if err != nil {
			return nil, err
		}
		figures[kind] = us
	}
	return &sample{figures: figures}, nil
}

// shakeTurns measures handshakes of servers that are all up, in windows that take turns, as
// takeTurns does with loads.
func (b *bench) shakeTurns(ctx context.Context, sc scenario, targets []target, rounds, first int) (runs []run, err error) {
	var servers []*server
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	for _, t := range targets {
		s, err := t.start(b.serverCore, 1)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
		if _, err := runShakes(ctx, b, s); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	for round := range rounds {
		for i := range servers {
			s := servers[(round+i)%len(servers)] // none is always the one behind the same other
			figures := map[string]float64{}
			for _, kind := range []string{fullKey, resumedKey} {
				if figures[kind], err = b.shakes(ctx, s.pid(), s.addr, kind, sc.turns.shakes); err != nil {
					return nil, fmt.Errorf("%s: %w", s.Name, err)
				}
			}
			runs = append(runs, run{Scenario: sc.name, Server: s.Name, Rep: first + round, Figures: figures})
		}
	}
	fmt.Fprintf(os.Stderr, "turns %-12s %v\n", sc.name, namesOf(targets))
	return runs, nil
}
