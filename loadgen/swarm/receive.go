// What comes in: which message it is, whether it should have come now, and what a connection
// remembers of the messages before it.

package swarm

import "c100k/netpoll"

// receive takes what a server has delivered: one message, whose token stands anywhere in p.
func (s *Swarm) receive(l *netpoll.Loop, c *netpoll.Conn, i uint32, p []byte) {
	t, at := FindToken(p)
	if at < 0 {
		s.tally.foreign++
		return
	}
	s.receiveToken(l, c, i, p, at, t)
}

// receiveToken takes a message p in which the token t begins at at.
func (s *Swarm) receiveToken(l *netpoll.Loop, c *netpoll.Conn, i uint32, p []byte, at int, t Token) {
	if t.Run != s.spec.Run || t.Sender != s.expects(i) {
		s.tally.foreign++
		return
	}
	cl := &s.clients[i]
	if cl.state != open || cl.flags&flagSlow != 0 {
		return // the client is closing, or does not read
	}
	if s.listens && t.Seq < s.first[t.Sender] || !s.listens && t.Sent < s.begun { // of the time before Begin
		if cl.sent-cl.track.next < uint64(s.spec.InFlight) { // whether it has come before is forgotten
			s.another(l, c, i)
		}
		return
	}
	if !whole(p[at:], t, s.spec.Size) || s.bare && len(p) != s.spec.Size {
		s.tally.corrupted++
		s.another(l, c, i)
		return
	}
	s.tally.received++
	if s.spec.Mode == Publish {
		return // its latency is that of the answers
	}
	if s.order(cl, t.Seq) != duplicate {
		s.another(l, c, i)
	}
	now := s.at(l)
	if s.listens {
		s.heard[t.Sender] = max(s.heard[t.Sender], t.Seq+1)
		s.measured.spreads.hear(t, now)
	}
	record(s.measured.latency, now-t.Sent)
	s.caughtUp(i, t.Sent, now)
}

// another goes on with the closed loop of a client that has its echo back. A duplicate is no reason
// to: with a server that sends everything twice, what is on its way would double with each round.
func (s *Swarm) another(l *netpoll.Loop, c *netpoll.Conn, i uint32) {
	if s.spec.Mode == Echo && s.spec.InFlight > 0 {
		s.emit(l, c, i, s.at(l))
	}
}

// expects is the one sender whose messages a client follows: itself with Echo and Publish, else
// that of its topic. Others' messages are Foreign: to follow them too would take a track for each
// pair.
func (s *Swarm) expects(i uint32) uint32 {
	if s.listens {
		return uint32(s.topic(i))
	}
	return s.number(i)
}

// order counts a message as what it is in its sender's sequence.
func (s *Swarm) order(cl *client, seq uint64) verdict {
	if cl.flags&flagJoined != 0 {
		cl.flags &^= flagJoined
		s.joined(cl, seq)
	}
	heard := cl.track.hear(seq)
	switch heard {
	case inOrder:
		s.tally.heard++
	case late:
		s.tally.heard++
		s.tally.reordered++
	case duplicate:
		s.tally.duplicated++
	}
	return heard
}

// joined is for the first message that a client hears after it was away: what lies between was sent
// meanwhile.
func (s *Swarm) joined(cl *client, seq uint64) {
	if seq > cl.track.next {
		s.tally.missedAway += seq - cl.track.next
		cl.track.begin(seq)
	}
}

// answered tells whether each message of a client is answered, by its echo or an acknowledgement.
func (s *Swarm) answered() bool {
	return s.spec.Mode == Echo || s.spec.Mode == Publish && s.spec.Protocol == V1
}

// away counts the messages that an open client had under way when its connection ended: they will
// not be answered. Where the swarm itself ended it they are missed; where the server or the network
// did, they are lost.
func (s *Swarm) away(i uint32) {
	cl := &s.clients[i]
	if !s.answered() || cl.sent <= cl.track.next {
		return
	}
	if cl.flags&flagOurs != 0 {
		s.tally.missedAway += cl.sent - cl.track.next
	} else {
		s.tally.broken += cl.sent - cl.track.next
	}
	cl.track.begin(cl.sent)
}

// track is the order and completeness of one sender's messages on one connection: 16 bytes. It
// remembers the last 64 numbers; of an older one it cannot say whether it has come before.
type track struct {
	next uint64 // the lowest number above all that have come
	seen uint64 // bit i: number next-1-i has come
}

// verdict is what a message is to a track.
type verdict uint8

const (
	inOrder   verdict = iota
	late              // behind a later one, and for the first time
	duplicate         // for the second time; or older than a track remembers
)

// hear takes one message.
func (t *track) hear(seq uint64) verdict {
	if seq >= t.next {
		t.seen = t.seen<<(seq-t.next+1) | 1 // a shift by 64 and more gives 0
		t.next = seq + 1
		return inOrder
	}
	behind := t.next - 1 - seq
	if behind >= 64 || t.seen&(1<<behind) != 0 {
		return duplicate
	}
	t.seen |= 1 << behind
	return late
}

// begin makes next the first number that is expected: whatever came before has come.
func (t *track) begin(next uint64) { *t = track{next: next, seen: ^uint64(0)} }
