// Memory is returned to the system when many connections have come or gone and it is quiet again.

package node

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// crowdMin is how many connections must come or go before memory is returned; with more than
	// eight times as many open, it is an eighth of those. A collection looks at the whole heap, so
	// it must not run for each connection.
	crowdMin = 1000

	// crowdQuiet is how long hardly any connection may come or go before memory is returned: a
	// connection that arrives meanwhile would wait for the collection.
	crowdQuiet = time.Second

	// crowdTrickle is how many may come or go in that time nevertheless: a node with many
	// connections always has some.
	crowdTrickle = crowdMin / 20
)

// crowd counts connections that come and go. They leave garbage: request heads, handshakes, ended
// sessions. A quiet node allocates nothing, so the collector would not run for minutes, and would
// then keep room for a heap twice as large. Any goroutine.
type crowd struct {
	open   func() int // connections
	give   func()     // returns memory
	after  func(d time.Duration, look func())
	moves  atomic.Int64 // connections that came or went since memory was returned
	looks  atomic.Bool  // a call of look is scheduled
	seen   int64        // moves at the last look; of look only
	closed atomic.Bool
}

func newCrowd(open func() int) *crowd {
	return &crowd{open: open, give: debug.FreeOSMemory, after: func(d time.Duration, look func()) { time.AfterFunc(d, look) }}
}

// moved notes that a connection came or went.
func (c *crowd) moved() {
	c.moves.Add(1)
	if !c.looks.Load() && c.looks.CompareAndSwap(false, true) {
		c.after(crowdQuiet, c.look)
	}
}

// started notes that the node runs: the garbage of its start counts like that of many connections.
func (c *crowd) started() {
	c.moves.Store(crowdMin - 1)
	c.moved()
}

// look returns memory if many connections came or went and it is quiet now. If it is not quiet, it
// looks again later.
func (c *crowd) look() {
	moves := c.moves.Load()
	quiet := moves-c.seen <= crowdTrickle
	c.seen = moves
	switch {
	case c.closed.Load():
		return
	case !quiet:
		c.after(crowdQuiet, c.look)
		return
	case moves >= int64(max(crowdMin, c.open()/8)):
		c.give()
		c.moves.Add(-moves)
		c.seen = 0
	}
	c.looks.Store(false)
}
