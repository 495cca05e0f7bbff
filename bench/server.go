package main

// server.go: what is measured: c100k and the floor servers as child processes, one at a time, on a core of their own.

import (
	"bytes"
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
)

const (
	startTimeout = 10 * time.Second // from exec to the first accepted connection; Go and C servers need milliseconds
	stopTimeout  = 3 * time.Second  // from TERM to KILL; nothing is connected by then, so a drain has nothing to wait for
	probePause   = 10 * time.Millisecond
)

// target is a kind of server: a column of the table.
type target struct {
	Name string // the column's title
	Ours bool
	IO   string // --io of ours; empty for a floor
	path string
	args func(port, admin int) []string
}

// oursTarget is c100k with one loop, as a laptop would start it: --dev opens /echo and /broadcast.
func oursTarget(binary, io string, loops int, many bool) target {
	name := "c100k"
	if many {
		name += " " + io
	}
	return target{Name: name, Ours: true, IO: io, path: binary, args: func(port, admin int) []string {
		adminAddr := ""
		if admin != 0 {
			adminAddr = fmt.Sprintf("127.0.0.1:%d", admin)
		}
		return []string{"serve", "--dev", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--admin", adminAddr,
			"--loops", strconv.Itoa(loops), "--io", io, "--drain", "1s", "--log-level", "warn"}
	}}
}

func floorTarget(dir, name string) target {
	return target{Name: name, path: filepath.Join(dir, name), args: func(port, _ int) []string {
		return []string{"-p", strconv.Itoa(port)}
	}}
}

// server is a running target.
type server struct {
	target
	port, admin int
	cmd         *exec.Cmd
	output      bytes.Buffer // read after done only
	done        chan struct{}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// start runs the target on a free port, on the given core (-1: anywhere), and returns when it accepts connections.
func (t target) start(core, nice int, admin bool) (*server, error) {
	s := &server{target: t, done: make(chan struct{})}
	var err error
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	if admin && t.Ours {
		if s.admin, err = freePort(); err != nil {
			return nil, err
		}
	}
	s.cmd = exec.Command(t.path, t.args(s.port, s.admin)...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := startOn(s.cmd, core, nice); err != nil {
		return nil, fmt.Errorf("start %s: %w", t.Name, err)
	}
	go func() {
		s.cmd.Wait() // how it ended is told by its output
		close(s.done)
	}()
	for begin := time.Now(); ; time.Sleep(probePause) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			c.Close()
			return s, nil
		}
		select {
		case <-s.done:
			return nil, fmt.Errorf("%s ended before it listened: %w", t.Name, s.outputError())
		default:
		}
		if time.Since(begin) > startTimeout {
			s.stop()
			return nil, fmt.Errorf("%s does not listen after %v: %w", t.Name, startTimeout, s.outputError())
		}
	}
}

// stop ends the server: with TERM first, so that a profile or a coverage file it may write is written.
func (s *server) stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		s.cmd.Process.Kill()
		<-s.done
	}
}

// outputError is the last of what the ended server printed.
func (s *server) outputError() error {
	const tail = 2000
	text := strings.TrimSpace(s.output.String())
	if text == "" {
		return errors.New("it printed nothing")
	}
	return errors.New(text[max(0, len(text)-tail):])
}

// startOn starts a command on one core (-1: anywhere). A Go program that may run on one core only sets GOMAXPROCS to 1 by itself.
func startOn(cmd *exec.Cmd, core, nice int) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // a child inherits the affinity of the thread that forks it
	defer runtime.UnlockOSThread()
	if core >= 0 {
		var before, one unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return err
		}
		one.Set(core)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return fmt.Errorf("pin to core %d: %w", core, err)
		}
		defer unix.SchedSetaffinity(0, &before)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, nice); err != nil {
			fmt.Fprintf(os.Stderr, "bench: --nice %d: %v\n", nice, err)
		}
	}
	return nil
}

// cpuTime is the CPU time that a process has used, all its threads together, from its kernel clock: nanoseconds, not ticks.
func cpuTime(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED in the kernel's posix-timers.h, as clock_getcpuclockid composes it
	clock := int32(^uint32(pid)<<3 | schedClock)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// privateBytes is the memory that belongs to a process alone: Private_Clean and Private_Dirty of /proc/PID/smaps_rollup.
func privateBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parsePrivate(string(text))
}

func parsePrivate(rollup string) (int64, error) {
	var sum int64
	found := 0
	for line := range strings.Lines(rollup) {
		f := strings.Fields(line)
		if len(f) != 3 || (f[0] != "Private_Clean:" && f[0] != "Private_Dirty:") {
			continue
		}
		kib, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("smaps_rollup: %q: %w", line, err)
		}
		sum += kib << 10
		found++
	}
	if found != 2 {
		return 0, errors.New("smaps_rollup has no Private_Clean and Private_Dirty")
	}
	return sum, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
