// Tests of what systemd is told and hands over.

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"c100k/server"
)

// manager listens as systemd does, and returns what it is told, message after message.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "c100k") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		buf := make([]byte, 512)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestSystemdIsTold(t *testing.T) {
	next := manager(t)
	p, n := pretend("--drain", "7s")
	code := p.start(t)
	expect := func(want string) {
		t.Helper()
		if got := next(); !strings.HasPrefix(got, want) {
			t.Fatalf("systemd was told %q, want %q", got, want)
		}
	}
	expect("READY=1")
	p.signal <- syscall.SIGHUP
	expect("RELOADING=1\nMONOTONIC_USEC=")
	expect("READY=1")
	p.signal <- syscall.SIGTERM
	expect("STOPPING=1\nEXTEND_TIMEOUT_USEC=22000000")
	n.drained <- nil
	if got := <-code; got != 0 {
		t.Errorf("exit code %d: %s", got, p.err)
	}
}

func TestExtendTimeout(t *testing.T) {
	if got := extendTimeout(server.Off); got != "EXTEND_TIMEOUT_USEC=15000000" {
		t.Error(got)
	}
}

// stuckNode is a node whose loops are stuck while the error is not nil.
type stuckNode struct {
	pretender
	looks chan error // what each look finds
}

func (n *stuckNode) Stuck() error { return <-n.looks }

// TestWatchdogIsNotFedWhileStuck: systemd gets nothing while a loop is stuck.
func TestWatchdogIsNotFedWhileStuck(t *testing.T) {
	next := manager(t)
	n := &stuckNode{looks: make(chan error)}
	log := &output{written: make(chan struct{}, 1)}
	s := &serving{node: n, log: slog.New(slog.NewTextHandler(log, nil))}
	tick := make(chan time.Time)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.feed(ctx, tick); close(ended) }()
	look := func(err error) { tick <- time.Time{}; n.looks <- err }
	look(errors.New("loop 1 is stuck"))
	look(nil)
	tick <- time.Time{} // the look before has been told
	notify("AFTER=1")
	for _, want := range []string{"WATCHDOG=1", "AFTER=1"} {
		if got := next(); got != want {
			t.Errorf("systemd was told %q, want %q", got, want)
		}
	}
	if !strings.Contains(log.String(), "loop 1 is stuck") {
		t.Errorf("the log is %q", log)
	}
	n.looks <- nil
	cancel()
	<-ended
}

// TestWatchdogIsFed: with a timeout in the environment, by the real clock.
func TestWatchdogIsFed(t *testing.T) {
	next := manager(t)
	t.Setenv("WATCHDOG_USEC", "30000")
	p, n := pretend()
	code := p.start(t)
	for told := next(); told != fed; told = next() {
		if told != "READY=1" {
			t.Fatalf("systemd was told %q", told)
		}
	}
	p.signal <- syscall.SIGTERM
	n.drained <- nil
	<-code
}

const fed = "WATCHDOG=1"

// socket is a descriptor as systemd passes it.
func socket(t *testing.T, name string, listens bool) *os.File {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil && listens {
		if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
			err = syscall.Listen(fd, 1)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), name)
}

func TestPortsOf(t *testing.T) {
	if ports, err := portsOf(nil); ports != nil || err != nil {
		t.Errorf("%v, %v", ports, err)
	}
	ports, err := portsOf([]*os.File{socket(t, "admin", true), socket(t, "c100k.socket", true), socket(t, "redirect", true)})
	if err != nil {
		t.Fatal(err)
	}
	for name, ln := range map[string]net.Listener{"public": ports.Public, "admin": ports.Admin, "redirect": ports.Redirect} {
		if ln == nil {
			t.Fatalf("there is no port %s", name)
		}
		defer ln.Close()
	}
	for want, files := range map[string][]*os.File{
		`"other" from systemd is one too many`:   {socket(t, "public", true), socket(t, "other", true)},
		`"admin" from systemd is one too many`:   {socket(t, "admin", true), socket(t, "admin", true)},
		`"public" from systemd does not listen:`: {socket(t, "public", false)},
	} {
		if _, err := portsOf(files); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestServeTakesPorts: the addresses of the configuration are those of the sockets, also at a
// reload, and several processes are refused.
func TestServeTakesPorts(t *testing.T) {
	files := []*os.File{socket(t, "public", true), socket(t, "admin", true)}
	ports, err := portsOf(files)
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Public.Close()
	defer ports.Admin.Close()
	p, _ := pretend("--listen", ":1", "--workers", "2")
	p.ports = func() (*server.Ports, error) { return ports, nil }
	if code, _, errors := p.exec(t); code != exitUsage || !strings.Contains(errors, "--workers: 2 is refused; several processes cannot share a socket that was opened for them: 1") {
		t.Errorf("exit code %d: %s", code, errors)
	}
	p, n := pretend("--listen", ":1")
	p.ports = func() (*server.Ports, error) { return ports, nil }
	code := p.start(t)
	p.signal <- syscall.SIGHUP
	p.err.await(t, "configuration reloaded")
	for _, c := range []server.Config{n.config, n.reloaded} {
		if c.Listen != ports.Public.Addr().String() || c.Admin != ports.Admin.Addr().String() || c.Ports != ports {
			t.Errorf("listen %s, admin %s", c.Listen, c.Admin)
		}
	}
	p.signal <- syscall.SIGTERM
	n.drained <- nil
	if got := <-code; got != 0 {
		t.Errorf("exit code %d: %s", got, p.err)
	}
}
