// How sockets get to a loop: from net/http, from another loop, from another process.

package node

import (
	"c100k/internal/edge"
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

// Arrival is a connection on its way to a loop. The loop that adopts it owns it.
type Arrival struct {
	FD    int
	Tag   uint32         // the admission's
	Moved *netpoll.Moved // of a connection with a layer; nil for a plain one
	First []byte         // plain bytes that were read from it: the beginning of a request; kept
}

// adopt makes it a connection of l.
func (a *Arrival) adopt(l *netpoll.Loop, role netpoll.Role) {
	if a.Moved == nil {
		l.Adopt(a.FD, role, a.Tag, a.First)
		return
	}
	l.AdoptLayered(a.FD, role, a.Tag, a.Moved, a.First)
}

// Adopt gives a connection to the loop with the fewest: see AdoptOn.
func (n *Node) Adopt(a Arrival) { n.AdoptOn(n.least().loop.Remote(), RoleHead, a) }

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

// AdoptOn gives a connection to a loop, in RoleHead or RoleReturned: its next bytes are a request
// head, or First and then they. If the loop cannot take it, the socket is closed and the tag
// released.
func (n *Node) AdoptOn(loop *netpoll.Remote, role netpoll.Role, a Arrival) {
	n.adoptOn(loop, func(l *netpoll.Loop) { a.adopt(l, role) }, a.FD, a.Tag)
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
		if a, ok := Leave(l, c, first); ok { // without a layer: the program's server has accepted it
			n.adoptMounted(n.reactors[loop], a.FD, a.Tag, m, first)
		}
		return true
	}
	if a, ok := Leave(l, c, first); ok {
		n.AdoptOn(n.reactors[loop].loop.Remote(), RoleHead, a)
	}
	return true
}

// Leave takes c, whose layer comes along, out of its loop. ok is false if c has no socket any more.
// Loop only.
func Leave(l *netpoll.Loop, c *netpoll.Conn, first []byte) (a Arrival, ok bool) {
	a = Arrival{Tag: c.Tag(), First: first}
	a.FD, a.Moved = l.DetachLayered(c)
	return a, a.FD >= 0
}
