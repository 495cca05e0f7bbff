// The acceptor: takes connections from the listeners and deals them to loops.

package netpoll

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	easygo "github.com/mailru/easygo/netpoll"
	"golang.org/x/sys/unix"
)

// AcceptorOptions says where connections go.
type AcceptorOptions struct {
	// Loops get the connections, the one with the fewest first.
	Loops []*Loop

	// Admit judges each connection by its peer's address, on the acceptor's
	// goroutine; a peer on a Unix socket has none. The tag goes into the record; not ok means:
	// dismiss it with the answer of Dismissal. Nil admits everybody with tag 0.
	Admit func(peer netip.Addr) (tag uint32, ok bool)

	// Discard is called for an admitted connection that no loop took. It may be nil.
	Discard func(tag uint32)

	// Role is what the connections begin as.
	Role Role

	// Layered gives each connection the layer of its loop, which all Loops must
	// have. Connections that are dismissed get no answer then. Listeners of plain
	// connections need another acceptor.
	Layered bool

	// Busy is sent, as far as the socket takes it, to connections that arrive when the process has
	// no descriptor left.
	Busy []byte

	// Dismissal is the same for a connection that Admit does not admit, by the tag that it gave. Nil
	// means Busy for all of them.
	Dismissal func(tag uint32) []byte

	// OnExhausted is told, at most once a pause, why a listener cannot accept for
	// now: in practice, that descriptors ran out. It may be nil. It runs on the
	// acceptor's goroutine and must not call Close.
	OnExhausted func(err error)
}

// Acceptor accepts for all loops of a process, in one goroutine, over easygo's
// raw Epoll: admission is judged in one place, and loops stay even. Any
// goroutine may call its methods.
type Acceptor struct {
	// immutable; accept and rest are faked in tests
	opt    AcceptorOptions
	epoll  *easygo.Epoll
	accept func(listener int) (fd int, peer netip.Addr, errno syscall.Errno)
	rest   time.Duration

	lastBatch time.Duration // the epoll goroutine's: when ready last ended

	accepted  atomic.Uint64
	turnedOff atomic.Uint64 // refused for want of a descriptor

	mu        sync.Mutex // guards the fields below
	listeners map[int]*os.File
	paused    map[int]*time.Timer
	spare     int
	closed    bool
	unread    [4 << 10]byte
}

// NewAcceptor makes an acceptor without listeners.
func NewAcceptor(opt AcceptorOptions) (*Acceptor, error) {
	for _, l := range opt.Loops {
		if opt.Layered && l.opt.Layer == nil {
			return nil, fmt.Errorf("netpoll: acceptor of layered connections: loop %d has no layer", l.opt.Index)
		}
	}
	spare, err := openSpare()
	if err != nil {
		return nil, err
	}
	epoll, err := createEpoll()
	if err != nil {
		unix.Close(spare)
		return nil, err
	}
	return &Acceptor{opt: opt, epoll: epoll, accept: accept, rest: acceptPause, spare: spare,
		listeners: map[int]*os.File{}, paused: map[int]*time.Timer{}}, nil
}

// createEpoll makes easygo's Epoll and sets close-on-exec on its two descriptors: easygo does not,
// and a process that is started later would inherit them.
func createEpoll() (*easygo.Epoll, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	epoll, err := easygo.EpollCreate(&easygo.EpollConfig{OnWaitError: func(error) {}})
	if err != nil {
		return nil, os.NewSyscallError("epoll_create", err)
	}
	if err := closeEpollOnExec(epoll); err != nil {
		epoll.Close()
		return nil, err
	}
	return epoll, nil
}

// closeEpollOnExec finds the descriptors of epoll, which easygo does not tell, by what they do: the
// epoll descriptor is the one in whose set a marker of ours is, and the event descriptor is the one
// that is in this set beside it. EPOLL_CTL_MOD tells, and changes nothing, for it sets what is set
// already. No /proc is needed.
func closeEpollOnExec(epoll *easygo.Epoll) error {
	marker, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	defer unix.Close(marker)
	if err := epoll.Add(marker, easygo.EPOLLIN, func(easygo.EpollEvent) {}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	defer func() { _ = epoll.Del(marker) }()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	watches := func(epoll, fd int) bool {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}) == nil
	}
	set, event := -1, -1
	for fd := 0; fd < int(min(limit.Cur, epollSearchMax)) && set < 0; fd++ {
		if watches(fd, marker) {
			set = fd
		}
	}
	for fd := 0; fd < int(min(limit.Cur, epollSearchMax)) && set >= 0 && event < 0; fd++ {
		if fd != marker && watches(set, fd) {
			event = fd
		}
	}
	if event < 0 {
		return fmt.Errorf("netpoll: the descriptors of easygo's Epoll are not among the first %d", min(limit.Cur, epollSearchMax))
	}
	unix.CloseOnExec(set)
	unix.CloseOnExec(event)
	return nil
}

