// The acceptor when descriptors run out, in a process of its own.

package netpoll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exhaustionChild is set in the process that runs runExhaustionChild.
const exhaustionChild = "NETPOLL_TEST_EXHAUSTION"

// TestExhaustion lowers the limit of open files in a copy of this test binary.
func TestExhaustion(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), exhaustionChild+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "child: good") {
		t.Errorf("%v\n%s", err, out)
	}
}

func runExhaustionChild() int {
	if err := exhaust(); err != nil {
		fmt.Println("child:", err)
		return 1
	}
	fmt.Println("child: good")
	return 0
}

type silent struct{}

func (silent) OnOpen(*Loop, *Conn)          {}
func (silent) OnData(*Loop, *Conn, []byte)  {}
func (silent) OnTimer(*Loop, *Conn)         {}
func (silent) OnWritable(*Loop, *Conn)      {}
func (silent) OnClose(*Loop, *Conn, Reason) {}

// exhaust: with every descriptor in use, those who connect get the busy answer
// and an end, the acceptor does not spin, and accepts again once some are free.
func exhaust() error {
	opt := Options{}
	opt.Handlers[0] = silent{}
	l, err := NewLoop(opt)
	if err != nil {
		return err
	}
	if err := l.Start(); err != nil {
		return err
	}
	defer l.Stop()
	var exhaustions atomic.Int32
	a, err := NewAcceptor(AcceptorOptions{Loops: []*Loop{l}, Busy: []byte("busy"),
		OnExhausted: func(error) { exhaustions.Add(1) }})
	if err != nil {
		return err
	}
	defer a.Close()
	var failures atomic.Int32
	a.accept = func(listener int) (int, netip.Addr, syscall.Errno) {
		fd, peer, errno := accept(listener)
		if errno != 0 {
			failures.Add(1)
		}
		return fd, peer, errno
	}
	ln, err := listenPlain("127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := ln.Addr().String()
	if err := a.Listen(ln, time.Minute); err != nil {
		return err
	}
	ln.Close()

	// The clients' descriptors are made first: connecting needs no further one.
	clients := make([]int, 120)
	for i := range clients {
		if clients[i], err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
	}
	highest, err := unix.Dup(0)
	if err != nil {
		return err
	}
	unix.Close(highest)
	const spare = 20 // connections that still find a descriptor
	limit := unix.Rlimit{Cur: uint64(highest + spare), Max: uint64(highest + spare)}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	to := &unix.SockaddrInet4{Port: ln.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	for _, fd := range clients {
		if err := unix.Connect(fd, to); err != nil {
			return fmt.Errorf("connect %s: %w", addr, err)
		}
	}
	refused := clients[spare:]
	for i, fd := range refused { // each read returns: no connection is left hanging
		var b [16]byte
		n, err := unix.Read(fd, b[:])
		if err != nil || string(b[:n]) != "busy" {
			return fmt.Errorf("client %d got %q, %v; want the busy answer", spare+i, b[:max(n, 0)], err)
		}
		if n, err = unix.Read(fd, b[:]); n != 0 || err != nil {
			return fmt.Errorf("client %d: read %d, %v; want its end", spare+i, n, err)
		}
	}
	if a.Accepted() != spare || a.TurnedAway() != uint64(len(refused)) || exhaustions.Load() == 0 {
		return fmt.Errorf("%d accepted, %d turned away, %d exhaustions; want %d, %d, some",
			a.Accepted(), a.TurnedAway(), exhaustions.Load(), spare, len(refused))
	}
	return recoverFrom(a, l, clients, to, &exhaustions, &failures)
}

func recoverFrom(a *Acceptor, l *Loop, clients []int, to unix.Sockaddr, exhaustions, failures *atomic.Int32) error {
	// One waits in the backlog while nothing is free: pauses pass, and accept does not spin.
	// A refused client's descriptor is used again, which frees none.
	fd := clients[len(clients)-1]
	if err := reconnect(fd, to); err != nil {
		return err
	}
	before := exhaustions.Load()
	failures.Store(0)
	began := time.Now()
	for exhaustions.Load() < before+3 {
		if time.Since(began) > 30*time.Second {
			return fmt.Errorf("the listener does not come back from its pause")
		}
		if err := reconnect(fd, to); err != nil {
			return err
		}
		var b [16]byte
		for {
			if n, err := unix.Read(fd, b[:]); n <= 0 || err != nil {
				break
			}
		}
	}
	// At each pause one accept fails, and one with the spare descriptor, once nobody waits any more.
	if n, pauses := failures.Load(), exhaustions.Load()-before; n > 2*(pauses+1) {
		return fmt.Errorf("accept failed %d times in %d pauses", n, pauses)
	}
	for _, fd := range clients[:40] {
		unix.Close(fd)
	}
	accepted := a.Accepted()
	for began := time.Now(); a.Accepted() == accepted; {
		if time.Since(began) > 30*time.Second {
			return fmt.Errorf("no connection is accepted again: %d connections", l.Stats().Connections)
		}
		if err := reconnect(fd, to); err != nil {
			return err
		}
		var b [16]byte
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000})
		_, _ = unix.Read(fd, b[:])
	}
	return nil
}

// reconnect makes the same descriptor another connection.
func reconnect(fd int, to unix.Sockaddr) error {
	fresh, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil { // none free: disconnect this one and use it again
		return redial(fd, to)
	}
	defer unix.Close(fresh)
	if err := unix.Dup3(fresh, fd, unix.O_CLOEXEC); err != nil {
		return err
	}
	return unix.Connect(fd, to)
}

