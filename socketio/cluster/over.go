// The form over any bus: that of c100k alone, without Redis.

package cluster

import (
	"encoding/binary"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/siowire"
	"c100k/socketio"
)

// Link connects servers over a bus of the program's own. Its methods may be called on any
// goroutine, event loops among them, and must not block. Each message arrives at most once, and
// those of one server in the order in which they were sent.
type Link interface {
	// Node is the id of this server. Each server of the bus has another one.
	Node() uint64

	// Peers are the ids of the other servers that are there.
	Peers() []uint64

	// Publish sends a message to all other servers. It may keep p.
	Publish(p []byte) error

	// Send sends a message to one of them. It may keep p.
	Send(to uint64, p []byte) error
}

// OverOptions configure a cluster over a Link.
type OverOptions struct {
	// RequestTimeout is how long other servers have to answer. Default 5 s.
	RequestTimeout time.Duration

	// PartBytesMax bounds a message of the link, in bytes: longer ones are sent in parts. Default 512
	// KiB.
	PartBytesMax int

	// Logger logs, at the level of debug messages, messages that were refused. Nil: nothing is logged.
	Logger *slog.Logger
}

// Over joins a cluster over a bus: all servers of the bus with this package. The program calls
// receive for each message of another server, one at a time. receive may keep p.
func Over(link Link, o OverOptions) (c *Cluster, receive func(from uint64, p []byte)) {
	if o.PartBytesMax <= 0 {
		o.PartBytesMax = partBytesDefault
	}
	f := over{link}
	c = newCluster(f, o.Logger, o.RequestTimeout)
	b := &busCarrier{cluster: c, link: link, part: o.PartBytesMax, partial: map[partKey]*partialMessage{}}
	c.carrier = b
	return c, b.receive
}

// over is the form. A message is that of Node's ClusterAdapter behind a head: what it is, and the
// namespace. A server without the namespace answers requests too, so that nobody waits for it.
type over struct{ link Link }

// What a message is, its first byte.
const (
	frameMessage byte = 'm' // head: the namespace
	frameAsks    byte = 'q' // the same, and then the id of the request
	frameAbsent  byte = '-' // the same: the server does not have the namespace
	framePart    byte = 'p' // a part of a published message: the length of all, and where this one begins
	frameSent    byte = 's' // the same of a message to one server
)

// uid implements form: it names the server.
func (f over) uid() string { return strconv.FormatUint(f.link.Node(), 16) }

func (over) subscriptions(a *adapter) []subscription { return []subscription{{name: a.nsp}} }

// encode implements form. The channel is the UID of the server that the message is for; "" stands
// for all.
func (f over) encode(m *siowire.Message) (channel string, p []byte) {
	p = []byte{frameMessage}
	asks := m.To == "" && m.RequestID != ""
	if asks {
		p[0] = frameAsks
	}
	p = appendText(p, m.Namespace)
	if asks {
		p = appendText(p, m.RequestID)
	}
	return m.To, siowire.AppendCluster(p, m)
}

// decode implements form: p is without the head.
func (over) decode(a *adapter, channel string, p []byte) (m siowire.Message, ok bool, err error) {
	m, err = siowire.ParseCluster(p)
	return m, m.UID == channel && m.Namespace == a.nsp, err
}

