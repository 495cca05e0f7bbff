// The queue: messages on their way into a store that several processes use.

package history

import (
	"sync"
	"time"
)

// Waiting is a message whose publish is not done.
type Waiting struct {
	Append
	Topic  string
	Forget bool          // it is a mark that all before it is forgotten
	Since  time.Duration // when it came, on the clock of the hub
	Bytes  int           // that it counts in the queue

	number uint32 // immutable after Put

	// Guarded by Queue.mu.
	sent   bool
	stored uint64 // its offset, when the store has said it
}

// Number is by what the queue knows the message, from Put on.
func (p *Waiting) Number() uint32 { return p.number }

// Finish ends the publish. Nobody else may have the message: it was taken out of its queue.
func (p *Waiting) Finish(a Appended) {
	if p.Done != nil {
		p.Done(a)
	}
}

// Queue holds the messages of a process that are on their way into a store. Any goroutine.
type Queue struct {
	// Kick holds a token when Next may have something.
	Kick chan struct{}

	window int // immutable

	mu      sync.Mutex // guards the fields below
	over    bool
	last    uint32
	waiting map[uint32]*Waiting
	queue   []*Waiting // not sent yet
	oldest  []*Waiting // of waiting, by Since; some are done
	open    int        // sent and not answered
	bytes   int
}

// NewQueue returns a queue of which so many messages may be sent and not answered.
func NewQueue(window int) *Queue {
	return &Queue{window: window, Kick: make(chan struct{}, 1), waiting: make(map[uint32]*Waiting)}
}

func (q *Queue) wake() {
	select {
	case q.Kick <- struct{}{}:
	default:
	}
}

// Put takes one in. It returns ErrFull if too much waits, and ErrAway after Close.
func (q *Queue) Put(p *Waiting) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.over:
		return ErrAway
	case len(q.waiting) >= AppendsMax || q.bytes+p.Bytes > AppendBytesMax && q.bytes > 0:
		return ErrFull
	}
	q.last++
	for q.waiting[q.last] != nil {
		q.last++
	}
	p.number = q.last
	q.waiting[p.number] = p
	q.bytes += p.Bytes
	q.queue = append(q.queue, p)
	q.oldest = append(q.oldest, p)
	q.wake()
	return nil
}

// Next appends to spare as many as may be sent now.
func (q *Queue) Next(spare []*Waiting) []*Waiting {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.queue), q.window-q.open)
	batch := append(spare, q.queue[:n]...)
	clear(q.queue[:n])
	if q.queue = q.queue[n:]; len(q.queue) == 0 {
		q.queue = nil
	}
	for _, p := range batch {
		p.sent = true
	}
	q.open += n
	return batch
}

// Answer notes that the store has the message of that number, at an offset; nil if nobody waits for
// it any more.
func (q *Queue) Answer(number uint32, offset uint64) *Waiting {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.waiting[number]
	if p == nil || p.stored != 0 {
		return p
	}
	p.stored = offset
	q.answered(p)
	return p
}

// answered counts an answer. The caller has mu.
func (q *Queue) answered(p *Waiting) {
	if !p.sent {
		return
	}
	p.sent = false
	if q.open--; q.open == q.window-1 || len(q.queue) > 0 {
		q.wake()
	}
}

// Take takes one out: its publish is done. Nil: nobody waits for it any more.
func (q *Queue) Take(number uint32) *Waiting {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remove(q.waiting[number])
}

func (q *Queue) remove(p *Waiting) *Waiting {
	if p != nil {
		delete(q.waiting, p.number)
		q.bytes -= p.Bytes
		q.answered(p)
	}
	return p
}

// Late takes out those that have come before a time.
func (q *Queue) Late(limit time.Duration) (list []*Waiting) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for ; n < len(q.oldest); n++ {
		p := q.oldest[n]
		if q.waiting[p.number] != p {
			continue
		}
		if p.Since > limit {
			break
		}
		list = append(list, q.remove(p))
	}
	if n > 0 {
		clear(q.oldest[:n])
		q.oldest = q.oldest[n:]
	}
	if len(list) > 0 { // those that were not sent are not to be
		kept := q.queue[:0]
		for _, p := range q.queue {
			if q.waiting[p.number] == p {
				kept = append(kept, p)
			}
		}
		clear(q.queue[len(kept):])
		q.queue = kept
	}
	return list
}

// Close refuses what comes from now on.
func (q *Queue) Close() {
	q.mu.Lock()
	q.over = true
	q.mu.Unlock()
	q.wake()
}

// FailAll takes out all and ends them with an error.
func (q *Queue) FailAll(err error) {
	q.mu.Lock()
	list := make([]*Waiting, 0, len(q.waiting))
	for _, p := range q.waiting {
		list = append(list, p)
	}
	clear(q.waiting)
	q.queue, q.oldest = nil, nil
	q.mu.Unlock()
	for _, p := range list {
		p.Finish(Appended{Err: err})
	}
}

// Stored is the offset that the store has given the message, 0 if it has not said so. The message
// was taken out of its queue.
func (p *Waiting) Stored() uint64 { return p.stored }
