// A message: what is published, immutable, and encoded once for each wire form in use.

package broadcast

import (
	"bytes"
	"math"
	"sync/atomic"
	"time"
)

// Kind says what a payload is. The publisher vouches for it; encoders choose by it (a text frame or
// a binary one, JSON put in as it is or quoted).
type Kind uint8

const (
	Text   Kind = iota // UTF-8 text
	JSON               // one valid JSON text
	Binary             // any bytes
)

// String returns "text", "json" or "binary".
func (k Kind) String() string {
	switch k {
	case Text:
		return "text"
	case JSON:
		return "json"
	case Binary:
		return "binary"
	}
	return "unknown"
}

// Form is a wire form: how a message looks to one sort of member (a plain frame, an enveloped one,
// SSE…). It is an index in Options.Encoders.
type Form uint8

// Encoder appends m in one wire form to dst and returns the result, which nobody changes after. It
// must be pure and must not keep dst: it runs on any goroutine, as a rule once a message, at times
// on two at once. An encoder that appends nothing leaves the message out for members of its form.
type Encoder func(dst []byte, m *Message) []byte

// Message is one published message. It is immutable once published; any goroutine may read it and
// keep it.
type Message struct {
	Topic     string
	Payload   []byte
	Extra     any           // Post.Extra
	Trace     *[16]byte     // Post.Trace
	Published time.Duration // Options.Now at Publish
	Kind      Kind

	needed uint16       // bit f: form f had a member when the message was published, and is in cost
	left   atomic.Int32 // shards whose pass over the message has not ended
	hub    *Hub
	skip   func(shard int, member uint32) bool // Post.Skip
	entry  *entry                              // nil in a topic without positions; filled in when the message enters the topic's list
	forms  [FormsMax]atomic.Pointer[[]byte]
	size   uint32       // bytes of the largest form in need, at least; what a run counts
	cost   int64        // bytes counted against Options.PendingBytesMax at Publish
	late   atomic.Int64 // what passes have counted on top of cost, or taken off it
}

// from is the Extra of a message with Post.From: few have one, and a field of its own would make
// all messages larger.
type from string

// From returns Post.From. Any goroutine; an Encoder may call it.
func (m *Message) From() string {
	who, _ := m.Extra.(from)
	return string(who)
}

// Position returns the message's position. ok is false in a topic without positions. All members
// get the messages of a topic in the order of their offsets, and no message is left out. Any
// goroutine; an Encoder may call it.
func (m *Message) Position() (p Position, ok bool) {
	if m.entry == nil {
		return Position{}, false
	}
	return m.entry.position, true
}

// Encoded returns the message in form f. The bytes are shared: never change them. Forms that had a
// member when the message was published are there already; another is made by the first who asks.
// Any goroutine; only for messages that came from a Hub.
func (m *Message) Encoded(f Form) []byte {
	if p := m.forms[f].Load(); p != nil {
		return *p
	}
	p := m.encode(f)
	if !m.forms[f].CompareAndSwap(nil, p) {
		// Another shard was faster. Everybody must share the one result.
		p = m.forms[f].Load()
	}
	return *p
}

// delivered is Encoded for a pass, which counts a form that it makes against
// Options.PendingBytesMax. Its shard has not counted itself down yet, so the message is settled
// after this.
func (m *Message) delivered(f Form) []byte {
	if p := m.forms[f].Load(); p != nil {
		return *p
	}
	p := m.encode(f)
	if !m.forms[f].CompareAndSwap(nil, p) {
		return *m.forms[f].Load()
	}
	more := int64(len(*p))
	if m.needed&(1<<f) != 0 {
		more -= m.bound(f)
	}
	m.late.Add(more)
	m.hub.pending.Add(more)
	return *p
}

// bound is at least what the message takes in form f, in bytes, unless Options.EncodedBytesMax
// errs.
func (m *Message) bound(f Form) int64 { return int64(max(m.hub.encodedBytesMax(f, m), 0)) }

func (m *Message) encode(f Form) *[]byte {
	room := len(m.Payload) + encodedSlackBytes
	b := m.hub.encoders[f](make([]byte, 0, room), m)
	if cap(b) > 2*len(b)+encodedSlackBytes {
		b = bytes.Clone(b) // a compressed form would hold the room of the plain one for as long as somebody lags
	}
	b = b[:len(b):len(b)]
	return &b
}

// encodeNeeded makes the forms that have members now, and the sums over the result.
func (m *Message) encodeNeeded(members *formCounts) {
	m.cost = messageOverheadBytes
	m.count(int64(len(m.Payload)))
	for f := range m.hub.encoders {
		if members[f].Load() == 0 {
			continue
		}
		b := m.encode(Form(f))
		m.forms[f].Store(b)
		m.count(int64(len(*b)))
	}
}

// reserveNeeded makes the sums as encodeNeeded does, by what the forms take at most: they are made
// when the message has its position, by the first pass over it.
func (m *Message) reserveNeeded(members *formCounts) {
	m.cost = messageOverheadBytes
	m.count(int64(len(m.Payload)))
	for f := range m.hub.encoders {
		if members[f].Load() > 0 {
			m.needed |= 1 << f
			m.count(m.bound(Form(f)))
		}
	}
}

// count counts the payload or a form.
func (m *Message) count(bytes int64) {
	m.cost += bytes
	m.size = uint32(min(max(int64(m.size), bytes), math.MaxUint32))
}
