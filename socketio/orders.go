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

	socket   *Socket
	out      *outgoing
	ackID    uint64
	wantsAck bool
	timeout  time.Duration // of the acknowledgement; 0: none
	turns    int           // that it has been held
}

// do gives the loop an order. The error is ErrBusy or ErrClosed. Any goroutine.
func (r *Reactor) do(o order) error {
	size := orderBytes
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
			r.server.opt.Logger.Error("panic in a handler", slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
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
		if o.run != nil {
			o.run(l)
		} else {
			r.emit(l, o)
		}
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

// emit sends a packet to a socket, or holds it while the socket is owed a broadcast that was made before.
func (r *Reactor) emit(l *netpoll.Loop, o order) {
	session := r.engine.Lookup(l, o.socket.session)
	if session == nil {
		return
	}
	if len(r.held) > 0 && r.holds(o.socket) || r.shard.Owes(session.Member()) {
		r.held = append(r.held, o)
		return
	}
	r.send(l, o)
}

// holds tells whether an order for the socket is held: a later one must not overtake it.
func (r *Reactor) holds(s *Socket) bool {
	for i := range r.held {
		if r.held[i].socket == s {
			return true
		}
	}
	return false
}

// release sends what was held and need not be any longer, and tells whether something still is. It is called behind each Deliver.
func (r *Reactor) release(l *netpoll.Loop) (more bool) {
	kept := r.held[:0]
	for i := range r.held {
		o := r.held[i]
		o.turns++
		session := r.engine.Lookup(l, o.socket.session)
		late := o.turns > heldTurnsMax || len(r.held)-i > ordersHeldMax
		if session != nil && !late && r.shard.Owes(session.Member()) {
			kept = append(kept, o)
			continue
		}
		r.send(l, o)
	}
	clear(r.held[len(kept):])
	r.held = kept
	return len(kept) > 0
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

// whenQuiet calls f when everything that this goroutine, or any other, has ordered so far has been done: at once if that is so. f must
// be quick, and is called on any goroutine.
func (io *Server) whenQuiet(f func()) error {
	var busy []*Reactor
	for _, r := range io.reactors() {
		if r.pending.Load() > 0 {
			busy = append(busy, r)
		}
	}
	if len(busy) == 0 {
		f()
		return nil
	}
	return meet(busy, f)
}
