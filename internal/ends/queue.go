// Ends on their way from the loops to the goroutine that keeps them.

package ends

import "sync/atomic"

// QueueMax bounds the ends in a Queue. Beyond it an end is not taken: a loop does not wait.
const QueueMax = 16 << 10

// Queue takes ends from loops: many Put, one takes All. It has memory for those that wait and for
// no others: nearly always it is empty, and a channel with room for QueueMax ends is 2 MB, which
// the process may have to fill with zeros. Made by NewQueue.
type Queue struct {
	// Ready has a value after a Put, until All is called.
	Ready chan struct{}

	newest atomic.Pointer[queued] // any goroutine
	n      atomic.Int32           // at most QueueMax
}

type queued struct {
	End
	before *queued
}

// NewQueue returns an empty queue.
func NewQueue() *Queue { return &Queue{Ready: make(chan struct{}, 1)} }

// Put puts e at the end, and does not wait. False: there is no room. Any goroutine.
func (q *Queue) Put(e *End) bool {
	if q.n.Add(1) > QueueMax {
		q.n.Add(-1)
		return false
	}
	item := &queued{End: *e}
	for {
		item.before = q.newest.Load()
		if q.newest.CompareAndSwap(item.before, item) {
			break
		}
	}
	select {
	case q.Ready <- struct{}{}:
	default: // the reader is told already
	}
	return true
}

// All takes what is in the queue, and gives each to f, oldest first. One goroutine.
func (q *Queue) All(f func(*End)) {
	var oldest *queued
	for item := q.newest.Swap(nil); item != nil; {
		item.before, oldest, item = oldest, item, item.before
	}
	for item := oldest; item != nil; item = item.before {
		q.n.Add(-1)
		f(&item.End)
	}
}
