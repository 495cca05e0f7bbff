// Liveness: whether a worker's loops run, as the parent knows it from the worker's signs of life.

package workers

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Liveness is how long a worker may be silent. Zero fields mean the defaults: one second, five and
// fifteen.
type Liveness struct {
	Beat time.Duration // between two signs of life
	Out  time.Duration // silence after which the worker gets no new connections
	Kill time.Duration // silence after which it is killed and replaced
}

func (l Liveness) withDefaults() Liveness {
	if l.Beat <= 0 {
		l.Beat = beatEvery
	}
	if l.Out <= 0 {
		l.Out = outAfter
	}
	if l.Kill <= 0 {
		l.Kill = killAfter
	}
	return l
}

// signs are the signs of life of one process. Silence is counted in periods of the parent's own
// ticker: a parent that was stopped itself does not take its workers for dead. Any goroutine.
type signs struct {
	beats atomic.Uint64

	mu     sync.Mutex // guards the fields below
	seen   uint64     // beats at the last look
	silent time.Duration
	out    bool
	alive  context.Context // ends when the worker is out; replaced when it is back
	end    context.CancelFunc
}

func newSigns() *signs {
	s := new(signs)
	s.alive, s.end = context.WithCancel(context.Background())
	return s
}

// beat notes a sign of life.
func (s *signs) beat() { s.beats.Add(1) }

// look counts one more period, and returns the silence so far.
func (s *signs) look(period time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.beats.Load(); now != s.seen {
		s.seen, s.silent = now, 0
	} else {
		s.silent += period
	}
	return s.silent
}

// setOut notes whether the worker is out, and tells whether it was not so before. What waits for
// answers of one that is out waits no longer.
func (s *signs) setOut(out bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == out {
		return false
	}
	s.out = out
	if out {
		s.end()
	} else {
		s.alive, s.end = context.WithCancel(context.Background())
	}
	return true
}

// silence is nil, or says for how long a worker that is out has been silent.
func (s *signs) silence() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.out {
		return nil
	}
	return fmt.Errorf("hangs: no sign of life for %v; it gets no new connections", s.silent)
}

// whileAlive is ctx that also ends when the worker is out.
func (s *signs) whileAlive(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	alive := s.alive
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(alive, cancel)
	return ctx, func() { stop(); cancel() }
}

// close frees what waits.
func (s *signs) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// watch takes a worker that is silent out of the accept rotation, puts it back when it is heard
// again, and kills one that stays silent. During a drain one that is out is killed at once: its
// connections cannot be drained.
func (p *slot) watch(process *process) {
	silent := process.signs.look(p.s.opt.Liveness.Beat)
	switch draining := p.s.draining.Load(); {
	case silent >= p.s.opt.Liveness.Kill, draining && silent >= p.s.opt.Liveness.Out:
		if process.killed {
			return
		}
		process.killed = true
		process.signs.setOut(true)
		p.s.log.Error("worker hangs and is killed", "worker", p.number, "pid", process.pid(), "silent", silent)
		process.signal(syscall.SIGKILL)
	case silent >= p.s.opt.Liveness.Out:
		if !process.signs.setOut(true) {
			return
		}
		p.s.log.Error("worker hangs and gets no new connections", "worker", p.number, "pid", process.pid(), "silent", silent)
		if err := process.port.suspend(); err != nil {
			p.s.log.Error("the listening socket of a worker that hangs cannot be shut down", "worker", p.number, "err", err)
		}
	case silent == 0 && !draining && process.signs.setOut(false):
		p.s.log.Warn("worker is alive again and gets new connections", "worker", p.number, "pid", process.pid())
		if err := process.port.listen(); err != nil {
			p.s.log.Error("worker cannot listen again and is killed", "worker", p.number, "err", err)
			process.signal(syscall.SIGKILL)
		}
	}
}
