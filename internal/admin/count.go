// The counts of a publish, which may come one by one and later.

package admin

import (
	"sync"

	"c100k/broadcast"
)

// count sums up the results of one item's publishes.
type count struct {
	waiting sync.WaitGroup // results that have not come

	mu  sync.Mutex // guards the field below
	sum published
}

// add adds one outcome. Any goroutine.
func (c *count) add(r Outcome) {
	c.mu.Lock()
	c.sum.Partial = c.sum.Partial || r.Partial
	c.sum.NodesUnreached = max(c.sum.NodesUnreached, r.Unreached)
	c.sum.Matched += r.Matched
	c.sum.Queued += r.Queued
	c.sum.Dropped += r.Dropped
	c.mu.Unlock()
	c.waiting.Done()
}

// wait returns the sum when all results have come.
func (c *count) wait() published {
	c.waiting.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sum
}

// later is how a node is published to: its own PublishLater, or its Publish, whose result is there
// at once.
func later(n Node) func(string, broadcast.Kind, []byte, func(Outcome)) error {
	if p, ok := n.(LatePublisher); ok {
		return p.PublishLater
	}
	return func(topic string, kind broadcast.Kind, payload []byte, done func(Outcome)) error {
		result, err := n.Publish(topic, kind, payload)
		if err == nil {
			done(Outcome{Result: result})
		}
		return err
	}
}
