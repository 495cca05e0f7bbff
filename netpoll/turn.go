// The loop: its state, its turn, and what a panic in it costs.

package netpoll

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// Loop is one reactor: it belongs to the goroutine that runs it, and nothing
// here but Remote may be touched by another. Handlers get it as an argument
// and must not store it.
type Loop struct {
	// immutable after start
	opt     Options
	kernel  Kernel
	remote  Remote
	started atomic.Bool
	stopped chan struct{}

	// loop-owned: connections
	conns       connSlab
	wheel       wheel
	outboxes    Slab[outbox]
	outboxBytes int64
	layers      layerStates

	// loop-owned: this turn
	now         time.Duration
	tick        tick
	lastEvent   time.Duration // when a turn last had an event
	eventBefore time.Duration // and when the event before that one was
	woke        time.Duration // when phase 1 ended
	ended       time.Duration // when phase 9 did
	length      time.Duration // from the one to the other, of the turn before
	lastBusy    time.Duration // when a turn last had a read, a task or a write
	turnAt      time.Duration // when OnTurn wants to be called; negative for any turn
	few         bool          // phase 1 brought fewer than napBelow
	current     *Conn         // the connection that a panic would close
	events      [eventsPerTurnMax]Event
	reads       []IO
	readers     []reader
	unread      []ID // connections whose socket may hold more than their last read took
	readArena   []byte
	sendArena   []byte
	gathers     []gather
	pieces      []chained
	writable    []uint32
	writes      []IO
	writers     []uint32
	vecs        [][]byte
	finishing   []ID
	pausing     []ID
	drainedIDs  []ID
	releasing   []closedConn
	opening     ID            // whose input a layer has opened in part, while its handler has that part
	unopened    []byte        // and the other part
	sealArena   []byte        // output of layers, until it is written
	sealing     [][]byte      // what is being sealed
	errno       syscall.Errno // of the connection that OnClose is being called for
	closing     []int32
	tasks       *task
	again       bool // something is left over for the next turn
	holdReads   bool // see HoldReads
	trimmed     bool // nothing was used since trim
	trimAt      time.Duration

	stats     Stats
	published publishedStats
}

// Turn is one turn of the loop: the nine phases, in this order. Only tests on a
// faked kernel call it themselves.
func (l *Loop) Turn() {
	n := l.wait()  // 1 wait     epoll_wait until the next tick that has a timer
	l.clock()      // 2 clock    one monotonic reading, used by everything below
	l.read(n)      // 3 read     all ready connections, one batch
	l.runTasks()   // 4 tasks    mailbox, a bounded number
	l.fireTimers() // 5 timers   the wheel, up to now
	l.onTurn()     //
	l.deliver(n)   // 6 deliver  topics with pending messages, a bounded slice
	l.flush()      // 7 flush    the dirty connections, one batch
	l.afterFlush() //
	l.release()    // 8 release  closed connections: the only frees
	l.publish()    // 9 publish  counters by atomic store
	l.again = l.again || l.leftOver()
	l.verify()
}

// Index is the loop's number.
func (l *Loop) Index() int { return l.opt.Index }

// Now is the time since the process started, read once a turn.
func (l *Loop) Now() time.Duration { return l.now }

// Seen is when c last sent something, or took something from a backlog; on the
// clock of Now, coarse by Options.Tick.
func (l *Loop) Seen(c *Conn) time.Duration { return l.now + l.until(c.seen) }

// Remote is the loop's any-goroutine face. Any goroutine.
func (l *Loop) Remote() *Remote { return &l.remote }

// Kernel is the name of the loop's kernel: "uring" or "syscall". Any goroutine,
// after Start.
func (l *Loop) Kernel() string { return l.kernel.Name() }

// Lookup finds the connection that an ID names; nil if it has closed.
func (l *Loop) Lookup(id ID) *Conn {
	c := l.conns.get(id.Slot())
	if c == nil || c.gen != id.Generation() || c.flags&flagDead != 0 || id.Loop() != l.opt.Index {
		return nil
	}
	return c
}

// LastTurn is how long the turn before this one worked, waiting not counted.
func (l *Loop) LastTurn() time.Duration { return l.length }

