// The pool: how many handshakes of a process run at a time, and in what order.

package tlsconn

import (
	"runtime"
	"sync"
	"time"

	"c100k/netpoll"
)

// Pool runs the handshakes of all loops of a process. At most HandshakesMax have begun and are not
// over, and of those as many compute as there are processors; the others wait for their peers.
// Further ones wait for their turn in the order in which they came. Any goroutine.
type Pool struct {
	slots chan struct{} // one for each that computes
	next  chan *shake   // for workers that have none; as many at most as there are of those

	mu      sync.Mutex // guards the fields below; held for a few assignments at most
	begun   int
	idle    int      // workers that wait for a handshake; those with one in next are no more among them
	queue   []*shake // of which the first head have begun or were given up
	head    int
	looks   bool // makeRoom will be called in a while
	stalled list // those that wait for their peers, longest first
}

// NewPool makes a pool. Its goroutines end workerIdle behind their last handshake at the latest.
func NewPool() *Pool {
	return &Pool{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), next: make(chan *shake, workersIdleMax)}
}

// start begins a handshake or has it wait for its turn. False: there is no room. now is the time of
// the loop.
func (p *Pool) start(sh *shake, now time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun < HandshakesMax {
		p.begun++
		if !p.give(sh) {
			go p.work(sh)
		}
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
			s.stall()
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
		return true
	default: // as many are on their way as it has room for
		return false
	}
}

// work runs handshakes until none has come for a while.
func (p *Pool) work(sh *shake) {
	for ; sh != nil; sh = p.take() {
		if !sh.ended() {
			p.acquire()
			sh.run(p)
			p.release()
		}
	}
}

// take is the handshake that has waited longest, or the next one to come; nil if the worker is to
// end.
func (p *Pool) take() *shake {
	p.mu.Lock()
	if p.head == len(p.queue) {
		p.queue, p.head = nil, 0
		p.begun--
		return p.rest()
	}
	defer p.mu.Unlock()
	sh := p.queue[p.head]
	p.queue[p.head] = nil
	if p.head++; p.head >= 1024 && p.head*2 >= len(p.queue) {
		p.queue = append([]*shake(nil), p.queue[p.head:]...)
		p.head = 0
	}
	return sh
}

// rest waits for a handshake for a while. A new goroutine would have to grow its stack again, to
// some 30 KB. mu is held, and given back.
func (p *Pool) rest() *shake {
	if p.idle == workersIdleMax {
		p.mu.Unlock()
		return nil
	}
	p.idle++
	p.mu.Unlock()
	timer := time.NewTimer(workerIdle)
	defer timer.Stop()
	select {
	case sh := <-p.next:
		return sh
	case <-timer.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case sh := <-p.next: // start has counted a worker out just now
		return sh
	default:
		p.idle--
		return nil
	}
}

func (p *Pool) acquire() { p.slots <- struct{}{} }
func (p *Pool) release() { <-p.slots }

// waits is called by a handshake that waits for its peer from now on.
func (p *Pool) waits(sh *shake) {
	p.release()
	p.mu.Lock()
	sh.since = netpoll.Monotonic()
	p.stalled.push(sh)
	p.mu.Unlock()
}

// woken is called by one that has waited.
func (p *Pool) woken(sh *shake) {
	p.mu.Lock()
	p.stalled.remove(sh)
	p.mu.Unlock()
	p.acquire()
}

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
