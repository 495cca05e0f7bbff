// Moves of connections between the workers of a node: the session of a Socket.IO client is on one
// loop of one worker, and the kernel gives the client's connections to any worker.

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
	FD    int    // a connected, non-blocking socket; the owner of the Handover closes it
	Loop  int    // the loop of the session, by its index in that worker; it comes from the client
	First []byte // what was read from the socket, from the request's first byte on; immutable

	Client    netip.Addr // the address that the connection counts against; invalid: none
	Forwarded bool       // a trusted proxy has made it: it counts against no address until it names its client
}

// Refuse answers 503 and closes the connection. It is for an owner of the Handover that can neither
// serve the request nor pass it on. The client may miss the answer if it is still sending a body.
// Any goroutine.
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

// TakeIn takes a connection that another worker has handed over. The Server owns it from here on.
// If the node has no room for it, it is refused like a new connection.
func (s *Server) TakeIn(m *Handover) {
	if s.takeIn(m, node.RoleHead) {
		s.movedIn.Add(1)
	}
}

// TakeBack takes back a connection that this worker has handed over and that did not reach the
// other worker. Its request is answered as one for an unknown session, so that the client begins
// anew.
func (s *Server) TakeBack(m *Handover) { s.takeIn(m, node.RoleReturned) }

// takeIn admits the connection and gives it to its loop, or closes it.
func (s *Server) takeIn(m *Handover, role netpoll.Role) (taken bool) {
	tag, ok := s.admission.Readmit(edge.Standing{Client: m.Client, Forwarded: m.Forwarded})
	if !ok {
		m.Refuse() // too many refusals are being sent already
		return false
	}
	i := m.Loop
	if i < 0 || i >= s.node.Loops() {
		i = 0 // its endpoint answers that there is no such session
	}
	s.node.AdoptOn(s.node.Loop(i).Remote(), role, m.FD, tag, m.First)
	return true
}
