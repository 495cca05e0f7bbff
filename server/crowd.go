// Memory that a crowd has left behind is given back when it has become quiet.

package server

import (
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// crowdMin is how many connections come or go, at least, before memory is given back; with more
	// than eight times as many open, an eighth of those. A collection looks at all that is there, so
	// it must not run for each who comes.
	crowdMin = 1000

	// crowdQuiet is how long nearly nobody may have come or gone before it is: who comes now would
	// wait for the collection.
	crowdQuiet = time.Second

	// crowdTrickle is how many may come or go in that time all the same. A node with many connections
	// is never without any.
	crowdTrickle = crowdMin / 20
)

// crowd counts connections that come and go. Those leave garbage: heads of requests, what was said
// at handshakes, sessions that have ended. A quiet node allocates nothing, so the collector would
// not run for minutes, and would then keep room for a heap twice as large. Any goroutine.
type crowd struct {
	open   func() int // connections
	give   func()     // gives memory back
	after  func(d time.Duration, look func())
	moves  atomic.Int64 // who came or went since memory was given back
	looks  atomic.Bool  // somebody will look
	seen   int64        // moves at the last look; of whoever looks
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

// started notes that the node runs: what starting has left behind counts like a crowd.
func (c *crowd) started() {
	c.moves.Store(crowdMin - 1)
	c.moved()
}

// look gives memory back if there was a crowd and it is quiet, and looks again if it is not quiet.
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
