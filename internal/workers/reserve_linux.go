// The public port of several processes: reserved by the parent, listened on by each worker.

package workers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// reservation is a public port that is bound, but not listened on. While it exists, no other
// program can listen on the port, and the kernel deals no connection to the process that holds it.
type reservation struct {
	file *os.File
	addr *net.TCPAddr
}

// reserve binds the address; port 0 takes a free one. It fails if another process listens on it,
// also another node of several workers. It tries again for portTimeout: workers whose parent was
// killed stop listening when they see it.
func reserve(address string) (*reservation, error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	fd, err := boundSocket(addr, false)
	for deadline := time.Now().Add(portTimeout); errors.Is(err, unix.EADDRINUSE) && time.Now().Before(deadline); {
		time.Sleep(portRetry)
		fd, err = boundSocket(addr, false)
	}
	if err != nil {
		return nil, err
	}
	r := &reservation{file: os.NewFile(uintptr(fd), "reservation")}
	if r.addr, err = boundAddr(fd, addr); err != nil {
		r.file.Close()
		return nil, err
	}
	return r, nil
}

// boundSocket binds as net.Listen would: an address without a host is of both families where there
// are both. A shared socket is bound beside a reservation of the same user.
func boundSocket(addr *net.TCPAddr, shared bool) (int, error) {
	if addr.IP == nil || addr.IP.IsUnspecified() {
		fd, err := bindTo(unix.AF_INET6, &unix.SockaddrInet6{Port: addr.Port}, shared)
		if err == nil || err == unix.EADDRINUSE || err == unix.EACCES {
			return fd, os.NewSyscallError("bind", err)
		}
		addr = &net.TCPAddr{IP: net.IPv4zero, Port: addr.Port} // a kernel without IPv6
	}
	if ip := addr.IP.To4(); ip != nil {
		fd, err := bindTo(unix.AF_INET, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(ip)}, shared)
		return fd, os.NewSyscallError("bind", err)
	}
	zone, err := zoneID(addr.Zone)
	if err != nil {
		return -1, err
	}
	fd, err := bindTo(unix.AF_INET6, &unix.SockaddrInet6{Port: addr.Port, ZoneId: zone, Addr: [16]byte(addr.IP.To16())}, shared)
	return fd, os.NewSyscallError("bind", err)
}

// zoneID is the number of an interface; "" is none.
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	face, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %q: %w", zone, err)
	}
	return uint32(face.Index), nil
}

// bindTo binds a socket. One that is shared, a worker's, is bound beside the reservation.
//
// The reservation itself is bound first and shares the port after. While a socket does not share,
// binding it fails if anybody listens on the port, also those who would share it with us: another
// node of the same user. It is bound beside connections that an earlier node has left behind, and
// then takes that permission back: with it, any process could listen on the port while no worker
// does.
func bindTo(family int, to unix.Sockaddr, shared bool) (fd int, err error) {
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	set := func(level, name, value int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, name, value)
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if family == unix.AF_INET6 {
		only := 1
		if a := to.(*unix.SockaddrInet6).Addr; a == [16]byte{} {
			only = 0
		}
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only)
	}
	if shared {
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, to); err != nil {
		return -1, err
	}
	if !shared {
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
		set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	return fd, err
}

// boundAddr is the address with the port that the kernel has chosen.
func boundAddr(fd int, wanted *net.TCPAddr) (*net.TCPAddr, error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}, nil
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: wanted.Zone}, nil
	}
	return nil, fmt.Errorf("bound to a %T", name)
}

// Close gives the port up.
func (r *reservation) Close() error { return r.file.Close() }
