// How sockets get to a loop: from net/http, from another loop, from another process.

package node

import (
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

// Adopt gives a socket to the loop with the fewest connections. Its next bytes are a request head,
// or first and then they. fd and tag are the loop's from here on; if it cannot take them, the
// socket is closed and the tag released. first is kept.
func (n *Node) Adopt(fd int, tag uint32, first []byte) {
	least := n.reactors[0].loop.Remote()
	for _, r := range n.reactors[1:] {
		if remote := r.loop.Remote(); remote.Load() < least.Load() {
			least = remote
		}
	}
	n.AdoptOn(least, RoleHead, fd, tag, first)
}

// AdoptOn is Adopt for a loop of the caller's choice, in RoleHead or RoleReturned.
func (n *Node) AdoptOn(loop *netpoll.Remote, role netpoll.Role, fd int, tag uint32, first []byte) {
	n.adoptOn(loop, func(l *netpoll.Loop) { l.Adopt(fd, role, tag, first) }, fd, tag)
}

// adoptOn has a loop adopt a socket.
func (n *Node) adoptOn(loop *netpoll.Remote, adopt func(*netpoll.Loop), fd int, tag uint32) {
	if !loop.Post(adopt) {
		unix.Close(fd)
		n.cfg.Admission.Release(tag)
	}
}

// Move takes c, a connection whose request was read, to a loop of a process of this node, by its
// index. first is what was read of the request and is kept. False, having done nothing, if there is
// no such loop. Loop only.
func (n *Node) Move(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool {
	switch {
	case process != n.cfg.Process:
		return n.cfg.HandOver != nil && n.cfg.HandOver(l, c, int(process), int(loop), first)
	case int(loop) >= len(n.reactors):
		return false
	}
	tag, to := c.Tag(), n.reactors[loop].loop.Remote()
	switch fd, moved := l.DetachLayered(c); {
	case fd < 0:
	case moved == nil:
		n.AdoptOn(to, RoleHead, fd, tag, first)
	default: // its layer comes along
		n.adoptOn(to, func(l *netpoll.Loop) { l.AdoptLayered(fd, RoleHead, tag, moved, first) }, fd, tag)
	}
	return true
}

// Detach takes c's socket and tag out of its loop; both are the caller's from here on. ok is false
// if c has no socket any more. Loop only.
func Detach(l *netpoll.Loop, c *netpoll.Conn) (fd int, tag uint32, ok bool) {
	tag = c.Tag()
	fd = l.Detach(c)
	return fd, tag, fd >= 0
}
