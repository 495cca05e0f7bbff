// Broadcasts that come behind what was ordered before them.

package socketio

import (
	"sync"
	"sync/atomic"

	"c100k/netpoll"
)

// meetings are the broadcasts that wait until loops have done what was ordered before. They have numbers in the order of their calls.
type meetings struct {
	opened  atomic.Uint64 // number of the last one
	settled atomic.Uint64 // all up to this number have taken place

	mu   sync.Mutex // guards the field below, and that opened and it agree
	open []bool     // of those behind settled: it has taken place
}

// begin opens a meeting.
func (m *meetings) begin() (number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = append(m.open, false)
	return m.opened.Add(1)
}

// end notes that a meeting has taken place.
func (m *meetings) end(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	settled := m.settled.Load()
	m.open[number-settled-1] = true
	n := 0
	for n < len(m.open) && m.open[n] {
		n++
	}
	m.open = append(m.open[:0], m.open[n:]...)
	m.settled.Store(settled + uint64(n))
}

// whenQuiet calls publish when everything that this goroutine, or any other, has ordered so far has been done: at once if that is so, and
// else on the loop that is last. What is ordered for a socket behind this call comes behind publish.
func (io *Server) whenQuiet(publish func()) error {
	var busy []*Reactor
	for _, r := range io.reactors() {
		if r.pending.Load() > 0 {
			busy = append(busy, r)
		}
	}
	if len(busy) == 0 {
		publish()
		return nil
	}
	number := io.meetings.begin()
	var left atomic.Int32
	left.Store(int32(len(busy)))
	arrive := func(*netpoll.Loop) {
		if left.Add(-1) > 0 {
			return
		}
		defer io.settle(number) // also if publish panics
		publish()
	}
	var failed error
	for _, r := range busy {
		if err := r.do(order{run: arrive, meets: true}); err != nil {
			failed = err
			arrive(nil) // that loop has stopped, or has too much to do: the others must not wait for it
		}
	}
	return failed
}

// settle ends a meeting, and wakes the loops on which orders have waited for it.
func (io *Server) settle(number uint64) {
	io.meetings.end(number)
	for _, r := range io.reactors() {
		if r.holding.Load() {
			r.remote.Load().Wake()
		}
	}
}
