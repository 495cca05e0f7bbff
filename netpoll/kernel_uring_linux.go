// The kernel behind io_uring: epoll says who is ready; a ring carries the reads, writes and closes
// of a turn in one system call each. Below it the ring itself, over raw system calls, and the
// registered files.

package netpoll

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
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

// Numbers of include/uapi/linux/io_uring.h.
const (
	ringRegisterFiles2       = 13
	ringRegisterFilesUpdate2 = 14
	ringRegisterSparse       = 1 << 0

	opFixedFile = 1 << 0 // IOSQE_FIXED_FILE
)

type ringRegister struct {
	n, flags   uint32
	_          uint64
	data, tags uint64
}

type ringUpdate struct {
	offset, _  uint32
	data, tags uint64
	n, _       uint32
}

// registeredFiles knows which descriptors are registered with the ring; the
// index is the descriptor. An operation on one that is not takes a reference to the file and
// gives it back: in a fan-out to more sockets than the caches hold, that is a
// miss for each, 3 % of a delivery. Registering costs about as much as a dozen of
// such operations save, and a registered socket stays open until it is taken
// out again, so only who is sent to often is registered, and everything that is
// closed or leaves the loop passes through drop. Loop only.
type registeredFiles struct {
	ring    int
	max     int     // descriptors from here on are never registered; 0: none is
	uses    []uint8 // by descriptor: sends so far, filesUsesMin at most; beyond it: registered
	waiting []int32 // to be registered when the batch is done
	update  []int32
}

// newRegisteredFiles makes the empty table. Where the kernel has none to give,
// or gives files back late, nothing will be registered.
func newRegisteredFiles(r *ring) *registeredFiles {
	f := &registeredFiles{ring: r.fd}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return f
	}
	n := int(min(limit.Cur, filesMax))
	reg := ringRegister{n: uint32(n), flags: ringRegisterSparse}
	if _, errno := f.register(ringRegisterFiles2, unsafe.Pointer(&reg), unsafe.Sizeof(reg)); errno != 0 {
		return f
	}
	f.max = n
	if !f.probe() {
		f.max = 0
	}
	return f
}

func (f *registeredFiles) register(what uintptr, arg unsafe.Pointer, size uintptr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_REGISTER, uintptr(f.ring), what, uintptr(arg), size, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// probe tells whether a socket that is taken out and closed is closed indeed:
// before Linux 6.13 the table may keep it for a second.
func (f *registeredFiles) probe() bool {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(pair[0])
	for range filesUsesMin {
		f.sent(int32(pair[1]))
	}
	f.settle()
	registered := f.has(int32(pair[1]))
	f.drop(int32(pair[1]))
	unix.Close(pair[1])
	n, err := unix.Read(pair[0], make([]byte, 1)) // EAGAIN if it is still open
	return registered && n == 0 && err == nil
}

// has tells whether operations on fd may say opFixedFile.
func (f *registeredFiles) has(fd int32) bool {
	return uint32(fd) < uint32(len(f.uses)) && f.uses[fd] > filesUsesMin
}

// sent counts a send to fd.
func (f *registeredFiles) sent(fd int32) {
	if fd < 0 || int(fd) >= f.max {
		return
	}
	if int(fd) >= len(f.uses) {
		f.uses = append(f.uses, make([]uint8, int(fd)+1-len(f.uses))...)
	}
	switch u := &f.uses[fd]; {
	case *u < filesUsesMin-1:
		*u++
	case *u == filesUsesMin-1:
		*u++
		f.waiting = append(f.waiting, fd)
	}
}

// settle registers those that have become busy. Between batches only.
func (f *registeredFiles) settle() {
	for fds := f.waiting; len(fds) > 0; {
		n := run(fds)
		f.change(fds[:n], fds[:n], filesUsesMin+1)
		fds = fds[n:]
	}
	f.waiting = f.waiting[:0]
}

// drop takes descriptors out that are about to be closed, or to leave the loop.
func (f *registeredFiles) drop(fds ...int32) {
	for len(fds) > 0 {
		n := run(fds)
		f.dropRun(fds[:n])
		fds = fds[n:]
	}
}

// dropRun is drop for descriptors that follow each other.
func (f *registeredFiles) dropRun(fds []int32) {
	registered := false
	for _, fd := range fds {
		registered = registered || f.has(fd)
	}
	if registered {
		f.update = f.update[:0]
		for range fds {
			f.update = append(f.update, -1)
		}
		f.change(fds, f.update, 0)
	}
	for _, fd := range fds {
		if uint32(fd) < uint32(len(f.uses)) {
			f.uses[fd] = 0
		}
	}
}

// change writes the entries of descriptors that follow each other, and what they
// have been used for from then on. Those which the kernel does not take, for want
// of memory, stay as they are; taking out needs none.
func (f *registeredFiles) change(fds, entries []int32, uses uint8) {
	u := ringUpdate{offset: uint32(fds[0]), data: uint64(uintptr(unsafe.Pointer(&entries[0]))), n: uint32(len(entries))}
	n, _ := f.register(ringRegisterFilesUpdate2, unsafe.Pointer(&u), unsafe.Sizeof(u))
	runtime.KeepAlive(entries)
	for _, fd := range fds[:n] {
		f.uses[fd] = uses
	}
}

// run is how many of fds, from the first, are numbers that follow each other.
func run(fds []int32) int {
	for i := 1; i < len(fds); i++ {
		if fds[i] != fds[i-1]+1 {
			return i
		}
	}
	return len(fds)
}