func (f over) probe(a *adapter, id string) siowire.Message {
	return siowire.Message{Type: siowire.FetchSockets, UID: a.uid, Namespace: a.nsp, RequestID: id, Rooms: []string{id}}
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// readText reads what appendText wrote.
func readText(p []byte) (text string, rest []byte, ok bool) {
	n, size := binary.Uvarint(p)
	if size <= 0 || n > uint64(len(p)-size) || n > headTextMax {
		return "", nil, false
	}
	p = p[size:]
	return string(p[:n]), p[n:], true
}

// busCarrier is the carrier over a Link. The bus has the queue.
type busCarrier struct {
	// Immutable.
	cluster *Cluster
	link    Link
	part    int

	stopped atomic.Bool

	partsMu sync.Mutex // orders the parts of messages
	mu      sync.Mutex // guards the fields below
	partial map[partKey]*partialMessage
}

type partKey struct {
	from uint64
	sent bool // to this server alone
}

// partialMessage is a message of which parts have come.
type partialMessage struct {
	total int
	p     []byte
}

func (b *busCarrier) reserve(int) error {
	if b.stopped.Load() {
		return socketio.ErrClosed
	}
	return nil
}

func (b *busCarrier) unreserve(int)              {}
func (b *busCarrier) subscribe([]subscription)   {}
func (b *busCarrier) unsubscribe([]subscription) {}
func (b *busCarrier) stop()                      { b.stopped.Store(true) }

func (b *busCarrier) publish(to string, p []byte, sent func(receivers int, err error)) {
	peers := len(b.link.Peers())
	err := b.send(to, p)
	if err != nil {
		b.cluster.counters.unsent.Add(1)
	} else {
		b.cluster.counters.sent.Add(1)
	}
	if sent != nil {
		sent(1+peers, err)
	}
}

// send sends a message, in parts if it is long. The parts of two messages do not mix.
func (b *busCarrier) send(to string, p []byte) error {
	kind, link := framePart, b.link.Publish
	if to != "" {
		id, err := strconv.ParseUint(to, 16, 64)
		if err != nil {
			return err
		}
		kind, link = frameSent, func(p []byte) error { return b.link.Send(id, p) }
	}
	if len(p) <= b.part {
		return link(p)
	}
	b.partsMu.Lock()
	defer b.partsMu.Unlock()
	for at := 0; at < len(p); at += b.part {
		head := binary.AppendUvarint([]byte{kind}, uint64(len(p)))
		head = binary.AppendUvarint(head, uint64(at))
		if err := link(append(head, p[at:min(at+b.part, len(p))]...)); err != nil {
			return err
		}
	}
	return nil
}

// receive takes a message of another server.
func (b *busCarrier) receive(from uint64, p []byte) {
	if b.stopped.Load() || len(p) == 0 {
		return
	}
	kind := p[0]
	if kind == framePart || kind == frameSent {
		if p = b.assemble(from, kind == frameSent, p[1:]); p == nil {
			return
		}
		kind = p[0]
	}
	nsp, rest, ok := readText(p[1:])
	if !ok {
		b.cluster.counters.refused.Add(1)
		return
	}
	uid := strconv.FormatUint(from, 16)
	switch kind {
	case frameMessage:
		b.cluster.received(subscription{name: nsp}, uid, rest)
	case frameAsks:
		id, rest, ok := readText(rest)
		if ok && b.cluster.has(nsp) {
			b.cluster.received(subscription{name: nsp}, uid, rest)
		} else if ok {
			_ = b.link.Send(from, appendText(appendText([]byte{frameAbsent}, nsp), id)) // or the other server waits for its timeout
		}
	case frameAbsent:
		if id, _, ok := readText(rest); ok {
			b.cluster.absent(nsp, id, uid)
		}
	default:
		b.cluster.counters.refused.Add(1)
	}
}

// assemble adds a part, and returns the message if it is complete.
func (b *busCarrier) assemble(from uint64, sent bool, p []byte) []byte {
	total, n := binary.Uvarint(p)
	at, m := binary.Uvarint(p[max(n, 0):])
	if n <= 0 || m <= 0 || total > siowire.AnswerBytesMax {
		return nil
	}
	data := p[n+m:]
	b.mu.Lock()
	defer b.mu.Unlock()
	key := partKey{from, sent}
	q := b.partial[key]
	if at == 0 {
		b.forgetGone()
		if len(b.partial) >= partialMax && q == nil {
			return nil
		}
		q = &partialMessage{total: int(total)}
		b.partial[key] = q
	}
	if q == nil || q.total != int(total) || len(q.p) != int(at) || len(q.p)+len(data) > q.total || len(data) == 0 {
		delete(b.partial, key) // a part was lost
		return nil
	}
	if q.p = append(q.p, data...); len(q.p) < q.total {
		return nil
	}
	delete(b.partial, key)
	if q.p[0] == framePart || q.p[0] == frameSent {
		return nil
	}
	return q.p
}

// forgetGone forgets the parts of servers that have gone. Under mu.
func (b *busCarrier) forgetGone() {
	peers := b.link.Peers()
	for key := range b.partial {
		if !slices.Contains(peers, key.from) {
			delete(b.partial, key)
		}
	}
}

// has reports whether this server has a namespace.
func (c *Cluster) has(nsp string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a := c.bySub[subscription{name: nsp}]
	return a != nil && !a.closed.Load()
}

// absent records that a server that got a request does not have the namespace.
func (c *Cluster) absent(nsp, id, uid string) {
	c.mu.RLock()
	a := c.bySub[subscription{name: nsp}]
	c.mu.RUnlock()
	if a == nil {
		return
	}
	a.mu.Lock()
	r := a.requests[id]
	if r == nil || slices.Contains(r.named, uid) || slices.Contains(r.absent, uid) || len(r.absent) >= serversMax {
		a.mu.Unlock()
		return
	}
	r.absent = append(r.absent, uid)
	over := a.check(r)
	a.mu.Unlock()
	over.end()
}
