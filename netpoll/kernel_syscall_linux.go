// The kernel behind plain system calls, made without telling the scheduler.

package netpoll

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syscallKernel makes one raw system call an operation. All sockets are
// non-blocking, so that none of them can keep the processor; what entering and
// leaving Go's scheduler would add is measured in tuning.md.
type syscallKernel struct {
	*poller
	vec [writeVecMax]unix.Iovec
}

func newSyscallKernel(hold time.Duration) (Kernel, error) {
	p, err := newPoller(hold)
	if err != nil {
		return nil, err
	}
	return &syscallKernel{poller: p}, nil
}

func (k *syscallKernel) Name() string { return string(IOSyscall) }

func (k *syscallKernel) Read(ops []IO) {
	for i := range ops {
		readOne(&ops[i])
	}
}

func (k *syscallKernel) Write(ops []IO) {
	for i := range ops {
		writeOne(&ops[i], &k.vec)
	}
}

func (k *syscallKernel) ShutdownWrite(fd int32) { shutdownWrite(fd) }

func (k *syscallKernel) Close(fds []int32) {
	for _, fd := range fds {
		closeOne(fd)
	}
}

func (k *syscallKernel) Release() { k.poller.close() }

func readOne(op *IO) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(op.FD), uintptr(unsafe.Pointer(&op.Buf[0])),
		uintptr(len(op.Buf)), unix.MSG_DONTWAIT, 0, 0)
	setResult(op, n, errno)
}

func writeOne(op *IO, scratch *[writeVecMax]unix.Iovec) {
	if op.Vec == nil {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(op.FD), uintptr(unsafe.Pointer(&op.Buf[0])),
			uintptr(len(op.Buf)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		setResult(op, n, errno)
		return
	}
	var msg unix.Msghdr
	setMessage(&msg, scratch[:], op.Vec)
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(op.FD), uintptr(unsafe.Pointer(&msg)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	setResult(op, n, errno)
	clear(scratch[:len(op.Vec)]) // keeps nothing alive
}

func setMessage(msg *unix.Msghdr, iov []unix.Iovec, vec [][]byte) {
	for i, b := range vec {
		iov[i].Base = &b[0]
		iov[i].SetLen(len(b))
	}
	msg.Iov = &iov[0]
	msg.SetIovlen(len(vec))
}

func setResult(op *IO, n uintptr, errno unix.Errno) {
	op.N = int32(n)
	if errno != 0 {
		op.N = -int32(errno)
	}
}

func shutdownWrite(fd int32) {
	unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

// closeOne does not repeat on EINTR: Linux has closed the descriptor by then,
// and its number may be somebody else's.
func closeOne(fd int32) {
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}
