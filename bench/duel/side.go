package main

// side.go: a server and its load.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"c100k/bench/rig"
	"c100k/internal/procfs"
)

const (
	serverCore, loadCore = 0, 1

	startTimeout = 20 * time.Second
	stopTimeout  = 5 * time.Second
	probePause   = 20 * time.Millisecond
	settlePause  = time.Second // for the first messages of the connections, which have their price
	slack        = time.Minute // the load runs for so long beyond what the rounds need
)

// child is a process of ours, on one core. It is killed when this program ends.
type child struct {
	cmd  *exec.Cmd
	said *rig.Progress
	done chan struct{} // closed when it has ended
}

func begin(core int, command []string) (*child, error) {
	if len(command) == 0 {
		return nil, errors.New("no command")
	}
	c := &child{cmd: exec.Command(command[0], command[1:]...), said: rig.NewProgress(), done: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = c.said, c.said
	c.cmd.WaitDelay = stopTimeout
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the child inherits its core, and is killed with the thread
		err := rig.Pin(core)
		if err == nil {
			err = c.cmd.Start()
		}
		started <- err
		if err == nil {
			_ = c.cmd.Wait() // how it ended is told by what it said
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

func (c *child) end() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(stopTimeout):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// side is one server with its load. The load is stopped except in measure.
type side struct {
	name         string
	server, load *child
	processes    []int     // of the load
	microseconds []float64 // a message, by round
}

// start returns when the load has sent its first messages, and stands still. Of a side that did not start, what did is ended.
func start(ctx context.Context, o options, name string, command []string, run time.Duration) (_ *side, err error) {
	s := &side{name: name}
	defer func() {
		if err != nil {
			s.end()
		}
	}()
	addr, err := rig.FreeAddress("127.0.0.1")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr) // it was just joined
	fill := strings.NewReplacer("{port}", port, "{ws}", "ws://"+addr, "{http}", "http://"+addr)
	for i := range command {
		command[i] = fill.Replace(command[i])
	}
	if s.server, err = begin(serverCore, command); err != nil {
		return nil, err
	}
	if err := s.listens(ctx, addr); err != nil {
		return nil, err
	}
	args := append([]string{o.binary, "load"}, strings.Fields(fill.Replace(o.load))...)
	if s.load, err = begin(loadCore, append(args, "--plain", "--warm", "100ms", "--for", run.String())); err != nil {
		return nil, err
	}
	return s, s.standsStill(ctx)
}

func (s *side) listens(ctx context.Context, addr string) error {
	for begin := time.Now(); time.Since(begin) < startTimeout; {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-s.server.done:
			return fmt.Errorf("it ended before it listened: %s", s.server.said.Tail())
		default:
		}
		if err := pause(ctx, probePause); err != nil {
			return err
		}
	}
	return fmt.Errorf("it does not listen after %v: %s", startTimeout, s.server.said.Tail())
}

// standsStill waits until the load measures, and stops it.
func (s *side) standsStill(ctx context.Context) error {
	select {
	case <-s.load.said.Measures:
	case <-s.load.done:
		return s.loadEnded()
	case <-time.After(startTimeout):
		return fmt.Errorf("the load has not begun after %v: %s", startTimeout, s.load.said.Tail())
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := pause(ctx, settlePause); err != nil {
		return err
	}
	if s.processes = rig.Children(s.load.cmd.Process.Pid); len(s.processes) == 0 {
		return s.loadEnded()
	}
	return s.signal(syscall.SIGSTOP)
}

func (s *side) loadEnded() error { return fmt.Errorf("the load has ended: %s", s.load.said.Tail()) }

// measure is one window.
func (s *side) measure(ctx context.Context, o options) error {
	if err := s.signal(syscall.SIGCONT); err != nil {
		return err
	}
	before, err := s.readAfter(ctx, o.lead)
	if err != nil {
		return err
	}
	after, err := s.readAfter(ctx, o.window)
	if err != nil {
		return err
	}
	if err := s.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	messages := float64(after.segments-before.segments) / o.messages
	if messages < 1 {
		return fmt.Errorf("no message in a window: %s", s.load.said.Tail())
	}
	s.microseconds = append(s.microseconds, float64((after.cpu-before.cpu).Nanoseconds())/1e3/messages)
	return nil
}

// reading is the server's CPU so far, and the machine's segments with data.
type reading struct {
	cpu      time.Duration
	segments int64
}

func (s *side) readAfter(ctx context.Context, d time.Duration) (r reading, err error) {
	if err := pause(ctx, d); err != nil {
		return r, err
	}
	if r.cpu, err = procfs.CPUTime(s.server.cmd.Process.Pid); err != nil {
		return r, fmt.Errorf("%w: %s", err, s.server.said.Tail())
	}
	text, err := os.ReadFile("/proc/net/netstat")
	if err != nil {
		return r, err
	}
	r.segments, err = counter(string(text), "TcpExt", "TCPOrigDataSent")
	return r, err
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

func (s *side) end() {
	_ = s.signal(syscall.SIGCONT) // who is stopped does not end
	for _, c := range []*child{s.load, s.server} {
		if c != nil {
			c.end()
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
