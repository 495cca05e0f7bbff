// The loop on real sockets, with both kernels.

package netpoll_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"c100k/netpoll"
)

// onBothKernels runs a test with each kernel that this process may have.
func onBothKernels(t *testing.T, f func(t *testing.T, io netpoll.IOMode)) {
	for _, mode := range []netpoll.IOMode{netpoll.IOSyscall, netpoll.IOUring} {
		t.Run(string(mode), func(t *testing.T) {
			if mode == netpoll.IOUring {
				if err := netpoll.ProbeUring(); err != nil {
					t.Skipf("no io_uring here: %v", err)
				}
			}
			f(t, mode)
		})
	}
}

func startLoop(t testing.TB, opt netpoll.Options) *netpoll.Loop {
	t.Helper()
	l, err := netpoll.NewLoop(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Stop)
	return l
}

// serve makes a listener whose connections the loops get, and gives its address.
func serve(t testing.TB, loops ...*netpoll.Loop) string {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := netpoll.NewAcceptor(netpoll.AcceptorOptions{Loops: loops})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if err := a.Listen(ln.(*net.TCPListener), time.Minute); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

// onLoop runs f on the loop and waits for it.
func onLoop(t testing.TB, l *netpoll.Loop, f func(l *netpoll.Loop)) {
	t.Helper()
	done := make(chan struct{})
	if !l.Remote().Post(func(l *netpoll.Loop) {
		defer close(done)
		f(l)
	}) {
		t.Fatal("the loop takes no task")
	}
	<-done
}

// eventually waits for what other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// narrow makes the loop's end of each connection take little at a time.
func narrow(l *netpoll.Loop, c *netpoll.Conn) {
	fd := l.Detach(c)
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096)
	l.Adopt(fd, 1, 0, nil)
}

func TestRealEcho(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		var writable atomic.Int64
		echoing := echo()
		echoing.writable = func(*netpoll.Loop, *netpoll.Conn) { writable.Add(1) }
		front := &script{open: narrow}
		loops := []*netpoll.Loop{
			startLoop(t, netpoll.Options{Index: 0, IO: mode, Handlers: handlers(front, echoing)}),
			startLoop(t, netpoll.Options{Index: 1, IO: mode, Handlers: handlers(front, echoing)}),
		}
		if loops[0].Kernel() != string(mode) {
			t.Errorf("kernel %s", loops[0].Kernel())
		}
		addr := serve(t, loops...)
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if err := echoStream(addr, uint64(i), 64<<(i%15)); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if writable.Load() == 0 {
			t.Error("no write was ever short: the test tests nothing")
		}
		for _, l := range loops {
			eventually(t, "all connections are closed", func() bool { return l.Stats().Connections == 0 })
			if s := l.Stats(); s.OutboxBytes != 0 || s.Opened == 0 {
				t.Errorf("OutboxBytes %d, %d opened", s.OutboxBytes, s.Opened)
			}
		}
	})
}

// echoStream writes size bytes in random pieces and expects them back.
func echoStream(addr string, seed uint64, size int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	rng := rand.New(rand.NewPCG(seed, 4))
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(rng.Uint32())
	}
	go func() {
		for p := want; len(p) > 0; {
			n := min(len(p), 1+rng.IntN(100000))
			if _, err := c.Write(p[:n]); err != nil {
				return
			}
			p = p[n:]
		}
	}()
	got := make([]byte, size)
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes came back changed", size)
	}
	return nil
}

func files(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestResetStorm: connections that come, speak and reset leave nothing behind.
func TestResetStorm(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(echo())})
		addr := serve(t, l)
		before := files(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 150 {
					c, err := net.Dial("tcp", addr)
					if err != nil {
						t.Error(err)
						return
					}
					_ = c.(*net.TCPConn).SetLinger(0)
					_, _ = c.Write(make([]byte, i*100))
					c.Close()
				}
			})
		}
		wg.Wait()
		eventually(t, "all are opened and closed again", func() bool {
			s := l.Stats()
			return s.Connections == 0 && s.Opened == s.Closed && s.Opened > 0
		})
		eventually(t, "the descriptors are free", func() bool { return files(t) <= before })
		if err := echoStream(addr, 1, 10000); err != nil {
			t.Errorf("after the storm: %v", err)
		}
	})
}

