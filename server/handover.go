// Connections on their way between the workers of a node: a Socket.IO client lives on one loop of
// one worker, and the kernel deals its connections to any of them.

package server

import (
	"net/netip"

	"c100k/internal/edge"
	"c100k/internal/node"
	"c100k/netpoll"

	"golang.org/x/sys/unix"
)

// HandoverBytesMax bounds Handover.First, in bytes: a request head, what one read brought behind
// it, and what a client may send ahead. A request with more behind it is not handed over.
const HandoverBytesMax = maxHeadMax + 128<<10

// Handover is a connection on its way from one worker to another, with a request that has been read
// in part.
type Handover struct {
	FD    int    // a connected, non-blocking socket; whoever has the Handover closes it
	Loop  int    // where the client lives, by the index among that worker's loops; it comes from the client
	First []byte // what was read from the socket, from the request's first byte on; nobody changes it

	Client    netip.Addr // the address that the connection counts against; invalid: none
	Forwarded bool       // a trusted proxy has made it: it counts against nobody until it says whom it speaks for
}

// Refuse tells the client that there is no room, and closes its connection. It is for who has the
// Handover and cannot serve the request, nor find anybody who does; what is still to come of a body
// may take the answer away. Any goroutine.
func (m *Handover) Refuse() {
	_, _ = unix.Write(m.FD, edge.AppendRefusal(nil, edge.RefuseOverCapacity, true)) // as much as the socket takes, without waiting
	unix.Close(m.FD)
}

// handOver takes a request to another worker. False, having done nothing, if that is not possible.
func (s *Server) handOver(l *netpoll.Loop, c *netpoll.Conn, to, loop int, first []byte) bool {
	w := s.cfg.Worker
	if w == nil || w.HandOver == nil || to >= w.Count || len(first) > HandoverBytesMax {
		return false
	}
	standing, remote := s.admission.Standing(c.Tag()), l.Remote()
	fd, tag, ok := node.Detach(l, c)
	if !ok {
		return true // its socket has left already
	}
	gone := func(sent bool) {
		if sent {
			s.admission.Release(tag)
		} else {
			s.node.AdoptOn(remote, node.RoleReturned, fd, tag, first)
		}
	}
	m := &Handover{FD: fd, Loop: loop, First: first, Client: standing.Client, Forwarded: standing.Forwarded}
	if !w.HandOver(to, m, gone) {
		gone(false)
	}
	return true
}

// TakeIn takes a connection that another worker has handed over, and is its owner from here on. If
// the node has no room for it, its client is told so, as at the door.
func (s *Server) TakeIn(m *Handover) {
	if s.takeIn(m, node.RoleHead) {
		s.movedIn.Add(1)
	}
}

// TakeBack takes a connection that this worker has handed over, and that the other has not got. Its
// request is answered like one for a client that nobody knows, so that the client begins anew.
func (s *Server) TakeBack(m *Handover) { s.takeIn(m, node.RoleReturned) }

// takeIn admits the connection and gives it to its loop; not taken, it is closed.
func (s *Server) takeIn(m *Handover, role netpoll.Role) (taken bool) {
	tag, ok := s.admission.Readmit(edge.Standing{Client: m.Client, Forwarded: m.Forwarded})
	if !ok {
		m.Refuse() // beyond what may be told in turn
		return false
	}
	i := m.Loop
	if i < 0 || i >= s.node.Loops() {
		i = 0 // which sees that there is no such loop
	}
	s.node.AdoptOn(s.node.Loop(i).Remote(), role, m.FD, tag, m.First)
	return true
}
