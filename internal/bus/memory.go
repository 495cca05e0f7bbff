// A bus in memory, for nodes that live in one process: tests, and a node alone.

package bus

import (
	"context"
	"slices"
	"sync"
)

// Memory is a network of nodes in one process. The zero value is ready to use.
type Memory struct {
	mu    sync.RWMutex // guards the field below
	nodes []*memoryNode
}

// Join adds a node and returns its Bus. Any goroutine.
func (m *Memory) Join() Bus {
	n := &memoryNode{network: m, closed: make(chan struct{}), arrived: make(chan struct{}, 1)}
	m.mu.Lock()
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
	closed  chan struct{} // closed by Close
	arrived chan struct{} // holds a token when the queue may have something for Run
	once    sync.Once

	mu      sync.Mutex // guards the fields below
	running bool
	queue   []Message // for Run; nothing is queued while nobody runs
	bytes   int       // in the queue, and not over QueueBytesMax
}

func (n *memoryNode) isClosed() bool {
	select {
	case <-n.closed:
		return true
	default:
		return false
	}
}

// Publish puts m in the queue of each other node that runs. It returns ErrFull if one of them had no room;
// the others have it then.
func (n *memoryNode) Publish(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.isClosed() {
		return ErrClosed
	}
	n.network.mu.RLock()
	defer n.network.mu.RUnlock()
	full := false
	for _, other := range n.network.nodes {
		if other != n && !other.enqueue(m) {
			full = true
		}
	}
	if full {
		return ErrFull
	}
	return nil
}

func cost(m Message) int { return len(m.Topic) + len(m.Payload) + messageOverheadBytes }

// enqueue returns false if there is no room.
func (n *memoryNode) enqueue(m Message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running {
		return true // a node that does not run hears nothing
	}
	if n.bytes+cost(m) > QueueBytesMax {
		return false
	}
	n.bytes += cost(m)
	n.queue = append(n.queue, m)
	select {
	case n.arrived <- struct{}{}:
	default:
	}
	return true
}

// take empties the queue into the returned slice.
func (n *memoryNode) take() []Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	batch := n.queue
	n.queue, n.bytes = nil, 0
	return batch
}

// setRunning returns false if the node runs already.
func (n *memoryNode) setRunning() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running {
		return false
	}
	n.running = true
	return true
}

// stop forgets what has not been delivered.
func (n *memoryNode) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running, n.queue, n.bytes = false, nil, 0
}

// Run implements Bus.
func (n *memoryNode) Run(ctx context.Context, deliver func(Message)) error {
	if n.isClosed() {
		return ErrClosed
	}
	if !n.setRunning() {
		return ErrRunning
	}
	defer n.stop()
	for {
		for _, m := range n.take() {
			if ctx.Err() != nil || n.isClosed() {
				return nil
			}
			deliver(m)
		}
		select {
		case <-n.arrived:
		case <-ctx.Done():
			return nil
		case <-n.closed:
			return nil
		}
	}
}

// Close implements Bus.
func (n *memoryNode) Close() error {
	n.once.Do(func() {
		close(n.closed)
		n.network.leave(n)
	})
	return nil
}
