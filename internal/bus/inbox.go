// The queue between the goroutines that bring messages and the one that delivers them.

package bus

import (
	"context"
	"sync"
)

// Inbox is what has arrived for one node and waits for its Run: bounded, in order. It is what
// adapters build their Run from. Any goroutine.
type Inbox struct {
	closed  chan struct{} // closed by Close
	arrived chan struct{} // holds a token when the queue may have something for Run
	once    sync.Once

	mu      sync.Mutex // guards the fields below
	running bool
	queue   []Arrival // for Run; nothing is queued while nobody runs
	bytes   int       // in the queue, and not over InboxBytesMax
}

// Arrival is a message that has arrived. Answered is called with what deliver returned; nil where
// nobody asked. It must not block.
type Arrival struct {
	Message
	Answered func(Tally)
}

// NewInbox returns an empty inbox.
func NewInbox() *Inbox {
	return &Inbox{closed: make(chan struct{}), arrived: make(chan struct{}, 1)}
}

func (a *Arrival) cost() int { return len(a.Topic) + len(a.Payload) + messageOverheadBytes }

// Put hands the messages of batch to Run, in order. It returns how many there was no room for,
// which are the last of them. What arrives while nobody runs is answered at once and forgotten.
func (b *Inbox) Put(batch []Arrival) (lost int) {
	if taken, running := b.enqueue(batch); running {
		return len(batch) - taken
	}
	for i := range batch {
		if batch[i].Answered != nil {
			batch[i].Answered(Tally{})
		}
	}
	return 0
}

func (b *Inbox) enqueue(batch []Arrival) (taken int, running bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.running {
		return 0, false
	}
	for ; taken < len(batch); taken++ {
		cost := batch[taken].cost()
		if b.bytes+cost > InboxBytesMax && b.bytes > 0 { // a message that is larger than the bound alone must pass too
			break
		}
		b.bytes += cost
	}
	b.queue = append(b.queue, batch[:taken]...)
	select {
	case b.arrived <- struct{}{}:
	default:
	}
	return taken, true
}

// take empties the queue into the returned slice; spare is used for the next one.
func (b *Inbox) take(spare []Arrival) []Arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch := b.queue
	b.queue, b.bytes = spare, 0
	return batch
}

// setRunning returns false if the inbox has a Run already.
func (b *Inbox) setRunning() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running {
		return false
	}
	b.running = true
	return true
}

// stop forgets what has not been delivered.
func (b *Inbox) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running, b.queue, b.bytes = false, nil, 0
}

// Run is a Bus's Run.
func (b *Inbox) Run(ctx context.Context, deliver func(Message) Tally) error {
	if b.IsClosed() {
		return ErrClosed
	}
	if !b.setRunning() {
		return ErrRunning
	}
	defer b.stop()
	var spare []Arrival
	for {
		batch := b.take(spare)
		for i := range batch {
			if ctx.Err() != nil || b.IsClosed() {
				return nil
			}
			tally := deliver(batch[i].Message)
			if batch[i].Answered != nil {
				batch[i].Answered(tally)
			}
		}
		clear(batch)
		if spare = batch[:0]; cap(spare) > inboxSpareMax {
			spare = nil
		}
		select {
		case <-b.arrived:
		case <-ctx.Done():
			return nil
		case <-b.closed:
			return nil
		}
	}
}

// inboxSpareMax bounds, in messages, the array that is kept for the next batch: a burst must not be
// paid for until the end of the process.
const inboxSpareMax = 4096

// IsClosed tells whether Close has been called.
func (b *Inbox) IsClosed() bool {
	select {
	case <-b.closed:
		return true
	default:
		return false
	}
}

// Close ends Run, and makes later ones return ErrClosed. It returns false if it has been called
// before.
func (b *Inbox) Close() (first bool) {
	b.once.Do(func() {
		close(b.closed)
		first = true
	})
	return first
}