// TestStopClosesEverything, what waits in the mailbox and in backlogs included.
func TestStopClosesEverything(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		before := files(t)
		var closes atomic.Int64
		h := echo()
		h.closed = func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) {
			if r == netpoll.ReasonDrain {
				closes.Add(1)
			}
		}
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(h)})
		for range 20 {
			pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer syscall.Close(pair[1])
			l.Remote().Post(func(l *netpoll.Loop) { l.SendShared(l.Adopt(pair[0], 0, 0, nil), make([]byte, 1<<20)) })
		}
		l.Stop()
		if closes.Load() != 20 {
			t.Errorf("%d closed, want 20", closes.Load())
		}
		if after := files(t); after > before+20 {
			t.Errorf("%d descriptors, %d before", after-20, before)
		}
		if s := l.Stats(); s.Connections != 0 || s.OutboxBytes != 0 {
			t.Errorf("%d connections, OutboxBytes %d", s.Connections, s.OutboxBytes)
		}
	})
}

// TestNoPostIsLost: a loop that sleeps again after each task is woken by each.
func TestNoPostIsLost(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(echo())})
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				last := -1
				for i := range 200 {
					done := make(chan struct{})
					ok := l.Remote().Post(func(*netpoll.Loop) {
						if i != last+1 {
							t.Errorf("goroutine %d: task %d behind %d", g, i, last)
						}
						last = i
						close(done)
					})
					if !ok {
						t.Error("not taken")
						return
					}
					if i%(g+2) == 0 { // only some wait, so that wakes come in all ways
						<-done
					}
				}
			})
		}
		wg.Wait()
		onLoop(t, l, func(*netpoll.Loop) {})
		if s := l.Stats(); s.Mailbox > 1 {
			t.Errorf("%d tasks are left", s.Mailbox)
		}
	})
}

// TestWakeRunsDeliver: Wake from another goroutine is always followed by a
// phase 6 that sees what was queued before it.
func TestWakeRunsDeliver(t *testing.T) {
	var queued, seen atomic.Int64
	l := startLoop(t, netpoll.Options{Handlers: handlers(echo()), Deliver: func(*netpoll.Loop, int) bool {
		seen.Store(queued.Load())
		return false
	}})
	for i := range int64(500) {
		queued.Store(i + 1)
		l.Remote().Wake()
		eventually(t, "the delivery", func() bool { return seen.Load() == i+1 })
	}
}

// TestPausedPeerResets: a paused connection is not read, so its end must
// come to light by itself.
func TestPausedPeerResets(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		reasons := make(chan netpoll.Reason, 1)
		h := &script{
			data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
				l.SendShared(c, make([]byte, 64<<20))
				l.PauseRead(c)
			},
			closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { reasons <- r },
		}
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(h)})
		c, err := net.Dial("tcp", serve(t, l))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte("go"))
		eventually(t, "a backlog", func() bool { return l.Stats().OutboxBytes > 0 })
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
		if r := <-reasons; r != netpoll.ReasonReset {
			t.Errorf("reason %v", r)
		}
	})
}

// TestRealSteadyEchoAllocatesNothing counts the process's allocations over many
// echoes through a real loop.
func TestRealSteadyEchoAllocatesNothing(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(echo())})
		c, err := net.Dial("tcp", serve(t, l))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p := make([]byte, 64)
		// Not by AllocsPerRun, which takes all processors but one away.
		var before, after runtime.MemStats
		const echoes = 2000
		for i := range echoes + 10 {
			if i == 10 {
				runtime.ReadMemStats(&before)
			}
			_, _ = c.Write(p)
			_, _ = io.ReadFull(c, p)
		}
		runtime.ReadMemStats(&after)
		// A trim once a second, and the runtime itself, may allocate a little.
		if n := after.Mallocs - before.Mallocs; n > echoes/20 {
			t.Errorf("%d allocations in %d echoes", n, echoes)
		}
	})
}

// BenchmarkRealEcho is 64 echoes over the loopback with each of the kernels. loop-ns/echo is the
// loop's own time, system calls included; the time of an operation has the clients' in it, and is
// of no interest.
func BenchmarkRealEcho(b *testing.B) {
	for _, mode := range []netpoll.IOMode{netpoll.IOSyscall, netpoll.IOUring} {
		b.Run(string(mode), func(b *testing.B) {
			if mode == netpoll.IOUring && netpoll.ProbeUring() != nil {
				b.Skip("no io_uring here")
			}
			l := startLoop(b, netpoll.Options{IO: mode, Handlers: handlers(echo())})
			addr := serve(b, l)
			conns := make([]net.Conn, 64)
			for i := range conns {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				conns[i] = c
			}
			p := make([]byte, 64)
			for b.Loop() {
				for _, c := range conns {
					_, _ = c.Write(p)
				}
				for _, c := range conns {
					_, _ = io.ReadFull(c, p)
				}
			}
			s := l.Stats()
			b.ReportMetric(float64(s.Busy.Nanoseconds())/float64(s.Writes), "loop-ns/echo")
		})
	}
}
