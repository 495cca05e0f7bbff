// Phases 1 and 2: how long the loop sleeps, and epoll, which wakes it.

package netpoll

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wait is phase 1. It blocks only when nothing is left over, and for no longer
// than the next deadline allows.
func (l *Loop) wait() int {
	if l.again || l.tasks != nil {
		// The connections in unread get the room that events leave, and always half of it.
		return l.kernel.Wait(l.events[:eventsPerTurnMax-min(len(l.unread), eventsPerTurnMax/2)], 0)
	}
	if nap := l.nap(); nap >= 0 {
		return l.sleepFor(nap)
	}
	timeout := l.waitTimeout()
	// Announce the sleep first and look once more second: see wakeIfAsleep.
	l.remote.asleep.Store(true)
	if l.remote.wanted.Load() || l.remote.tasks.Load() != nil {
		timeout = 0
	}
	n := l.kernel.Wait(l.events[:], timeout)
	l.remote.asleep.Store(false)
	return n
}

// waitTimeout is how long phase 1 may block; negative means without end.
func (l *Loop) waitTimeout() time.Duration {
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

// nap is how long phase 1 sleeps before it looks; negative means that it waits
// for readiness instead.
func (l *Loop) nap() time.Duration {
	nap, left := l.opt.Nap, time.Duration(math.MaxInt64)
	if nap == 0 {
		nap = napMax
	}
	if l.turnAt >= 0 {
		left = max(l.turnAt-l.ended, 0)
	}
	switch busy := l.opt.Nap > 0 && l.ended-l.lastBusy < napCalm; {
	case busy && !l.few:
		return 0
	case busy, left < napUntilTurn:
		return min(nap, left)
	}
	return -1
}

// sleepFor is phase 1 of a loop that naps. A post meanwhile does not wake it: it
// does not sleep for long.
func (l *Loop) sleepFor(nap time.Duration) int {
	if nap > 0 && !l.remote.wanted.Load() && l.remote.tasks.Load() == nil {
		l.kernel.Nap(nap)
	}
	return l.kernel.Wait(l.events[:], 0)
}

// clock is phase 2.
func (l *Loop) clock() {
	l.now = l.opt.Clock()
	l.woke = l.now
	l.tick = l.tickOf(l.now)
	l.again = false
}

const wakeToken = ^uint64(0)

// poller waits for readiness. Waiting is a raw epoll_wait of at most hold
// first, then parking on Go's own poller, to which an epoll descriptor is just
// another file: the first is the cheapest wait there is but keeps the processor,
// the second costs a trip through the scheduler and keeps nothing.
//
// Go's poller does not watch fd itself but gate, a second epoll descriptor that
// watches fd only while the loop is parked. Were fd always watched, each event
// on any connection would also wake the thread that sits in Go's poller, for
// nothing: a change of thread for every packet.
type poller struct {
	fd      int
	gate    int
	file    *os.File // gate, as Go's poller has it
	raw     syscall.RawConn
	events  [eventsPerTurnMax]unix.EpollEvent
	room    int // how many of them the caller of Wait can take: what is taken is not reported again
	got     int
	hold    time.Duration
	tryWait func(fd uintptr) bool // made once: a closure a wait would be garbage a turn
	woken   atomic.Bool

	mu     sync.Mutex // guards the field below against its end
	wakeFD int        // -1 when closed
}

func newPoller(hold time.Duration) (_ *poller, err error) {
	p := &poller{fd: -1, gate: -1, wakeFD: -1, hold: hold}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if p.gate, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if p.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	if runtime.GOMAXPROCS(0) == 1 {
		p.hold = 0 // a raw wait would keep everybody else from the only processor
	}
	if err := p.wrap(); err != nil {
		return nil, err
	}
	p.tryWait = func(uintptr) bool {
		p.got = p.wait(0)
		return p.got > 0
	}
	return p, nil
}

func (p *poller) wrap() error {
	if errno := control(p.fd, unix.EPOLL_CTL_ADD, p.wakeFD, wakeToken, unix.EPOLLIN); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	if errno := control(p.gate, unix.EPOLL_CTL_ADD, p.fd, 0, 0); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	// NewFile gives only non-blocking descriptors to the runtime's poller.
	if err := unix.SetNonblock(p.gate, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	p.file = os.NewFile(uintptr(p.gate), "epoll")
	raw, err := p.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("epoll descriptor: %w", err)
	}
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("epoll descriptor is not pollable: %w", err)
	}
	p.raw = raw
	return nil
}

func setToken(ev *unix.EpollEvent, token uint64) {
	ev.Fd, ev.Pad = int32(uint32(token)), int32(uint32(token>>32))
}

func tokenOf(ev *unix.EpollEvent) uint64 {
	return uint64(uint32(ev.Pad))<<32 | uint64(uint32(ev.Fd))
}

// wait is epoll_wait without telling the scheduler, for at most timeout, in
// whole milliseconds.
func (p *poller) wait(timeout time.Duration) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(p.room), uintptr(timeout/time.Millisecond), 0, 0)
	if errno != 0 {
		return 0 // EINTR: a signal; the next turn waits again
	}
	return int(n)
}

