// Where a connection comes from.

package netpoll

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PeerAddr is the address at the other end of c's socket; invalid if it has none. It is a system call, so nobody asks for each
// message. It allocates nothing, which unix.Getpeername does: it is called for each connection in a crowd. Loop only.
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
