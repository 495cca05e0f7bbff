// The public port: who may listen, and who gets connections.

package workers

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReserve(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "localhost:0", ":0", "[::1]:0", "0.0.0.0:0"} {
		r, err := reserve(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if r.addr.Port == 0 {
			t.Errorf("%s: port 0", address)
		}
		where := r.addr.String()
		if strings.HasPrefix(address, ":") && !r.addr.IP.IsUnspecified() {
			t.Errorf("%s: bound to %s", address, where)
		}
		if _, err := net.DialTCP("tcp", nil, reachable(r.addr)); err == nil {
			t.Errorf("%s: the reservation takes connections", where)
		}
		if ln, err := net.Listen("tcp", where); err == nil {
			t.Errorf("%s: somebody else can listen", where)
			ln.Close()
		}
		first, second := sharedPort(t, r), sharedPort(t, r)
		if _, err := net.DialTCP("tcp", nil, reachable(r.addr)); err == nil {
			t.Errorf("%s: a socket that does not listen yet takes connections", where)
		}
		for _, p := range []*workerPort{first, second} {
			if err := p.listen(); err != nil {
				t.Fatalf("%s: %v", where, err)
			}
		}
		if _, err := reserve(where); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s: reserved a second time, while others listen: %v", where, err)
		}
		conn, err := net.DialTCP("tcp", nil, reachable(r.addr))
		if err != nil {
			t.Errorf("%s: %v", where, err)
		} else {
			conn.Close()
		}
		first.Close()
		second.Close()
		r.Close()
	}
}

// sharedPort is the socket of one worker.
func sharedPort(t *testing.T, r *reservation) *workerPort {
	t.Helper()
	p, err := r.share()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// TestSuspend: a socket that the parent has suspended gets no connections, those that wait for it
// are reset, and it gets connections again when it listens again.
func TestSuspend(t *testing.T) {
	r, err := reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	one, other := sharedPort(t, r), sharedPort(t, r)
	ln, err := one.listener()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	waiting := dialTo(t, r)
	if err := one.suspend(); err != nil {
		t.Fatal(err)
	}
	if err := waiting.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := waiting.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that nobody has accepted reads %v", err)
	}
	if err := one.suspend(); err != nil {
		t.Errorf("suspended again: %v", err)
	}

	second, err := other.listener()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	for range 50 { // by the kernel's hash, half of them would go to the other socket
		dialTo(t, r)
		accept(t, second)
	}
	if err := other.suspend(); err != nil {
		t.Fatal(err)
	}
	if err := one.listen(); err != nil {
		t.Fatal(err)
	}
	dialTo(t, r)
	accept(t, ln)
}

func dialTo(t *testing.T, r *reservation) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func accept(t *testing.T, ln net.Listener) {
	t.Helper()
	if err := ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// TestReserveAfterAKilledParent: a port is free as soon as the old workers stop listening, also
// while their sockets and connections are still there.
func TestReserveAfterAKilledParent(t *testing.T) {
	r, err := reserve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	old := sharedPort(t, r)
	ln, err := old.listener()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialTo(t, r)
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	where := r.addr.String()
	r.Close() // what the end of the parent does
	if err := old.suspend(); err != nil {
		t.Fatal(err)
	}
	again, err := reserve(where)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := sharedPort(t, again).listen(); err != nil {
		t.Errorf("a worker of the new parent: %v", err)
	}
}

// reachable is an address that can be dialled.
func reachable(addr *net.TCPAddr) *net.TCPAddr {
	if addr.IP.IsUnspecified() {
		return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: addr.Port}
	}
	return addr
}

func TestReserveRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for address, want := range map[string]error{
		taken.Addr().String():   syscall.EADDRINUSE,
		"192.0.2.1:0":           syscall.EADDRNOTAVAIL,
		"[fe80::1%nothere]:0":   nil,
		"no port":               nil,
		"host.invalid.:80":      nil,
		"[fe80::1%4294967295]:": nil,
	} {
		if r, err := reserve(address); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
			if err == nil {
				r.Close()
			}
		}
	}
}
