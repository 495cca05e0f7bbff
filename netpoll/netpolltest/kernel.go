// Package netpolltest runs a netpoll loop on a faked kernel, so that tests of
// protocols need no socket, no goroutine and no sleep: time stands still until
// Advance, and every turn is the test's own call. From its seed the kernel draws
// short reads and writes, EAGAIN, reordered and stale events; a test that fails
// prints the seed.
package netpolltest

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"c100k/netpoll"
)

// socket is one faked connection: what is on its way in both directions.
type socket struct {
	fd      int32
	token   uint64
	added   bool
	read    bool // interest
	write   bool
	news    bool   // an edge that was not reported yet
	toLoop  []byte // sent by the peer, not read
	written []byte // toLoop with what was read already, to use its room again
	toPeer  []byte // sent by the loop, not read
	fin     bool   // the peer has closed its side
	reset   bool
	window  int // bytes the socket takes before EAGAIN, -1: all
	loopFin bool
	closed  bool
}

// kernel is a netpoll.Kernel in memory. Single goroutine, but for Wake.
type kernel struct {
	rng     *rand.Rand
	chaos   bool
	sockets map[int32]*socket
	stale   []netpoll.Event
	nextFD  int32
	fds     []int32 // scratch
}

func newKernel(seed uint64, chaos bool) *kernel {
	return &kernel{rng: rand.New(rand.NewPCG(seed, 0)), chaos: chaos, sockets: map[int32]*socket{}, nextFD: 1000}
}

func (k *kernel) Name() string { return "fake" }

func (k *kernel) open() *socket {
	k.nextFD++
	s := &socket{fd: k.nextFD, window: -1}
	k.sockets[s.fd] = s
	return s
}

// Wait reports what is ready at once; it never blocks, for nothing could happen
// meanwhile.
func (k *kernel) Wait(ev []netpoll.Event, _ time.Duration) int {
	fds := k.fds[:0]
	for fd := range k.sockets {
		fds = append(fds, fd)
	}
	k.fds = fds
	slices.Sort(fds) // map order is not the seed's
	if k.chaos {
		k.rng.Shuffle(len(fds), func(i, j int) { fds[i], fds[j] = fds[j], fds[i] })
	}
	n := 0
	if k.chaos && len(k.stale) > 0 && k.rng.IntN(2) == 0 {
		ev[n] = k.stale[k.rng.IntN(len(k.stale))]
		n++
	}
	for _, fd := range fds {
		s := k.sockets[fd]
		if r := s.ready(); r != 0 && n < len(ev) && (s.news || s.write || !s.read) {
			ev[n] = netpoll.Event{Token: s.token, Ready: r}
			s.news = false
			n++
		}
	}
	return n
}

func (s *socket) ready() (r netpoll.Ready) {
	if !s.added || s.closed {
		return 0
	}
	if s.reset || s.fin && s.loopFin {
		r |= netpoll.ReadyError
	}
	if s.read && (len(s.toLoop) > 0 || s.fin || s.reset) {
		r |= netpoll.ReadyRead
		if s.fin {
			r |= netpoll.ReadyEnd
		}
	}
	if s.write && s.window != 0 {
		r |= netpoll.ReadyWrite
	}
	return r
}

// Nap does nothing: time stands still.
func (k *kernel) Nap(time.Duration) {}

// Wake does nothing: Wait never sleeps.
func (k *kernel) Wake() {}

func (k *kernel) Add(fd int32, token uint64) error {
	s := k.sockets[fd]
	if s == nil {
		return syscall.EBADF
	}
	s.token, s.added, s.read, s.news = token, true, true, true
	return nil
}

func (k *kernel) Modify(fd int32, token uint64, read, write bool) {
	if s := k.sockets[fd]; s != nil {
		s.token, s.read, s.write, s.news = token, read, write, true
	}
}

func (k *kernel) Remove(fd int32) {
	if s := k.sockets[fd]; s != nil {
		s.added = false
	}
}

// some is how much of n goes through: all of it, or under chaos perhaps less.
func (k *kernel) some(n int) int {
	if k.chaos && n > 1 && k.rng.IntN(3) == 0 {
		return 1 + k.rng.IntN(n)
	}
	return n
}

func (k *kernel) Read(ops []netpoll.IO) {
	for i := range ops {
		ops[i].N = k.readOne(k.sockets[ops[i].FD], ops[i].Buf)
	}
}

func (k *kernel) readOne(s *socket, buf []byte) int32 {
	switch {
	case s == nil:
		return -int32(syscall.EBADF)
	case s.reset:
		return -int32(syscall.ECONNRESET)
	case len(s.toLoop) == 0 && s.fin:
		return 0
	case len(s.toLoop) == 0:
		return -int32(syscall.EAGAIN)
	case k.chaos && k.rng.IntN(8) == 0:
		s.news = true // as if what is there came right after the read
		return -int32(syscall.EAGAIN)
	}
	all := min(len(buf), len(s.toLoop))
	n := copy(buf, s.toLoop[:k.some(all)])
	s.toLoop = s.toLoop[n:]
	s.news = s.news || n < all
	return int32(n)
}

func (k *kernel) Write(ops []netpoll.IO) {
	for i := range ops {
		op := &ops[i]
		p := op.Buf
		if op.Vec != nil {
			p = slices.Concat(op.Vec...)
		}
		op.N = k.writeOne(k.sockets[op.FD], p)
	}
}

func (k *kernel) writeOne(s *socket, p []byte) int32 {
	switch {
	case s == nil:
		return -int32(syscall.EBADF)
	case s.reset:
		return -int32(syscall.ECONNRESET)
	case s.loopFin:
		return -int32(syscall.EPIPE)
	case s.window == 0, k.chaos && k.rng.IntN(8) == 0:
		return -int32(syscall.EAGAIN)
	}
	n := k.some(len(p))
	if s.window > 0 {
		n = min(n, s.window)
		s.window -= n
	}
	s.toPeer = append(s.toPeer, p[:n]...)
	return int32(n)
}

func (k *kernel) ShutdownWrite(fd int32) {
	if s := k.sockets[fd]; s != nil {
		s.loopFin = true
	}
}

func (k *kernel) Error(fd int32) syscall.Errno {
	if s := k.sockets[fd]; s != nil && s.reset {
		return syscall.ECONNRESET
	}
	return 0
}

func (k *kernel) Close(fds []int32) {
	for _, fd := range fds {
		if s := k.sockets[fd]; s != nil {
			s.closed = true
			k.stale = append(k.stale, netpoll.Event{Token: s.token, Ready: netpoll.ReadyRead | netpoll.ReadyWrite})
			delete(k.sockets, fd)
		}
	}
}

func (k *kernel) Release() {}
