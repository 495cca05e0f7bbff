// A node on a bus that goes over packets: all but the connection to the broker.

package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var errTooManyNodes = errors.New("too many nodes on the bus")

// Core is the part of a Bus that does not depend on its broker: numbers, peers, questions and what
// waits to be sent. An adapter embeds it and is its [Carrier]. Any goroutine.
type Core struct {
	// immutable after Start
	id         uint64 // of this life of the node
	name       string
	log        *slog.Logger
	inbox      *Inbox
	carrier    Carrier
	receiveMax int // bytes of a packet; 0: any

	// any goroutine
	out        outbox
	asks       asks
	peers      peers
	probes     probes
	trouble    atomic.Pointer[string] // why there is no connection; nil while there is one
	nodesMu    sync.Mutex             // held while those who are there are counted and told to asks
	nodes      atomic.Int64           // other nodes that are there
	complained sync.Once
	peersLog   atomic.Bool  // nodes that come and go are logged
	lost       atomic.Int64 // when the connection was lost, in Unix nanoseconds; 0 while there is one

	sent, received, missed, unsent atomic.Uint64
	foreign                        atomic.Uint64 // bytes that came and are of no node

	changed chan struct{} // holds a token when a node has come or gone; for Meet
	stop    chan struct{} // closed by Close
	written chan struct{} // closed when the writer has ended
	timed   chan struct{} // closed when the clock has ended
	once    sync.Once

	// the goroutine of Receive
	batch []Arrival
	asked []uint64 // for each of batch: its sequence if it is a question, else 0
}

