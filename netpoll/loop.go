// The loop: its state, its turn, and reading.

package netpoll

import (
	"fmt"
	"log/slog"
	"runtime"
	"syscall"
	"time"
)

// Options says what a loop is made of.
type Options struct {
	// Index is the loop's number, below LoopsMax; it is part of every ID.
	Index int

	// IO chooses the kernel; empty means IOAuto.
	IO IOMode

	// Handlers is the protocol of each role. A connection may only get a role
	// that has one.
	Handlers [RolesMax]Handler

	// Deliver is phase 6: deliver to at most members members, and tell whether
	// there is more to do. Nil means there is never anything.
	Deliver func(l *Loop, members int) (more bool)

	// AfterFlush runs between phases 7 and 8: what phase 6 delivered has been
	// written. It may be nil.
	AfterFlush func(l *Loop)

	// OnRelease hears of each tag whose connection has left the loop by
	// closing (not by Detach). It may be nil.
	OnRelease func(tag uint32, r Reason)

	// OnPanic hears of a handler's panic before its connection is closed, on
	// the loop; it may send a last word and call Finish. It may be nil.
	OnPanic func(l *Loop, c *Conn)

	// Logger gets panics with their stacks; nil discards.
	Logger *slog.Logger

	// Kernel and Clock replace the real ones in tests.
	Kernel Kernel
	Clock  func() time.Duration
}

// Loop is one reactor: it belongs to the goroutine that runs it, and nothing
// here but Remote may be touched by another. Handlers get it as an argument
// and must not store it.
type Loop struct {
	// immutable after start
	opt     Options
	kernel  Kernel
	remote  Remote
	stopped chan struct{}

	// loop-owned: connections
	conns       connSlab
	wheel       Wheel
	outboxes    Slab[outbox]
	outboxBytes int64

	// loop-owned: this turn
	now       time.Duration
	tick      Tick
	woke      time.Duration // when phase 1 ended
	current   *Conn         // whom a panic would close
	events    [eventsPerTurnMax]Event
	reads     []IO
	readers   []uint32
	readArena []byte
	sendArena []byte
	gathers   []gather
	pieces    []chained
	writable  []uint32
	writes    []IO
	writers   []uint32
	vecs      [][]byte
	finishing []ID
	pausing   []ID
	relieved  []ID
	releasing []uint32
	closing   []int32
	tasks     *task
	again     bool // something is left over for the next turn
	trimmed   bool // the arenas' pages have been given back

	stats     Stats
	published publishedStats
}

// NewLoop makes a loop that Start, or Run, sets going.
func NewLoop(opt Options) (*Loop, error) {
	if opt.Index < 0 || opt.Index >= LoopsMax {
		return nil, fmt.Errorf("netpoll: loop index %d: want 0 to %d", opt.Index, LoopsMax-1)
	}
	switch opt.IO {
	case "", IOAuto, IOUring, IOSyscall:
	default:
		return nil, fmt.Errorf("netpoll: I/O mode %q: want auto, uring or syscall", opt.IO)
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Clock == nil {
		opt.Clock = monotonic
	}
	l := &Loop{opt: opt, stopped: make(chan struct{}), trimmed: true}
	l.conns.loop = uint8(opt.Index)
	l.wheel.conns = &l.conns
	l.now = opt.Clock()
	l.tick = tickOf(l.now)
	l.wheel.now = l.tick
	l.readArena = newArena(readArenaBytes)
	if opt.Kernel != nil {
		l.setKernel(opt.Kernel)
	}
	return l, nil
}

var processStart = time.Now()

// monotonic is the time since the process started; it never goes back.
func monotonic() time.Duration { return time.Since(processStart) }

// Monotonic is the clock of all loops that were not given another: the time
// since the process started. Any goroutine.
func Monotonic() time.Duration { return monotonic() }

func (l *Loop) setKernel(k Kernel) {
	l.kernel = k
	l.remote.wake = k.Wake
}

// Start runs the loop in a goroutine of its own, locked to its thread, and
// returns when it is ready to be posted to, or with the reason why not.
func (l *Loop) Start() error {
	ready := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		// Never unlocked: the ring belongs to this thread, which ends with us.
		k, err := openKernel(l.opt.IO)
		if err != nil {
			close(l.stopped)
			ready <- err
			return
		}
		l.setKernel(k)
		ready <- nil
		l.run()
	}()
	return <-ready
}

// openKernel takes io_uring where it is asked for or allowed.
func openKernel(mode IOMode) (Kernel, error) {
	if mode == IOSyscall {
		return newSyscallKernel()
	}
	k, err := newUringKernel()
	if err != nil && mode != IOUring {
		return newSyscallKernel()
	}
	if err != nil {
		return nil, fmt.Errorf("netpoll: io_uring is not to be had here: %w", err)
	}
	return k, nil
}

