// Registered files, on a real ring: they must neither outlive their connection
// nor be taken for another.

package netpoll

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"
)

func withFiles(t *testing.T) *uringKernel {
	t.Helper()
	kernel, err := openKernel(IOUring, HoldDefault)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(kernel.Release)
	k := kernel.(*uringKernel)
	if k.files.max == 0 {
		t.Skip("this kernel has no registered files that close at once")
	}
	return k
}

// busy sends to each of fds until it is registered, and reads nothing.
func busy(t *testing.T, k *uringKernel, fds []int32) {
	t.Helper()
	for range filesUsesMin {
		var ops []IO
		for _, fd := range fds {
			ops = append(ops, IO{FD: fd, Buf: []byte("x")})
		}
		k.Write(ops)
		for i := range ops {
			if ops[i].N != 1 {
				t.Fatalf("a send returned %d", ops[i].N)
			}
		}
	}
	for _, fd := range fds {
		if !k.files.has(fd) {
			t.Fatalf("descriptor %d is not registered after %d sends", fd, filesUsesMin)
		}
	}
}

// ended tells whether the other end has read everything and then a FIN.
func ended(theirs int) bool {
	var p [64]byte
	for {
		n, err := syscall.Read(theirs, p[:])
		if n <= 0 {
			return n == 0 && err == nil
		}
	}
}

// TestRegisteredFilesClose: a registered socket ends with Close, and the next
// that gets its number is another, also in the ring.
func TestRegisteredFilesClose(t *testing.T) {
	k := withFiles(t)
	for range 3 {
		const n = 40
		var fds []int32
		var theirs []int
		for range n {
			a, b := pair(t)
			fds, theirs = append(fds, int32(a)), append(theirs, b)
		}
		rand.Shuffle(n, func(i, j int) {
			fds[i], fds[j] = fds[j], fds[i]
			theirs[i], theirs[j] = theirs[j], theirs[i]
		})
		busy(t, k, fds)
		// Both ways still work, and every byte goes where it belongs.
		var writes, reads []IO
		for i, fd := range fds {
			writes = append(writes, IO{FD: fd, Buf: []byte{byte(i)}})
			reads = append(reads, IO{FD: fd, Buf: make([]byte, 8)})
			if _, err := syscall.Write(theirs[i], []byte{byte(i), 'r'}); err != nil {
				t.Fatal(err)
			}
		}
		k.Write(writes)
		k.Read(reads)
		for i := range reads {
			if want := []byte{byte(i), 'r'}; writes[i].N != 1 || !bytes.Equal(reads[i].Buf[:max(reads[i].N, 0)], want) {
				t.Fatalf("%d: write %d, read %v", i, writes[i].N, reads[i])
			}
		}
		k.Close(fds)
		for i, fd := range theirs {
			if !ended(fd) {
				t.Errorf("connection %d of %d is still open", i, n)
			}
		}
		for _, fd := range fds {
			if k.files.has(fd) || k.files.uses[fd] != 0 {
				t.Errorf("descriptor %d is still registered", fd)
			}
		}
	}
}

// TestRegisteredFilesRemove: a socket that leaves the loop is held by its
// descriptor alone.
func TestRegisteredFilesRemove(t *testing.T) {
	k := withFiles(t)
	var fds []int32
	var theirs []int
	for range uringOpsMin {
		a, b := pair(t)
		fds, theirs = append(fds, int32(a)), append(theirs, b)
		if err := k.Add(int32(a), 7); err != nil {
			t.Fatal(err)
		}
	}
	busy(t, k, fds)
	for i, fd := range fds {
		k.Remove(fd)
		syscall.Close(int(fd))
		if !ended(theirs[i]) {
			t.Error("a socket that was removed and closed is still open")
		}
	}
}

// TestRegisteredFilesPartly: descriptors that never can be registered work as
// before, beside others.
func TestRegisteredFilesPartly(t *testing.T) {
	k := withFiles(t)
	var fds []int32
	for range 2 * uringOpsMin {
		a, _ := pair(t)
		fds = append(fds, int32(a))
	}
	defer k.Close(fds)
	k.files.max = int(fds[uringOpsMin])
	for range 2 * filesUsesMin {
		ops := []IO{{FD: -1, Buf: []byte("x")}}
		for _, fd := range fds {
			ops = append(ops, IO{FD: fd, Buf: []byte("x")})
		}
		k.Write(ops)
		for i := range ops {
			if want := int32(1); i > 0 && ops[i].N != want || i == 0 && ops[i].N != -int32(syscall.EBADF) {
				t.Fatalf("operation %d returned %d", i, ops[i].N)
			}
		}
	}
	for i, fd := range fds {
		if has := k.files.has(fd); has != (int(fd) < k.files.max) {
			t.Errorf("descriptor %d of %d: registered is %v", i, len(fds), has)
		}
	}
}
