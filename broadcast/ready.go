// The queue of a shard's topics that have something to do, filled by any goroutine.

package broadcast

import "sync/atomic"

// readyQueue is a first-in first-out list of rosters, linked through them: many push, one pops,
// nobody waits. (D. Vyukov's intrusive queue.) The stub is always in it or was popped last, so that
// it is never quite empty.
//
// Invariant: a roster is in the queue at most once. Who turns roster.ready from false to true may
// push it.
type readyQueue struct {
	head atomic.Pointer[roster] // any goroutine: the newest

	_ [cacheLineBytes]byte

	tail *roster // loop: the oldest
	stub roster
}

func (q *readyQueue) init() {
	q.head.Store(&q.stub)
	q.tail = &q.stub
}

// push puts r at the end. Any goroutine; who is not the loop wakes it afterwards.
func (q *readyQueue) push(r *roster) {
	r.queued.Store(nil)
	prev := q.head.Swap(r)
	prev.queued.Store(r)
}

// pop takes the oldest roster, or returns nil: then the queue is empty, or somebody is between the
// two steps of a push, and will wake the loop when it is done. Loop.
func (q *readyQueue) pop() *roster {
	r, next := q.tail, q.tail.queued.Load()
	if r == &q.stub {
		if next == nil {
			return nil
		}
		q.tail = next
		q.stub.queued.Store(nil)
		r, next = next, next.queued.Load()
	}
	if next == nil {
		if r != q.head.Load() {
			return nil
		}
		// r is the only one. The stub goes behind it, so that r can go.
		q.push(&q.stub)
		if next = r.queued.Load(); next == nil {
			return nil
		}
	}
	q.tail = next
	// A roster that lives on must not hold those that were behind it.
	r.queued.Store(nil)
	return r
}

// empty says that there is nothing to pop. Loop.
func (q *readyQueue) empty() bool {
	return q.tail == &q.stub && q.stub.queued.Load() == nil
}