func (l *Loop) run() {
	defer close(l.stopped)
	for !l.remote.stopping.Load() {
		l.Turn()
	}
	l.shutdown()
}

// Stop ends the loop: every connection is closed with ReasonDrain, without a
// word to its peer. It returns when the loop has ended. Any other goroutine.
func (l *Loop) Stop() {
	l.remote.stopping.Store(true)
	l.remote.wanted.Store(true)
	if l.remote.wake != nil {
		l.remote.wake()
	}
	<-l.stopped
}

func (l *Loop) shutdown() {
	l.Each(func(c *Conn) bool {
		l.Close(c, ReasonDrain)
		return true
	})
	l.release()
	l.publish()
	l.kernel.Release()
	freeArena(l.readArena)
	l.readArena = nil
}

// Turn is one turn of the loop: the nine phases, in this order. Only tests on a
// faked kernel call it themselves.
func (l *Loop) Turn() {
	n := l.wait()  // 1 wait     epoll_wait until the next tick that has a timer
	l.clock()      // 2 clock    one monotonic reading, used by everything below
	l.read(n)      // 3 read     all ready connections, one batch
	l.runTasks()   // 4 tasks    mailbox, a bounded number
	l.fireTimers() // 5 timers   the wheel, up to now
	l.deliver(n)   // 6 deliver  topics with pending messages, a bounded slice
	l.flush()      // 7 flush    the dirty connections, one batch
	l.afterFlush() //
	l.release()    // 8 release  closed connections: the only frees
	l.publish()    // 9 publish  counters by atomic store
}

// Index is the loop's number.
func (l *Loop) Index() int { return l.opt.Index }

// Now is the time since the process started, read once a turn.
func (l *Loop) Now() time.Duration { return l.now }

// Seen is when c last sent something, or took something from a backlog; on the
// clock of Now, coarse by 32 ms.
func (l *Loop) Seen(c *Conn) time.Duration { return c.seen.Duration() }

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
		return l.kernel.Wait(l.events[:], 0)
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
		timeout = max(next.Duration()-l.now, 0)
	}
	if l.trimmed {
		return timeout
	}
	idle := l.now - l.stats.lastBusy
	if idle >= trimAfter {
		l.trim()
		return timeout
	}
	if timeout < 0 || timeout > trimAfter-idle {
		return trimAfter - idle
	}
	return timeout
}

// trim gives the arenas' pages back: an idle loop owns no buffer.
func (l *Loop) trim() {
	l.trimmed = true
	trimArena(l.readArena)
	l.sendArena = nil
	l.gathers, l.pieces, l.vecs, l.writes, l.writers = nil, nil, nil, nil, nil
	l.reads, l.readers = nil, nil
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
	if n == 0 {
		return
	}
	l.stats.lastBusy, l.trimmed = l.now, false
	l.planReads(n)
	if len(l.reads) == 0 {
		return
	}
	l.kernel.Read(l.reads)
	l.stats.Reads += uint64(len(l.reads))
	for i := 0; i < len(l.reads); {
		i = l.serveReads(i)
	}
	clear(l.reads)
	l.again = l.again || n == eventsPerTurnMax
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
				l.Close(c, ReasonReset)
			}
			continue
		}
		if ev.Ready&(ReadyRead|ReadyError) != 0 {
			l.reads = append(l.reads, IO{FD: c.fd})
			l.readers = append(l.readers, c.Slot())
		}
	}
	l.shareArena()
}

// shareArena cuts the read arena into equal parts. No part begins at a multiple
// of the page size behind the one before: equal offsets would fall in the same
// few cache sets and evict each other.
func (l *Loop) shareArena() {
	if len(l.reads) == 0 {
		return
	}
	stride := min(len(l.readArena)/len(l.reads), readBytesMax+readSkew)
	size := min(stride, readBytesMax)
	for i := range l.reads {
		at := i * stride
		l.reads[i].Buf = l.readArena[at : at+size : at+size]
	}
}

