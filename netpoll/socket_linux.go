// Sockets: connecting one while the loop does other things, and the address of the other end.

package netpoll

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Connect makes a TCP socket for Adopt and begins to connect it to remote, from
// local unless that is the zero Addr; it does not wait. OnOpen may send at once:
// the bytes stay in the outbox until the connection stands. A connect that
// fails comes as OnClose, with ReasonReset and the cause in Loop.Errno. The error
// is of what this end knows at once: no descriptor, no port, no such address, no
// way there. Any goroutine.
func Connect(local netip.Addr, remote netip.AddrPort) (fd int, err error) {
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	local = local.Unmap()
	if !remote.IsValid() || remote.Port() == 0 || local.IsValid() && local.Is4() != remote.Addr().Is4() {
		return -1, fmt.Errorf("netpoll: connect from %v to %v: no such pair of addresses", local, remote)
	}
	family := unix.AF_INET6
	if remote.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := beginConnect(fd, local, remote); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func beginConnect(fd int, local netip.Addr, remote netip.AddrPort) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if local.IsValid() {
		// Without it bind takes a port for all destinations, and a range of
		// 28,000 ports is used up by as many connections from all addresses.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(local, 0))); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	switch err := unix.Connect(fd, sockaddr(remote)); err {
	case nil, unix.EINPROGRESS, unix.EINTR: // EINTR: it goes on by itself
		return nil
	default:
		return os.NewSyscallError("connect", err)
	}
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// PeerAddr is the address of the peer of c's socket; invalid if it has none. It is a
// system call, too dear for each message. It allocates nothing, unlike
// unix.Getpeername: it is called for each new connection. Loop only.
func (l *Loop) PeerAddr(c *Conn) netip.AddrPort {
	var raw unix.RawSockaddrInet6 // larger than that of IPv4
	size := uint32(unsafe.Sizeof(raw))
	_, _, errno := unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(c.fd), uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}
	}
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&raw.Port))[:]) // at the same place in both
	switch raw.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&raw)).Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(raw.Addr).Unmap(), port)
	}
	return netip.AddrPort{}
}