// ConnAt finds the connection in a slot, nil if there is none.
func (l *Loop) ConnAt(slot uint32) *Conn {
	c := l.conns.get(slot)
	if c == nil || c.flags&flagDead != 0 {
		return nil
	}
	return c
}

// RecordAt is ConnAt that also finds a connection that was closed in this turn, as long as its slot
// is not free.
func (l *Loop) RecordAt(slot uint32) *Conn { return l.conns.get(slot) }

// Len is the number of connections.
func (l *Loop) Len() int { return l.conns.live }

// OutboxBytes is how many bytes of output wait for all connections, those gathered in this turn not
// counted.
func (l *Loop) OutboxBytes() int64 { return l.outboxBytes }

// EachFrom calls f for the connections in n slots from the first on, and returns the slot behind
// them; 0 if there are no more. f may close and send.
func (l *Loop) EachFrom(first, n uint32, f func(c *Conn)) (next uint32) {
	end := uint32(len(l.conns.chunks)) * connChunk
	next = min(first+n, end)
	for slot := first; slot < next; slot++ {
		if c := l.ConnAt(slot); c != nil {
			f(c)
		}
	}
	if next == end {
		return 0
	}
	return next
}

// Each calls f for every connection until f says no. f may close and send.
func (l *Loop) Each(f func(c *Conn) bool) {
	l.conns.each(func(c *Conn) bool {
		if c.flags&flagDead != 0 {
			return true
		}
		return f(c)
	})
}

// leftOver tells whether something was queued behind the phase that serves it:
// by OnClose, by AfterFlush, or for OnWritable. The next turn must not sleep
// on it.
func (l *Loop) leftOver() bool {
	return len(l.unread)+len(l.drainedIDs)+len(l.gathers)+len(l.writable)+len(l.finishing)+len(l.pausing)+len(l.releasing)+len(l.closing) > 0
}

// busy is called where a turn begins to use the arenas; trim is due trimAfter
// from the first use.
func (l *Loop) busy() {
	l.lastBusy = l.now
	if l.trimmed {
		l.trimmed, l.trimAt = false, l.now+trimAfter
	}
}

// trim frees the arenas: an idle loop owns no buffer. It is called before blocking
// only, when nothing is gathered and no list has an entry.
func (l *Loop) trim() {
	l.trimmed = true
	trimArena(l.readArena)
	l.sendArena, l.sealArena, l.sealing = nil, nil, nil
	l.reads, l.readers, l.unread = nil, nil, nil
	l.gathers, l.pieces, l.vecs = nil, nil, nil
	l.writes, l.writers, l.writable = nil, nil, nil
	l.finishing, l.pausing, l.drainedIDs = nil, nil, nil
	l.releasing, l.closing = nil, nil
}

// contain, deferred by each function that calls handlers, recovers a panic: the
// connection it was called for is closed. The function returns by a named result
// where the work for the other connections goes on.
func (l *Loop) contain() {
	v := recover()
	if v == nil {
		return
	}
	c := l.current
	l.current, l.opening, l.unopened = nil, 0, nil
	l.logPanic(v, c)
	if c == nil || c.flags&flagLive == 0 || c.flags&flagDead != 0 {
		return
	}
	l.callOnPanic(c)
	if c.flags&flagFinish == 0 {
		l.Close(c, ReasonPanic)
	}
}

// logPanic counts and logs a panic with its stack; c is nil for one in a task or
// a hook of the loop.
func (l *Loop) logPanic(v any, c *Conn) {
	buf := make([]byte, panicStackBytesMax)
	buf = buf[:runtime.Stack(buf, false)]
	l.stats.Panics++
	if c == nil {
		l.opt.Logger.Error("panic in a task of the loop", "loop", l.opt.Index, "panic", fmt.Sprint(v), "stack", string(buf))
		return
	}
	l.opt.Logger.Error("panic in a handler; its connection is closed", "conn", c.ID().String(), "panic", fmt.Sprint(v), "stack", string(buf))
}

// callOnPanic calls OnPanic; a panic in it is dropped, and c is closed.
func (l *Loop) callOnPanic(c *Conn) {
	if l.opt.OnPanic == nil || c.Closing() {
		return
	}
	defer func() { _ = recover() }()
	l.opt.OnPanic(l, c)
}
