// The place of one worker: it is filled again, after a pause, when the process in it has died.

package workers

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"c100k/internal/figures"
)

// slot is the place of one worker.
type slot struct {
	number int // immutable
	s      *Supervisor
	life   func() (how string, err error) // live, or a replacement in tests

	given atomic.Pointer[setup] // the setup of the current process

	mu       sync.Mutex // guards the fields below
	now      *process   // nil: none
	restarts uint64
	waiting  time.Duration    // how long the place stays empty after a death
	past     *figures.Reading // the counts of processes that have ended
	last     *figures.Reading // the last reading of the current process
}

func newSlot(s *Supervisor, number int) *slot {
	p := &slot{number: number, s: s, past: new(figures.Reading), last: new(figures.Reading)}
	p.life = p.live
	return p
}

// run keeps a process in the place until the node stops. It returns an error if the worker cannot
// serve and the node has never served.
func (p *slot) run() error {
	var pause backoff
	for !p.s.draining.Load() {
		began := time.Now()
		how, err := p.life()
		if p.s.draining.Load() {
			return nil
		}
		if err != nil && !p.s.up.Load() {
			return err
		}
		lived := time.Since(began)
		delay := pause.after(lived)
		p.s.log.Error("worker ended; it is started again", "worker", p.number, "how", how, "err", err,
			"lived", lived.Round(time.Millisecond), "after", delay)
		p.mu.Lock()
		p.restarts++
		p.waiting = delay
		p.mu.Unlock()
		select {
		case <-time.After(delay):
		case <-p.s.stop:
		}
	}
	return nil
}

// live starts a process, waits for its end, and returns how it ended. The error is why it did not
// serve, if the worker has reported that.
func (p *slot) live() (how string, err error) {
	port, err := p.s.port.share()
	if err != nil {
		return "not started", err
	}
	process, err := startProcess(p.s.starter, p.s.opt.Command(), port, p.orders, p.s.serveChallenge, p.s.public, func(m *move) { p.s.relay(p, m) }, p.s.limitsOf(p.number))
	if err != nil {
		return "not started", err
	}
	p.mu.Lock()
	p.now, p.waiting = process, 0
	p.mu.Unlock()
	// A drain may have begun, or ended, before this process existed.
	switch {
	case p.s.killing.Load():
		process.signal(syscall.SIGKILL)
	case p.s.draining.Load():
		process.signal(syscall.SIGTERM)
	}
	p.await(process)
	p.s.gone(process)
	p.empty()
	if failure := process.failed(); failure != nil {
		err = failure
	}
	return process.cmd.ProcessState.String(), err
}

// orders makes the orders of the process and notes their setup.
func (p *slot) orders() *Orders {
	of := p.s.setup.Load()
	p.given.Store(of)
	return p.s.orders(p.number, of)
}

// await waits for the end of a process. It kills a process that does not serve in time, or hangs.
func (p *slot) await(process *process) {
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	tick := time.NewTicker(p.s.opt.Liveness.Beat)
	defer tick.Stop()
	for serving := process.serving; ; {
		select {
		case <-process.ended:
			return
		case <-tick.C:
			if serving == nil {
				p.watch(process)
			}
		case <-timeout.C:
			p.s.log.Error("worker does not come to serve and is killed", "worker", p.number, "pid", process.pid(), "after", startTimeout)
			process.signal(syscall.SIGKILL)
		case <-serving:
			serving = nil
			timeout.Stop()
			p.s.served(p.number, process)
			p.s.fleet.catchUp() // the setup may have changed since it got its orders
		}
	}
}

// empty removes the process from the place and keeps its counts.
func (p *slot) empty() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = nil
	p.past.AddTotals(p.last.Ended(reasonLost))
	p.last = new(figures.Reading)
}

// process is the current one; nil if the place is empty.
func (p *slot) process() *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// label is the name of the worker in messages.
func (p *slot) label() string { return fmt.Sprintf("worker %d", p.number) }

// backoff counts early deaths. The zero value has seen none. One goroutine.
type backoff struct{ young int }

// after is the pause before the next start; lived is how long the last process ran.
func (b *backoff) after(lived time.Duration) time.Duration {
	if lived >= youthTime {
		b.young = 0
	}
	delay := time.Duration(0)
	if b.young > 0 {
		delay = restartDelayMax
		if doublings := b.young - 1; doublings < 30 { // beyond, the shift would overflow
			delay = min(restartDelayFirst<<doublings, restartDelayMax)
		}
	}
	b.young++
	return delay
}
