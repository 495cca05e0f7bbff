// Modes that close: churn, and the storm.

package swarm

import (
	"time"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// again opens the next connection of a churn, if there is a client that has none.
func (s *Swarm) again() {
	if s.free.empty() {
		s.tally.unsent++
		return
	}
	i := s.free.pop(s.clients)
	s.clients[i].state = waiting
	s.ready.push(s.clients, i)
}

// churn says one thing, where the protocol allows it, and closes.
func (s *Swarm) churn(l *netpoll.Loop, c *netpoll.Conn, i uint32) {
	if s.spec.Protocol == Raw || s.spec.Protocol == SocketIO || s.spec.Protocol == V1 && len(s.spec.Topics) > 0 {
		s.emit(l, c, i, l.Now())
	}
	s.sayClose(l, c, i)
}

// dropping is a storm under way.
type dropping struct {
	reset              bool
	first, next, count uint32 // clients first+next to first+count-1, modulo their number, are to be dropped
}

// beginDrop makes the next turns close every connection, or the next ones of a recovery.
func (s *Swarm) beginDrop(l *netpoll.Loop, d Drop) {
	s.dropping = &dropping{reset: d.Reset, first: s.cutNext, count: s.cut(d)}
	s.cutNext = (s.cutNext + s.dropping.count) % uint32(len(s.clients))
	s.putOff(l, d)
	s.rush, s.connectedAt = true, 0
}

// drop closes some more.
func (s *Swarm) drop(l *netpoll.Loop) {
	d := s.dropping
	if d == nil {
		return
	}
	for n := 0; n < closesPerTurnMax && d.next < d.count; d.next++ {
		i := (d.first + d.next) % uint32(len(s.clients))
		cl := &s.clients[i]
		c := l.Lookup(cl.conn)
		if c == nil || cl.state != open {
			s.abandon(l, c, cl)
			continue
		}
		n++
		if s.ending == 0 {
			s.tally.cut++
		}
		if d.reset {
			s.reset(l, c)
		} else {
			s.sayClose(l, c, i)
			l.Finish(c, netpoll.ReasonLocal, closeLinger)
		}
	}
	if d.next == d.count {
		s.dropping = nil
	}
}

// abandon ends a connection that is not open yet, when everything is to end.
func (s *Swarm) abandon(l *netpoll.Loop, c *netpoll.Conn, cl *client) {
	if c != nil && s.ending > 0 && cl.state == connecting {
		cl.flags |= flagOurs
		l.Close(c, netpoll.ReasonLocal)
	}
}

// reset ends a connection with an RST.
func (s *Swarm) reset(l *netpoll.Loop, c *netpoll.Conn) {
	s.clients[c.Tag()-1].flags |= flagOurs
	fd, _ := l.DetachLayered(c) // OnClose takes note of it
	if fd < 0 {
		return
	}
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(fd)
}

// end makes the next turns close everything, and the swarm stop when that is done, at the latest
// after a while.
func (s *Swarm) end(l *netpoll.Loop, within time.Duration) {
	if s.ending > 0 {
		s.ending = min(s.ending, l.Now()+within)
		return
	}
	s.ending = l.Now() + max(within, 1)
	s.dropping = &dropping{count: uint32(len(s.clients))}
}

// finishEnd gives the last Sample when everything is closed.
func (s *Swarm) finishEnd(l *netpoll.Loop, now time.Duration) {
	if s.ending > 0 && !s.ended && (now >= s.ending || s.dropping == nil && l.Len() == 0) {
		s.ended = true
		s.readingsDue |= readingLast
	}
}
