// The acknowledgements of a broadcast, from all servers.

package socketio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ackCollector is the Acks of a broadcast on the server that emits it. It is complete when all
// servers have reported how many clients they have sent the event to, and as many answers have
// come. It ends after its timeout at the latest. Any goroutine.
type ackCollector struct {
	// Immutable.
	timeout time.Duration
	local   bool // the event goes to this server only, whose report may take a moment: nothing is partial
	done    func(answers []Args, err error)

	mu       sync.Mutex // guards the fields below
	servers  int        // that will report; 0: not known yet
	reported int        // servers that have reported
	clients  int        // of the servers that have reported
	answers  []Args
	over     bool
	partial  error  // not nil: servers will not report
	stop     func() // ends the part of this server; nil: it has none
	deadline *time.Timer
}

func newAckCollector(timeout time.Duration, local bool, done func([]Args, error)) *ackCollector {
	c := &ackCollector{timeout: ackTimeout(timeout), local: local, done: done}
	c.mu.Lock()
	c.deadline = time.AfterFunc(c.timeout, c.expired)
	c.mu.Unlock()
	return c
}

// stopWith sets a function that is called when the collector ends.
func (c *ackCollector) stopWith(stop func()) {
	c.mu.Lock()
	over := c.over
	c.stop = stop
	c.mu.Unlock()
	if over {
		stop()
	}
}

// count asks the adapter how many servers there are. If servers do not answer, the collector does
// not wait for them, and says so. If the call fails, the collector ends by its timeout.
func (c *ackCollector) count(a Adapter) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	servers, err := a.Count(ctx)
	switch {
	case err == nil:
		c.expect(servers)
	case errors.Is(err, ErrPartial):
		c.mu.Lock()
		c.partial = err
		c.mu.Unlock()
		c.expect(servers)
	}
}

// expect sets how many servers will report.
func (c *ackCollector) expect(servers int) {
	c.mu.Lock()
	c.servers = max(servers, 1)
	c.finish()
}

// Clients implements Acks.
func (c *ackCollector) Clients(n int) {
	c.mu.Lock()
	c.reported++
	c.clients += max(n, 0)
	c.finish()
}

// Answer implements Acks.
func (c *ackCollector) Answer(answer Args) {
	c.mu.Lock()
	if !c.over {
		c.answers = append(c.answers, answer)
	}
	c.finish()
}

// finish ends the collector if it is complete. It unlocks mu.
func (c *ackCollector) finish() {
	complete := c.servers > 0 && c.reported >= c.servers && len(c.answers) >= c.clients
	err := c.partial
	c.mu.Unlock()
	if complete {
		c.end(err)
	}
}

// expired ends the collector after its timeout.
func (c *ackCollector) expired() {
	c.mu.Lock()
	err := ErrTimeout
	switch {
	case c.local:
	case c.servers == 0:
		err = fmt.Errorf("%w: %w: the number of servers is not known", ErrTimeout, ErrPartial)
	case c.reported < c.servers:
		err = fmt.Errorf("%w: %w: %d of %d", ErrTimeout, ErrPartial, c.reported, c.servers)
	case c.partial != nil:
		err = fmt.Errorf("%w: %w", ErrTimeout, c.partial)
	}
	c.mu.Unlock()
	c.end(err)
}

// cancel ends the collector without a call of done.
func (c *ackCollector) cancel() { c.close() }

// close ends the collector and reports whether it was open. Later answers are ignored.
func (c *ackCollector) close() bool {
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

func (c *ackCollector) end(err error) {
	if c.close() {
		c.done(c.answers, err)
	}
}
