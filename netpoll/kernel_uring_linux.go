// The kernel behind io_uring: epoll says who is ready, a ring carries the
// reads, writes and closes of a turn in one system call each.

package netpoll

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uringKernel batches. An idle connection has no request in the kernel and no
// buffer: readiness stays with epoll, and only what is ready enters the ring.
// MSG_DONTWAIT makes each operation complete inside its own enter.
type uringKernel struct {
	*poller
	ring  *ring
	files *registeredFiles
	vec   [writeVecMax]unix.Iovec // for batches too small for the ring
	msgs  []unix.Msghdr           // one for each gathered write of a batch
	iovs  []unix.Iovec
	ops   []IO // the batch under way, for the callbacks below
	fds   []int32
	// Made by bind.
	prepareRead, prepareWrite, prepareClose func(*ringSQE, int)
	done, ignore                            func(int, int32)
	plainWrite                              func(*IO)
}

func newUringKernel(hold time.Duration) (Kernel, error) {
	r, err := newRing(uringEntries)
	if err != nil {
		return nil, err
	}
	p, err := newPoller(hold)
	if err != nil {
		r.close()
		return nil, err
	}
	k := &uringKernel{poller: p, ring: r, files: newRegisteredFiles(r)}
	k.bind()
	if err := k.probe(); err != nil {
		k.Release()
		return nil, err
	}
	return k, nil
}

// ProbeUring tells whether this process may use io_uring as a loop needs it. Any
// goroutine.
func ProbeUring() error {
	k, err := newUringKernel(HoldDefault)
	if err == nil {
		k.Release()
	}
	return err
}

// probe runs a send and a receive through the ring: there are sandboxes that
// make a ring and refuse what is put in it.
func (k *uringKernel) probe() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	send := []IO{{FD: int32(pair[0]), Buf: []byte("?")}}
	if n := k.tryRing(send, k.prepareWrite); n != 1 || send[0].N != 1 {
		return fmt.Errorf("io_uring send: %w", syscall.Errno(-min(send[0].N, 0)))
	}
	receive := []IO{{FD: int32(pair[1]), Buf: make([]byte, 1)}}
	if n := k.tryRing(receive, k.prepareRead); n != 1 || receive[0].N != 1 {
		return fmt.Errorf("io_uring receive: %w", syscall.Errno(-min(receive[0].N, 0)))
	}
	return nil
}

func (k *uringKernel) Name() string { return string(IOUring) }

func (k *uringKernel) Read(ops []IO) {
	for len(ops) >= uringOpsMin {
		n := min(len(ops), int(k.ring.entries))
		k.readRing(ops[:n])
		ops = ops[n:]
	}
	for i := range ops {
		readOne(&ops[i])
	}
}

func (k *uringKernel) Write(ops []IO) {
	for len(ops) >= uringOpsMin {
		n := min(len(ops), int(k.ring.entries))
		k.writeRing(ops[:n])
		ops = ops[n:]
	}
	for i := range ops {
		writeOne(&ops[i], &k.vec)
	}
}

func (k *uringKernel) readRing(ops []IO) {
	k.runOps(ops, k.prepareRead, readOne)
}

func (k *uringKernel) writeRing(ops []IO) {
	k.gather(ops)
	k.runOps(ops, k.prepareWrite, k.plainWrite)
	k.files.settle()
	clear(k.msgs) // both keep nothing alive
	clear(k.iovs)
}

// bind makes the callbacks, once: a closure a batch would be garbage a turn.
func (k *uringKernel) bind() {
	k.prepareRead, k.prepareWrite, k.prepareClose = k.prepareRecv, k.prepareSend, k.prepareShut
	k.plainWrite = func(op *IO) { writeOne(op, &k.vec) }
	k.done = func(i int, res int32) { k.ops[i].N = res }
	k.ignore = func(int, int32) {}
}

func (k *uringKernel) prepareRecv(sqe *ringSQE, i int) {
	op := &k.ops[i]
	sqe.opcode, sqe.fd, sqe.opFlags = opRecv, op.FD, unix.MSG_DONTWAIT
	sqe.addr, sqe.length = uint64(uintptr(unsafe.Pointer(&op.Buf[0]))), uint32(len(op.Buf))
	if k.files.has(op.FD) {
		sqe.flags = opFixedFile
	}
}

func (k *uringKernel) prepareShut(sqe *ringSQE, i int) { sqe.opcode, sqe.fd = opClose, k.fds[i] }

func (k *uringKernel) prepareSend(sqe *ringSQE, i int) {
	op := &k.ops[i]
	sqe.fd, sqe.opFlags = op.FD, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL
	if k.files.has(op.FD) {
		sqe.flags = opFixedFile
	} else {
		k.files.sent(op.FD)
	}
	if op.Vec == nil {
		sqe.opcode = opSend
		sqe.addr, sqe.length = uint64(uintptr(unsafe.Pointer(&op.Buf[0]))), uint32(len(op.Buf))
		return
	}
	sqe.opcode = opSendMsg
	// gather left the index of the message in N.
	sqe.addr, sqe.length = uint64(uintptr(unsafe.Pointer(&k.msgs[op.N]))), 1
}

// gather makes the message headers of all gathered writes before the first
// entry is prepared: the slices must not move once an entry points into them.
func (k *uringKernel) gather(ops []IO) {
	k.msgs, k.iovs = k.msgs[:0], k.iovs[:0]
	pieces := 0
	for i := range ops {
		pieces += len(ops[i].Vec)
	}
	if pieces == 0 {
		return
	}
	if cap(k.iovs) < pieces {
		k.iovs = make([]unix.Iovec, 0, pieces)
	}
	if cap(k.msgs) < len(ops) {
		k.msgs = make([]unix.Msghdr, 0, len(ops))
	}
	for i := range ops {
		vec := ops[i].Vec
		if vec == nil {
			continue
		}
		from := len(k.iovs)
		k.iovs = k.iovs[:from+len(vec)]
		ops[i].N = int32(len(k.msgs))
		k.msgs = append(k.msgs, unix.Msghdr{})
		setMessage(&k.msgs[ops[i].N], k.iovs[from:], vec)
	}
}

// runOps runs one batch. What the kernel refuses to take is done by plain
// system calls: a full ring must not look like a full socket.
func (k *uringKernel) runOps(ops []IO, prepare func(*ringSQE, int), plain func(*IO)) {
	for i := k.tryRing(ops, prepare); i < len(ops); i++ {
		plain(&ops[i])
	}
}

// tryRing returns how many operations the ring has done, the first ones.
func (k *uringKernel) tryRing(ops []IO, prepare func(*ringSQE, int)) int {
	k.ops = ops
	n := k.ring.run(len(ops), prepare, k.done)
	runtime.KeepAlive(ops) // the entries hold its buffers as numbers only
	k.ops = nil
	return n
}

func (k *uringKernel) ShutdownWrite(fd int32) { shutdownWrite(fd) }

// Remove is Kernel.Remove.
func (k *uringKernel) Remove(fd int32) {
	k.files.drop(fd)
	k.poller.Remove(fd)
}

func (k *uringKernel) Close(fds []int32) {
	k.files.drop(fds...)
	for len(fds) >= uringOpsMin {
		n := min(len(fds), int(k.ring.entries))
		k.fds = fds[:n]
		did := k.ring.run(n, k.prepareClose, k.ignore)
		fds = fds[did:]
		if did < n {
			break
		}
	}
	k.fds = nil
	for _, fd := range fds {
		closeOne(fd)
	}
}

func (k *uringKernel) Release() {
	k.ring.close()
	k.poller.close()
}
