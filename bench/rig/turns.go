// Turns: servers under loads that take turns, to tell one or two per cent apart on a machine whose
// speed changes by twenty from one second to the next.
//
// All servers are up at once, on one core, and each has its connections and a load of its own, on
// another. Only one load runs at a time, for a fraction of a second, and the others are stopped
// (SIGSTOP). Each round gives every server its window; what matters is a server's CPU a message
// divided by that of another in the same round. The machine's own changes, which last for seconds,
// are in both.

package rig

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"c100k/internal/procfs"
)

// Contestant is a server that takes part, with the load that it gets.
type Contestant struct {
	Name    string
	Command func(addr string) []string // listens at addr
	Env     []string                   // above the environment of this program
	Load    func(addr string) []string // arguments of `c100k load`
	Bytes   float64                    // in place of Turns.Bytes, unless 0
}

// Turns says how the servers take turns.
type Turns struct {
	Binary               string        // the program whose load generator is used
	Rounds               int           // windows of each server
	Window, Lead         time.Duration // how long a window is, and how long its load runs before it, for what has waited meanwhile
	ServerCore, LoadCore int           // or Anywhere

	// What a message is to the kernel, which counts for the whole machine: so many segments with data,
	// or, where Bytes is not 0, so many bytes of payload, of both directions together. Nothing else
	// may be sending meanwhile.
	Segments, Bytes float64
}

// Side is what came of one contestant: its CPU a message in microseconds, by round.
type Side struct {
	Name         string
	Microseconds []float64
}

// Run starts the contestants and gives each its windows. The sides are in the order of the
// contestants.
func (t Turns) Run(ctx context.Context, contestants []Contestant) ([]Side, error) {
	counts := func(c Contestant) bool { return c.Bytes > 0 || t.Bytes > 0 || t.Segments > 0 }
	if len(contestants) == 0 || t.Rounds < 1 || t.Window <= 0 || t.Lead < 0 || !counts(contestants[0]) {
		return nil, errors.New("nothing to measure: it takes a server, and numbers above 0")
	}
	var sides []*side
	defer func() { endAll(sides) }()
	for _, c := range contestants {
		s, err := t.start(ctx, c, len(contestants))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		sides = append(sides, s)
		if s.turns = t; c.Bytes > 0 {
			s.turns.Bytes = c.Bytes
		}
	}
	for round := range t.Rounds {
		for i := range sides {
			s := sides[(round+i)%len(sides)] // none is always the one behind the same other
			if err := s.measure(ctx, s.turns); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
	}
	results := make([]Side, len(sides))
	for i, s := range sides {
		results[i] = s.Side
	}
	return results, nil
}

// side is one server with its load, which is stopped except in measure.
type side struct {
	Side
	server, load *child
	processes    []int // of the load
	turns        Turns // with the Bytes of this contestant
}

// start returns when the load has sent its first messages and is stopped. Where that fails it ends
// what it has started.
func (t Turns) start(ctx context.Context, c Contestant, sides int) (_ *side, err error) {
	s := &side{Side: Side{Name: c.Name}}
	defer func() {
		if err != nil {
			endAll([]*side{s})
		}
	}()
	addr, err := FreeAddress("127.0.0.1")
	if err != nil {
		return nil, err
	}
	if s.server, err = begin(t.ServerCore, c.Command(addr), c.Env); err != nil {
		return nil, err
	}
	if err := s.listens(ctx, addr); err != nil {
		return nil, err
	}
	whole := time.Duration(t.Rounds*sides)*(t.Window+t.Lead) + time.Duration(sides)*sideTimeout + sideSlack
	args := append([]string{t.Binary, "load"}, c.Load(addr)...)
	if s.load, err = begin(t.LoadCore, append(args, "--plain", "--warm", "100ms", "--for", whole.String()), nil); err != nil {
		return nil, err
	}
	return s, s.standsStill(ctx)
}

func (s *side) listens(ctx context.Context, addr string) error {
	for begin := time.Now(); time.Since(begin) < sideTimeout; {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-s.server.done:
			return fmt.Errorf("it ended before it listened: %s", s.server.said.Tail())
		default:
		}
		if err := pause(ctx, startPause); err != nil {
			return err
		}
	}
	return fmt.Errorf("it does not listen after %v: %s", sideTimeout, s.server.said.Tail())
}

