package main

// server.go: a target that runs: a child process, alone with the load, on a core of its own.

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"c100k/bench/rig"
)

const (
	startTimeout = 30 * time.Second // from exec to the first accepted connection; Go and C servers need milliseconds, Node some hundred
	stopTimeout  = 5 * time.Second  // from TERM to KILL
	probePause   = 10 * time.Millisecond
	anywhere     = -1 // in place of a core
)

// server is a running target.
type server struct {
	target
	addr   string
	cmd    *exec.Cmd
	output bytes.Buffer // read after done only
	done   chan struct{}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// start runs the target on a free port, on the given core, and returns when it accepts connections.
func (t target) start(core, loops int) (*server, error) {
	s := &server{target: t, done: make(chan struct{})}
	var err error
	if s.addr, err = rig.FreeAddress("127.0.0.1"); err != nil {
		return nil, err
	}
	argv := t.argv(s.addr, loops)
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Env = append(os.Environ(), t.env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	started := make(chan error, 1)
	go s.run(core, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", t.Name, err)
	}
	for begin := time.Now(); ; time.Sleep(probePause) {
		c, err := net.Dial("tcp", s.addr)
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

// stop ends the server: with TERM first, so that a profile or a coverage file it may write is
// written.
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

// run starts the process on one core, tells whether it could, and waits for its end. It has a
// thread for itself, which is never given back: the child inherits its affinity, and is killed when
// that thread ends, so that no server outlives the bench.
func (s *server) run(core int, started chan<- error) {
	runtime.LockOSThread()
	var err error
	if core != anywhere {
		err = rig.Pin(core)
	}
	if err == nil {
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err = s.cmd.Start() // a Go program that may run on one core only sets GOMAXPROCS to 1 by itself
	}
	started <- err
	if err == nil {
		s.cmd.Wait() // how it ended is told by its output
		close(s.done)
	}
}
