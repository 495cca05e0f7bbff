// What a loop is made of, and which kernel it gets.

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

	// OnTurn is called once a turn, behind the timers, with the loop's time in
	// Now, and says at what time it wants to be called again at the latest;
	// negative means that any turn will do. It is for what is finer than the
	// wheel's ticks, and for no single connection: the schedule of a client. It
	// may be nil.
	OnTurn func(l *Loop) (at time.Duration)

	// Nap makes a loop that is a client: while it is busy, it does not wait for
	// readiness but sleeps so long between two looks, a little more where the
	// system's timers are coarse. A server's send then wakes nobody, which it
	// would have to pay for. 0 means that the loop always waits.
	Nap time.Duration

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

// openKernel takes io_uring where it is asked for or allowed.
func openKernel(mode IOMode, hold time.Duration) (Kernel, error) {
	if mode == IOSyscall {
		return newSyscallKernel(hold)
	}
	k, err := newUringKernel(hold)
	if err != nil && mode != IOUring {
		return newSyscallKernel(hold)
	}
	if err != nil {
		return nil, fmt.Errorf("netpoll: io_uring is not to be had here: %w", err)
	}
	return k, nil
}
