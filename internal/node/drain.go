// Stopping: a drain ends connections evenly over a time; one connection is ended by an operator.

package node

import (
	"context"
	"errors"
	"math"
	"time"

	"c100k/netpoll"
)

const (
	// drainStep is how often a drain ends the next connections.
	drainStep = 50 * time.Millisecond

	// drainGrace is how long the last connections have for their last bytes once the drain's own
	// time is over.
	drainGrace = 3 * time.Second

	// kickWait bounds how long Kick waits for the loop that owns a connection.
	kickWait = 5 * time.Second
)

// ErrBusy is returned by Kick: the loop of the connection does not answer.
var ErrBusy = errors.New("the connection's loop does not answer")

// BeginDrain refuses requests for streams from here on. It tells whether this was the first call.
func (n *Node) BeginDrain() (first bool) { return !n.draining.Swap(true) }

// Drain ends all connections, spread evenly over a time, and waits until they have ended, at most
// drainGrace longer. Close ends it early. It does not close the node.
func (n *Node) Drain(over time.Duration) {
	n.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), over+drainGrace)
	defer cancel()
	httpDone := make(chan struct{})
	go func() {
		defer close(httpDone)
		_ = n.http.Shutdown(ctx) // requests that are being answered end in their own time; ctx bounds it
	}()
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for begun := time.Now(); ; {
		// By the clock and not by steps: a busy machine misses some of those.
		left := drainLeft(time.Since(begun)+drainStep, over)
		n.drainTo(left)
		if left == 0 || n.Connections() == 0 {
			break
		}
		if !n.pause(tick) {
			return
		}
	}
	for n.Connections() > 0 && ctx.Err() == nil {
		if !n.pause(tick) {
			return
		}
		n.drainTo(0) // again, for a loop whose mailbox was full
	}
	<-httpDone
}

// drainLeft is the share of the connections that are still there when so much of the time of a
// drain has passed: from 1 down to 0.
func drainLeft(passed, over time.Duration) float64 {
	if passed >= over {
		return 0
	}
	return float64(over-passed) / float64(over)
}

// pause waits for the next step; it is false when the node was closed meanwhile.
func (n *Node) pause(tick *time.Ticker) bool {
	select {
	case <-tick.C:
		return true
	case <-n.done:
		return false
	}
}

func (n *Node) drainTo(left float64) {
	for _, r := range n.reactors {
		r.loop.Remote().Post(func(l *netpoll.Loop) { r.drainTo(l, left) })
	}
}

// drainTo ends as many streams as it takes for the share left of those at the first call to stay.
// Those that came later, on the way from net/http, count too. Brief ones do not stay.
func (r *reactor) drainTo(l *netpoll.Loop, left float64) {
	staying := 0
	l.Each(func(c *netpoll.Conn) bool {
		switch {
		case r.stays(c) && r.protocols.Brief(c.Role()):
			r.protocols.At(c.Role()).Drain(l, c)
		case r.stays(c):
			staying++
		case c.Role() < headRoles:
			r.heads[c.Role()].Drain(l, c)
		case c.Role() == roleKept && !c.Closing():
			l.Close(c, netpoll.ReasonDrain) // no request is under way on it
		}
		return true
	})
	if r.drained == 0 {
		r.drained = staying
	}
	quota := staying - int(math.Round(float64(r.drained)*left))
	l.Each(func(c *netpoll.Conn) bool {
		if quota > 0 && r.stays(c) {
			r.protocols.At(c.Role()).Drain(l, c)
			quota--
		}
		return quota > 0
	})
}

// stays tells whether c is a stream that has not been told to go. A request head is none: it will
// be answered 503, and its own deadline bounds it.
func (r *reactor) stays(c *netpoll.Conn) bool {
	return !c.Closing() && r.protocols.At(c.Role()) != nil
}

// Kick ends a connection because an operator asked for it, and tells whether it was there. The
// error is ErrBusy.
func (n *Node) Kick(id netpoll.ID) (found bool, err error) {
	i := id.Loop() - n.cfg.LoopBase
	if i < 0 || i >= len(n.reactors) {
		return false, nil
	}
	r := n.reactors[i]
	answer := make(chan bool, 1)
	posted := r.loop.Remote().Post(func(l *netpoll.Loop) {
		c := l.Lookup(id)
		there := c != nil && !c.Closing()
		if there {
			r.kick(l, c)
		}
		answer <- there
	})
	if !posted {
		return false, ErrBusy
	}
	select {
	case there := <-answer:
		return there, nil
	case <-time.After(kickWait):
		return false, ErrBusy // or has stopped meanwhile
	}
}

func (r *reactor) kick(l *netpoll.Loop, c *netpoll.Conn) {
	if p := r.protocols.At(c.Role()); p != nil {
		p.Kick(l, c)
		return
	}
	l.Close(c, netpoll.ReasonAdmin)
}
