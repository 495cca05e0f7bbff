// Package trace tells those who look after a node what goes in and out: of one connection, one
// user, one topic, or one address.
//
// There are only a few types. [Tap] is where the protocols of one loop tell; while nobody listens,
// that is one look at a nil slice for each message. [Trace] is one who listens: a [Query] and a
// bounded queue of [Event]s. What does not fit in the queue is counted and dropped, so that a trace
// delays no message.
//
// A Tap belongs to its loop. Any goroutine may use a Trace.
package trace

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"

	"c100k/internal/auth"
	"c100k/netpoll"
)

const (
	// eventsQueued bounds the events of a trace that wait to be read. Without it a reader that is slow
	// would fill the memory.
	eventsQueued = 1024

	// eventsPerSecond bounds the events that one loop gives to all traces. Without it a trace of a
	// topic with many messages and subscribers would take the loop.
	eventsPerSecond = 2000

	// PayloadBytesMax bounds what is shown of one payload, in bytes.
	PayloadBytesMax = 4096
)

// Kind is what has happened.
type Kind string

// The kinds.
const (
	Open    Kind = "open"    // a stream has begun
	In      Kind = "in"      // a message of the client
	Out     Kind = "out"     // messages to the client
	Publish Kind = "publish" // to a topic, by anybody of this process
	Close   Kind = "close"
)

// Query selects events. One of the first four fields is set.
type Query struct {
	Conn    netpoll.ID
	Sub     string
	Topic   string
	Addrs   netip.Prefix
	Payload bool // payloads are shown
}

// Event is one thing that has happened.
type Event struct {
	At       time.Duration // on the clock of netpoll.Monotonic
	Kind     Kind
	Conn     netpoll.ID // 0: none
	Sub      string
	Addr     netip.Addr
	Topic    string
	Messages int
	Bytes    int // on the wire for Out, else those of the payload
	Reason   netpoll.Reason
	Code     uint16
	Text     string
	Payload  []byte // a copy of its beginning; nil if it is not wanted
}

// Trace is one who listens.
type Trace struct {
	q       Query
	events  chan Event
	dropped atomic.Uint64
}

// New makes one of a query.
func New(q Query) *Trace { return &Trace{q: q, events: make(chan Event, eventsQueued)} }

// Events are what was selected.
func (t *Trace) Events() <-chan Event { return t.events }

// Dropped is how many events were dropped since the last call.
func (t *Trace) Dropped() uint64 { return t.dropped.Swap(0) }

// put queues an event, or drops it.
func (t *Trace) put(e *Event, payload []byte) {
	if len(t.events) == cap(t.events) {
		t.dropped.Add(1) // without a copy of the payload
		return
	}
	own := *e
	if t.q.Payload && payload != nil {
		own.Payload = bytes.Clone(payload[:min(len(payload), PayloadBytesMax)])
	}
	select {
	case t.events <- own:
	default:
		t.dropped.Add(1)
	}
}

// Published tells of a message to a topic. payload is not kept. Any goroutine.
func (t *Trace) Published(at time.Duration, topic string, payload []byte) {
	if t.q.Topic == topic {
		t.put(&Event{At: at, Kind: Publish, Topic: topic, Messages: 1, Bytes: len(payload)}, payload)
	}
}

// Tap is where the protocols of one loop tell. The zero value is ready. Loop only.
type Tap struct {
	// Who is the client of a connection, and its address. It is asked only while somebody listens.
	Who func(l *netpoll.Loop, c *netpoll.Conn) (*auth.Principal, netip.Addr)

	listeners []*Trace
	second    time.Duration // in which sent counts
	sent      int
}

// On tells whether somebody listens. Nothing else need be called while nobody does.
func (t *Tap) On() bool { return t != nil && t.listeners != nil }

// Add begins a trace.
func (t *Tap) Add(tr *Trace) { t.listeners = append(t.listeners, tr) }

// Remove ends one.
func (t *Tap) Remove(tr *Trace) {
	var left []*Trace
	for _, other := range t.listeners {
		if other != tr {
			left = append(left, other)
		}
	}
	t.listeners = left
}

// Message tells of n messages of one topic, or of none, in or out. p is not kept.
func (t *Tap) Message(l *netpoll.Loop, c *netpoll.Conn, kind Kind, topic string, n int, p []byte) {
	e := Event{Kind: kind, Conn: c.ID(), Topic: topic, Messages: n, Bytes: len(p)}
	t.tell(l, c, &e, p)
}

// Opened tells of a stream that has begun.
func (t *Tap) Opened(l *netpoll.Loop, c *netpoll.Conn, who *auth.Principal, addr netip.Addr) {
	t.Tell(l, &Event{Kind: Open, Conn: c.ID(), Addr: addr}, who)
}

// Tell tells of what concerns a client as a whole: e has its ID and address.
func (t *Tap) Tell(l *netpoll.Loop, e *Event, who *auth.Principal) {
	if who != nil {
		e.Sub = who.Subject
	}
	for _, tr := range t.listeners {
		if tr.q.selects(e) {
			t.give(l, tr, e, nil)
		}
	}
}

// tell finds out whose connection c is only if a query asks for that.
func (t *Tap) tell(l *netpoll.Loop, c *netpoll.Conn, e *Event, p []byte) {
	known := false
	for _, tr := range t.listeners {
		q := &tr.q
		if (q.Sub != "" || q.Addrs.IsValid()) && !known {
			t.identify(l, c, e)
			known = true
		}
		if !q.selects(e) {
			continue
		}
		if !known {
			t.identify(l, c, e)
			known = true
		}
		t.give(l, tr, e, p)
	}
}

func (t *Tap) identify(l *netpoll.Loop, c *netpoll.Conn, e *Event) {
	if t.Who == nil {
		return
	}
	who, addr := t.Who(l, c)
	e.Addr = addr
	if who != nil {
		e.Sub = who.Subject
	}
}

func (q *Query) selects(e *Event) bool {
	switch {
	case q.Conn != 0:
		return q.Conn == e.Conn
	case q.Sub != "":
		return q.Sub == e.Sub
	case q.Topic != "":
		return q.Topic == e.Topic
	}
	return q.Addrs.Contains(e.Addr)
}

// give passes an event on, within the bound of the loop.
func (t *Tap) give(l *netpoll.Loop, tr *Trace, e *Event, p []byte) {
	e.At = l.Now()
	if second := l.Now().Truncate(time.Second); second != t.second {
		t.second, t.sent = second, 0
	}
	if t.sent++; t.sent > eventsPerSecond {
		tr.dropped.Add(1)
		return
	}
	tr.put(e, p)
}
