// What loops have said, on its way to the table.

package presence

import "sync/atomic"

// said is a change in a queue.
type said struct {
	Change
	next *said
}

// queue has any number of writers and one reader. Neither takes a lock.
type queue struct {
	last  atomic.Pointer[said] // the newest; each has the one before it in next
	count atomic.Int64
}

func (q *queue) len() int64 { return q.count.Load() }

func (q *queue) push(c Change) {
	q.count.Add(1)
	s := &said{Change: c}
	for {
		s.next = q.last.Load()
		if q.last.CompareAndSwap(s.next, s) {
			return
		}
	}
}

// take empties the queue, and returns what was in it, the oldest first.
func (q *queue) take() (first *said) {
	n := int64(0)
	for s := q.last.Swap(nil); s != nil; n++ {
		next := s.next
		s.next, first = first, s
		s = next
	}
	q.count.Add(-n)
	return first
}