// NewCore returns a node of that name, 1 to NameBytesMax bytes, that is not connected yet. Packets
// for payloads of more than messageBytesMax bytes are ignored when they come; 0 takes all.
func NewCore(name string, messageBytesMax int, log *slog.Logger) (*Core, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	n := &Core{
		id: max(rand.Uint64(), 1), name: name, log: log, inbox: NewInbox(),
		out:     outbox{kick: make(chan struct{}, 1)},
		peers:   peers{byID: make(map[uint64]*peer)},
		changed: make(chan struct{}, 1), stop: make(chan struct{}),
		written: make(chan struct{}), timed: make(chan struct{}),
	}
	if messageBytesMax > 0 {
		n.receiveMax = max(MaxPayload(messageBytesMax), PacketBytesMax)
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	return n, nil
}

// NodeName is the name of the node that runs in process pid of this machine: HOST/PID.
func NodeName(pid int) string {
	host, err := os.Hostname()
	if err != nil || len(host) > NameBytesMax/2 {
		host = "localhost"
	}
	return host + "/" + strconv.Itoa(pid)
}

func checkName(name string) error {
	if len(name) < 1 || len(name) > NameBytesMax {
		return fmt.Errorf("bus: a node's name of %d bytes; allowed are 1 to %d", len(name), NameBytesMax)
	}
	return nil
}

// Start begins to send over c, which is connected and hears. Call it once. What c hears before may
// be passed on already.
func (n *Core) Start(c Carrier) {
	n.carrier = c
	n.probes.begin(time.Now())
	go n.write()
	go n.keepTime()
	n.out.present(true)
}

// Meet waits, for a short time, for the others to answer the hello of Start: the first Ask after it
// counts everybody.
func (n *Core) Meet(ctx context.Context) {
	all := time.NewTimer(helloWait)
	defer all.Stop()
	quiet := time.NewTimer(helloQuiet)
	defer quiet.Stop()
	for {
		select {
		case <-n.changed:
			quiet.Reset(helloQuiet)
		case <-quiet.C:
			return
		case <-all.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Publish implements Bus.
func (n *Core) Publish(ctx context.Context, m Message) error { return n.put(ctx, m, nil) }

// Ask implements Bus.
func (n *Core) Ask(ctx context.Context, m Message, done func(Answer)) error {
	return n.put(ctx, m, done)
}

// put queues m for the writer; done is not nil for a question.
func (n *Core) put(ctx context.Context, m Message, done func(Answer)) error {
	if err := n.mayPut(ctx, &m); err != nil {
		n.unsent.Add(1)
		return err
	}
	over, err := n.out.put(m, &n.asks, done)
	if err != nil {
		n.unsent.Add(1)
		return err
	}
	if over != nil {
		tell(over)
	}
	return nil
}

func (n *Core) mayPut(ctx context.Context, m *Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.inbox.IsClosed() {
		return ErrClosed
	}
	if !n.connected() {
		return ErrDisconnected
	}
	if len(m.Topic) > topicBytesMax {
		return fmt.Errorf("%w: a topic of %d bytes; allowed are %d", ErrTooLarge, len(m.Topic), topicBytesMax)
	}
	size := packetHeaderBytes + messageBytes(m)
	if most, name := n.carrier.PayloadBytesMax(); size > most {
		return fmt.Errorf("%w: %d bytes; the broker takes %d (its %s)", ErrTooLarge, size, most, name)
	}
	return nil
}

// topicBytesMax is what the one byte of a topic's length can say, and what package broadcast
// allows.
const topicBytesMax = 255

// frontBytesMax is the room for what a node puts in front of what a client has published, in bytes:
// the length of a subject, and the subject.
const frontBytesMax = 256

// MaxPayload is the largest packet of a message with a payload of up to messageBytesMax bytes.
func MaxPayload(messageBytesMax int) int {
	return packetHeaderBytes + messageBytes(&Message{}) + topicBytesMax + frontBytesMax + messageBytesMax
}

// Send implements Bus.
func (n *Core) Send(ctx context.Context, to uint64, m Message) error {
	err := n.mayPut(ctx, &m)
	if err == nil && !n.peers.isThere(to) {
		err = ErrNoNode
	}
	if err == nil {
		err = n.out.direct(to, m)
	}
	if err != nil {
		n.unsent.Add(1)
	}
	return err
}

// Node implements Bus.
func (n *Core) Node() uint64 { return n.id }

// Name is the node's name.
func (n *Core) Name() string { return n.name }

// Peers implements Bus.
func (n *Core) Peers() []Peer { return n.peers.list() }

// Latest is the number of the latest message: each of the others has heard or missed so many, if
// it was there from the beginning.
func (n *Core) Latest() uint64 { return n.out.latest() }

// Run implements Bus.
func (n *Core) Run(ctx context.Context, deliver func(Message) Tally) error {
	return n.inbox.Run(ctx, func(m Message) Tally {
		n.received.Add(1)
		return deliver(m)
	})
}

// Gone tells all nodes that the process of those of that name has ended: nobody waits for them any
// more. Call it before another node of the same name begins.
func (n *Core) Gone(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if n.peers.gone(name) {
		n.nodesChanged()
	}
	return n.out.gone(name)
}

// Health implements Bus.
func (n *Core) Health() Health {
	h := Health{
		Connected: true,
		Sent:      n.sent.Load(), Received: n.received.Load(), Missed: n.missed.Load(), Unsent: n.unsent.Load(),
		Peers: int(n.nodes.Load()),
	}
	var silent bool
	h.Probes, silent = n.probes.read(time.Now())
	switch why := n.trouble.Load(); {
	case n.inbox.IsClosed():
		h.Connected, h.Reason = false, "closed"
	case why != nil:
		h.Connected, h.Reason = false, *why
	case silent:
		h.Connected, h.Reason = false, "messages that this node sends do not come back"
	}
	return h
}

// Disconnected is called by the carrier when it has lost its connection; why is for an operator.
// Until Reconnected, nothing is taken.
func (n *Core) Disconnected(why string) {
	if n.trouble.Swap(&why) == nil && !n.Closed() {
		n.lost.Store(time.Now().UnixNano())
		n.log.Warn("the bus is disconnected; the node goes on alone and tries to come back", "why", why)
	}
}

// Reconnected is called by the carrier when it is connected and hears again.
func (n *Core) Reconnected() {
	now := time.Now()
	n.peers.excuse(now)
	n.probes.begin(now)
	n.trouble.Store(nil)
	n.out.present(true) // the others say what they have sent meanwhile, so that it can be counted

	// What was missed shows only when they have.
	args := []any{"unsent", n.unsent.Load()}
	if lost := n.lost.Swap(0); lost != 0 {
		args = append(args, "outage", now.Sub(time.Unix(0, lost)).Round(time.Millisecond))
	}
	n.log.Info("the bus is connected again", args...)
}

// LogPeers has nodes that come and go logged from here on, those that are there first; an outage
// has its length. Of several processes that are one node, one calls it.
func (n *Core) LogPeers() { n.peersLog.Store(true) }

// logNews logs which nodes have come and gone. Beyond newsMax it says only how many.
func (n *Core) logNews(now time.Time) {
	if !n.peersLog.Load() {
		return
	}
	news := n.peers.news(now)
	if more := len(news) - newsMax; more > 0 {
		n.log.Info("more nodes have come or gone", "nodes", more)
		news = news[:newsMax]
	}
	for _, one := range news {
		level, args := slog.LevelInfo, []any{"node", one.name}
		switch one.what {
		case peerSilent:
			level, args = slog.LevelWarn, append(args, "for", one.silent.Round(time.Millisecond))
		case peerDead:
			level = slog.LevelWarn
		case peerBack:
			args = append(args, "outage", one.silent.Round(time.Millisecond))
		}
		n.log.Log(context.Background(), level, string(one.what), args...)
	}
}

func (n *Core) connected() bool { return n.trouble.Load() == nil }

// Closed tells whether Close has been called.
func (n *Core) Closed() bool { return n.inbox.IsClosed() }

// Close implements Bus, and closes the carrier. A Core that was never started must not be closed.
func (n *Core) Close() error {
	n.once.Do(func() {
		n.inbox.Close()
		n.out.close()
		close(n.stop)
		tell(n.asks.close()...)
		wait(n.written, 2*CloseTimeout)
		n.carrier.Close() // and a writer that still waits gets an error
		<-n.written
		<-n.timed
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
