// io_uring: the few functions of it that a batch needs, over raw system calls.

package netpoll

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of include/uapi/linux/io_uring.h.
const (
	ringSetupClamp     = 1 << 4
	ringSetupSubmitAll = 1 << 7

	ringFeatSingleMmap = 1 << 0

	ringEnterGetEvents = 1 << 0

	ringOffSQ   = 0
	ringOffSQEs = 0x10000000

	opSendMsg = 9
	opClose   = 19
	opSend    = 26
	opRecv    = 27
)

type ringParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	resv                                                                   [3]uint32
	sqOff                                                                  struct{ head, tail, ringMask, ringEntries, flags, dropped, array, resv1, resv2, resv3 uint32 }
	cqOff                                                                  struct{ head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1, resv2, resv3 uint32 }
}

type ringSQE struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off           uint64
	addr          uint64
	length        uint32
	opFlags       uint32
	userData      uint64
	_             [3]uint64
}

type ringCQE struct {
	userData uint64
	res      int32
	flags    uint32
}

// ring is one submission and one completion queue. One goroutine uses it, on
// whatever thread it happens to run: the flags that would bind the ring to one
// thread (SINGLE_ISSUER, DEFER_TASKRUN) only serve operations that complete
// later, and ours complete inside their own enter. A goroutine bound to its
// thread would cost two changes of thread each time it is preempted or parked.
type ring struct {
	fd                     int
	memory, sqeMemory      []byte
	sqTail, cqHead, cqTail *uint32
	sqMask, cqMask         uint32
	entries                uint32
	sqes                   []ringSQE
	cqes                   []ringCQE
}

func newRing(entries uint32) (*ring, error) {
	p := ringParams{flags: ringSetupClamp | ringSetupSubmitAll}
	// The descriptor is close-on-exec by itself.
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	r := &ring{fd: int(fd)}
	if err := r.mapQueues(&p); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mapQueues(p *ringParams) (err error) {
	if p.features&ringFeatSingleMmap == 0 {
		return fmt.Errorf("io_uring: this kernel maps its queues apart")
	}
	size := max(p.sqOff.array+p.sqEntries*4, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(ringCQE{})))
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.memory, err = unix.Mmap(r.fd, ringOffSQ, int(size), prot, flags); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	sqeSize := int(p.sqEntries) * int(unsafe.Sizeof(ringSQE{}))
	if r.sqeMemory, err = unix.Mmap(r.fd, ringOffSQEs, sqeSize, prot, flags); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	at := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.memory[off])) }
	r.sqTail, r.sqMask = at(p.sqOff.tail), *at(p.sqOff.ringMask)
	r.cqHead, r.cqTail, r.cqMask = at(p.cqOff.head), at(p.cqOff.tail), *at(p.cqOff.ringMask)
	r.entries = p.sqEntries
	r.sqes = unsafe.Slice((*ringSQE)(unsafe.Pointer(&r.sqeMemory[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*ringCQE)(unsafe.Pointer(&r.memory[p.cqOff.cqes])), p.cqEntries)
	// The index array is the identity for good: entries are used in order.
	for i, array := uint32(0), unsafe.Slice(at(p.sqOff.array), p.sqEntries); i < p.sqEntries; i++ {
		array[i] = i
	}
	return nil
}

// close gives the ring back.
func (r *ring) close() {
	if r.memory != nil {
		_ = unix.Munmap(r.memory)
	}
	if r.sqeMemory != nil {
		_ = unix.Munmap(r.sqeMemory)
	}
	unix.Close(r.fd)
}

// run submits n entries that prepare fills and hands each completion to done.
// It returns when all of them have completed; how many did is the result, less
// than n only when the kernel refused the rest.
//
// Invariant: between two calls both queues are empty, so that no buffer of a
// batch is in the kernel's hands when run returns.
func (r *ring) run(n int, prepare func(sqe *ringSQE, i int), done func(i int, res int32)) int {
	tail := *r.sqTail
	for i := range n {
		sqe := &r.sqes[(tail+uint32(i))&r.sqMask]
		*sqe = ringSQE{userData: uint64(i)}
		prepare(sqe, i)
	}
	atomic.StoreUint32(r.sqTail, tail+uint32(n))
	submitted, completed := 0, 0
	for completed < n {
		got, errno := r.enter(n-submitted, n-completed)
		submitted += got
		completed += r.reap(done)
		if errno != 0 && errno != syscall.EINTR && completed == submitted {
			// EAGAIN or ENOMEM: the entries not taken are withdrawn.
			atomic.StoreUint32(r.sqTail, *r.sqTail-uint32(n-submitted))
			break
		}
	}
	return completed
}

// enter does not tell the scheduler that it leaves Go, however long the batch.
// If it did, Go's monitor would take the processor away, hand it out, and look
// again every 75 µs whether there is another to take: 3 to 5 % of everything
// where the loop has one core.
func (r *ring) enter(submit, complete int) (int, syscall.Errno) {
	got, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(submit), uintptr(complete), ringEnterGetEvents, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), 0
}

func (r *ring) reap(done func(i int, res int32)) int {
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	n := int(tail - head)
	for ; head != tail; head++ {
		cqe := &r.cqes[head&r.cqMask]
		done(int(cqe.userData), cqe.res)
	}
	atomic.StoreUint32(r.cqHead, head)
	return n
}
