// Commands: what calls of any goroutine have to do on a loop. A loop has one queue of commands and
// executes them in the order in which they were submitted.

package socketio

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"c100k/broadcast"
	"c100k/netpoll"
)

// command is one entry of a loop's queue. Exactly one of run, cast and socket is set.
type command struct {
	run  func(l *netpoll.Loop)
	cast *cast // a broadcast: later commands wait until all members on this loop have got it

	// A packet for one socket.
	socket   *Socket
	out      *outgoing
	ackID    uint64
	wantsAck bool
	timeout  time.Duration // of the acknowledgement; 0: none
}

// size is what the command counts against queueBytesMax.
func (o *command) size() int {
	switch {
	case o.out != nil:
		return commandBytes + o.out.size()
	case o.cast != nil:
		return commandBytes + o.cast.out.size()
	}
	return commandBytes
}

// submit appends a command to the loop's queue. The error is ErrBusy or ErrClosed. Any goroutine.
func (r *reactor) submit(o command) error {
	size := o.size()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reservedBytes+size > queueBytesMax {
		return ErrBusy
	}
	r.reservedBytes += size
	return r.enqueue(o, size)
}

// reserve counts a command that enqueueReserved will append, and reports whether there is room for
// it. Any goroutine.
func (r *reactor) reserve(size int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reservedBytes+size > queueBytesMax {
		return false
	}
	r.reservedBytes += size
	return true
}

// unreserve cancels a reservation.
func (r *reactor) unreserve(size int) {
	r.mu.Lock()
	r.reservedBytes -= size
	r.mu.Unlock()
}

// enqueueReserved appends a command that reserve has counted.
func (r *reactor) enqueueReserved(o command, size int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enqueue(o, size)
}

// enqueue appends a command that reservedBytes includes. The loop is woken under the lock, so that
// every queued command is executed. Under mu.
func (r *reactor) enqueue(o command, size int) error {
	if len(r.commands) == 0 {
		remote := r.remote.Load()
		if remote == nil || !remote.Post(r.drain) {
			r.reservedBytes -= size
			return ErrClosed
		}
	}
	r.commands = append(r.commands, o)
	r.queuedBytes += size
	r.pending.Add(1)
	return nil
}

// drain executes commands until there are none, or a broadcast is being delivered. Loop only.
func (r *reactor) drain(l *netpoll.Loop) {
	for r.drainSome(l) {
	}
}

// drainSome is drain until a function of the program panics. Then more is true, and the command
// that panicked counts as executed.
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
		if len(r.delivering) > 0 && !r.joins(o.cast) {
			return false
		}
		taken := *o
		*o = command{}
		r.next++
		if taken.cast != nil && r.begin(l, taken.cast) {
			r.delivering = append(r.delivering, taken.cast)
			continue // deliver counts it as executed
		}
		r.execute(l, taken)
		r.pending.Add(-1)
	}
	return false
}

// take moves the queued commands to taken, and reports whether there are any. The commands that
// were taken before have been executed.
func (r *reactor) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reservedBytes -= r.takenBytes
	r.takenBytes, r.queuedBytes = r.queuedBytes, 0
	r.taken, r.commands = r.commands, r.taken[:0]
	r.next = 0
	return len(r.taken) > 0
}

// joins reports whether a broadcast may be delivered together with those that are being delivered:
// only if all of them are for the members of one topic. Then the hub sends them as one run, in
// their order.
func (r *reactor) joins(c *cast) bool {
	return c != nil && len(r.delivering) < broadcast.RunMessagesMax && c.only != "" && c.only == r.delivering[0].only
}

// deliver executes commands, broadcasts among them, and visits at most so many members. It returns
// true if there is more to do.
func (r *reactor) deliver(l *netpoll.Loop, members int) (more bool) {
	for {
		r.drain(l)
		if len(r.delivering) == 0 {
			return false
		}
		visits := r.visits()
		if r.shard.Deliver(&r.sink, members) {
			return true
		}
		for i, c := range r.delivering {
			c.deliveryDone()
			r.delivering[i] = nil
			r.pending.Add(-1)
		}
		r.delivering = r.delivering[:0]
		if members -= visits; members <= 0 {
			return true
		}
	}
}

// visits estimates how many members the broadcasts that are being delivered have on this loop; at
// least one each.
func (r *reactor) visits() (n int) {
	for _, c := range r.delivering {
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

// execute executes a command. A broadcast that comes here has no receivers on this loop.
func (r *reactor) execute(l *netpoll.Loop, o command) {
	switch {
	case o.run != nil:
		o.run(l)
	case o.cast != nil:
		o.cast.deliveryDone()
	default:
		r.send(l, o)
	}
}

// send sends a packet to a socket that is still in its namespace.
func (r *reactor) send(l *netpoll.Loop, o command) {
	session := r.engine.Lookup(l, o.socket.session)
	if session == nil {
		return
	}
	switch o.socket.status() {
	case socketConnected:
		r.sendTo(l, session, o.out)
	case socketConnecting:
		o.socket.keepEarly(o.out)
	default:
		return
	}
	if o.wantsAck && o.timeout > 0 {
		r.deadlines.add(l.Now()+o.timeout, o.socket, o.ackID)
		r.armAlarm(l)
	}
}

// keepEarly keeps a packet for a client whose middlewares have not all been called. A packet beyond
// the bound is lost, as a volatile one is.
func (s *Socket) keepEarly(out *outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if more := s.rare(); !out.volatile && len(more.early) < earlyMax {
		more.early = append(more.early, out)
	}
}
