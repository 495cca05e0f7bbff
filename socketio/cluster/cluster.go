// The cluster: the adapters of all namespaces of a server, and what they have in common.

package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/siowire"
	"c100k/socketio"
)

// Cluster connects the namespaces of a server with those of the same names on other servers. All
// methods may be called on any goroutine.
type Cluster struct {
	// Immutable.
	form    form
	carrier carrier
	log     *slog.Logger
	timeout time.Duration // of requests

	counters counters

	mu     sync.RWMutex // guards the fields below
	bySub  map[subscription]*adapter
	closed bool
}

// form is a wire format, and the channels that it uses. Immutable.
type form interface {
	// uid makes the id of a server.
	uid() string

	// subscriptions are those of a namespace.
	subscriptions(a *adapter) []subscription

	// encode returns a message in the format, and the channel that it goes to.
	encode(m *siowire.Message) (channel string, p []byte)

	// decode reads a message of a channel. ok is false if it need not be handled: it is of the
	// namespace itself, or for a room without sockets here.
	decode(a *adapter, channel string, p []byte) (m siowire.Message, ok bool, err error)

	// probe returns a request that each server answers at once.
	probe(a *adapter, id string) siowire.Message
}

// carrier brings messages through channels. Any goroutine.
type carrier interface {
	// reserve takes space for a message of n bytes in the queue. It returns socketio.ErrBusy or
	// socketio.ErrClosed. It does not block.
	reserve(n int) error
	unreserve(n int)

	// publish queues a message, for which there is space. Messages go out in the order of the calls.
	// sent may be nil. It is called once, with the number of subscribers that the message has been
	// sent to, this server included; -1 if that is not known.
	publish(channel string, p []byte, sent func(receivers int, err error))

	subscribe(subs []subscription)
	unsubscribe(subs []subscription)

	// stop sends what is queued, for a short time, and ends.
	stop()
}

// subscription is a channel, or a pattern of channels.
type subscription struct {
	pattern bool
	name    string
}

// counters are what a cluster counts.
type counters struct {
	sent, unsent, received, refused, busy, disconnects atomic.Uint64
}

// Stats are counters of a cluster since its start.
type Stats struct {
	Sent        uint64 // messages that were handed on
	Unsent      uint64 // messages that could not be handed on, and are lost
	Received    uint64 // messages of other servers that were carried out
	Refused     uint64 // messages that were not of the format, or broke a limit
	Busy        uint64 // messages and answers that were dropped because a queue was full
	Disconnects uint64 // how often the connection that receives has ended; meanwhile messages are lost
}

// Stats returns the counters.
func (c *Cluster) Stats() Stats {
	n := &c.counters
	return Stats{
		Sent: n.sent.Load(), Unsent: n.unsent.Load(), Received: n.received.Load(), Refused: n.refused.Load(),
		Busy: n.busy.Load(), Disconnects: n.disconnects.Load(),
	}
}

func newCluster(f form, log *slog.Logger, timeout time.Duration) *Cluster {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if timeout <= 0 {
		timeout = requestTimeoutDefault
	}
	return &Cluster{form: f, log: log, timeout: timeout, bySub: map[subscription]*adapter{}}
}

// Adapter makes the adapter of a namespace. It is for socketio.Options.Adapter.
func (c *Cluster) Adapter(local *socketio.Local) socketio.Adapter {
	a := newAdapter(c, local)
	subs := c.form.subscriptions(a)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		a.closed.Store(true)
		return a
	}
	for _, s := range subs {
		c.bySub[s] = a
	}
	var of socketio.Adapter = a
	if f, ok := c.form.(streams); ok {
		of = f.logOf(a)
	}
	c.mu.Unlock()
	c.carrier.subscribe(subs)
	return of
}

// add subscribes a namespace to further channels, and remove ends that.
func (c *Cluster) add(a *adapter, subs ...subscription) {
	c.mu.Lock()
	for _, s := range subs {
		c.bySub[s] = a
	}
	c.mu.Unlock()
	c.carrier.subscribe(subs)
}

func (c *Cluster) remove(a *adapter, subs ...subscription) {
	c.mu.Lock()
	for _, s := range subs {
		if c.bySub[s] == a {
			delete(c.bySub, s)
		}
	}
	c.mu.Unlock()
	c.carrier.unsubscribe(subs)
}

// removeAll ends all subscriptions of a namespace.
func (c *Cluster) removeAll(a *adapter) {
	var subs []subscription
	c.mu.Lock()
	for s, of := range c.bySub {
		if of == a {
			subs = append(subs, s)
			delete(c.bySub, s)
		}
	}
	c.mu.Unlock()
	c.carrier.unsubscribe(subs)
}

// received takes a message of a channel. The carrier calls it for one message at a time.
func (c *Cluster) received(by subscription, channel string, p []byte) {
	c.mu.RLock()
	a := c.bySub[by]
	c.mu.RUnlock()
	if a == nil || a.closed.Load() {
		return
	}
	m, ok, err := c.form.decode(a, channel, p)
	if err != nil {
		c.refuse(a, err)
		return
	}
	if ok {
		c.counters.received.Add(1)
		a.handle(&m)
	}
}

// refuse counts a message that is not carried out.
func (c *Cluster) refuse(a *adapter, err error) {
	c.counters.refused.Add(1)
	c.log.Debug("a message of another Socket.IO server was refused", "namespace", a.nsp, "err", err)
}

// Close leaves the cluster: later calls of the adapters return socketio.ErrClosed. What was sent
// before still goes out, for at most a second. The server should be closed first.
func (c *Cluster) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	all := map[*adapter]bool{}
	for _, a := range c.bySub {
		all[a] = true
	}
	c.mu.Unlock()
	for a := range all {
		_ = a.Close() // always nil
	}
	c.carrier.stop()
	return nil
}

// randomID returns 16 hexadecimal digits.
func randomID() string {
	var p [8]byte
	rand.Read(p[:]) // never fails
	return hex.EncodeToString(p[:])
}