// serveReads hands results to handlers from the i-th on, and returns where to go
// on: after a panic, behind the connection that it is charged to.
func (l *Loop) serveReads(i int) (next int) {
	defer l.contain(&next)
	for ; i < len(l.reads); i++ {
		next = i + 1
		c := l.conns.at(l.readers[i])
		if c.flags&flagDead != 0 {
			continue
		}
		op := &l.reads[i]
		switch {
		case op.N > 0:
			l.received(c, op.Buf[:op.N])
		case op.N == 0:
			l.Close(c, ReasonPeer)
		case op.N == -int32(syscall.EAGAIN), op.N == -int32(syscall.EINTR):
		default:
			l.Close(c, ReasonReset)
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

// Redeliver gives bytes to c's present handler as if they had just arrived.
func (l *Loop) Redeliver(c *Conn, p []byte) {
	if len(p) > 0 && !c.Closing() {
		l.opt.Handlers[c.role].OnData(l, c, p)
	}
}

func (l *Loop) queueWrite(c *Conn) {
	if o := l.outboxes.At(c.out); !o.queued {
		o.queued = true
		l.writable = append(l.writable, c.Slot())
	}
}

// runTasks is phase 4. Those relieved of a backlog come first.
func (l *Loop) runTasks() {
	relieved := l.relieved
	l.relieved = nil
	for i := 0; i < len(relieved); {
		i = l.serveRelieved(relieved, i)
	}
	if l.relieved == nil {
		l.relieved = relieved[:0]
	}
	left := tasksPerTurnMax
	for left > 0 {
		if l.tasks == nil {
			if l.tasks = l.remote.take(); l.tasks == nil {
				return
			}
		}
		left = l.serveTasks(left)
	}
}

func (l *Loop) serveRelieved(ids []ID, i int) (next int) {
	defer l.contain(&next)
	for ; i < len(ids); i++ {
		next = i + 1
		if c := l.Lookup(ids[i]); c != nil && !c.Closing() && c.flags&flagBacklog == 0 {
			l.current = c
			l.opt.Handlers[c.role].OnWritable(l, c)
			l.current = nil
		}
	}
	return next
}

func (l *Loop) serveTasks(left int) (rest int) {
	defer l.contain(&rest)
	l.stats.lastBusy, l.trimmed = l.now, false
	for ; left > 0 && l.tasks != nil; left-- {
		t := l.tasks
		l.tasks = t.next
		rest = left - 1
		l.remote.depth.Add(-1)
		l.stats.Tasks++
		if t.id == 0 {
			t.run(l)
		} else if c := l.Lookup(t.id); c != nil {
			l.current = c
			t.with(l, c)
			l.current = nil
		}
	}
	return left
}

// fireTimers is phase 5.
func (l *Loop) fireTimers() {
	for l.serveTimers() {
	}
}

// serveTimers fires what is due; true means that a panic cut it short.
func (l *Loop) serveTimers() (cut bool) {
	cut = true
	resumed := 0
	defer l.contain(&resumed)
	more := l.wheel.Advance(l.tick, timersPerTurnMax, l.fire)
	l.again = l.again || more
	return false
}

func (l *Loop) fire(c *Conn) {
	l.stats.Timers++
	if c.flags&flagDead != 0 {
		return
	}
	if c.flags&flagFinish != 0 { // the linger is over
		l.Close(c, c.reason)
		return
	}
	l.current = c
	l.opt.Handlers[c.role].OnTimer(l, c)
	l.current = nil
}

// deliver is phase 6. The slice is small when reads came in too: they wait for
// this turn's flush.
func (l *Loop) deliver(events int) {
	if l.opt.Deliver == nil {
		return
	}
	members := deliverMembersQuiet
	if events > 0 {
		members = deliverMembersBusy
	}
	if l.opt.Deliver(l, members) {
		l.again = true
	}
	if len(l.gathers) > 0 {
		l.stats.lastBusy, l.trimmed = l.now, false
	}
}

func (l *Loop) afterFlush() {
	if l.opt.AfterFlush != nil {
		l.opt.AfterFlush(l)
	}
	if len(l.relieved) > 0 {
		l.again = true
	}
}

// contain recovers a handler's panic: the connection it was called for is
// closed, everybody else's work goes on at *next.
func (l *Loop) contain(next *int) {
	v := recover()
	if v == nil {
		return
	}
	buf := make([]byte, 16<<10)
	buf = buf[:runtime.Stack(buf, false)]
	c := l.current
	l.current = nil
	l.stats.Panics++
	if c == nil {
		l.opt.Logger.Error("panic in a task of the loop", "loop", l.opt.Index, "panic", fmt.Sprint(v), "stack", string(buf))
		return
	}
	l.opt.Logger.Error("panic in a handler; its connection is closed", "conn", c.ID().String(), "panic", fmt.Sprint(v), "stack", string(buf))
	if c.flags&flagLive == 0 || c.flags&flagDead != 0 {
		return
	}
	l.lastWord(c)
	if c.flags&flagFinish == 0 {
		l.Close(c, ReasonPanic)
	}
}

// lastWord lets OnPanic say goodbye; should it panic too, that is that.
func (l *Loop) lastWord(c *Conn) {
	if l.opt.OnPanic == nil || c.Closing() {
		return
	}
	defer func() { _ = recover() }()
	l.opt.OnPanic(l, c)
}
