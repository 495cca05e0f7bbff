// The moves that wait for a link: a bounded queue, and one goroutine that sends, so that who hands
// a connection over never waits.

package workers

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// moves are those that wait for one link. Any goroutine.
type moves struct {
	link  *Link
	queue chan outgoing
	ended chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex // guards the field below, and that nothing is queued once it is set
	closed bool
}

// outgoing is a move that waits.
type outgoing struct {
	*move
	until time.Time
	gone  func(sent bool)
}

// newMoves starts the goroutine, which ends with close.
func newMoves(l *Link) *moves {
	q := &moves{link: l, queue: make(chan outgoing, movesWaitingMax), ended: make(chan struct{})}
	go q.run()
	return q
}

// add queues a move, whose descriptor is then the queue's. gone is called once, by another
// goroutine: with true when the descriptor is on its way and closed here, with false when it could
// not be sent and is the caller's again. False, having done nothing, if the queue is full or
// closed.
func (q *moves) add(m *move, gone func(sent bool)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	select {
	case q.queue <- outgoing{m, time.Now().Add(moveTimeout), gone}:
		return true
	default:
		return false
	}
}

// run sends what is queued, and gives back what cannot be sent.
func (q *moves) run() {
	defer close(q.ended)
	var packet []byte
	for o := range q.queue {
		packet = appendMove(packet[:0], o.move)
		sent := time.Now().Before(o.until) && q.link.pass(packet, o.FD, o.until) == nil
		if sent {
			unix.Close(o.FD)
		}
		o.gone(sent)
	}
}

// close gives back what waits. The link is closed already, so that nothing waits for it.
func (q *moves) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.queue)
	}
	q.mu.Unlock()
	<-q.ended
}
