// What the parts of a node say to their counterparts on the other nodes, beside topics.

package bus

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kinds of messages that belong to a Channel. Those of topics (broadcast.Kind) are below
// KindChannels; a node that has no receiver for a kind ignores it.
const (
	KindChannels uint8 = 200 + iota
	KindPresence
	KindSocketIO
	KindFigures
	KindHistory
	KindForward

	// KindUsers is older than channels, and has its own way.
	KindUsers = KindChannels
)

// Receiver gets what another node has sent on a channel. answer is nil where nobody waits;
// otherwise it must be called once, with a payload that nobody changes any more. It may be called
// later, on any goroutine. The receiver itself runs on the goroutine of the bus's Run, one message
// at a time, and must not block; it may keep payload, and must not change it.
type Receiver func(from uint64, payload []byte, answer func(payload []byte))

// Channels are those of one node on one bus. Any goroutine.
type Channels struct {
	bus Bus

	mu     sync.Mutex // guards the fields below
	byKind map[uint8]Receiver
	calls  map[uint64]*call
	last   uint64 // id of the latest call
	closed bool
}

// NewChannels returns the channels of a node on b. The node's deliver passes on to Deliver what is
// of a kind of theirs.
func NewChannels(b Bus) *Channels {
	return &Channels{bus: b, byKind: make(map[uint8]Receiver), calls: make(map[uint64]*call)}
}

// Open opens the channel of a kind, which is one of the constants; what has arrived before is lost.
// A kind can be opened once: a second time replaces the receiver.
func (cs *Channels) Open(kind uint8, r Receiver) *Channel {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.byKind[kind] = r
	return &Channel{all: cs, kind: kind}
}

// Channel is how one part of a node reaches its counterparts. Any goroutine; no method blocks.
type Channel struct {
	all  *Channels
	kind uint8
}

// Node returns the id of this node.
func (c *Channel) Node() uint64 { return c.all.bus.Node() }

// Peers returns the other nodes that are there. Not all of them need to have this channel.
func (c *Channel) Peers() []Peer { return c.all.bus.Peers() }

// Publish sends payload to the receivers of all other nodes, in the order of the calls; errors are
// those of Bus.Publish.
func (c *Channel) Publish(payload []byte) error {
	return c.all.bus.Publish(context.Background(), Message{Kind: c.kind, Payload: payload})
}

// Send sends payload to the receiver of one other node; errors are those of Bus.Send.
func (c *Channel) Send(to uint64, payload []byte) error {
	return c.all.bus.Send(context.Background(), to, Message{Kind: c.kind, Payload: payload})
}

// Reply is what one node has answered to a call.
type Reply struct {
	From    uint64
	Payload []byte
}

// Call sends payload to all other nodes, and calls done once, on any goroutine, with what they have
// answered: when each has answered or gone, or after timeout, at most CallTimeoutMax. silent are
// the ids of nodes that were there and have not answered, in any order. Nodes without a receiver of
// this channel are in neither list. done must not block. If Call returns an error, done is not
// called.
func (c *Channel) Call(payload []byte, timeout time.Duration, done func(replies []Reply, silent []uint64)) error {
	cs := c.all
	q := &call{channels: cs, due: time.Now().Add(min(timeout, CallTimeoutMax)), done: done}
	for _, p := range cs.bus.Peers() {
		q.left = append(q.left, p.ID)
	}
	if len(q.left) == 0 {
		done(nil, nil)
		return nil
	}
	if err := cs.begin(q); err != nil {
		return err
	}
	err := cs.bus.Publish(context.Background(), Message{Topic: callTopic(callAsks, q.id), Kind: c.kind, Payload: payload})
	if err != nil && cs.forget(q.id) {
		return err
	}
	q.check()
	return nil
}

// The topic of a call's messages: what it is, and the id of the call.
const (
	callAsks   byte = '?'
	callAnswer byte = '!'
	callAbsent byte = '-' // no receiver here
	callFailed byte = 'x' // the answer could not be sent
	callBytes       = 1 + 8
)

func callTopic(what byte, id uint64) string {
	var t [callBytes]byte
	t[0] = what
	binary.BigEndian.PutUint64(t[1:], id)
	return string(t[:])
}

// call is a Call that waits. Its lock is that of its Channels.
type call struct {
	channels *Channels
	id       uint64
	due      time.Time
	left     []uint64 // nodes that have not answered
	silent   []uint64
	replies  []Reply
	bytes    int // of replies
	timer    *time.Timer
	done     func([]Reply, []uint64)
}

