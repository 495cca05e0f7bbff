// The pool: how many handshakes of a process run at a time, where, and in what order.

package tlsconn

import (
	"iter"
	"runtime"
	"sync"
	"time"

	"c100k/netpoll"
)

// Pool runs the handshakes of all loops of a process. At most HandshakesMax have begun and are not
// over, and of those as many compute as there are processors; the others wait for their peers.
// Further ones wait for their turn in the order in which they came. Any goroutine.
//
// Each handshake that has begun is a coroutine: its runner. Workers, which are goroutines, switch
// to it while it has something to do, and so does the loop at the end of a handshake, where little
// is left: that costs no change of thread.
type Pool struct {
	slots chan struct{} // one for each that computes
	next  chan *shake   // for workers that have none; as many at most as there are of those

	mu      sync.Mutex // guards the fields below; held for a few assignments at most
	begun   int
	queue   []*shake // of which the first head have begun or were given up
	head    int
	looks   bool // makeRoom will be called in a while
	stalled list // those that wait for their peers, longest first

	idle    int       // workers that wait for a handshake, without those that have one in next
	runners []*runner // that have none
	fewest  [2]int    // of idle and runners there have been since reap looked last
	reaps   bool      // reap will be called in a while
}

// NewPool makes a pool. Its goroutines end two workerIdle after their last handshake at the latest.
func NewPool() *Pool {
	return &Pool{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), next: make(chan *shake, workersIdleMax)}
}

// runner is a coroutine that runs one handshake after the other: a new one would have to grow its
// stack again, to some 30 KB.
type runner struct {
	sh    *shake
	pool  *Pool
	step  func() (over, ok bool) // runs sh until it waits for its peer or is over
	stop  func()
	yield func(over bool) bool
}

func newRunner(p *Pool) *runner {
	r := &runner{pool: p}
	r.step, r.stop = iter.Pull(func(yield func(bool) bool) {
		r.yield = yield
		for {
			r.sh.run(r.pool)
			r.sh = nil
			if !yield(true) {
				return
			}
		}
	})
	return r
}

// start begins a handshake or has it wait for its turn. False: there is no room. now is the time of
// the loop.
func (p *Pool) start(sh *shake, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun < HandshakesMax {
		p.begun++
		p.assign(sh)
		return true
	}
	if len(p.queue)-p.head >= waitingMax {
		return false
	}
	p.queue = append(p.queue, sh)
	p.makeRoom(now)
	return true
}

// makeRoom gives up handshakes that have waited too long for their peers, one for each that waits
// for its turn, and looks again later if more wait. mu is held.
func (p *Pool) makeRoom(now time.Duration) {
	wanted := len(p.queue) - p.head
	for s := p.stalled.first; wanted > 0 && s != nil && now-s.since > stallMax; s = p.stalled.first {
		p.stalled.remove(s)
		if s.client == nil {
			s.tellStalled()
			if s.abandon() {
				p.assign(s)
			}
			wanted--
		}
	}
	if wanted > 0 && !p.looks {
		p.looks = true
		time.AfterFunc(stallLook, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.looks = false
			p.makeRoom(netpoll.Monotonic())
		})
	}
}

// give gives a handshake to a worker that has none; false if there is none. mu is held.
func (p *Pool) give(sh *shake) bool {
	if p.idle == 0 {
		return false
	}
	select {
	case p.next <- sh:
		p.idle--
		p.fewest[0] = min(p.fewest[0], p.idle)
		return true
	default: // as many are on their way as it has room for
		return false
	}
}

// assign has a worker run a handshake. mu is held.
func (p *Pool) assign(sh *shake) {
	if !p.give(sh) {
		go p.work(sh)
	}
}

// work runs handshakes until none has come for a while.
func (p *Pool) work(sh *shake) {
	for sh != nil {
		if sh.ended() && sh.runner == nil { // it has not begun
			sh = p.take(nil)
			continue
		}
		p.acquire()
		over := p.advance(sh)
		p.release()
		if over {
			sh.tell()
			sh = p.take(sh.runner)
		} else {
			sh.flush()
			p.mu.Lock()
			sh = p.rest()
		}
	}
}

// advance runs a handshake until it waits for its peer or is over.
func (p *Pool) advance(sh *shake) (over bool) {
	if sh.runner == nil {
		sh.runner = p.runner()
		sh.runner.sh = sh
		sh.sleep = func() { sh.runner.yield(false) }
	}
	for {
		if over, _ := sh.runner.step(); over {
			return true
		}
		if p.waits(sh) {
			return false
		}
	}
}

