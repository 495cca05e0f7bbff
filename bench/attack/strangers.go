// The strangers: processes that attack the node. One process may not open enough files.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"c100k/bench/rig"
)

const (
	// strangerVariable tells a process that it is strangers, and which.
	strangerVariable = "C100K_ATTACK_STRANGER"

	// perProcess is how many connections one process of strangers has at most: it must stay below
	// the limit on open files.
	perProcess = 8000

	// connectTimeout bounds a connect and each write of a stranger.
	connectTimeout = 10 * time.Second

	// headStart is how long honest clients have to connect before the strangers come, and
	// comeWithin the time over which these come.
	headStart, comeWithin = time.Second, 3 * time.Second
)

// spec is what a process of strangers is to do.
type spec struct {
	Public, Admin string
	Number        int           // of the process
	Pause         time.Duration // before a stranger comes back, on average
	Attacks       []share
}

// share is how many connections of an attack a process has.
type share struct {
	Name  string
	Conns int
}

// deeds is what strangers did.
type deeds struct{ Opened, Sent, Ended uint64 }

// counters are deeds while they go on.
type counters struct{ opened, sent, ended atomic.Uint64 }

func (c *counters) deeds() deeds { return deeds{c.opened.Load(), c.sent.Load(), c.ended.Load()} }

// crowd is all processes of strangers.
type crowd struct {
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	did    map[string]deeds
	failed []error
}

// startStrangers starts as many processes as the connections need.
func startStrangers(ctx context.Context, o options, node *rig.Node, chosen []attack) *crowd {
	ctx, cancel := context.WithCancel(ctx)
	c := &crowd{cancel: cancel, did: map[string]deeds{}}
	processes := max(1, (o.conns+perProcess-1)/perProcess)
	weights := 0
	for _, a := range chosen {
		weights += a.weight
	}
	for i := range processes {
		s := spec{Public: node.Public, Admin: node.Admin, Number: i, Pause: time.Second * time.Duration(o.conns) / time.Duration(o.rate)}
		for _, a := range chosen {
			s.Attacks = append(s.Attacks, share{a.name, max(1, o.conns*a.weight/weights/processes)})
		}
		c.group.Go(func() { c.keep(runStranger(ctx, s)) })
	}
	return c
}

func (c *crowd) keep(did map[string]deeds, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed = append(c.failed, err)
	}
	for name, d := range did {
		sum := c.did[name]
		c.did[name] = deeds{sum.Opened + d.Opened, sum.Sent + d.Sent, sum.Ended + d.Ended}
	}
}

// stop ends all strangers and returns what they did.
func (c *crowd) stop() (map[string]deeds, error) {
	c.cancel()
	c.group.Wait()
	return c.did, errors.Join(c.failed...)
}

// runStranger runs one process of strangers until ctx ends.
func runStranger(ctx context.Context, s spec) (did map[string]deeds, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// Elsewhere strangers have processors of their own; here they get what the others leave.
	cmd := exec.CommandContext(ctx, "chrt", "--idle", "0", self)
	cmd.Env = append(os.Environ(), strangerVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = connectTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.Output()
	if json.Unmarshal(out, &did) == nil && did != nil {
		return did, nil // that it was interrupted is no failure
	}
	return nil, fmt.Errorf("strangers: %w: %s", err, out)
}

// beStranger is the process: it attacks until ctx ends, and writes what it did.
func beStranger(ctx context.Context, text string, out io.Writer) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	did := map[string]*counters{}
	var group sync.WaitGroup
	for _, share := range s.Attacks {
		a, err := attackOf(share.Name)
		if err != nil {
			return err
		}
		count := &counters{}
		did[share.Name] = count
		for i := range share.Conns {
			one := &stranger{spec: &s, count: count, number: i}
			group.Go(func() { one.live(ctx, a) })
		}
	}
	group.Wait()
	sums := map[string]deeds{}
	for name, c := range did {
		sums[name] = c.deeds()
	}
	return json.NewEncoder(out).Encode(sums)
}

// stranger is one connection that comes again and again.
type stranger struct {
	spec   *spec
	count  *counters
	number int
}

// live attacks until ctx ends.
func (s *stranger) live(ctx context.Context, a attack) {
	if !sleep(ctx, headStart+rand.N(comeWithin)) {
		return
	}
	for {
		s.visit(ctx, a)
		if !sleep(ctx, s.spec.Pause/2+rand.N(s.spec.Pause)) {
			return
		}
	}
}

// visit is one connection.
func (s *stranger) visit(ctx context.Context, a attack) {
	to := s.spec.Public
	if a.admin {
		to = s.spec.Admin
	}
	d := net.Dialer{Timeout: connectTimeout, LocalAddr: &net.TCPAddr{IP: s.address(a)}}
	c, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return // as the node wants it, or no port is left
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	s.count.opened.Add(1)
	a.do(s, c)
	if ctx.Err() == nil {
		s.count.ended.Add(1)
	}
}

// address is where the connection comes from: some hundred share one, or all of a flood.
func (s *stranger) address(a attack) net.IP {
	if a.oneAddress {
		return net.IPv4(127, 66, 0, 1)
	}
	return net.IPv4(127, byte(70+s.spec.Number), byte(s.number>>8), byte(1+s.number&0x3f))
}

// write sends p; false if the node has ended the connection.
func (s *stranger) write(c net.Conn, p []byte) bool {
	_ = c.SetWriteDeadline(time.Now().Add(connectTimeout))
	if _, err := c.Write(p); err != nil {
		return false
	}
	s.count.sent.Add(1)
	return true
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
