// Orders: what calls of any goroutine want done on a loop. A loop has one queue of them and does
// them in the order in which they were given.

package socketio

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"c100k/broadcast"
	"c100k/netpoll"
)

// order is one entry of a loop's queue. Exactly one of run, cast and socket is set.
type order struct {
	run  func(l *netpoll.Loop)
	cast *cast // a broadcast: the orders behind it wait until all members on this loop have been given it

	// A packet for one socket.
	socket   *Socket
	out      *outgoing
	ackID    uint64
	wantsAck bool
	timeout  time.Duration // of the acknowledgement; 0: none
}

// size is what the order counts against ordersBytesMax.
func (o *order) size() int {
	switch {
	case o.out != nil:
		return orderBytes + o.out.size()
	case o.cast != nil:
		return orderBytes + o.cast.out.size()
	}
	return orderBytes
}

// do gives the loop an order. The error is ErrBusy or ErrClosed. Any goroutine.
func (r *reactor) do(o order) error {
	size := o.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ordersBytes+size > ordersBytesMax {
		return ErrBusy
	}
	r.ordersBytes += size
	return r.enqueue(o, size)
}

// reserve counts an order that enqueueReserved will give, and tells whether there is room for it.
// Any goroutine.
func (r *reactor) reserve(size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ordersBytes+size > ordersBytesMax {
		return false
	}
	r.ordersBytes += size
	return true
}

// unreserve takes a reservation back.
func (r *reactor) unreserve(size int) {
	r.mu.Lock()
	r.ordersBytes -= size
	r.mu.Unlock()
}

// enqueueReserved gives the loop an order that was counted already.
func (r *reactor) enqueueReserved(o order, size int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enqueue(o, size)
}

// enqueue appends an order that ordersBytes has counted. The loop is woken under the lock, so that
// no order stays in a queue that nobody will look at. Under mu.
func (r *reactor) enqueue(o order, size int) error {
	if len(r.orders) == 0 {
		remote := r.remote.Load()
		if remote == nil || !remote.Post(r.drain) {
			r.ordersBytes -= size
			return ErrClosed
		}
	}
	r.orders = append(r.orders, o)
	r.queuedBytes += size
	r.pending.Add(1)
	return nil
}

// drain executes orders until there are none, or a broadcast is on its way. Loop.
func (r *reactor) drain(l *netpoll.Loop) {
	for r.drainSome(l) {
	}
}

// drainSome is drain up to a panic of the program's: then more is true, and the order that has
// panicked is done with.
func (r *reactor) drainSome(l *netpoll.Loop) (more bool) {
	defer func() {
		if v := recover(); v != nil {
			r.panicked(v)
			r.pending.Add(-1)
			more = true
		}
	}()
	for r.next < len(r.taken) || r.take() {
		o := &r.taken[r.next]
		if len(r.casting) > 0 && !r.joins(o.cast) {
			return false
		}
		taken := *o
		*o = order{}
		r.next++
		if taken.cast != nil && r.begin(l, taken.cast) {
			r.casting = append(r.casting, taken.cast)
			continue // deliver counts it as done
		}
		r.execute(l, taken)
		r.pending.Add(-1)
	}
	return false
}

// take moves the queue to where the loop works it off, and tells whether there is anything. What
// was taken before is done.
func (r *reactor) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ordersBytes -= r.takenBytes
	r.takenBytes, r.queuedBytes = r.queuedBytes, 0
	r.taken, r.orders = r.orders, r.taken[:0]
	r.next = 0
	return len(r.taken) > 0
}

// joins tells whether a broadcast may be delivered together with those that are on their way: only
// if all of them are for the members of one topic, for then the hub puts them together in their
// order.
func (r *reactor) joins(c *cast) bool {
	return c != nil && len(r.casting) < broadcast.RunMessagesMax && c.only != "" && c.only == r.casting[0].only
}

// deliver executes orders, broadcasts among them, for at most so many visits of members. It returns
// true if there is more to do.
func (r *reactor) deliver(l *netpoll.Loop, members int) (more bool) {
	for {
		r.drain(l)
		if len(r.casting) == 0 {
			return false
		}
		visits := r.visits()
		if r.shard.Deliver(&r.sink, members) {
			return true
		}
		for i, c := range r.casting {
			c.passed()
			r.casting[i] = nil
			r.pending.Add(-1)
		}
		r.casting = r.casting[:0]
		if members -= visits; members <= 0 {
			return true
		}
	}
}

// visits is about how many members the broadcasts on their way have on this loop; at least one
// each.
func (r *reactor) visits() (n int) {
	for _, c := range r.casting {
		for _, topic := range c.topics {
			info, _ := r.hub.Topic(topic)
			n += info.Members
		}
		n++
	}
	return n
}

// panicked is Server.panicked.
func (r *reactor) panicked(v any) { r.server.panicked(v) }

// panicked logs a panic, within the deferred function that has recovered it. Any goroutine.
func (io *Server) panicked(v any) {
	io.opt.Logger.Error("panic in a handler", slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
}

// execute does what is ordered. A broadcast that comes here has nobody on this loop.
func (r *reactor) execute(l *netpoll.Loop, o order) {
	switch {
	case o.run != nil:
		o.run(l)
	case o.cast != nil:
		o.cast.passed()
	default:
		r.send(l, o)
	}
}

// send sends a packet to a socket that is still in its namespace.
func (r *reactor) send(l *netpoll.Loop, o order) {
	session := r.engine.Lookup(l, o.socket.session)
	if session == nil || !o.socket.Connected() {
		return
	}
	r.sendTo(l, session, o.out)
	if o.wantsAck && o.timeout > 0 {
		r.deadlines.add(l.Now()+o.timeout, o.socket, o.ackID)
		r.armAlarm(l)
	}
}
