// Deadlines of one loop: of acknowledgements, and of clients that have not joined a namespace. Loop only.

package socketio

import (
	"container/heap"
	"time"

	"c100k/netpoll"
)

// deadline is when an acknowledgement is given up.
type deadline struct {
	at     time.Duration
	socket *Socket
	ackID  uint64
}

// deadlines is a heap, the next one first. One whose acknowledgement has come stays until it is due, and then finds nothing.
type deadlines struct{ heap deadlineHeap }

type deadlineHeap []deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h deadlineHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *deadlineHeap) Push(x any) { *h = append(*h, x.(deadline)) }

// Pop is for package heap.
func (h *deadlineHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = deadline{}
	*h = (*h)[:last]
	return d
}

func (d *deadlines) add(at time.Duration, s *Socket, id uint64) {
	heap.Push(&d.heap, deadline{at, s, id})
}

// next is the time of the first deadline.
func (d *deadlines) next() (time.Duration, bool) {
	if len(d.heap) == 0 {
		return 0, false
	}
	return d.heap[0].at, true
}

// due takes the first deadline, if its time has come.
func (d *deadlines) due(now time.Duration) (deadline, bool) {
	if at, ok := d.next(); !ok || at > now {
		return deadline{}, false
	}
	return heap.Pop(&d.heap).(deadline), true
}

// joining is the queue of clients that have opened a connection, each with the time until which it has to join a namespace. All have the
// same time, so the queue is in order. One that has joined stays until then.
type joining struct {
	queue []joiner
	head  int
}

type joiner struct {
	at      time.Duration
	session netpoll.ID
}

func (j *joining) add(at time.Duration, session netpoll.ID) {
	if j.head > len(j.queue)/2 {
		j.queue = append(j.queue[:0], j.queue[j.head:]...)
		j.head = 0
	}
	j.queue = append(j.queue, joiner{at, session})
}

func (j *joining) next() (time.Duration, bool) {
	if j.head == len(j.queue) {
		return 0, false
	}
	return j.queue[j.head].at, true
}

// due takes the first whose time has come.
func (j *joining) due(now time.Duration) (netpoll.ID, bool) {
	if at, ok := j.next(); !ok || at > now {
		return 0, false
	}
	session := j.queue[j.head].session
	if j.head++; j.head == len(j.queue) {
		j.queue, j.head = nil, 0 // a quiet server keeps nothing of a storm
	}
	return session, true
}
