// Ports that are kept for programs which must be told their port before they listen.

package netlab

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// TB is what KeepPort needs of a testing.TB.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(f func())
}

// KeepPort returns an address of 127.0.0.1, as host:port, that is kept until the test ends: nobody
// gets its port who asks for any free one, be it to listen or to connect. A program that asks for
// this port can listen on it, again and again; before and between, connections to it are refused.
//
// It is a socket that is bound, and that does not listen. Programs that set SO_REUSEADDR, as
// servers do, bind beside it (Linux, net/ipv4/inet_connection_sock.c, inet_bind_conflict).
func KeepPort(t TB) (address string) {
	t.Helper()
	fd, bound, err := bindLoopback()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return bound.String()
}

// bindLoopback binds a socket to a free port.
func bindLoopback() (fd int, bound *net.TCPAddr, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, nil, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, nil, fmt.Errorf("bind: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, nil, fmt.Errorf("getsockname: %w", err)
	}
	at := name.(*unix.SockaddrInet4) // of a socket of AF_INET
	return fd, &net.TCPAddr{IP: at.Addr[:], Port: at.Port}, nil
}
