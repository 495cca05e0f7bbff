// Sending: an open schedule over all connections in turns, or a closed loop on each; and the clock
// that all processes of a machine have in common.

package swarm

import (
	"time"

	"golang.org/x/sys/unix"

	"c100k/frame"
	"c100k/netpoll"
)

// schedule says when messages are due: the n-th at from + n/rate. It does not wait for anybody.
type schedule struct {
	rate   float64 // a second
	on     bool
	from   time.Duration
	n      uint64
	cursor uint32 // whose turn it is
	filled uint32 // clients before it have had the first messages of their closed loops
}

// due is when the next message is.
func (d *schedule) due() time.Duration {
	return d.from + time.Duration(float64(d.n)/d.rate*float64(time.Second))
}

// restart begins anew, with another rate.
func (d *schedule) restart(now time.Duration, rate float64) {
	d.rate, d.from, d.n = rate, now, 0
}

// sending tells whether messages may be sent now.
func (s *Swarm) sending() bool { return s.schedule.on && s.settling == nil && s.ending == 0 }

// nextSend is when the schedule has something to do.
func (s *Swarm) nextSend() (at time.Duration, on bool) {
	d := &s.schedule
	switch {
	case !s.sending():
		return 0, false
	case s.spec.Mode == Churn && d.rate == 0:
		return 0, false // who closes opens the next
	case s.spec.InFlight > 0:
		return 0, int(d.filled) < len(s.clients)
	default:
		return d.due(), d.rate > 0
	}
}

// send does what is due by now.
func (s *Swarm) send(l *netpoll.Loop, now time.Duration) {
	d := &s.schedule
	if !d.on && (s.connectedAt > 0 || s.begun > 0 || s.spec.Mode == Churn) {
		d.on = true
		d.restart(now, d.rate)
	}
	at, on := s.nextSend()
	if on && s.spec.InFlight > 0 {
		s.fillNext(l)
		return
	}
	if s.spec.Mode == Churn && d.rate == 0 && s.sending() {
		for !s.free.empty() && s.connecting < connectingMax {
			s.again()
		}
		return
	}
	for n := 0; on && at <= now && n < sendsPerTurnMax; n++ {
		if s.spec.Mode == Churn {
			s.again()
		} else {
			s.sendNext(l, at)
		}
		d.n++
		at = d.due()
	}
}

// sendNext sends one message on the connection whose turn it is.
func (s *Swarm) sendNext(l *netpoll.Loop, due time.Duration) {
	d := &s.schedule
	i := d.cursor
	if d.cursor++; int(d.cursor) == len(s.clients) {
		d.cursor = 0
	}
	c := l.Lookup(s.clients[i].conn)
	if c == nil || s.clients[i].state != open {
		s.tally.unsent++
		return
	}
	s.emit(l, c, i, due)
}

// fillNext begins some more closed loops.
func (s *Swarm) fillNext(l *netpoll.Loop) {
	d := &s.schedule
	for n := 0; int(d.filled) < len(s.clients) && n < sendsPerTurnMax; d.filled++ {
		cl := &s.clients[d.filled]
		if c := l.Lookup(cl.conn); c != nil && cl.state == open {
			s.fill(l, c, d.filled)
			n += s.spec.InFlight
		}
	}
}

// fill begins a connection's closed loop.
func (s *Swarm) fill(l *netpoll.Loop, c *netpoll.Conn, i uint32) {
	for range s.spec.InFlight {
		s.emit(l, c, i, l.Now())
	}
}

// emit sends one message, which was due at a time.
func (s *Swarm) emit(l *netpoll.Loop, c *netpoll.Conn, i uint32, due time.Duration) {
	if !s.sending() {
		return
	}
	if c.Pending() > pendingBytesMax {
		s.tally.unsent++
		return
	}
	s.handled = true
	cl := &s.clients[i]
	t := Token{Run: s.spec.Run, Sender: s.number(i), Seq: cl.sent, Sent: max(due.Truncate(time.Microsecond), s.begun)}
	if s.spec.Mode == Publish && len(s.spec.Topics) > 0 {
		t.Sender = uint32(s.topic(i))
		t.Seq = s.own[t.Sender]
		s.own[t.Sender]++
	}
	cl.sent++
	s.tally.sent++
	s.payload = AppendMessage(s.payload[:0], t, s.spec.Size)
	s.say(l, c, i, t)
}

// say sends s.payload as a message of the protocol.
func (s *Swarm) say(l *netpoll.Loop, c *netpoll.Conn, i uint32, t Token) {
	op := frame.OpText
	if s.spec.Binary {
		op = frame.OpBinary
	}
	switch s.spec.Protocol {
	case V1:
		s.publishV1(l, c, i, t)
	case SocketIO:
		s.emitSocketIO(l, c, t)
	case Raw:
		s.sendFrame(l, c, op, s.payload)
	}
}

// Clock is CLOCK_MONOTONIC: the same in all processes of a box. Any goroutine.
func Clock() time.Duration { return clockOffset + netpoll.Monotonic() }

// clockOffset is from where on netpoll.Monotonic counts. Go's own reading of the same clock costs
// no system call.
var clockOffset = func() time.Duration {
	var t unix.Timespec
	best, offset := time.Hour, time.Duration(0)
	for range 8 { // of several readings the one that was least disturbed
		before := netpoll.Monotonic()
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
			return 0
		}
		after := netpoll.Monotonic()
		if after-before < best {
			best, offset = after-before, time.Duration(t.Nano())-before-(after-before)/2
		}
	}
	return offset
}()
