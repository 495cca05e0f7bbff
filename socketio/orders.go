// Orders: what calls of other goroutines, and of handlers, want done on a loop. They take effect in the order given.

package socketio

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"c100k/netpoll"
)

// order is something to be done on a loop: a packet to be sent to a socket, or anything else.
type order struct {
	run   func(l *netpoll.Loop)
	meets bool // run is a broadcast's, which comes behind what is held for single sockets

	// With a socket, the order is held while broadcasts that were made before are still to reach that. Without run it sends out.
	socket   *Socket
	after    uint64 // the last meeting that was open when it was given
	stamp    uint64 // of the hub when that had taken place; 0: it has not
	out      *outgoing
	ackID    uint64
	wantsAck bool
	timeout  time.Duration // of the acknowledgement; 0: none
	since    time.Duration // when it was held, on the loop's clock
}

// do gives the loop an order. The error is ErrBusy or ErrClosed. Any goroutine.
func (r *Reactor) do(o order) error {
	size := orderBytes
	o.after = r.server.meetings.opened.Load()
	if o.out != nil {
		size += o.out.size()
	}
	r.mu.Lock()
	if r.ordersBytes+size > ordersBytesMax {
		r.mu.Unlock()
		return ErrBusy
	}
	// The loop is told under the lock, so that no order waits in a queue that nobody will look at.
	if len(r.orders) == 0 {
		remote := r.remote.Load()
		if remote == nil || !remote.Post(r.drain) {
			r.mu.Unlock()
			return ErrClosed
		}
	}
	r.orders = append(r.orders, o)
	r.ordersBytes += size
	r.pending.Add(1)
	r.mu.Unlock()
	return nil
}

// drain executes what was ordered so far, up to a broadcast that has to wait. Loop.
func (r *Reactor) drain(l *netpoll.Loop) {
	r.waits = false
	for r.serve(l) {
	}
}

// serve executes orders until there are none, or a broadcast has to wait for what is held; more is true when it must be called again.
func (r *Reactor) serve(l *netpoll.Loop) (more bool) {
	if r.next == len(r.taken) && !r.take() {
		return false
	}
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
			r.pending.Add(-1)
			more = true
		}
	}()
	for r.next < len(r.taken) {
		o := r.taken[r.next]
		if o.meets && len(r.held) > 0 && !r.hasty {
			r.waits = true
			return false
		}
		r.taken[r.next] = order{}
		r.next++
		r.execute(l, o)
		r.pending.Add(-1)
	}
	return true
}

// take moves the queue to where the loop works it off.
func (r *Reactor) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken, r.orders = r.orders, r.taken[:0]
	r.next, r.ordersBytes = 0, 0
	return len(r.taken) > 0
}

// deliver does what was ordered, and what broadcasts have become of it, in the order of the orders: a packet for one socket comes behind
// the broadcasts before it, and a broadcast behind the packets before it. A broadcast that many get takes more than one turn; who waited
// for it in vain goes in front.
func (r *Reactor) deliver(l *netpoll.Loop, members int) (more bool) {
	for range roundsPerTurnMax {
		r.drain(l)
		more = r.shard.Deliver(&r.sink, members)
		if r.release(l) {
			more = true
		}
		r.hasty = len(r.held) > 0
		if !r.waits {
			return more
		}
	}
	return true
}

// execute does what is ordered, or holds it while the socket is owed broadcasts that were made before.
func (r *Reactor) execute(l *netpoll.Loop, o order) {
	if o.socket != nil && (o.socket.held > 0 || r.early(l, &o)) {
		o.socket.held++
		r.pending.Add(1) // it is not done
		o.since = l.Now()
		r.held = append(r.held, o)
		r.holding.Store(true)
		return
	}
	r.perform(l, o)
}

// early tells whether a broadcast that was made before the order is still to reach its socket.
func (r *Reactor) early(l *netpoll.Loop, o *order) bool {
	session := r.engine.Lookup(l, o.socket.session)
	if session == nil {
		return false // nothing will reach it
	}
	if o.stamp == 0 {
		if r.server.meetings.settled.Load() < o.after {
			return true
		}
		o.stamp = r.hub.Stamp() + 1 // never 0
	}
	return r.shard.Owes(session.Member(), o.stamp)
}

// attempt is perform for where a panic of the program's must not end what is being done.
func (r *Reactor) attempt(l *netpoll.Loop, o order) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
		}
	}()
	r.perform(l, o)
}

// panicked logs a panic, within the deferred function that has recovered it.
func (r *Reactor) panicked(v any) {
	r.server.opt.Logger.Error("panic in a handler", slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
}

// perform does what is ordered.
func (r *Reactor) perform(l *netpoll.Loop, o order) {
	if o.run != nil {
		o.run(l)
		return
	}
	r.send(l, o)
}

// release does what was held and need not be any longer, and tells whether what still is waits for this loop. It is called behind each
// Deliver. Orders for one socket stay in order: none is done before one that was given earlier, for that waits for less.
func (r *Reactor) release(l *netpoll.Loop) (more bool) {
	kept := r.held[:0]
	for i := range r.held {
		o := r.held[i]
		if late := l.Now()-o.since > heldMax || len(r.held)-i > ordersHeldMax; !late && r.early(l, &o) {
			kept = append(kept, o)
			more = more || o.stamp != 0 // settle wakes the loop for the others
			continue
		}
		o.socket.held--
		r.attempt(l, o)
		r.pending.Add(-1)
	}
	clear(r.held[len(kept):])
	r.held = kept
	r.holding.Store(len(kept) > 0)
	if len(kept) > 0 && r.server.meetings.settled.Load() >= kept[len(kept)-1].after {
		more = true // it was settled before holding said that somebody waits
	}
	return more
}

// send sends a packet to a socket that is still in its namespace.
func (r *Reactor) send(l *netpoll.Loop, o order) {
	session := r.engine.Lookup(l, o.socket.session)
	if session == nil || !o.socket.Connected() {
		return
	}
	r.sendTo(l, session, o.out)
	if o.wantsAck && o.timeout > 0 {
		r.deadlines.add(l.Now()+o.timeout, o.socket, o.ackID)
		r.wind(l)
	}
}