// begin gives q an id, if there is room for it.
func (cs *Channels) begin(q *call) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case cs.closed:
		return ErrClosed
	case len(cs.calls) >= CallsMax:
		return ErrFull
	}
	cs.last++
	q.id = cs.last
	cs.calls[q.id] = q
	return nil
}

// forget takes a call out; it returns false if it is over.
func (cs *Channels) forget(id uint64) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	_, waits := cs.calls[id]
	delete(cs.calls, id)
	return waits
}

// check ends the call if there is nobody to wait for, and comes back later if there is.
func (q *call) check() {
	cs := q.channels
	peers := cs.bus.Peers()
	gone := func(id uint64) bool {
		return !slices.ContainsFunc(peers, func(p Peer) bool { return p.ID == id })
	}
	cs.mu.Lock()
	for _, id := range q.left {
		if gone(id) {
			q.silent = append(q.silent, id)
		}
	}
	q.left = slices.DeleteFunc(q.left, gone)
	wait := time.Until(q.due)
	over := q.overWhen(len(q.left) == 0 || wait <= 0)
	if _, waits := cs.calls[q.id]; waits {
		q.timer = time.AfterFunc(min(wait, callCheckEvery), q.check)
	}
	cs.mu.Unlock()
	over.end()
}

// overWhen takes the call out if yes, and returns it if the caller must end it, without the lock.
func (q *call) overWhen(yes bool) *call {
	if _, waits := q.channels.calls[q.id]; !yes || !waits {
		return nil
	}
	delete(q.channels.calls, q.id)
	if q.timer != nil {
		q.timer.Stop()
	}
	q.silent = append(q.silent, q.left...)
	return q
}

// end calls done of a call that overWhen has returned.
func (q *call) end() {
	if q != nil {
		q.done(q.replies, q.silent)
	}
}

// answered takes what a node has said to a call. Answers that nobody waits for are ignored.
func (cs *Channels) answered(what byte, id uint64, m *Message) {
	cs.mu.Lock()
	q := cs.calls[id]
	i := -1
	if q != nil {
		i = slices.Index(q.left, m.From)
	}
	if i < 0 {
		cs.mu.Unlock()
		return
	}
	q.left = slices.Delete(q.left, i, i+1)
	switch {
	case what == callFailed, what == callAnswer && q.bytes+len(m.Payload) > CallBytesMax:
		q.silent = append(q.silent, m.From)
	case what == callAnswer:
		q.bytes += len(m.Payload)
		q.replies = append(q.replies, Reply{From: m.From, Payload: m.Payload})
	}
	over := q.overWhen(len(q.left) == 0)
	cs.mu.Unlock()
	over.end()
}

// Deliver passes a message on to the receiver of its kind. It is called by the function that the
// node gives to Bus.Run.
func (cs *Channels) Deliver(m Message) {
	if m.Topic == "" {
		if r := cs.receiver(m.Kind); r != nil {
			r(m.From, m.Payload, nil)
		}
		return
	}
	if len(m.Topic) != callBytes {
		return // of a later version, or not of ours
	}
	what, id := m.Topic[0], binary.BigEndian.Uint64([]byte(m.Topic[1:]))
	switch what {
	case callAsks:
		cs.asked(id, &m)
	case callAnswer, callAbsent, callFailed:
		cs.answered(what, id, &m)
	}
}

func (cs *Channels) receiver(kind uint8) Receiver {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.byKind[kind]
}

// asked passes a call on. An answer that cannot be sent is said to have failed; where that cannot
// be sent either, the deadline of the call ends it.
func (cs *Channels) asked(id uint64, m *Message) {
	to, kind := m.From, m.Kind
	send := func(what byte, payload []byte) error {
		return cs.bus.Send(context.Background(), to, Message{Topic: callTopic(what, id), Kind: kind, Payload: payload})
	}
	r := cs.receiver(kind)
	if r == nil {
		_ = send(callAbsent, nil)
		return
	}
	var once atomic.Bool
	r(to, m.Payload, func(payload []byte) {
		if once.Swap(true) {
			return
		}
		if send(callAnswer, payload) != nil {
			_ = send(callFailed, nil)
		}
	})
}

// Close ends the calls that wait with what has come. Later ones return ErrClosed.
func (cs *Channels) Close() {
	cs.mu.Lock()
	cs.closed = true
	var over []*call
	for _, q := range cs.calls {
		over = append(over, q.overWhen(true))
	}
	cs.mu.Unlock()
	for _, q := range over {
		q.end()
	}
}