// waits lists a handshake that waits for its peer; false if it need not wait.
func (p *Pool) waits(sh *shake) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !sh.rests() {
		return false
	}
	sh.since = netpoll.Monotonic()
	p.stalled.push(sh)
	return true
}

// resume has a worker go on with a handshake that has waited.
func (p *Pool) resume(sh *shake) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled.remove(sh)
	p.assign(sh)
}

// resumeHere goes on with a handshake that has waited, on the goroutine of the caller, until it
// waits again or is over.
func (p *Pool) resumeHere(sh *shake) (over bool) {
	p.mu.Lock()
	p.stalled.remove(sh)
	p.mu.Unlock()
	if !p.advance(sh) {
		return false
	}
	if next := p.done(sh.runner); next != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.assign(next)
	}
	return true
}

// runner is a runner that has nothing to do.
func (p *Pool) runner() *runner {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.runners) - 1
	if n < 0 {
		return newRunner(p)
	}
	r := p.runners[n]
	p.runners[n] = nil
	p.runners = p.runners[:n]
	p.fewest[1] = min(p.fewest[1], n)
	return r
}

// done takes back the runner of a handshake that is over, nil for one that has not begun, and
// returns the handshake that has waited longest for its turn; nil: there is none.
func (p *Pool) done(r *runner) *shake {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r != nil {
		if len(p.runners) < workersIdleMax {
			p.runners = append(p.runners, r)
			p.reapLater()
		} else {
			r.stop()
		}
	}
	if p.head == len(p.queue) {
		p.queue, p.head = nil, 0
		p.begun--
		return nil
	}
	sh := p.queue[p.head]
	p.queue[p.head] = nil
	if p.head++; p.head >= 1024 && p.head*2 >= len(p.queue) {
		p.queue = append([]*shake(nil), p.queue[p.head:]...)
		p.head = 0
	}
	return sh
}

// take is what a worker does next, behind a handshake that is over; nil if the worker is to end.
func (p *Pool) take(r *runner) *shake {
	if sh := p.done(r); sh != nil {
		return sh
	}
	p.mu.Lock()
	return p.rest()
}

// rest waits for a handshake; nil if the worker is to end. mu is held, and given back.
func (p *Pool) rest() *shake {
	if p.idle == workersIdleMax {
		p.mu.Unlock()
		return nil
	}
	p.idle++
	p.reapLater()
	p.mu.Unlock()
	return <-p.next
}

// reapLater has reap called in a while. mu is held.
func (p *Pool) reapLater() {
	if !p.reaps {
		p.reaps, p.fewest = true, [2]int{} // what has come just now has not waited for long
		time.AfterFunc(workerIdle, p.reap)
	}
}

// reap ends the workers and runners that nobody has needed since it looked last. One timer serves
// all: one for each wait would wake the thread that sits in Go's poller, to tell it of the timer.
func (p *Pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range p.fewest[0] {
		if !p.give(nil) {
			break
		}
	}
	keep := len(p.runners) - min(p.fewest[1], len(p.runners))
	for _, r := range p.runners[keep:] {
		r.stop()
	}
	clear(p.runners[keep:])
	p.runners = p.runners[:keep]
	p.fewest = [2]int{p.idle, keep}
	if p.reaps = p.idle+keep > 0; p.reaps {
		time.AfterFunc(workerIdle, p.reap)
	}
}

func (p *Pool) acquire() { p.slots <- struct{}{} }
func (p *Pool) release() { <-p.slots }

// list is a list of handshakes, linked through them.
type list struct{ first, last *shake }

func (l *list) push(sh *shake) {
	sh.listed, sh.prev, sh.next = true, l.last, nil
	if l.last == nil {
		l.first = sh
	} else {
		l.last.next = sh
	}
	l.last = sh
}

// remove takes sh out; it need not be in the list.
func (l *list) remove(sh *shake) {
	if !sh.listed {
		return
	}
	if sh.prev == nil {
		l.first = sh.next
	} else {
		sh.prev.next = sh.next
	}
	if sh.next == nil {
		l.last = sh.prev
	} else {
		sh.next.prev = sh.prev
	}
	sh.listed, sh.prev, sh.next = false, nil, nil
}
