// What the endpoints of a loop count, and how other goroutines read it.

package wsconn

import "sync/atomic"

// Counters count what the endpoints of a loop send and receive. Only the loop reads and writes
// them; other goroutines read PublishedCounters.
type Counters struct {
	MessagesReceived uint64 // whole data messages
	BytesReceived    uint64 // their payloads, after decompression
	MessagesSent     uint64 // replies and echoes; broadcasts are counted where they are delivered
}

// PublishedCounters are a copy of Counters for other goroutines.
type PublishedCounters struct {
	messagesReceived, bytesReceived, messagesSent atomic.Uint64
}

// Publish copies c. Only the loop may call it.
func (p *PublishedCounters) Publish(c *Counters) {
	store(&p.messagesReceived, c.MessagesReceived)
	store(&p.bytesReceived, c.BytesReceived)
	store(&p.messagesSent, c.MessagesSent)
}

// store stores what has changed: a load costs less than a store, and most turns change nothing.
func store(to *atomic.Uint64, v uint64) {
	if to.Load() != v {
		to.Store(v)
	}
}

// Load returns the counters as of the last Publish. Any goroutine.
func (p *PublishedCounters) Load() Counters {
	return Counters{
		MessagesReceived: p.messagesReceived.Load(), BytesReceived: p.bytesReceived.Load(), MessagesSent: p.messagesSent.Load(),
	}
}
