// The acknowledgements of a broadcast, from all servers.

package socketio

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// collection is the Acks of a broadcast on the server that emits it. It ends when all servers have
// told how many clients they have sent the event to, and as many answers have come; or after its
// timeout. Any goroutine.
type collection struct {
	// Immutable.
	timeout time.Duration
	done    func(answers []Args, err error)

	mu       sync.Mutex // guards the fields below
	servers  int        // that are expected to tell; 0: not known yet
	told     int        // that have
	clients  int        // of those
	answers  []Args
	over     bool
	stop     func() // ends what this server does for the broadcast; nil: nothing
	deadline *time.Timer
}

func newCollection(timeout time.Duration, done func([]Args, error)) *collection {
	c := &collection{timeout: ackTimeout(timeout), done: done}
	c.mu.Lock()
	c.deadline = time.AfterFunc(c.timeout, c.expired)
	c.mu.Unlock()
	return c
}

// stopWith has stop called when the collection ends.
func (c *collection) stopWith(stop func()) {
	c.mu.Lock()
	over := c.over
	c.stop = stop
	c.mu.Unlock()
	if over {
		stop()
	}
}

// count asks the adapter how many servers there are. If it does not know, the collection ends by
// its timeout.
func (c *collection) count(a Adapter) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	if servers, err := a.Count(ctx); err == nil {
		c.expect(servers)
	}
}

// expect notes how many servers will tell of their clients.
func (c *collection) expect(servers int) {
	c.mu.Lock()
	c.servers = max(servers, 1)
	c.finish()
}

// Clients notes how many clients of one server have been sent the event.
func (c *collection) Clients(n int) {
	c.mu.Lock()
	c.told++
	c.clients += max(n, 0)
	c.finish()
}

// Answer takes a client's acknowledgement.
func (c *collection) Answer(answer Args) {
	c.mu.Lock()
	if !c.over {
		c.answers = append(c.answers, answer)
	}
	c.finish()
}

// finish ends the collection if it is complete. It unlocks mu.
func (c *collection) finish() {
	complete := c.servers > 0 && c.told >= c.servers && len(c.answers) >= c.clients
	c.mu.Unlock()
	if complete {
		c.end(nil)
	}
}

// expired ends the collection when its time is over.
func (c *collection) expired() {
	c.mu.Lock()
	err := ErrTimeout
	switch {
	case c.servers == 0:
		err = fmt.Errorf("%w: %w: the number of servers is not known", ErrTimeout, ErrPartial)
	case c.told < c.servers:
		err = fmt.Errorf("%w: %w: %d of %d", ErrTimeout, ErrPartial, c.told, c.servers)
	}
	c.mu.Unlock()
	c.end(err)
}

// cancel ends the collection, and done is not called.
func (c *collection) cancel() { c.close() }

// close ends the collection and tells whether it was open; nothing is added to its answers any
// more.
func (c *collection) close() bool {
	c.mu.Lock()
	over, stop := c.over, c.stop
	c.over = true
	c.mu.Unlock()
	if over {
		return false
	}
	c.deadline.Stop()
	if stop != nil {
		stop()
	}
	return true
}

func (c *collection) end(err error) {
	if c.close() {
		c.done(c.answers, err)
	}
}
