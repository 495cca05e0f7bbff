// How other goroutines reach a loop.

package netpoll

import "sync/atomic"

// Remote is the any-goroutine face of a loop. It may be kept.
type Remote struct {
	tasks    atomic.Pointer[task] // newest first; &closedMailbox when the loop has ended
	depth    atomic.Int32
	asleep   atomic.Bool // the loop is about to block, or blocks
	wanted   atomic.Bool // Wake was called since the last phase 6 began
	stopping atomic.Bool
	load     atomic.Int32 // connections, those on their way included
	wake     func()
}

type task struct {
	next *task
	run  func(*Loop)
	id   ID // not 0: runs for this connection, if it is still there
	with func(*Loop, *Conn)
}

// closedMailbox stands where no task may be put any more.
var closedMailbox task

// Post runs f on the loop, in the order of posting. True means that f will run,
// also if the loop is being stopped meanwhile; false that it will not, for the
// loop is stopping or its mailbox is full. It costs one atomic exchange, and one
// system call only when the loop sleeps. Any goroutine.
func (r *Remote) Post(f func(*Loop)) bool { return r.push(&task{run: f}) }

// PostTo runs f for a connection on its loop; if the connection has closed by
// then, nothing happens. The Remote must be that of the ID's loop. Any
// goroutine.
func (r *Remote) PostTo(id ID, f func(*Loop, *Conn)) bool {
	return r.push(&task{id: id, with: f})
}

// Wake makes a turn run soon, for work that was queued elsewhere (phase 6). Any
// goroutine.
func (r *Remote) Wake() {
	r.wanted.Store(true)
	r.wakeIfAsleep()
}

// Asleep tells whether the loop waits for events, or is about to. A loop that is not asleep and
// does not end its turn (Stats.Turns) is stuck in a call. Any goroutine.
func (r *Remote) Asleep() bool { return r.asleep.Load() }

// Load is how many connections the loop has, those on their way to it included.
// Any goroutine.
func (r *Remote) Load() int { return int(r.load.Load()) }

func (r *Remote) push(t *task) bool {
	if r.stopping.Load() {
		return false
	}
	if r.depth.Add(1) > mailboxTasksMax {
		r.depth.Add(-1)
		return false
	}
	for {
		t.next = r.tasks.Load()
		if t.next == &closedMailbox { // stopped since we looked
			r.depth.Add(-1)
			return false
		}
		if r.tasks.CompareAndSwap(t.next, t) {
			break
		}
	}
	r.wakeIfAsleep()
	return true
}

// wakeIfAsleep wakes the loop if it sleeps. No wake-up is lost: the loop sets asleep
// and then looks at tasks and wanted; we set those and then look at asleep. One
// of the two sees the other.
func (r *Remote) wakeIfAsleep() {
	if r.asleep.Load() && r.asleep.CompareAndSwap(true, false) {
		r.wake()
	}
}

// take returns all that was posted, oldest first. Loop only.
func (r *Remote) take() *task {
	if r.tasks.Load() == nil {
		return nil
	}
	return reverse(r.tasks.Swap(nil))
}

// close returns what take would, and refuses later posts. Loop only.
func (r *Remote) close() *task { return reverse(r.tasks.Swap(&closedMailbox)) }

func reverse(t *task) (first *task) {
	for t != nil {
		next := t.next
		t.next = first
		first, t = t, next
	}
	return first
}

// concat is a followed by b.
func concat(a, b *task) *task {
	if a == nil {
		return b
	}
	last := a
	for last.next != nil {
		last = last.next
	}
	last.next = b
	return a
}
