// Connecting: at what pace, and when again.

package swarm

import (
	"errors"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// connect begins as many connections as are due, and allowed.
func (s *Swarm) connect(l *netpoll.Loop, now time.Duration) {
	if s.ending > 0 {
		return
	}
	s.connectAt = max(s.connectAt, now-connectLag)
	for n := 0; n < connectsPerTurnMax && s.connecting < connectingMax && !s.ready.empty() && s.connectAt <= now; n++ {
		if s.spec.ConnectRate > 0 && s.spec.Mode != Churn && !s.rush {
			s.connectAt += time.Duration(float64(time.Second) / s.spec.ConnectRate)
		}
		s.connectOne(l, s.ready.pop(s.clients), now)
	}
}

func (s *Swarm) connectOne(l *netpoll.Loop, i uint32, now time.Duration) {
	cl := &s.clients[i]
	cl.state, cl.began, cl.step, cl.code = connecting, now, 0, 0
	s.connecting++
	fd, err := netpoll.Connect(s.source(i), s.target(i))
	if err != nil {
		s.leave(i, causeOf(err), 0)
		return
	}
	s.adopt(l, i, fd)
}

// adopt makes a socket the connection of a client.
func (s *Swarm) adopt(l *netpoll.Loop, i uint32, fd int) {
	if s.slow(i) {
		// As small as the kernel allows, so that the server's output soon backs up.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
	}
	var c *netpoll.Conn
	if s.tls != nil {
		c = l.AdoptLayered(fd, roleUpgrade, i+1, nil, nil)
	} else {
		c = l.Adopt(fd, roleUpgrade, i+1, nil)
	}
	if c == nil {
		s.leave(i, NoDescriptor, 0)
	}
}

// target is the address that a client connects to.
func (s *Swarm) target(i uint32) netip.AddrPort {
	if n := int(s.number(i)) % (1 + len(s.spec.Others)); n > 0 {
		return s.spec.Others[n-1]
	}
	return s.spec.Target
}

// source is the local address of a client.
func (s *Swarm) source(i uint32) (a netip.Addr) {
	if n := len(s.spec.Sources); n > 0 {
		a = s.spec.Sources[int(s.number(i))%n]
	}
	return a
}

// opened is for a connection that is ready for messages.
func (s *Swarm) opened(l *netpoll.Loop, c *netpoll.Conn, i uint32) {
	cl := &s.clients[i]
	l.Disarm(c)
	cl.state, cl.fails = open, 0
	s.connecting--
	s.open++
	s.tally.opened++
	if cl.flags&flagOpened != 0 {
		s.tally.reconnected++
	}
	record(s.measured.connect, s.at(l)-cl.began)
	if s.listens && (s.begun > 0 || cl.flags&flagOpened != 0) && !s.resumes(i) {
		cl.flags |= flagJoined
		cl.since = s.heard[s.topic(i)]
		s.hasNothingToShow(i)
	}
	cl.flags |= flagOpened
	if s.open == len(s.clients) && s.connectedAt == 0 {
		s.connectedAt, s.rush = s.at(l), false
	}
	switch {
	case s.slow(i):
		cl.flags |= flagSlow
		l.StopRead(c)
	case s.spec.Mode == Churn:
		s.churn(l, c, i)
	case s.sending() && i < s.schedule.filled: // the others get theirs in turn
		s.fill(l, c, i)
	}
}

// slow tells whether a client is one of those that do not read: a share of them, spread evenly.
func (s *Swarm) slow(i uint32) bool {
	if s.spec.Mode != SlowReader {
		return false
	}
	n := float64(s.number(i))
	return int((n+1)*s.spec.SlowShare) > int(n*s.spec.SlowShare)
}

// gone updates the client of a connection that the loop has closed.
func (s *Swarm) gone(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	if c.Tag() == 0 {
		return // dealt with already
	}
	i := s.forget(c)
	cl := &s.clients[i]
	reason := ""
	switch {
	case cl.flags&flagOurs != 0, r == netpoll.ReasonDrain:
	case cl.code != 0:
		reason = "closed " + strconv.Itoa(int(cl.code))
	case r == netpoll.ReasonPeer, r == netpoll.ReasonTruncated:
		reason = "eof"
	case r == netpoll.ReasonLayer:
		reason = "bad TLS"
	case r == netpoll.ReasonReset && l.Errno() != 0:
		reason = causeOf(l.Errno())
	default:
		reason = r.String()
	}
	s.leave(i, reason, 0)
}

// refuse closes a connection because of what the server has done; pause is what it asked for before
// the next.
func (s *Swarm) refuse(l *netpoll.Loop, c *netpoll.Conn, reason string, pause time.Duration) {
	s.leave(s.forget(c), reason, pause)
	l.Close(c, netpoll.ReasonProtocol)
}

// forget takes a connection and its client apart, and returns the client's index.
func (s *Swarm) forget(c *netpoll.Conn) uint32 {
	i := c.Tag() - 1
	cl := &s.clients[i]
	if cl.partial != 0 {
		switch c.Role() {
		case roleUpgrade:
			s.heads.Free(cl.partial)
		case roleSocket:
			s.readers.Free(cl.partial)
		case roleStream:
			s.streams.Free(cl.partial)
		}
		cl.partial = 0
	}
	c.SetTag(0)
	return i
}

// leave takes note of a client that has no connection any more; reason is empty where it was our
// own doing.
func (s *Swarm) leave(i uint32, reason string, pause time.Duration) {
	cl := &s.clients[i]
	was := cl.state
	switch was {
	case connecting:
		s.connecting--
		if reason != "" {
			s.tally.failed.add(reason)
		}
		cl.fails = min(cl.fails+1, 16)
	case open, closing:
		if was == open {
			s.open--
			s.away(i)
		}
		if reason != "" {
			s.tally.lost.add(reason)
		}
	}
	dropped := cl.flags&flagOurs != 0
	cl.conn, cl.state = 0, down
	if s.places != nil {
		s.places[i].shown, s.places[i].behind = false, false
	}
	cl.flags &^= flagOurs | flagSlow
	switch {
	case s.ending > 0:
	case s.spec.Mode == Churn && (reason == "" || s.schedule.rate > 0):
		s.free.push(s.clients, i)
	case dropped && s.backAt > 0:
		cl.state = waiting
		s.retries.add(s.clients, i, s.backAt)
	case dropped:
		cl.state = waiting
		s.ready.push(s.clients, i)
	case s.spec.Reconnect || s.spec.Mode == Churn:
		cl.state = waiting
		s.retries.add(s.clients, i, Clock()+max(pause, s.pause(cl.fails)))
	}
}

// pause is how long a client waits after so many failures: growing, and never the same for two.
func (s *Swarm) pause(fails uint8) time.Duration {
	most := min(retryMin<<fails, retryMax)
	return most/2 + time.Duration(s.random.Uint64()%uint64(most/2))
}

// Reasons of Sample.Failed that are no fault of the server: this end has run out of what a
// connection takes.
const (
	NoPort       = "no local port"
	NoDescriptor = "no descriptor"
)

// causeOf is the word for an error of a socket.
func causeOf(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return "no connection"
	}
	switch errno {
	case unix.ECONNREFUSED:
		return "refused"
	case unix.ECONNRESET, unix.EPIPE, unix.ECONNABORTED:
		return "reset"
	case unix.ETIMEDOUT:
		return "timeout"
	case unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENETDOWN, unix.EHOSTDOWN:
		return "unreachable"
	case unix.EADDRNOTAVAIL:
		return NoPort
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		return NoDescriptor
	}
	return errno.Error()
}