// openSpare opens the descriptor that is closed to accept and refuse a connection
// when there is no other.
func openSpare() (int, error) {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	return fd, nil
}

// Socket is a listener that has a descriptor: a *net.TCPListener or a *net.UnixListener.
type Socket interface {
	net.Listener
	File() (*os.File, error)
}

// Listen adds a listener: from here on its connections are the loops'. ln itself
// may be closed; the acceptor works on a duplicate. It must not be of Multipath
// TCP, see net.ListenConfig.SetMultipathTCP. Connections inherit
// TCP_NODELAY, TCP_USER_TIMEOUT and keep-alive from the listener.
func (a *Acceptor) Listen(ln Socket, userTimeout time.Duration) error {
	file, err := ln.File()
	if err != nil {
		return fmt.Errorf("netpoll: listener %s: %w", ln.Addr(), err)
	}
	fd := int(file.Fd())
	if err := prepareListener(fd, ln.Addr().Network() == "tcp", userTimeout); err != nil {
		file.Close()
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		file.Close()
		return net.ErrClosed
	}
	if err := a.watch(fd); err != nil {
		_ = a.epoll.Del(fd)
		file.Close()
		return err
	}
	a.listeners[fd] = file
	return nil
}

func prepareListener(fd int, tcp bool, userTimeout time.Duration) error {
	if tcp {
		if err := setTCPOptions(fd, userTimeout); err != nil {
			return err
		}
	}
	// File gave a blocking duplicate; the flag is shared with ln, which only we
	// accept from.
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}

func setTCPOptions(fd int, userTimeout time.Duration) error {
	for _, o := range []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout / time.Millisecond)},
	} {
		err := unix.SetsockoptInt(fd, o.level, o.name, o.value)
		if err == unix.ENOPROTOOPT || err == unix.EOPNOTSUPP {
			// Go listens with it by itself, unless told otherwise.
			return fmt.Errorf("netpoll: a listener of Multipath TCP has no user timeout: make it with SetMultipathTCP(false): %w", err)
		}
		if err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

func (a *Acceptor) watch(fd int) error {
	err := a.epoll.Add(fd, easygo.EPOLLIN, func(easygo.EpollEvent) { a.ready(fd) })
	return os.NewSyscallError("epoll_ctl", err)
}

// ready accepts a bounded number of connections of one listener, and posts them to
// the loops, one task for each loop.
func (a *Acceptor) ready(fd int) {
	batches := make([][]arrival, len(a.opt.Loops))
	taken := 0
	for range acceptsPerEventMax {
		conn, peer, errno := a.accept(fd)
		if errno == 0 {
			a.deal(batches, conn, peer)
			taken++
			continue
		}
		if errno == unix.EAGAIN { // no connection waits
			break
		}
		if !passing(errno) {
			a.pauseFor(fd, errno)
			break
		}
	}
	for i, batch := range batches {
		if len(batch) > 0 {
			a.postBatch(a.opt.Loops[i], batch)
		}
	}
	a.gatherBatch(taken)
}

// gatherBatch lets connections of a burst share their cost, two changes of thread
// each: when a small batch follows another closely, it waits for more to arrive. A
// single connection is handed over at once.
func (a *Acceptor) gatherBatch(taken int) {
	now := monotonic()
	if now-a.lastBatch < acceptCrowd && taken < acceptBatch {
		time.Sleep(acceptGather)
		now += acceptGather
	}
	a.lastBatch = now
}

type arrival struct {
	fd  int
	tag uint32
}

func (a *Acceptor) deal(batches [][]arrival, fd int, peer netip.Addr) {
	a.accepted.Add(1)
	tag, ok := uint32(0), true
	if a.opt.Admit != nil {
		tag, ok = a.opt.Admit(peer)
	}
	if !ok {
		answer := a.opt.Busy
		if a.opt.Dismissal != nil {
			answer = a.opt.Dismissal(tag)
		}
		a.dismiss(fd, answer)
		return
	}
	least := 0
	for i, l := range a.opt.Loops {
		if l.remote.load.Load() < a.opt.Loops[least].remote.load.Load() {
			least = i
		}
	}
	a.opt.Loops[least].remote.load.Add(1)
	batches[least] = append(batches[least], arrival{fd, tag})
}

// postBatch posts a batch to its loop. Until Adopt has counted them, they stay in the
// loop's load, so that the next batch sees them.
func (a *Acceptor) postBatch(l *Loop, batch []arrival) {
	posted := l.remote.Post(func(l *Loop) {
		for _, in := range batch {
			if a.opt.Layered {
				l.AdoptLayered(in.fd, a.opt.Role, in.tag, nil, nil)
			} else {
				l.Adopt(in.fd, a.opt.Role, in.tag, nil)
			}
			l.remote.load.Add(-1)
		}
	})
	if posted {
		return
	}
	for _, in := range batch {
		l.remote.load.Add(-1)
		unix.Close(in.fd)
		if a.opt.Discard != nil {
			a.opt.Discard(in.tag)
		}
	}
}

// exhausted tells whether the process or the system has run out of something.
func exhausted(errno syscall.Errno) bool {
	return errno == unix.EMFILE || errno == unix.ENFILE || errno == unix.ENOBUFS || errno == unix.ENOMEM
}

// passing tells whether errno is about one connection, and the next accept may succeed: accept(2)
// lists errors of the network that a new socket already has. All others, known or not, pause the
// listener: EPERM of a security module, for one, leaves the connection in the queue, and the
// listener ready.
func passing(errno syscall.Errno) bool {
	switch errno {
	case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENOPROTOOPT, unix.EOPNOTSUPP,
		unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET, unix.ETIMEDOUT:
		return true
	}
	return false
}

// pauseFor pauses a listener whose accept has failed with errno. If the process is out of
// descriptors, some of the connections that wait are refused first, with the spare one. Readiness
// is level-triggered: without the pause the acceptor would spin.
func (a *Acceptor) pauseFor(fd int, errno syscall.Errno) {
	// EINVAL: the listener was shut down, as the parent of workers does. Nothing is exhausted.
	if a.pause(fd, errno) && errno != unix.EINVAL && a.opt.OnExhausted != nil {
		a.opt.OnExhausted(os.NewSyscallError("accept4", errno))
	}
}

func (a *Acceptor) pause(fd int, errno syscall.Errno) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.paused[fd] != nil {
		return false
	}
	if exhausted(errno) {
		a.turnAway(fd)
	}
	_ = a.epoll.Del(fd)
	a.paused[fd] = time.AfterFunc(a.rest, func() { a.resume(fd) })
	return true
}

