// Registered files: busy sockets that the ring finds without the table of
// descriptors.

package netpoll

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
