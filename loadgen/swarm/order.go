// What the coordinator asks for.

package swarm

import (
	"time"

	"c100k/netpoll"
)

// obey does what an Order says.
func (s *Swarm) obey(l *netpoll.Loop, o Order) {
	now := l.Now()
	switch {
	case o.Begin != nil:
		s.begin(l, now, *o.Begin)
	case o.Rate != nil:
		s.schedule.restart(now, max(*o.Rate, 0))
	case o.Drop != nil:
		s.beginDrop(l, *o.Drop)
	case o.Settle != nil:
		s.beginSettle(now, *o.Settle)
	case o.End:
		s.end(l, endWithin)
	}
}

// begin forgets what was counted. The Sample of before goes out first, so that what it holds is not
// lost.
func (s *Swarm) begin(l *netpoll.Loop, now time.Duration, b Begin) {
	s.readingsDue |= readingPeriodic
	s.report(l, now)
	// What this turn has sent already is of the time before; and tokens tell the time in microseconds.
	s.begun = Clock().Truncate(time.Microsecond) + time.Microsecond
	s.measured.reset()
	stats := l.Stats()
	s.tally = newTally()
	s.tally.bytesSent, s.tally.bytesReceived = stats.BytesSent, stats.BytesReceived
	s.round = round{listeners: s.listeners()}
	select {
	case <-s.rounds: // of the time before
	default:
	}
	clear(s.first)
	copy(s.first, b.First)
	for i := range s.clients {
		cl := &s.clients[i]
		if !s.listens {
			cl.track.begin(cl.sent)
			continue
		}
		cl.track.begin(s.first[s.topic(uint32(i))])
		if cl.flags &^= flagJoined; cl.state != open {
			cl.flags |= flagJoined
		}
	}
	s.settling = nil
	s.schedule.restart(s.begun, s.schedule.rate)
	s.readingsDue |= readingPeriodic
}

// settling is the wait for what is under way. Once it is done, its outcome stays as it is: closing
// the connections afterwards changes nothing of what had come by then.
type settling struct {
	until     time.Duration
	looked    time.Duration
	published []uint64
	unsure    []uint64
	over      bool // nothing is waited for any more
	done      bool
	outcome   outcome // with done
}

// outcome is what a Settle found.
type outcome struct{ expected, missing, away uint64 }

func (s *Swarm) beginSettle(now time.Duration, o Settle) {
	s.settling = &settling{until: now + o.Within, published: o.Published, unsure: o.Unsure}
}

// settle looks, every settleLook, whether everything has come.
func (s *Swarm) settle(now time.Duration) {
	d := s.settling
	if d == nil || d.done || now < d.looked+settleLook && now < d.until {
		return
	}
	d.looked = now
	d.over = now >= d.until
	expected, away := s.balance(d)
	if s.tally.heard+s.tally.broken < expected && !d.over {
		return
	}
	d.done = true
	d.outcome = outcome{expected: expected, missing: expected - min(s.tally.heard, expected), away: away}
	s.readingsDue |= readingPeriodic
}

// balance is what all clients together should have heard, and what was sent while they were away.
func (s *Swarm) balance(d *settling) (expected, away uint64) {
	away = s.tally.missedAway
	if !s.listens {
		if !s.answered() {
			return 0, 0
		}
		return s.tally.sent - min(away, s.tally.sent), away
	}
	published := d.published
	var all uint64
	for i := range s.clients {
		sender := s.topic(uint32(i))
		if sender >= len(published) || published[sender] <= s.first[sender] || s.slow(uint32(i)) {
			continue
		}
		n := published[sender] - s.first[sender]
		if sender < len(d.unsure) {
			n -= min(n, d.unsure[sender])
		}
		all += n
		heard := published[sender]
		if d.over {
			heard = s.heard[sender]
		}
		away += s.absent(&s.clients[i], published[sender], heard)
	}
	return all - min(away, all), away
}

// absent is how many of a sender's messages a client has not heard because it was away, and has not
// come back to hear any since. One message may have been on its way when it came back; if others
// have heard more than that, it should have, too. While there is time, what was published counts as
// heard.
func (s *Swarm) absent(cl *client, published, heard uint64) uint64 {
	switch since := max(cl.since, cl.track.next); {
	case cl.state != open, cl.flags&flagJoined != 0 && heard <= since+1:
		return published - min(cl.track.next, published)
	case cl.flags&flagJoined != 0:
		return since - cl.track.next
	}
	return 0
}
