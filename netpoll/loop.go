// The loop: its state, its turn, and reading.

package netpoll

import (
	"math"
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
	wheel       Wheel
	outboxes    Slab[outbox]
	outboxBytes int64

	// loop-owned: this turn
	now         time.Duration
	tick        Tick
	lastEvent   time.Duration // when a turn last had an event
	eventBefore time.Duration // and when the event before that one was
	woke        time.Duration // when phase 1 ended
	ended       time.Duration // when phase 9 did
	length      time.Duration // from the one to the other, of the turn before
	lastBusy    time.Duration // when a turn last had a read, a task or a write
	turnAt      time.Duration // when OnTurn wants to be called, negative: whenever
	few         bool          // phase 1 brought fewer than napBelow
	current     *Conn         // whom a panic would close
	events      [eventsPerTurnMax]Event
	reads       []IO
	readers     []reader
	unread      []ID // whose socket may hold more than its last read took
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
	relieved    []ID
	releasing   []leaver
	errno       syscall.Errno // of the connection that OnClose is being called for
	closing     []int32
	tasks       *task
	again       bool // something is left over for the next turn
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
// clock of Now, coarse by 32 ms.
func (l *Loop) Seen(c *Conn) time.Duration { return l.now + l.until(c.seen) }

// Remote is the loop's any-goroutine face. Any goroutine.
func (l *Loop) Remote() *Remote { return &l.remote }

// Kernel is the name of the loop's kernel: "uring" or "syscall". Any goroutine,
// after Start.
func (l *Loop) Kernel() string { return l.kernel.Name() }

// Lookup finds the connection that an ID names, nil if it is gone.
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

// Len is the number of connections.
func (l *Loop) Len() int { return l.conns.live }

// Each calls f for every connection until f says no. f may close and send.
func (l *Loop) Each(f func(c *Conn) bool) {
	l.conns.each(func(c *Conn) bool {
		if c.flags&flagDead != 0 {
			return true
		}
		return f(c)
	})
}

// wait is phase 1. It blocks only when nothing is left over, and for no longer
// than the next deadline allows.
func (l *Loop) wait() int {
	if l.again || l.tasks != nil {
		// Those in unread get the room that events leave, and half of it always.
		return l.kernel.Wait(l.events[:eventsPerTurnMax-min(len(l.unread), eventsPerTurnMax/2)], 0)
	}
	if nap := l.nap(); nap >= 0 {
		return l.doze(nap)
	}
	timeout := l.patience()
	// Announce the sleep first and look once more second: see rouse.
	l.remote.asleep.Store(true)
	if l.remote.wanted.Load() || l.remote.tasks.Load() != nil {
		timeout = 0
	}
	n := l.kernel.Wait(l.events[:], timeout)
	l.remote.asleep.Store(false)
	return n
}

// patience is how long phase 1 may block; negative means for ever.
func (l *Loop) patience() time.Duration {
	timeout := time.Duration(-1)
	if next, ok := l.wheel.Next(); ok {
		timeout = max(l.until(next), 0)
	}
	if l.turnAt >= 0 { // the kernel rounds up to whole milliseconds: be early, and let nap do the rest
		left := max(l.turnAt-l.ended-napUntilTurn/2, 0)
		if timeout < 0 || timeout > left {
			timeout = left
		}
	}
	if l.trimmed {
		return timeout
	}
	left := l.trimAt - l.now
	if left <= 0 {
		l.trim()
		return timeout
	}
	if timeout < 0 || timeout > left {
		return left
	}
	return timeout
}

// busy is called where a turn begins to use the arenas; trim is due trimAfter
// from the first use.
func (l *Loop) busy() {
	l.lastBusy = l.now
	if l.trimmed {
		l.trimmed, l.trimAt = false, l.now+trimAfter
	}
}

// trim gives the arenas back: an idle loop owns no buffer. It is called before
// blocking only, when nothing is gathered and no list has an entry.
func (l *Loop) trim() {
	l.trimmed = true
	trimArena(l.readArena)
	l.sendArena = nil
	l.reads, l.readers, l.unread = nil, nil, nil
	l.gathers, l.pieces, l.vecs = nil, nil, nil
	l.writes, l.writers, l.writable = nil, nil, nil
	l.finishing, l.pausing, l.relieved = nil, nil, nil
	l.releasing, l.closing = nil, nil
}

// clock is phase 2.
func (l *Loop) clock() {
	l.now = l.opt.Clock()
	l.woke = l.now
	l.tick = tickOf(l.now)
	l.remote.wanted.Store(false)
	l.again = false
}

// read is phase 3.
func (l *Loop) read(n int) {
	l.few = n < napBelow
	if n+len(l.unread) == 0 {
		return
	}
	l.busy()
	l.planReads(n)
	l.planUnread()
	l.shareArena()
	if len(l.reads) == 0 {
		return
	}
	l.kernel.Read(l.reads)
	l.stats.Reads += uint64(len(l.reads))
	for i := 0; i < len(l.reads); {
		i = l.serveReads(i)
	}
	clear(l.reads)
}

// planReads sorts the events into reads and writes. Stale ones die on the
// generation here.
func (l *Loop) planReads(n int) {
	l.reads, l.readers = l.reads[:0], l.readers[:0]
	for _, ev := range l.events[:n] {
		c := l.conns.get(uint32(ev.Token))
		if c == nil || c.gen != uint32(ev.Token>>32) || c.flags&flagDead != 0 {
			l.stats.StaleEvents++
			continue
		}
		if ev.Ready&ReadyWrite != 0 && c.flags&flagBacklog != 0 {
			l.queueWrite(c)
		}
		if c.interest&interestRead == 0 {
			if ev.Ready&ReadyError != 0 { // nobody reads, so nobody else would find out
				l.fail(c, l.kernel.Error(c.fd))
			}
			continue
		}
		if ev.Ready&(ReadyRead|ReadyError) != 0 {
			l.planRead(c, ev.Ready&(ReadyEnd|ReadyError) != 0)
		}
	}
}

// reader is whose read it is. empties says that only EAGAIN, the FIN or an error
// is the end of it, not that it came back short: something else than bytes was
// reported, perhaps by an event that is spent.
type reader struct {
	slot    uint32
	empties bool
}

func (l *Loop) planRead(c *Conn, empties bool) {
	c.interest |= interestPlanned
	l.reads = append(l.reads, IO{FD: c.fd})
	l.readers = append(l.readers, reader{c.Slot(), empties})
}

// planUnread adds those whom no event may name again, for theirs was spent on a
// read that did not take everything. Nobody is read twice in a turn.
func (l *Loop) planUnread() {
	listed := l.unread
	l.unread = l.unread[:0]
	for _, id := range listed {
		c := l.Lookup(id)
		switch {
		case c == nil:
		case len(l.reads) >= eventsPerTurnMax, c.interest&interestPlanned != 0:
			l.unread = append(l.unread, id)
		default:
			c.interest &^= interestUnread
			if c.interest&interestRead != 0 { // else Modify will report it
				l.planRead(c, true)
			}
		}
	}
}

// readAgain lists c: its socket may hold more.
func (l *Loop) readAgain(c *Conn) {
	if c.interest&interestUnread == 0 {
		c.interest |= interestUnread
		l.unread = append(l.unread, c.ID())
	}
}

// shareArena cuts the read arena into equal parts, each on a cache line of its
// own. None begins at a multiple of the page size behind the one before: equal
// offsets would fall in the same few cache sets and evict each other.
func (l *Loop) shareArena() {
	if len(l.reads) == 0 {
		return
	}
	stride := min(len(l.readArena)/len(l.reads), readBytesMax+readSkew) &^ (cacheLine - 1)
	if stride%pageSize == 0 {
		stride -= readSkew
	}
	size := min(stride, readBytesMax)
	for i := range l.reads {
		at := i * stride
		l.reads[i].Buf = l.readArena[at : at+size : at+size]
	}
}

// serveReads hands results to handlers from the i-th on, and returns where to go
// on: after a panic, behind the connection that it is charged to.
func (l *Loop) serveReads(i int) (next int) {
	defer l.contain()
	for ; i < len(l.reads); i++ {
		next = i + 1
		c := l.conns.at(l.readers[i].slot)
		c.interest &^= interestPlanned
		if c.flags&flagDead != 0 {
			continue
		}
		op := &l.reads[i]
		switch {
		case op.N > 0:
			if int(op.N) == len(op.Buf) || l.readers[i].empties {
				l.readAgain(c)
			}
			l.received(c, op.Buf[:op.N])
		case op.N == 0:
			l.hungUp(c)
		case op.N == -int32(syscall.EAGAIN):
		case op.N == -int32(syscall.EINTR):
			l.readAgain(c)
		default:
			l.fail(c, syscall.Errno(-op.N))
		}
	}
	return next
}

func (l *Loop) received(c *Conn, p []byte) {
	c.seen = l.tick
	l.stats.BytesReceived += uint64(len(p))
	if c.flags&flagFinish != 0 {
		return // lingering: what still comes is nobody's
	}
	l.current = c
	l.opt.Handlers[c.role].OnData(l, c, p)
	l.current = nil
}

// hungUp is for the peer's FIN: it ends the connection, but not before what
// Finish has promised to send is sent.
func (l *Loop) hungUp(c *Conn) {
	if c.flags&(flagFinish|flagLinger) == flagFinish {
		l.setInterest(c, c.interest&^interestRead) // finishAll closes when all is out
		return
	}
	l.Close(c, ReasonPeer)
}

// Redeliver gives bytes to c's present handler as if they had just arrived.
func (l *Loop) Redeliver(c *Conn, p []byte) {
	if len(p) == 0 || c.Closing() {
		return
	}
	was := l.current
	l.current = c // a panic is c's, and then current stays for contain
	l.opt.Handlers[c.role].OnData(l, c, p)
	l.current = was
}

func (l *Loop) queueWrite(c *Conn) {
	if o := l.outboxes.At(c.out); !o.queued {
		o.queued = true
		l.writable = append(l.writable, c.Slot())
	}
}

// deliver is phase 6. The slice is small while reads come in too: they wait for
// this turn's flush, and the next for the next one's.
func (l *Loop) deliver(events int) {
	if l.opt.Deliver == nil {
		return
	}
	defer l.contain()
	if events > 0 {
		l.eventBefore, l.lastEvent = l.lastEvent, l.now
		if events > 1 {
			l.eventBefore = l.now
		}
	}
	members := deliverMembersQuiet
	if l.now-l.eventBefore < deliverCalm {
		members = deliverMembersBusy
	}
	if withoutSlices {
		members = math.MaxInt32
	}
	if l.opt.Deliver(l, members) {
		l.again = true
	}
}

func (l *Loop) afterFlush() {
	if l.opt.AfterFlush == nil {
		return
	}
	defer l.contain()
	l.opt.AfterFlush(l)
}

// leftOver tells whether something was queued behind the phase that serves it:
// by OnClose, by AfterFlush, or for OnWritable. The next turn must not sleep
// on it.
func (l *Loop) leftOver() bool {
	return len(l.unread)+len(l.relieved)+len(l.gathers)+len(l.finishing)+len(l.pausing)+len(l.releasing)+len(l.closing) > 0
}
