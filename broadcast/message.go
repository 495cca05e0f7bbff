// A message: what is published, immutable, and encoded once for each wire form that somebody needs.

package broadcast

import (
	"bytes"
	"sync/atomic"
	"time"
)

// Kind says what a payload is. The publisher vouches for it; encoders choose by it (a text frame or a
// binary one, JSON put in as it is or quoted).
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

// Form is a wire form: how a message looks to one sort of member (a plain frame, an enveloped one, SSE…).
// It is an index in Options.Encoders.
type Form uint8

// Encoder appends m in one wire form to dst and returns the result, which nobody changes after. It must be
// pure and must not keep dst: it runs on any goroutine, as a rule once a message, at times on two at once.
// An encoder that appends nothing leaves the message out for members of its form.
type Encoder func(dst []byte, m *Message) []byte

// Message is one published message. It is immutable once published; any goroutine may read it and keep it.
type Message struct {
	Topic     string
	Payload   []byte
	Kind      Kind
	Extra     any           // Post.Extra
	Published time.Duration // Options.Now at Publish

	hub   *Hub
	skip  func(shard int, member uint32) bool // Post.Skip
	forms [FormsMax]atomic.Pointer[[]byte]
	size  int   // bytes of the largest form that the publisher made; what a run counts
	cost  int64 // bytes counted against Options.PendingBytesMax

	left atomic.Int32 // shards whose pass over the message has not ended
}

// Encoded returns the message in form f. The bytes are shared: never change them. Forms that had a member
// when the message was published are there already; another is made by the first who asks. Any goroutine;
// only for messages that came from a Hub.
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
	m.size = len(m.Payload)
	m.cost = messageOverheadBytes + int64(len(m.Payload))
	for f := range m.hub.encoders {
		if members[f].Load() == 0 {
			continue
		}
		b := m.encode(Form(f))
		m.forms[f].Store(b)
		m.size = max(m.size, len(*b))
		m.cost += int64(len(*b))
	}
}
