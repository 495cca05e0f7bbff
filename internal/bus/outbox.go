// What waits to be sent.

package bus

import (
	"sync"
	"time"
)

// outgoing is a message on its way out.
type outgoing struct {
	Message
	sequence uint64
	question bool
}

func (o *outgoing) cost() int { return len(o.Topic) + len(o.Payload) + outgoingOverheadBytes }

// reply is an answer on its way to the node that asked.
type reply struct {
	to       uint64
	sequence uint64
	tally    Tally
	lost     bool
}

// direct is a message on its way to one node.
type direct struct {
	outgoing
	to uint64
}

// load is what the writer takes at once.
type load struct {
	messages    []outgoing
	directs     []direct
	gone        []string
	hello, beat bool
	probe       uint64 // number of a probe; 0 is none
	replies     []reply
	latest      uint64 // sequence of the last message there is
}

func (l *load) empty() bool {
	return len(l.messages) == 0 && len(l.directs) == 0 && len(l.gone) == 0 && !l.hello && !l.beat && l.probe == 0 && len(l.replies) == 0
}

// outbox is the queue of the writer. Any goroutine.
type outbox struct {
	kick chan struct{} // holds a token when there may be something to send

	mu     sync.Mutex // guards the fields below
	closed bool
	next   load
	bytes  int // of messages that wait or are being sent; over OutboxBytesMax only with one message alone
}

// put stamps m with the next number and takes it, if there is room. A question is begun under the
// same lock, so that it is known before it can be answered; if it is over at once, its ask is
// returned.
func (o *outbox) put(m Message, a *asks, done func(Answer)) (over *ask, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := outgoing{Message: m, sequence: o.next.latest + 1}
	switch {
	case o.closed:
		return nil, ErrClosed
	case o.bytes > 0 && o.bytes+out.cost() > OutboxBytesMax:
		return nil, ErrFull
	}
	if done != nil {
		over = a.begin(out.sequence, time.Now(), done)
		out.question = over == nil
	}
	o.next.latest = out.sequence
	o.bytes += out.cost()
	o.next.messages = append(o.next.messages, out)
	o.wake()
	return over, nil
}

// direct takes m for one node, if there is room.
func (o *outbox) direct(to uint64, m Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := direct{outgoing: outgoing{Message: m}, to: to}
	switch {
	case o.closed:
		return ErrClosed
	case o.bytes > 0 && o.bytes+out.cost() > OutboxBytesMax:
		return ErrFull
	}
	o.bytes += out.cost()
	o.next.directs = append(o.next.directs, out)
	o.wake()
	return nil
}

func (o *outbox) wake() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// answer queues an answer. Beyond AnswersMax it is lost: the node that asked takes us for silent.
func (o *outbox) answer(r reply) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed && len(o.next.replies) < AnswersMax {
		o.next.replies = append(o.next.replies, r)
		o.wake()
	}
}

// present queues a sign of life; hello asks the others for theirs.
func (o *outbox) present(hello bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if hello {
		o.next.hello = true
	} else {
		o.next.beat = true
	}
	o.wake()
}

// probe queues a probe; one that still waits has not been sent at all, and is forgotten.
func (o *outbox) probe(number uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.next.probe = number
		o.wake()
	}
}

// latest is the number of the last message that was taken.
func (o *outbox) latest() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.next.latest
}

// gone queues the news that a node has died.
func (o *outbox) gone(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return ErrClosed
	case len(o.next.gone) >= PeersMax:
		return ErrFull
	}
	o.next.gone = append(o.next.gone, name)
	o.wake()
	return nil
}

// take empties the outbox. The bytes of messages count until sent is called for them.
func (o *outbox) take() load {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.next
	o.next = load{latest: l.latest}
	return l
}

func (o *outbox) sent(bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= bytes
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}