// Wait is Kernel.Wait. A timeout is rounded up to milliseconds.
func (p *poller) Wait(out []Event, timeout time.Duration) int {
	p.room = min(len(out), len(p.events))
	if timeout == 0 {
		p.got = p.wait(0)
		return p.translate(out)
	}
	hold := p.hold
	if timeout > 0 {
		hold = min(hold, (timeout + time.Millisecond - 1).Truncate(time.Millisecond))
	}
	p.got = p.wait(hold)
	if p.got == 0 && (timeout < 0 || timeout > hold) {
		p.park(timeout, hold)
	}
	return p.translate(out)
}

// park waits on Go's poller; of timeout, hold is over already.
func (p *poller) park(timeout, hold time.Duration) {
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout - hold)
	}
	if p.file.SetReadDeadline(deadline) != nil {
		return
	}
	// Opening the gate looks at fd too, and Read calls tryWait before it blocks:
	// whatever has happened since the last wait is seen by one of the two.
	control(p.gate, unix.EPOLL_CTL_MOD, p.fd, 0, unix.EPOLLIN)
	// The error is the deadline's; there is nothing else that it can be, for
	// only the loop closes the file.
	_ = p.raw.Read(p.tryWait)
	control(p.gate, unix.EPOLL_CTL_MOD, p.fd, 0, 0)
}

// Nap is Kernel.Nap. A signal cuts it short, and the scheduler, which does not
// hear of it, may need that: it sends one to collect garbage.
func (p *poller) Nap(d time.Duration) {
	// The kernel may be late by the thread's slack, by default half of a usual
	// nap. It is set each time because the loop may be on another thread by now.
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1, 0)
	t := unix.NsecToTimespec(int64(d))
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}

func (p *poller) translate(out []Event) int {
	n := 0
	for i := range p.got {
		ev := &p.events[i]
		token := tokenOf(ev)
		if token == wakeToken {
			p.drainWake()
			continue
		}
		var r Ready
		if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 {
			r |= ReadyRead
		}
		if ev.Events&unix.EPOLLRDHUP != 0 {
			r |= ReadyEnd
		}
		if ev.Events&unix.EPOLLOUT != 0 {
			r |= ReadyWrite
		}
		if ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			r |= ReadyError
		}
		out[n] = Event{Token: token, Ready: r}
		n++
	}
	p.got = 0
	return n
}

// drainWake empties the event descriptor before it allows the next write: a
// Wake between the two is skipped, and rightly, for the loop is awake and looks
// at its mailbox before it sleeps again.
func (p *poller) drainWake() {
	var b [8]byte
	unix.RawSyscall(unix.SYS_READ, uintptr(p.wakeFD), uintptr(unsafe.Pointer(&b[0])), 8)
	p.woken.Store(false)
}

// Wake is Kernel.Wake. Many wakes before one wait cost one write.
func (p *poller) Wake() {
	if p.woken.Swap(true) {
		return
	}
	one := [8]byte{1}
	// A goroutine that posted just before the loop ended may come here after close,
	// when the number of the descriptor may have been used again.
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wakeFD >= 0 {
		unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wakeFD), uintptr(unsafe.Pointer(&one[0])), 8)
	}
}

const epollEdge = 1 << 31 // EPOLLET; the constant of x/sys has a sign

// epollRead is edge-triggered. A level would have every connection that was just
// served looked at a second time by the next wait, to find that it has nothing:
// 2 % of an echo. The loop reads until a read comes back short.
const epollRead = unix.EPOLLIN | unix.EPOLLRDHUP | epollEdge

func control(epoll int, op uintptr, fd int, token uint64, events uint32) syscall.Errno {
	ev := unix.EpollEvent{Events: events}
	setToken(&ev, token)
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epoll), op, uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// Add is Kernel.Add.
func (p *poller) Add(fd int32, token uint64) error {
	if errno := control(p.fd, unix.EPOLL_CTL_ADD, int(fd), token, epollRead); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// Modify is Kernel.Modify. Without read readiness EPOLLRDHUP is off too: a
// level-triggered FIN that is not read would spin. Write readiness is
// level-triggered, for a write may be bounded and leave room.
func (p *poller) Modify(fd int32, token uint64, read, write bool) {
	var events uint32
	if read {
		events |= epollRead
	}
	if write {
		events = events&^epollEdge | unix.EPOLLOUT
	}
	control(p.fd, unix.EPOLL_CTL_MOD, int(fd), token, events)
}

// Remove is Kernel.Remove.
func (p *poller) Remove(fd int32) { control(p.fd, unix.EPOLL_CTL_DEL, int(fd), 0, 0) }

// close closes what newPoller has opened so far.
func (p *poller) close() {
	if p.file != nil {
		p.file.Close() // and gate with it
	} else if p.gate >= 0 {
		unix.Close(p.gate)
	}
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wakeFD >= 0 {
		unix.Close(p.wakeFD)
		p.wakeFD = -1
	}
}

// Error is Kernel.Error.
func (p *poller) Error(fd int32) syscall.Errno {
	errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return 0
	}
	return syscall.Errno(errno)
}