// standsStill waits until the load measures, and stops it.
func (s *side) standsStill(ctx context.Context) error {
	select {
	case <-s.load.said.Measures:
	case <-s.load.done:
		return s.loadEnded()
	case <-time.After(sideTimeout):
		return fmt.Errorf("the load has not begun after %v: %s", sideTimeout, s.load.said.Tail())
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := pause(ctx, firstPause); err != nil {
		return err
	}
	if s.processes = Children(s.load.pid()); len(s.processes) == 0 {
		return s.loadEnded()
	}
	return s.signal(syscall.SIGSTOP)
}

func (s *side) loadEnded() error { return fmt.Errorf("the load has ended: %s", s.load.said.Tail()) }

// measure is one window.
func (s *side) measure(ctx context.Context, t Turns) error {
	if err := s.signal(syscall.SIGCONT); err != nil {
		return err
	}
	before, err := s.readAfter(ctx, t.Lead)
	if err != nil {
		return err
	}
	after, err := s.readAfter(ctx, t.Window)
	if err != nil {
		return err
	}
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	messages := after.sent.messages(before.sent, t)
	if messages < 1 {
		return fmt.Errorf("no message in a window: %s", s.load.said.Tail())
	}
	s.Microseconds = append(s.Microseconds, float64((after.cpu-before.cpu).Nanoseconds())/1e3/messages)
	return nil
}

// turnReading is the server's CPU so far, and what the machine has sent.
type turnReading struct {
	cpu  time.Duration
	sent traffic
}

func (s *side) readAfter(ctx context.Context, d time.Duration) (r turnReading, err error) {
	if err := pause(ctx, d); err != nil {
		return r, err
	}
	if r.cpu, err = procfs.CPUTime(s.server.pid()); err != nil {
		return r, fmt.Errorf("%w: %s", err, s.server.said.Tail())
	}
	r.sent, err = readTraffic()
	return r, err
}

// traffic is what the kernel has counted of all that this machine has sent.
type traffic struct {
	data     int64 // segments with data
	segments int64 // all segments
	octets   int64 // bytes of IP packets
}

// headerBytes are the headers of a segment over IPv4: 20 of IP, 20 of TCP, 12 of its timestamps.
const headerBytes = 52

// messages is how many there were since before.
func (t traffic) messages(before traffic, turns Turns) float64 {
	if turns.Bytes > 0 {
		payload := t.octets - before.octets - headerBytes*(t.segments-before.segments)
		return float64(payload) / turns.Bytes
	}
	return float64(t.data-before.data) / turns.Segments
}

func readTraffic() (t traffic, err error) {
	netstat, err := os.ReadFile("/proc/net/netstat")
	if err != nil {
		return t, err
	}
	snmp, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return t, err
	}
	for _, c := range []struct {
		to          *int64
		text        []byte
		group, name string
	}{{&t.data, netstat, "TcpExt", "TCPOrigDataSent"}, {&t.octets, netstat, "IpExt", "OutOctets"}, {&t.segments, snmp, "Tcp", "OutSegs"}} {
		if *c.to, err = counter(string(c.text), c.group, c.name); err != nil {
			return t, err
		}
	}
	return t, nil
}

// counter finds one in the form of /proc/net/netstat: a line of names, and one of numbers.
func counter(text, group, name string) (int64, error) {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, n := range names {
			if n == name && i < len(fields) {
				return strconv.ParseInt(fields[i], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("the kernel does not count %s", name)
}

func (s *side) signal(sig syscall.Signal) error {
	for _, pid := range s.processes {
		if syscall.Kill(pid, sig) != nil {
			return s.loadEnded()
		}
	}
	return nil
}

// endAll ends loads before servers. Loads are told together: each takes its time to close its
// connections.
func endAll(sides []*side) {
	for _, s := range sides {
		_ = s.signal(syscall.SIGCONT) // a stopped process does not end
		if s.load != nil {
			_ = s.load.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, s := range sides {
		for _, c := range []*child{s.load, s.server} {
			if c != nil {
				c.end()
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// Ratios are the values of a side divided by those of another in the same round.
func Ratios(of, by []float64) []float64 {
	ratios := make([]float64, min(len(of), len(by)))
	for i := range ratios {
		ratios[i] = of[i] / by[i]
	}
	return ratios
}

// Quantile of at least one value.
func Quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// SignTest is the chance that ratios of two servers that are alike lie as unevenly about 1 as
// these, or more so: the two-sided sign test, which assumes nothing of how they are distributed.
func SignTest(ratios []float64) float64 {
	above, n := 0, 0
	for _, r := range ratios {
		if r != 1 {
			n++
		}
		if r > 1 {
			above++
		}
	}
	fewer := min(above, n-above)
	sum := 0.0
	for k := range fewer + 1 {
		sum += math.Exp(logChoose(n, k) - float64(n)*math.Ln2)
	}
	return min(1, 2*sum)
}

// logChoose is the logarithm of n over k.
func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
