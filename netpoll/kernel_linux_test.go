// Both kernels keep the same contract, operation by operation.

package netpoll

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"
)

func onKernels(t *testing.T, f func(t *testing.T, k Kernel)) {
	for _, mode := range []IOMode{IOSyscall, IOUring} {
		t.Run(string(mode), func(t *testing.T) {
			k, err := openKernel(mode, HoldDefault)
			if err != nil {
				t.Skip(err)
			}
			defer k.Release()
			f(t, k)
		})
	}
}

// pair is two connected sockets; the first is the kernel's.
func pair(t *testing.T) (ours, theirs int) {
	t.Helper()
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(p[1]) })
	return p[0], p[1]
}

// TestKernelBatches: batches below, at and beyond the ring's size, of single and
// gathered writes mixed, with failures among them.
func TestKernelBatches(t *testing.T) {
	onKernels(t, func(t *testing.T, k Kernel) {
		for _, n := range []int{0, 1, uringOpsMin, 20, uringEntries, uringEntries + uringOpsMin - 1, 2*uringEntries + 7} {
			kernelBatch(t, k, n)
		}
	})
}

func kernelBatch(t *testing.T, k Kernel, n int) {
	ours, theirs := make([]int, n), make([]int, n)
	writes, reads := make([]IO, n), make([]IO, n)
	var fds []int32
	for i := range n {
		ours[i], theirs[i] = pair(t)
		fds = append(fds, int32(ours[i]))
		writes[i] = IO{FD: int32(ours[i]), Buf: fmt.Appendf(nil, "message %d", i)}
		switch i % 5 {
		case 1:
			writes[i] = IO{FD: int32(ours[i]), Vec: [][]byte{[]byte("mess"), []byte("age "), fmt.Appendf(nil, "%d", i)}}
		case 2:
			writes[i].FD = -1
		case 3:
			syscall.Close(theirs[i])
			theirs[i] = -1
		}
		reads[i] = IO{FD: int32(ours[i]), Buf: make([]byte, 32)}
	}
	k.Write(writes)
	for i, op := range writes {
		want := fmt.Sprintf("message %d", i)
		switch i % 5 {
		case 2:
			if op.N != -int32(syscall.EBADF) {
				t.Fatalf("%d of %d: write %d, want EBADF", i, n, op.N)
			}
			want = ""
		case 3:
			if op.N != -int32(syscall.EPIPE) {
				t.Fatalf("%d of %d: write %d, want EPIPE", i, n, op.N)
			}
			continue
		default:
			if int(op.N) != len(want) {
				t.Fatalf("%d of %d: write %d, want %d", i, n, op.N, len(want))
			}
		}
		b := make([]byte, 64)
		got, _ := syscall.Read(theirs[i], b)
		if string(b[:max(got, 0)]) != want {
			t.Fatalf("%d of %d: %q arrived, want %q", i, n, b[:max(got, 0)], want)
		}
		if i%2 == 0 {
			_, _ = syscall.Write(theirs[i], []byte("answer"))
		}
	}
	k.Read(reads)
	for i, op := range reads {
		want := -int32(syscall.EAGAIN)
		if i%2 == 0 {
			want = 6
		}
		if i%5 == 3 {
			want = 0
		}
		if op.N != want || want > 0 && !bytes.Equal(op.Buf[:op.N], []byte("answer")) {
			t.Fatalf("%d of %d: read %d %q, want %d", i, n, op.N, op.Buf[:max(op.N, 0)], want)
		}
	}
	k.Close(fds)
	for i, fd := range theirs {
		if fd < 0 {
			continue
		}
		if got, err := syscall.Read(fd, make([]byte, 8)); got != 0 || err != nil {
			t.Fatalf("%d of %d: read %d, %v; want the end", i, n, got, err)
		}
		syscall.Close(fd)
		theirs[i] = -1
	}
}

// TestKernelFullSocket: a socket that is full says EAGAIN, in a ring as well.
func TestKernelFullSocket(t *testing.T) {
	onKernels(t, func(t *testing.T, k Kernel) {
		ops := make([]IO, uringOpsMin)
		for i := range ops {
			fd, _ := pair(t)
			defer syscall.Close(fd)
			ops[i] = IO{FD: int32(fd), Buf: make([]byte, 1<<20)}
		}
		k.Write(ops)
		for i := range ops {
			if ops[i].N <= 0 || int(ops[i].N) >= 1<<20 {
				t.Errorf("first write %d, want a short one", ops[i].N)
			}
		}
		k.Write(ops)
		for i := range ops {
			if ops[i].N != -int32(syscall.EAGAIN) {
				t.Errorf("second write %d, want EAGAIN", ops[i].N)
			}
		}
	})
}

func TestKernelWait(t *testing.T) {
	onKernels(t, func(t *testing.T, k Kernel) {
		fd, other := pair(t)
		defer syscall.Close(fd)
		const token = 1<<63 | 5
		if err := k.Add(int32(fd), token); err != nil {
			t.Fatal(err)
		}
		ev := make([]Event, 4)
		expect := func(what string, timeout time.Duration, want ...Event) {
			t.Helper()
			if n := k.Wait(ev, timeout); !slices.Equal(ev[:n], want) {
				t.Errorf("%s: %+v, want %+v", what, ev[:n], want)
			}
		}
		expect("nothing", 0)
		began := time.Now()
		expect("still nothing", 20*time.Millisecond)
		if waited := time.Since(began); waited < 19*time.Millisecond {
			t.Errorf("waited %v, want 20 ms", waited)
		}
		_, _ = syscall.Write(other, []byte("x"))
		expect("a byte", -1, Event{token, ReadyRead})
		k.Modify(int32(fd), token, false, true)
		expect("room", -1, Event{token, ReadyWrite})
		k.Modify(int32(fd), token, false, false)
		expect("nothing wanted", 0)
		k.Wake()
		k.Wake()
		expect("woken", -1)
		expect("woken once", 0)
		go k.Wake()
		expect("woken while parked", -1)
		k.Modify(int32(fd), token, false, false)
		syscall.Shutdown(other, syscall.SHUT_RDWR)
		k.ShutdownWrite(int32(fd))
		expect("both ends shut, nothing wanted", -1, Event{token, ReadyError})
		k.Remove(int32(fd))
		expect("removed", 0)
	})
}

// TestPhasesAreListedOnce: the turn reads the same in the code and in doc.go.
func TestPhasesAreListedOnce(t *testing.T) {
	phase := regexp.MustCompile(`//\s+([1-9] [a-z]+ +[a-z].*)`)
	var lists [2][]string
	for i, name := range []string{"turn.go", "doc.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range phase.FindAllStringSubmatch(string(text), -1) {
			lists[i] = append(lists[i], m[1])
		}
	}
	if len(lists[0]) != 9 || !slices.Equal(lists[0], lists[1]) {
		t.Errorf("turn.go:\n%q\ndoc.go:\n%q", lists[0], lists[1])
	}
}
