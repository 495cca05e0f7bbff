// The public port: who may listen, and who gets connections.

package workers

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
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
		first, err := listenShared(t.Context(), where)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		second, err := listenShared(t.Context(), where)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
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
