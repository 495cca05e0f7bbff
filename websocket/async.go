// Functions off the loop: Conn.Go.

package websocket

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// Async is a connection for a function that Conn.Go runs off the loop. Its methods may be called on
// any goroutine and never block; the errors are ErrBusy and ErrClosed.
type Async struct {
	server *Server
	id     ID
}

// ID names the connection.
func (a *Async) ID() ID { return a.id }

// Send sends a message, whose data is copied. The error does not say whether the client got it.
func (a *Async) Send(m Message) error { return a.server.Send(a.id, m) }

// SendText sends a text message.
func (a *Async) SendText(s string) error { return a.server.Send(a.id, TextMessage(s)) }

// Close ends the connection: see Conn.Close.
func (a *Async) Close(code int, reason string) error { return a.server.Close(a.id, code, reason) }

// Do runs f on the connection's loop, if the connection is still there: see Server.Do.
func (a *Async) Do(f func(c *Conn)) error { return a.server.Do(a.id, f) }

// lane is the functions of one connection that run off the loop, one after the other.
type lane struct {
	part   *part
	id     ID
	ctx    context.Context
	cancel context.CancelFunc

	waiting atomic.Int32 // functions that have not ended
	pausing atomic.Bool  // the loop reads again when fewer wait

	// owned by the worker that has the lane
	taken []func(context.Context, *Async)
	next  int // index in taken

	mu    sync.Mutex // guards the fields below
	queue []func(context.Context, *Async)
	busy  bool // the crew has the lane, or a worker
}

// crew is the lanes of one loop in which functions wait, and the goroutines that run them. There is
// one worker on its way while lanes wait: it comes when the one before blocks, or when a processor
// is free. Functions that do not block then share a worker, and one that blocks holds up nobody.
type crew struct {
	mu     sync.Mutex // guards the fields below
	lanes  []*lane
	first  int  // index in lanes
	coming bool // a worker was started that has not looked yet. Invariant: it is if lanes wait
}

// Go runs f on a goroutine of its own, behind the functions that were given before for this
// connection. ctx ends when the connection ends. f gets an Async to answer with; it must not use c.
// A panic in f ends the connection with 1011. Go answers false, and f does not run, where
// Options.AsyncMax functions wait. While a quarter of that waits, the connection is not read.
func (c *Conn) Go(f func(ctx context.Context, a *Async)) bool {
	c.check("Go")
	n := c.conn()
	if n == nil {
		return false
	}
	p := c.part
	x := p.of(c)
	if x.async == nil {
		x.async = &lane{part: p, id: c.id}
		x.async.ctx, x.async.cancel = context.WithCancel(context.Background())
	}
	most := p.server.opt.AsyncMax
	waiting := int(x.async.waiting.Load())
	if waiting >= most {
		return false
	}
	x.async.add(f)
	if waiting >= most/4 && !x.asyncPaused {
		x.asyncPaused = true
		p.loop.StopRead(n)
		x.async.pausing.Store(true)
		x.async.look() // the functions may all have ended before pausing was set
	}
	return true
}

// add queues a function, and gives the lane to the crew unless it has it. Loop.
func (a *lane) add(f func(context.Context, *Async)) {
	a.waiting.Add(1)
	a.mu.Lock()
	a.queue = append(a.queue, f)
	idle := !a.busy
	a.busy = true
	a.mu.Unlock()
	if idle {
		a.part.crew.push(a)
	}
}

// push puts a lane behind those that wait.
func (w *crew) push(a *lane) {
	w.mu.Lock()
	if len(w.lanes) == cap(w.lanes) && w.first > len(w.lanes)/2 { // the lanes move to the front
		w.lanes = slices.Delete(w.lanes, 0, w.first)
		w.first = 0
	}
	w.lanes = append(w.lanes, a)
	start := !w.coming
	w.coming = true
	w.mu.Unlock()
	if start {
		go w.work()
	}
}

// work serves lanes until none waits.
func (w *crew) work() {
	arrived := false
	for {
		w.mu.Lock()
		if !arrived {
			arrived, w.coming = true, false
		}
		if w.first == len(w.lanes) {
			w.first = 0
			w.lanes = w.lanes[:0]
			if cap(w.lanes) > lanesKept {
				w.lanes = nil
			}
			w.mu.Unlock()
			return
		}
		a := w.lanes[w.first]
		w.lanes[w.first] = nil
		w.first++
		start := w.first < len(w.lanes) && !w.coming
		w.coming = w.coming || start
		w.mu.Unlock()
		if start {
			go w.work()
		}
		w.serve(a)
	}
}

// serve runs the functions that a lane has by now. If more have come since, the lane goes behind
// those that wait.
func (w *crew) serve(a *lane) {
	ended := false
	defer func() {
		if !ended { // runtime.Goexit in a function: this worker ends, the lane does not
			w.push(a)
		}
	}()
	again := a.run()
	ended = true
	if again {
		w.push(a)
	}
}

// run runs the functions that wait, and tells whether more have come meanwhile.
func (a *lane) run() (again bool) {
	if a.next == len(a.taken) { // it is not where a worker has ended
		a.mu.Lock()
		a.taken, a.queue, a.next = a.queue, a.taken[:0], 0
		a.mu.Unlock()
	}
	async := &Async{a.part.server, a.id}
	for a.next < len(a.taken) {
		f := a.taken[a.next]
		a.taken[a.next] = nil
		a.next++
		a.call(f, async)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = len(a.queue) > 0
	return a.busy
}

// end cancels what runs and forgets what waits. A nil lane has nothing. Loop.
func (a *lane) end() {
	if a != nil {
		a.cancel() // the functions that wait are taken, and not called
	}
}

// idle tells whether no function waits or runs. Loop.
func (a *lane) idle() bool { return a.waiting.Load() == 0 }

// look has the loop read again once few functions wait.
func (a *lane) look() {
	if !a.pausing.Load() || int(a.waiting.Load()) > a.part.server.opt.AsyncMax/8 || !a.pausing.Swap(false) {
		return
	}
	err := a.part.orders.give(order{id: a.id, do: resumeAsync})
	if err != nil {
		a.pausing.Store(true) // the loop is flooded, or has ended: the next function that ends tries again
	}
}

// resumeAsync reads again from a connection that was paused for Go. Loop.
func resumeAsync(c *Conn) {
	if c.extra == 0 {
		return
	}
	x := c.part.extras.At(c.extra)
	x.asyncPaused = false
	if n := c.conn(); n != nil && !x.paused {
		c.part.loop.StartRead(n)
	}
}

// call runs one function, unless the connection has ended.
func (a *lane) call(f func(context.Context, *Async), async *Async) {
	defer func() {
		if v := recover(); v != nil {
			a.part.server.opt.Logger.Error("a function of Conn.Go panicked", slog.String("conn", a.id.String()),
				slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
			_ = a.part.orders.give(order{id: a.id, code: 1011, reason: "internal error"}) // refused: the loop has ended, or the next panic says it
		}
		a.waiting.Add(-1)
		a.look()
	}()
	if a.ctx.Err() == nil {
		f(a.ctx, async)
	}
}