// redial: connect to AF_UNSPEC dissolves a connection, and the socket may then
// connect again.
func redial(fd int, to unix.Sockaddr) error {
	unspecified := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspecified)), unsafe.Sizeof(unspecified)); errno != 0 {
		return errno
	}
	return unix.Connect(fd, to)
}

// listenPlain makes a listener as Listen wants it: not of Multipath TCP.
func listenPlain(addr string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// TestAcceptErrors: whatever accept says, the connection that waits is accepted in the end. Errors
// of one connection do not pause the listener, all others do.
func TestAcceptErrors(t *testing.T) {
	opened := make(chan netip.AddrPort, 100)
	opt := Options{Handlers: [RolesMax]Handler{opening{opened}}}
	l, err := NewLoop(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	for _, test := range []struct {
		errno syscall.Errno
		told  bool
	}{
		{unix.ENOMEM, true}, {unix.ENOBUFS, true}, {unix.EMFILE, true}, {unix.ENFILE, true}, {unix.EPERM, true},
		{unix.EINVAL, false}, {unix.EFAULT, true}, {unix.ENOSR, true}, {syscall.Errno(4000), true},
		{unix.ECONNABORTED, false}, {unix.EINTR, false}, {unix.EPROTO, false}, {unix.ENETDOWN, false}, {unix.EHOSTUNREACH, false},
	} {
		var told atomic.Int32
		a, err := NewAcceptor(AcceptorOptions{Loops: []*Loop{l}, OnExhausted: func(err error) {
			if told.Add(1); !errors.Is(err, test.errno) {
				t.Errorf("%v: told of %v", test.errno, err)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		failures := 0 // only the acceptor's goroutine and, while it is in a pause, its timer touch it
		a.rest = time.Millisecond
		a.accept = func(listener int) (int, netip.Addr, syscall.Errno) {
			if failures++; failures <= 6 {
				return -1, netip.Addr{}, test.errno
			}
			return accept(listener)
		}
		ln, err := listenPlain("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Listen(ln, time.Minute); err != nil {
			t.Fatal(err)
		}
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for mine := client.LocalAddr().(*net.TCPAddr).AddrPort(); <-opened != mine; { // another process may call, too
		}
		if (told.Load() > 0) != test.told {
			t.Errorf("%v: OnExhausted was called %d times, want some: %v", test.errno, told.Load(), test.told)
		}
		a.Close()
		client.Close()
		ln.Close()
	}
}

// opening tells of each connection that is opened.
type opening struct{ opened chan netip.AddrPort }

func (h opening) OnOpen(l *Loop, c *Conn)    { h.opened <- l.PeerAddr(c) }
func (opening) OnData(*Loop, *Conn, []byte)  {}
func (opening) OnTimer(*Loop, *Conn)         {}
func (opening) OnWritable(*Loop, *Conn)      {}
func (opening) OnClose(*Loop, *Conn, Reason) {}

// TestAdmission: who is not admitted is closed; tags come back by OnRelease.
func TestAdmission(t *testing.T) {
	released := make(chan uint32, 10)
	opt := Options{OnRelease: func(tag uint32, _ Reason) { released <- tag }}
	opt.Handlers[0] = silent{}
	l, err := NewLoop(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	var asked atomic.Uint32
	a, err := NewAcceptor(AcceptorOptions{Loops: []*Loop{l}, Admit: func(peer netip.Addr) (uint32, bool) {
		if !peer.IsLoopback() {
			t.Errorf("peer %v", peer)
		}
		n := asked.Add(1)
		return 100 + n, n != 2
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ln, err := listenPlain("[::1]:0")
	if err != nil {
		ln, err = listenPlain("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := a.Listen(ln, time.Minute); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if _, err := io.ReadAll(c); err != nil {
				t.Errorf("the refused one: %v", err)
			}
			c.Close()
			continue
		}
		c.Close()
		if tag, want := <-released, uint32(101+i); tag != want {
			t.Errorf("released %d, want %d", tag, want)
		}
	}
}

// TestDescriptorsAreNotInherited: everything netpoll opens is close-on-exec.
func TestDescriptorsAreNotInherited(t *testing.T) {
	opt := Options{}
	opt.Handlers[0] = silent{}
	l, err := NewLoop(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	defer l.Stop()
	a, err := NewAcceptor(AcceptorOptions{Loops: []*Loop{l}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var fd int
		fmt.Sscan(e.Name(), &fd)
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 && strings.Contains(target, "anon_inode") {
			t.Errorf("descriptor %d (%s) would be inherited", fd, target)
		}
	}
}

// TestMailboxClosed: who posts too late is told so, and what was taken on runs.
func TestMailboxClosed(t *testing.T) {
	for range 50 {
		opt := Options{IO: IOSyscall}
		l, err := NewLoop(opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		var promised, ran atomic.Int32
		done := make(chan struct{})
		for range 4 {
			go func() {
				for l.Remote().Post(func(*Loop) { ran.Add(1) }) {
					promised.Add(1)
				}
				l.Remote().Wake()
				done <- struct{}{}
			}()
		}
		l.Stop()
		for range 4 {
			<-done
		}
		if promised.Load() != ran.Load() {
			t.Fatalf("%d promised, %d ran", promised.Load(), ran.Load())
		}
	}
}

func TestStopWithoutStart(t *testing.T) {
	l, err := NewLoop(Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Stop()
	l.Stop()
	if l.Remote().Post(func(*Loop) {}) {
		t.Error("a loop that has ended takes tasks")
	}
}
