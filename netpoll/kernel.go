// The contract between the loop and the kernel, real or faked.

package netpoll

import (
	"fmt"
	"syscall"
	"time"
)

// Event is one ready connection: the token it was added with and what it is
// ready for.
type Event struct {
	Token uint64
	Ready Ready
}

// Ready is a set of readiness bits.
type Ready uint8

// The readiness bits.
const (
	ReadyRead  Ready = 1 << iota // bytes, or the peer's FIN
	ReadyWrite                   // room in the socket
	ReadyError                   // an error, or both directions are closed
	ReadyEnd                     // the peer's FIN, perhaps behind bytes
)

// IO is one read or write of a batch. The loop fills FD and Buf (or Vec, for a
// gathered write); the kernel sets N to the bytes moved, or to a negative
// errno.
type IO struct {
	FD  int32
	N   int32
	Buf []byte
	Vec [][]byte
}

// Kernel is how a loop meets the operating system. All methods but Wake are
// called by the loop's goroutine only. There are two real ones, io_uring
// batches and plain system calls, and a faked one in netpolltest.
//
//   - Wait fills ev with what is ready and returns how many. It blocks for at
//     most timeout; 0 does not block, a negative timeout has no end. It may
//     return 0 early. While only read readiness is on, it is edge-triggered:
//     reported when something has arrived since the last report, or when Add or
//     Modify finds something there. With write readiness on, both are
//     level-triggered: what was not served is reported again. An event may be
//     stale: its token says for whom it was.
//   - Read and Write attempt each operation once, never block, and have let go
//     of every buffer when they return.
//   - Close also removes the descriptors from the set waited on.
//   - Nap sleeps for about d, whatever becomes ready meanwhile.
//   - Error takes the error that a socket holds, 0 if it holds none.
//   - Wake makes a Wait under way, or the next one, return. Any goroutine.
type Kernel interface {
	Name() string
	Wait(ev []Event, timeout time.Duration) int
	Nap(d time.Duration)
	Wake()
	Add(fd int32, token uint64) error // read readiness is on
	Modify(fd int32, token uint64, read, write bool)
	Remove(fd int32)
	Read(ops []IO)
	Write(ops []IO)
	ShutdownWrite(fd int32)
	Error(fd int32) syscall.Errno
	Close(fds []int32)
	Release() // closes what the kernel itself holds
}

// IOMode says how reads and writes reach the kernel.
type IOMode string

// The modes. Auto probes for io_uring and falls back to system calls.
const (
	IOAuto    IOMode = "auto"
	IOUring   IOMode = "uring"
	IOSyscall IOMode = "syscall"
)

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
		return nil, fmt.Errorf("netpoll: io_uring is not available: %w", err)
	}
	return k, nil
}
