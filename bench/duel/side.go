package main

// side.go: a server and its load.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"c100k/bench/rig"
)

const (
	serverCore, loadCore = 0, 1

	startTimeout = 20 * time.Second
	stopTimeout  = 5 * time.Second
	probePause   = 20 * time.Millisecond
	settlePause  = time.Second // for the first messages of the connections, which have their price
	slack        = time.Minute // the load runs for so long beyond what the rounds need
)

// side is one server with its load. The load is stopped except in measure.
type side struct {
	name         string
	server, load *exec.Cmd
	processes    []int // of the load
	output       bytes.Buffer
	microseconds []float64 // a message, by round
}

func start(ctx context.Context, o options, name string, command []string) (*side, error) {
	s := &side{name: name}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("{port}", port, "{ws}", "ws://127.0.0.1:"+port, "{http}", "http://127.0.0.1:"+port)
	for i := range command {
		command[i] = fill.Replace(command[i])
	}
	if s.server, err = s.begin(ctx, serverCore, command); err != nil {
		return nil, err
	}
	if err := s.await(ctx, port); err != nil {
		s.end()
		return nil, fmt.Errorf("%w; it said: %s", err, s.output.String())
	}
	args := append([]string{o.binary, "load"}, strings.Fields(fill.Replace(o.load))...)
	args = append(args, "--plain", "--warm", "100ms", "--for", (time.Duration(o.rounds)*(o.window+o.lead)*sidesMax + slack).String())
	if s.load, err = s.begin(ctx, loadCore, args); err == nil {
		err = pause(ctx, settlePause)
	}
	if err == nil {
		err = s.find()
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// sidesMax is for how many servers a load runs long enough.
const sidesMax = 8

// find waits until the load's processes are there and its connections have had messages, and stops them.
func (s *side) find() error {
	if s.processes = rig.Children(s.load.Process.Pid); len(s.processes) == 0 {
		return fmt.Errorf("the load did not start: %s", s.output.String())
	}
	return s.signal(syscall.SIGSTOP)
}

// begin starts a command on one core. It is killed when this program ends.
func (s *side) begin(ctx context.Context, core int, command []string) (*exec.Cmd, error) {
	if len(command) == 0 {
		return nil, errors.New("no command")
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	cmd.WaitDelay = stopTimeout
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the child inherits its core, and dies with the thread
		var one unix.CPUSet
		one.Set(core)
		err := unix.SchedSetaffinity(0, &one)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // that it was killed is no news
			close(started)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = s.signal(syscall.SIGCONT) }) // who is stopped does not end
	return cmd, nil
}

func (s *side) await(ctx context.Context, port string) error {
	for begin := time.Now(); time.Since(begin) < startTimeout; {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			return nil
		}
		if err := pause(ctx, probePause); err != nil {
			return err
		}
	}
	return fmt.Errorf("it does not listen after %v", startTimeout)
}

// measure is one window.
func (s *side) measure(ctx context.Context, o options) error {
	if err := s.signal(syscall.SIGCONT); err != nil {
		return err
	}
	if err := pause(ctx, o.lead); err != nil {
		return err
	}
	before, err := s.read()
	if err == nil {
		err = pause(ctx, o.window)
	}
	var after reading
	if err == nil {
		after, err = s.read()
	}
	if err == nil {
		err = s.signal(syscall.SIGSTOP)
	}
	if err != nil {
		return err
	}
	messages := float64(after.segments-before.segments) / o.messages
	if messages < 1 {
		return fmt.Errorf("no message in a window; the load says: %s", s.output.String())
	}
	s.microseconds = append(s.microseconds, float64((after.cpu-before.cpu).Nanoseconds())/1e3/messages)
	return nil
}

// reading is the server's CPU so far, and the machine's segments with data.
type reading struct {
	cpu      time.Duration
	segments int64
}

func (s *side) read() (r reading, err error) {
	if r.cpu, err = cpuOf(s.server.Process.Pid); err != nil {
		return r, err
	}
	text, err := os.ReadFile("/proc/net/netstat")
	if err != nil {
		return r, err
	}
	r.segments, err = counter(string(text), "TcpExt", "TCPOrigDataSent")
	return r, err
}

// cpuOf adds up a process's threads, in nanoseconds: what times and clock_gettime have is as exact, but not for other processes.
func cpuOf(pid int) (sum time.Duration, err error) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is well formed
	for _, thread := range threads {
		text, err := os.ReadFile(thread)
		if err != nil { // it has ended since
			continue
		}
		var ran, waited, slices int64
		if _, err := fmt.Sscan(string(text), &ran, &waited, &slices); err != nil {
			return 0, fmt.Errorf("%s: %w", thread, err)
		}
		sum += time.Duration(ran)
	}
	if sum == 0 {
		return 0, errors.New("the server has ended, or the kernel keeps no schedstat")
	}
	return sum, nil
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
		if err := syscall.Kill(pid, sig); err != nil {
			return fmt.Errorf("the load has ended: %s", s.output.String())
		}
	}
	return nil
}

func (s *side) end() {
	for _, cmd := range []*exec.Cmd{s.load, s.server} {
		if cmd != nil {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	_ = s.signal(syscall.SIGCONT)
	for _, cmd := range []*exec.Cmd{s.load, s.server} {
		if cmd == nil {
			continue
		}
		for begin := time.Now(); time.Since(begin) < stopTimeout && syscall.Kill(cmd.Process.Pid, 0) == nil; time.Sleep(probePause) {
		}
		_ = cmd.Process.Kill()
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

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