func (a *Acceptor) turnAway(listener int) {
	if a.spare < 0 {
		return
	}
	unix.Close(a.spare)
	for range acceptRefusalsMax {
		fd, _, errno := a.accept(listener)
		if errno != 0 {
			break
		}
		a.turnedOff.Add(1)
		a.dismiss(fd, a.opt.Busy)
	}
	a.spare, _ = openSpare()
}

// dismiss closes a connection that no loop gets, with an answer.
func (a *Acceptor) dismiss(fd int, answer []byte) {
	if len(answer) > 0 && !a.opt.Layered {
		_, _ = unix.Write(fd, answer)
	}
	_ = unix.Shutdown(fd, unix.SHUT_WR)
	// Unread bytes turn the close into a reset, which would
	// overtake the answer.
	_, _ = unix.Read(fd, a.unread[:])
	unix.Close(fd)
}

func (a *Acceptor) resume(fd int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.paused, fd)
	if a.closed {
		return
	}
	if a.spare < 0 {
		a.spare, _ = openSpare()
	}
	if a.watch(fd) != nil { // no memory: the listener would be deaf for ever
		_ = a.epoll.Del(fd)
		a.paused[fd] = time.AfterFunc(a.rest, func() { a.resume(fd) })
	}
}

// Accepted is how many connections were accepted; TurnedAway how many were
// refused for want of a descriptor.
func (a *Acceptor) Accepted() uint64 { return a.accepted.Load() }

// TurnedAway is how many connections were refused for want of a descriptor.
func (a *Acceptor) TurnedAway() uint64 { return a.turnedOff.Load() }

// Close stops accepting and closes the listeners' duplicates.
func (a *Acceptor) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return net.ErrClosed
	}
	a.closed = true
	for _, t := range a.paused {
		t.Stop()
	}
	for fd := range a.listeners {
		if a.paused[fd] == nil {
			_ = a.epoll.Del(fd)
		}
	}
	a.mu.Unlock()
	// Outside the lock: Close waits for a callback that may be in pause.
	err := a.epoll.Close()
	for _, f := range a.listeners {
		f.Close()
	}
	if a.spare >= 0 {
		unix.Close(a.spare)
	}
	return err
}

// accept is accept4 without telling the scheduler: the listener does not block.
func accept(listener int) (fd int, peer netip.Addr, errno syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&sa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.Addr{}, errno
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		peer = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&sa)).Addr)
	case unix.AF_INET6:
		peer = netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&sa)).Addr).Unmap()
	}
	return int(n), peer, 0
}
