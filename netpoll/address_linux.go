// Where a connection comes from.

package netpoll

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// PeerAddr is the address at the other end of c's socket; invalid if it has none. It is a system call, so nobody asks for each
// message. Loop only.
func (l *Loop) PeerAddr(c *Conn) netip.AddrPort {
	sa, err := unix.Getpeername(int(c.fd))
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
