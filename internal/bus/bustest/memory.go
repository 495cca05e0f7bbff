// A bus in memory, for tests: nodes that live in one process. It shows that the conformance test
// can be passed without a broker.

package bustest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/bus"
)

// Memory is a network of nodes in one process. The zero value is ready to use.
type Memory struct {
	mu    sync.RWMutex // guards the fields below
	nodes []*memoryNode
	last  uint64 // id that was given last
}

// Join adds a node and returns its Bus. Any goroutine.
func (m *Memory) Join() bus.Bus {
	n := &memoryNode{network: m, inbox: bus.NewInbox(), questions: make(map[*question]struct{})}
	m.mu.Lock()
	m.last++
	n.id = m.last
	m.nodes = append(m.nodes, n)
	m.mu.Unlock()
	return n
}

// leave takes n out of the network.
func (m *Memory) leave(n *memoryNode) {
	m.mu.Lock()
	m.nodes = slices.DeleteFunc(m.nodes, func(other *memoryNode) bool { return other == n })
	m.mu.Unlock()
}

// memoryNode is one node's Bus.
type memoryNode struct {
	network *Memory
	id      uint64
	inbox   *bus.Inbox

	sent, received, missed, unsent atomic.Uint64

	mu        sync.Mutex // guards the fields below
	questions map[*question]struct{}
}

// Publish puts m in the inbox of each other node that runs. It returns bus.ErrFull if one of them
// had no room; the others have it then.
func (n *memoryNode) Publish(ctx context.Context, m bus.Message) error {
	if err := n.mayPublish(ctx); err != nil {
		return err
	}
	m.From = n.id
	n.network.mu.RLock()
	defer n.network.mu.RUnlock()
	full := false
	for _, other := range n.network.nodes {
		if other != n && !other.hear(bus.Arrival{Message: m}) {
			full = true
		}
	}
	if full {
		n.unsent.Add(1)
		return bus.ErrFull
	}
	n.sent.Add(1)
	return nil
}

func (n *memoryNode) mayPublish(ctx context.Context) error {
	err := ctx.Err()
	if err == nil && n.inbox.IsClosed() {
		err = bus.ErrClosed
	}
	if err != nil {
		n.unsent.Add(1)
	}
	return err
}

// hear returns false if there is no room.
func (n *memoryNode) hear(a bus.Arrival) bool {
	if n.inbox.Put([]bus.Arrival{a}) == 0 {
		return true
	}
	n.missed.Add(1)
	return false
}

// Ask implements bus.Bus.
func (n *memoryNode) Ask(ctx context.Context, m bus.Message, done func(bus.Answer)) error {
	if err := n.mayPublish(ctx); err != nil {
		return err
	}
	m.From = n.id
	q := &question{node: n, done: done}
	q.deaf = !n.remember(q)
	n.put(q, m)
	n.sent.Add(1)
	q.begin() // without the network's lock: it may call done
	return nil
}

// put asks each other node, or only tells it.
func (n *memoryNode) put(q *question, m bus.Message) {
	n.network.mu.RLock()
	defer n.network.mu.RUnlock()
	for _, other := range n.network.nodes {
		if other == n {
			continue
		}
		q.asked()
		a := bus.Arrival{Message: m, Answered: q.answered}
		if q.deaf {
			a.Answered = nil
		}
		if !other.hear(a) || q.deaf {
			q.lost()
		}
	}
}

// remember returns false if too many questions wait, or the node has been closed meanwhile.
func (n *memoryNode) remember(q *question) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.questions == nil || len(n.questions) >= bus.AsksMax {
		return false
	}
	n.questions[q] = struct{}{}
	return true
}

// Send implements bus.Bus.
func (n *memoryNode) Send(ctx context.Context, to uint64, m bus.Message) error {
	if err := n.mayPublish(ctx); err != nil {
		return err
	}
	m.From = n.id
	n.network.mu.RLock()
	defer n.network.mu.RUnlock()
	err := bus.ErrNoNode
	for _, other := range n.network.nodes {
		if other.id != to || other == n {
			continue
		}
		if other.hear(bus.Arrival{Message: m}) {
			n.sent.Add(1)
			return nil
		}
		err = bus.ErrFull
	}
	n.unsent.Add(1)
	return err
}

// Node implements bus.Bus.
func (n *memoryNode) Node() uint64 { return n.id }

// Peers implements bus.Bus.
func (n *memoryNode) Peers() []bus.Peer {
	n.network.mu.RLock()
	defer n.network.mu.RUnlock()
	var peers []bus.Peer
	for _, other := range n.network.nodes {
		if other != n {
			peers = append(peers, bus.Peer{ID: other.id, Name: "memory"})
		}
	}
	return peers
}

// Run implements bus.Bus.
func (n *memoryNode) Run(ctx context.Context, deliver func(bus.Message) bus.Tally) error {
	return n.inbox.Run(ctx, func(m bus.Message) bus.Tally {
		n.received.Add(1)
		return deliver(m)
	})
}

// Health implements bus.Bus.
func (n *memoryNode) Health() bus.Health {
	h := bus.Health{
		Connected: !n.inbox.IsClosed(),
		Sent:      n.sent.Load(), Received: n.received.Load(), Missed: n.missed.Load(), Unsent: n.unsent.Load(),
	}
	if !h.Connected {
		h.Reason = "closed"
		return h
	}
	n.network.mu.RLock()
	defer n.network.mu.RUnlock()
	h.Peers = len(n.network.nodes) - 1
	return h
}

// Close implements bus.Bus.
func (n *memoryNode) Close() error {
	if !n.inbox.Close() {
		return nil
	}
	n.network.leave(n)
	n.mu.Lock()
	questions := n.questions
	n.questions = nil
	n.mu.Unlock()
	for q := range questions {
		q.end()
	}
	return nil
}

// question is an Ask that waits for its answers.
type question struct {
	node *memoryNode
	done func(bus.Answer)
	deaf bool // nobody is asked, for too many questions wait

	mu      sync.Mutex // guards the fields below
	waiting int        // nodes that have been asked and have not answered
	begun   bool       // all have been asked
	answer  bus.Answer
	timer   *time.Timer // while it waits
	over    bool
}

// asked notes that one node more is to answer.
func (q *question) asked() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting++
}

// answered takes one node's answer.
func (q *question) answered(t bus.Tally) {
	q.mu.Lock()
	q.waiting--
	q.answer.Add(t)
	q.answer.Nodes++
	q.endIfLast()
}

// lost notes that a node had no room for the message.
func (q *question) lost() {
	q.mu.Lock()
	q.waiting--
	q.answer.Silent++
	q.endIfLast()
}

// begin is called when all nodes have been asked.
func (q *question) begin() {
	q.mu.Lock()
	q.begun = true
	if q.waiting > 0 && !q.over {
		q.timer = time.AfterFunc(bus.AskTimeout, q.end)
	}
	q.endIfLast()
}

// endIfLast ends the question when all have answered. It is called with the lock, and gives
// it back.
func (q *question) endIfLast() {
	last := q.begun && q.waiting == 0
	q.mu.Unlock()
	if last {
		q.end()
	}
}

// end calls done, the first time.
func (q *question) end() {
	q.mu.Lock()
	if q.over {
		q.mu.Unlock()
		return
	}
	q.over = true
	q.answer.Silent += q.waiting
	if q.timer != nil {
		q.timer.Stop()
	}
	answer := q.answer
	q.mu.Unlock()
	q.node.forget(q)
	q.done(answer)
}

func (n *memoryNode) forget(q *question) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.questions, q)
}
