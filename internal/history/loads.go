// Loads: reading what a store has of a topic in front of its log.

package history

import (
	"context"
	"fmt"
	"sync"

	"c100k/broadcast"
)

// Loads fills the logs of a hub with older messages. Each topic is read once for all who wait for
// it. Any goroutine.
type Loads struct {
	hub   *broadcast.Hub // immutable
	slots chan struct{}
	runs  sync.WaitGroup

	mu      sync.Mutex // guards the field below
	byTopic map[string]*load
}

// load is a topic whose older messages are being read.
type load struct {
	done chan struct{} // closed with err
	err  error
	void bool // guarded by Loads.mu: what is being read was forgotten
}

// NewLoads returns the loads of a hub.
func NewLoads(hub *broadcast.Hub) *Loads {
	return &Loads{hub: hub, slots: make(chan struct{}, loadsMax), byTopic: make(map[string]*load)}
}

// Forget says that what is being read of a topic is not to be used.
func (l *Loads) Forget(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one := l.byTopic[topic]; one != nil {
		one.void = true
	}
}

// Load fills the log of a topic with what older returns, or waits for another that does.
func (l *Loads) Load(ctx context.Context, topic string, older func(context.Context) (*broadcast.Filling, error)) error {
	l.mu.Lock()
	one := l.byTopic[topic]
	first := one == nil
	if first {
		one = &load{done: make(chan struct{})}
		l.byTopic[topic] = one
	}
	l.mu.Unlock()
	if first {
		l.runs.Go(func() { l.fill(one, topic, older) })
	}
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrAway, ctx.Err())
	}
}

func (l *Loads) fill(one *load, topic string, older func(context.Context) (*broadcast.Filling, error)) {
	l.slots <- struct{}{}
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	f, err := older(ctx)
	l.mu.Lock()
	if err == nil && !one.void {
		l.hub.Fill(topic, f) // otherwise the log has changed, and is looked at once more
	}
	delete(l.byTopic, topic)
	l.mu.Unlock()
	<-l.slots
	one.err = err
	close(one.done)
}

// Wait returns when nothing is being read.
func (l *Loads) Wait() { l.runs.Wait() }
