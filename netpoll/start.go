// What a loop is made of, how it starts and how it stops.

package netpoll

import (
	"fmt"
	"log/slog"
	"time"
)

// Options says what a loop is made of.
type Options struct {
	// Index is the loop's number, below LoopsMax; it is part of every ID.
	Index int

	// Generation is where the generations of slots begin: the first use of a
	// slot has the next one. A random number keeps the IDs that an earlier
	// process gave out from naming connections of this one.
	Generation uint32

	// IO chooses the kernel; empty means IOAuto.
	IO IOMode

	// Handlers is the protocol of each role. A connection may only get a role
	// that has one.
	Handlers [RolesMax]Handler

	// Layer is what connections of AdoptLayered have below their handlers. It may
	// be nil.
	Layer Layer

	// Deliver is phase 6: deliver to at most members members, and tell whether
	// there is more to do. Nil means there is never anything.
	Deliver func(l *Loop, members int) (more bool)

	// AfterFlush runs between phases 7 and 8: what phase 6 delivered has been
	// written. It may be nil.
	AfterFlush func(l *Loop)

	// OnRelease is called with the tag of each connection that connection has left the loop by
	// closing (not by Detach). It may be nil.
	OnRelease func(tag uint32, r Reason)

	// OnPanic hears of a handler's panic before its connection is closed, on
	// the loop; it may send a last word and call Finish. It may be nil.
	OnPanic func(l *Loop, c *Conn)

	// OnTurn is called once a turn, behind the timers, with the loop's time in
	// Now, and says at what time it wants to be called again at the latest;
	// negative means that any turn will do. It is for what is finer than the
	// wheel's ticks, and for no single connection: the schedule of a client. It
	// may be nil.
	OnTurn func(l *Loop) (at time.Duration)

	// Nap makes a loop that is a client: while it is busy, it does not wait for
	// readiness but sleeps so long between two looks, a little more where the
	// system's timers are coarse. A server's send then does not have to wake
	// it, which would cost the server. 0 means that the loop always waits.
	Nap time.Duration

	// Tick is the resolution of deadlines, TickMin to TickDefault; 0 means
	// TickDefault. A finer one costs wake-ups, see TickDefault.
	Tick time.Duration

	// Hold is how long a turn waits without giving its processor back, in whole
	// milliseconds; 0 means HoldDefault. See HoldSpare.
	Hold time.Duration

	// Logger gets panics with their stacks; nil discards.
	Logger *slog.Logger

	// Kernel replaces the real one in tests.
	Kernel Kernel

	// Clock replaces Monotonic in tests, and where a loop must go by a clock
	// that other processes have too. It must not go back.
	Clock func() time.Duration
}

// complete fills in what was left empty, and refuses what makes no loop.
func (o *Options) complete() error {
	if o.Index < 0 || o.Index >= LoopsMax {
		return fmt.Errorf("netpoll: loop index %d: want 0 to %d", o.Index, LoopsMax-1)
	}
	switch o.IO {
	case "", IOAuto, IOUring, IOSyscall:
	default:
		return fmt.Errorf("netpoll: I/O mode %q: want auto, uring or syscall", o.IO)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Hold == 0 {
		o.Hold = HoldDefault
	}
	if o.Tick == 0 {
		o.Tick = TickDefault
	}
	if o.Tick < TickMin || o.Tick > TickDefault {
		return fmt.Errorf("netpoll: Options.Tick is %v: allowed are %v to %v", o.Tick, TickMin, TickDefault)
	}
	if o.Clock == nil {
		o.Clock = monotonic
	}
	return nil
}

var processStart = time.Now()

// monotonic is the time since the process started; it never goes back.
func monotonic() time.Duration { return time.Since(processStart) }

// Monotonic is the clock of all loops that were not given another: the time
// since the process started. Any goroutine.
func Monotonic() time.Duration { return monotonic() }

// NewLoop makes a loop; Start runs it. Every loop must be stopped, also one that
// was never started: it owns memory that the garbage collector does not free.
func NewLoop(opt Options) (*Loop, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	l := &Loop{opt: opt, stopped: make(chan struct{}), trimmed: true, turnAt: -1}
	l.conns.loop, l.conns.unused = uint8(opt.Index), opt.Generation
	l.wheel.conns = &l.conns
	l.now = opt.Clock()
	l.lastBusy, l.ended, l.woke = l.now-napCalm, l.now, l.now
	l.tick = l.tickOf(l.now)
	l.wheel.now = l.tick
	l.readArena = newArena(readArenaBytes)
	if opt.Kernel != nil {
		l.setKernel(opt.Kernel)
	}
	return l, nil
}

func (l *Loop) ensureKernel() error {
	if l.kernel != nil {
		return nil // a test's
	}
	k, err := openKernel(l.opt.IO, l.opt.Hold)
	if err == nil {
		l.setKernel(k)
	}
	return err
}

func (l *Loop) setKernel(k Kernel) {
	l.kernel = k
	l.remote.wake = k.Wake
}

// Start runs the loop in a goroutine of its own. It returns when the loop takes
// tasks, or an error if it does not start. It is called once.
func (l *Loop) Start() error {
	l.started.Store(true)
	ready := make(chan error, 1)
	go func() {
		defer close(l.stopped)
		if err := l.ensureKernel(); err != nil {
			l.shutdown()
			ready <- err
			return
		}
		ready <- nil
		for !l.remote.stopping.Load() {
			l.Turn()
		}
		l.shutdown()
	}()
	return <-ready
}

// Stop ends the loop: what was posted still runs, then every connection is
// closed with ReasonDrain; nothing is sent to its peer. It returns when the loop
// has ended; a second call does nothing. Any goroutine but the loop's own. A
// loop that was never started, as in tests on a faked kernel, ends at once.
func (l *Loop) Stop() {
	if l.remote.stopping.Swap(true) {
		<-l.stopped
		return
	}
	if !l.started.Load() {
		l.shutdown()
		close(l.stopped)
		return
	}
	if l.remote.wake != nil {
		l.remote.wake()
	}
	<-l.stopped
}

// shutdown runs the tasks that Post has promised to run, for they may carry
// sockets, closes everybody, and gives back what the loop holds.
func (l *Loop) shutdown() {
	l.remote.stopping.Store(true)
	last := l.remote.close()
	if l.kernel == nil { // without a kernel there is no connection for a task
		freeArena(l.readArena)
		l.readArena = nil
		return
	}
	l.tasks = concat(l.tasks, last)
	for l.tasks != nil {
		l.serveTasks(tasksPerTurnMax)
	}
	// OnClose may adopt further connections.
	for l.conns.live > 0 || len(l.closing) > 0 {
		l.Each(func(c *Conn) bool {
			l.Close(c, ReasonDrain)
			return true
		})
		l.release()
	}
	l.woke = l.opt.Clock()
	l.publish()
	l.kernel.Release()
	freeArena(l.readArena)
	l.readArena = nil
}
