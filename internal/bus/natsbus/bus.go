// A node's connection to the others over NATS.

package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"c100k/internal/bus"
)

// subjectAll is what all nodes hear.
const subjectAll = "c100k.all"

// subjectOf is where a node hears the answers to what it has asked.
func subjectOf(id uint64) string { return "c100k.to." + strconv.FormatUint(id, 16) }

var errTooManyNodes = errors.New("too many nodes on the bus")

// Bus is one node's connection. Make one with Join; all methods may be called on any goroutine.
type Bus struct {
	// immutable after Join
	id    uint64 // of this life of the node
	name  string
	log   *slog.Logger
	conn  *nats.Conn
	inbox *bus.Inbox

	// any goroutine
	out        outbox
	asks       asks
	peers      peers
	maxPayload atomic.Int64           // of the server, in bytes
	trouble    atomic.Pointer[string] // why there is no connection; nil while there is one
	nodesMu    sync.Mutex             // held while those who are there are counted and told to asks
	nodes      atomic.Int64           // other nodes that are there
	complained sync.Once

	sent, received, missed, unsent atomic.Uint64

	changed chan struct{} // holds a token when a node has come or gone; for Join
	stop    chan struct{} // closed by Close
	written chan struct{} // closed when the writer has ended
	closed  chan struct{} // closed when the NATS client has ended
	once    sync.Once

	// the goroutine of receive
	batch []bus.Arrival
	asked []uint64 // for each of batch: its sequence if it is a question, else 0
}

var _ bus.Bus = (*Bus)(nil)

// Publish implements bus.Bus.
func (b *Bus) Publish(ctx context.Context, m bus.Message) error { return b.put(ctx, m, nil) }

// Ask implements bus.Bus.
func (b *Bus) Ask(ctx context.Context, m bus.Message, done func(bus.Answer)) error {
	return b.put(ctx, m, done)
}

// put queues m for the writer; done is not nil for a question.
func (b *Bus) put(ctx context.Context, m bus.Message, done func(bus.Answer)) error {
	if err := b.mayPut(ctx, &m); err != nil {
		b.unsent.Add(1)
		return err
	}
	over, err := b.out.put(m, &b.asks, done)
	if err != nil {
		b.unsent.Add(1)
		return err
	}
	if over != nil {
		tell(over)
	}
	return nil
}

func (b *Bus) mayPut(ctx context.Context, m *bus.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.inbox.IsClosed() {
		return bus.ErrClosed
	}
	if !b.connected() {
		return bus.ErrDisconnected
	}
	if len(m.Topic) > topicBytesMax {
		return fmt.Errorf("%w: a topic of %d bytes; allowed are %d", bus.ErrTooLarge, len(m.Topic), topicBytesMax)
	}
	size, most := int64(packetHeaderBytes+messageBytes(m)), b.maxPayload.Load()
	if size > most {
		return fmt.Errorf("%w: %d bytes; the NATS server takes %d (its max_payload)", bus.ErrTooLarge, size, most)
	}
	return nil
}

// topicBytesMax is what the one byte of a topic's length can say, and what package broadcast
// allows.
const topicBytesMax = 255

// Send implements bus.Bus.
func (b *Bus) Send(ctx context.Context, to uint64, m bus.Message) error {
	err := b.mayPut(ctx, &m)
	if err == nil && !b.peers.isThere(to) {
		err = bus.ErrNoNode
	}
	if err == nil {
		err = b.out.direct(to, m)
	}
	if err != nil {
		b.unsent.Add(1)
	}
	return err
}

// Node implements bus.Bus.
func (b *Bus) Node() uint64 { return b.id }

// Peers implements bus.Bus.
func (b *Bus) Peers() []bus.Peer { return b.peers.list() }

// Run implements bus.Bus.
func (b *Bus) Run(ctx context.Context, deliver func(bus.Message) bus.Tally) error {
	return b.inbox.Run(ctx, func(m bus.Message) bus.Tally {
		b.received.Add(1)
		return deliver(m)
	})
}

// Gone tells all nodes that the process of those of that name has ended: nobody waits for them any
// more. Call it before another node of the same name begins.
func (b *Bus) Gone(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if b.peers.gone(name) {
		b.nodesChanged()
	}
	return b.out.gone(name)
}

// Health implements bus.Bus.
func (b *Bus) Health() bus.Health {
	h := bus.Health{
		Connected: true,
		Sent:      b.sent.Load(), Received: b.received.Load(), Missed: b.missed.Load(), Unsent: b.unsent.Load(),
		Peers: int(b.nodes.Load()),
	}
	if b.inbox.IsClosed() {
		h.Connected, h.Reason = false, "closed"
	} else if why := b.trouble.Load(); why != nil {
		h.Connected, h.Reason = false, *why
	}
	return h
}

func (b *Bus) connected() bool { return b.trouble.Load() == nil }

// Close implements bus.Bus.
func (b *Bus) Close() error {
	b.once.Do(func() {
		b.inbox.Close()
		b.out.close()
		close(b.stop)
		tell(b.asks.close()...)
		wait(b.written, 2*closeTimeout)
		b.conn.Close() // and a writer that still waits gets an error
		<-b.written
		wait(b.closed, closeTimeout)
	})
	return nil
}

// wait waits for c to be closed, for a bounded time.
func wait(c <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
	}
}
