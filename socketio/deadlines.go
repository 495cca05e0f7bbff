// Deadlines of one loop: of acknowledgements, of clients that have not joined a namespace, of
// attachments. Loop only.

package socketio

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"c100k/netpoll"
)

// endOfRights stands in place of the number of an acknowledgement. Those count from 0, and get not
// so far.
const endOfRights = math.MaxUint64

// goneMin is how many deadlines of sockets that have left stay in the heap at least, so that it is
// not made again all the time.
const goneMin = 1024

// deadline is the time at which an acknowledgement fails with ErrTimeout, or at which the rights of
// a socket's client end.
type deadline struct {
	at     time.Duration
	socket *Socket
	ackID  uint64
}

// deadlines is a heap, the next one first. The deadline of an acknowledgement that has arrived
// stays in the heap until it is due, and then has no effect.
//
// The end of rights may be years away, so those of sockets that have left are removed, many at a
// time.
type deadlines struct {
	heap deadlineHeap
	gone int // ends of the rights of sockets that have left
}

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

// left is called when a socket leaves that has an end of its rights in the heap.
func (d *deadlines) left() {
	if d.gone++; d.gone < goneMin || d.gone < len(d.heap)/2 {
		return
	}
	d.heap = slices.DeleteFunc(d.heap, func(one deadline) bool { return one.ackID == endOfRights && one.socket.state != socketConnected })
	heap.Init(&d.heap)
	d.gone = 0
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
	one := heap.Pop(&d.heap).(deadline)
	if one.ackID == endOfRights && one.socket.state != socketConnected {
		d.gone--
	}
	return one, true
}

// timeouts is a queue of clients, each with a deadline for something that the client must do. All
// get the same time for it, so the queue is in order. A client that has done it stays in the queue
// until its deadline.
type timeouts struct {
	queue []timeout
	head  int
}

type timeout struct {
	at      time.Duration
	session netpoll.ID
}

func (q *timeouts) add(at time.Duration, session netpoll.ID) {
	if q.head > len(q.queue)/2 {
		q.queue = append(q.queue[:0], q.queue[q.head:]...)
		q.head = 0
	}
	q.queue = append(q.queue, timeout{at, session})
}

func (q *timeouts) next() (time.Duration, bool) {
	if q.head == len(q.queue) {
		return 0, false
	}
	return q.queue[q.head].at, true
}

// due takes the first whose time has come.
func (q *timeouts) due(now time.Duration) (netpoll.ID, bool) {
	if at, ok := q.next(); !ok || at > now {
		return 0, false
	}
	session := q.queue[q.head].session
	if q.head++; q.head == len(q.queue) {
		q.queue, q.head = nil, 0 // free the memory after a burst of connections
	}
	return session, true
}
