// The store of a process that is alone: the log of its hub, and nothing else.

package history

import (
	"context"
	"time"

	"c100k/broadcast"
)

// Memory keeps messages in the hub's log. The hub numbers them itself.
type Memory struct {
	rules  *Rules
	epochs *Epochs
	now    func() time.Duration // the clock of the hub
	hub    *broadcast.Hub       // immutable after Start
}

var _ Store = (*Memory)(nil)

// NewMemory returns the store of a process; now is broadcast.Options.Now.
func NewMemory(rules *Rules, epochs *Epochs, now func() time.Duration) *Memory {
	return &Memory{rules: rules, epochs: epochs, now: now}
}

// Start implements Store.
func (m *Memory) Start(_ context.Context, hub *broadcast.Hub) error {
	m.hub = hub
	return nil
}

// Append implements Store. Keys are not looked at: the caller remembers them.
func (m *Memory) Append(topic string, a Append) error {
	r, err := m.hub.PublishPost(topic, a.Post)
	if err == nil && a.Done != nil {
		a.Done(Appended{Result: r})
	}
	return err
}

// First implements Store.
func (m *Memory) First(topic string) (first broadcast.Position, ok bool) {
	if m.rules.Of(topic) < 0 {
		return first, false
	}
	return broadcast.Position{Epoch: m.epochs.Next(), Offset: 1}, true
}

// Floor implements Store.
func (m *Memory) Floor(string) uint64 { return 0 }

// Reached implements Store: nothing is behind the last message.
func (m *Memory) Reached(string) uint64 { return 0 }

// Releasing implements Store.
func (m *Memory) Releasing(string) {}

// Prepare implements Store.
func (m *Memory) Prepare(context.Context, string, broadcast.From) error { return nil }

// Page implements Store.
func (m *Memory) Page(_ context.Context, topic string, after broadcast.Position, most int, reverse bool) (p Page, err error) {
	k, ok := m.hub.Kept(topic, after, most, reverse)
	switch {
	case !ok && m.rules.Of(topic) < 0:
		return p, ErrNoHistory
	case !ok:
		return p, nil
	}
	now, wall := m.now(), time.Now()
	p = Page{Messages: make([]Stored, len(k.Messages)), Newest: k.Newest, More: k.More}
	for i, kept := range k.Messages {
		at, _ := kept.Position()
		p.Messages[i] = Stored{Position: at, Kind: kept.Kind, Payload: kept.Payload, Published: wall.Add(kept.Published - now)}
	}
	return p, nil
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, topic string) error {
	if !m.hub.ForgetKept(topic) && m.rules.Of(topic) < 0 {
		return ErrNoHistory
	}
	return nil
}

// Durable implements Store.
func (m *Memory) Durable(string) string { return DurableMemory }

// Ready implements Store.
func (m *Memory) Ready() error { return nil }

// Close implements Store.
func (m *Memory) Close() error { return nil }
