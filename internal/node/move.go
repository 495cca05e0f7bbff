// How sockets get to a loop: from net/http, from another loop, from another process.

package node

import (
	"c100k/internal/edge"
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

// Adopt gives a socket to the loop with the fewest connections. Its next bytes are a request head,
// or first and then they. fd and tag are the loop's from here on; if it cannot take them, the
// socket is closed and the tag released. first is kept.
func (n *Node) Adopt(fd int, tag uint32, first []byte) {
	n.AdoptOn(n.least().loop.Remote(), RoleHead, fd, tag, first)
}

// least is the reactor with the fewest connections.
func (n *Node) least() *reactor {
	least := n.reactors[0]
	for _, r := range n.reactors[1:] {
		if r.loop.Remote().Load() < least.loop.Remote().Load() {
			least = r
		}
	}
	return least
}

// adoptMounted gives a reactor the socket of a request that a program's http.Server has received.
func (n *Node) adoptMounted(r *reactor, fd int, tag uint32, m *edge.Mount, first []byte) {
	n.adoptOn(r.loop.Remote(), func(l *netpoll.Loop) { r.heads[roleMounted].Adopt(l, fd, roleMounted, tag, m, first) }, fd, tag)
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
// no such loop, or if the request is a mounted handler's and the loop another process's: that one
// does not have the program's handlers for the next request. Loop only.
func (n *Node) Move(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool {
	mounted := c.Role() == roleMounted
	switch {
	case process != n.cfg.Process && mounted:
		return false
	case process != n.cfg.Process:
		return n.cfg.HandOver != nil && n.cfg.HandOver(l, c, int(process), int(loop), first)
	case int(loop) >= len(n.reactors):
		return false
	}
	if mounted {
		m := n.reactors[l.Index()-n.cfg.LoopBase].heads[roleMounted].Mount()
		if fd, tag, ok := Detach(l, c); ok {
			n.adoptMounted(n.reactors[loop], fd, tag, m, first)
		}
		return true
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
