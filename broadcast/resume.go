// Members that come back: what they missed is replayed from the topic's log, and then they are
// members like all others.

package broadcast

import (
	"fmt"
	"time"
)

// From says where a subscription begins. The zero value is now.
type From struct {
	kind  fromKind
	after Position
	last  int
	since time.Duration
}

type fromKind uint8

const (
	fromNow fromKind = iota
	fromAfter
	fromLast
	fromSince
	fromUnknown
)

// After is behind a position: the last that the member has.
func After(p Position) From { return From{kind: fromAfter, after: p} }

// Position is what After was given; ok is false for any other beginning.
func (f From) Position() (p Position, ok bool) { return f.after, f.kind == fromAfter }

// Last is before the last n messages that are kept.
func Last(n int) From { return From{kind: fromLast, last: max(n, 0)} }

// Since is before the first kept message that was published at t or later, on Options.Now.
func Since(t time.Duration) From { return From{kind: fromSince, since: t} }

// Unknown is behind a position that no topic has: the member is told so (ResetUnknown).
func Unknown() From { return From{kind: fromUnknown} }

// Reset says why a member cannot get what it missed.
type Reset uint8

const (
	ResetNone    Reset = iota // it can
	ResetExpired              // messages behind the position are no longer kept
	ResetEpoch                // the position is of another epoch: the topic began anew since
	ResetUnknown              // there is no such position, or nothing is kept of the topic
	ResetLimit                // more was missed than the node brings at once
)

// String returns "expired", "epoch", "unknown" or "limit"; "" for ResetNone.
func (r Reset) String() string {
	return [...]string{"", "expired", "epoch", "unknown", "limit"}[r]
}

// Resumed is how a subscription began.
type Resumed struct {
	Added    bool     // false: the member was subscribed already, and nothing has changed
	Messages int      // kept messages that the member gets before all that is published from now on
	Reset    Reset    // if not ResetNone, it gets none of them
	Position Position // of the topic's last message at that moment; zero if the topic has no positions
	Behind   Position // behind this position the member gets everything: that of the last message before the first it gets
}

// replay is a member that is behind in a topic. Its seat has the replaying bit and gets nothing
// from passes; Deliver sends it the kept messages in slices until it has all that its seat would
// have had. Behind its first slice a replay holds numbers and no message: what is forgotten
// meanwhile is lost to it, and no member can hold memory by reading slowly.
type replay struct {
	member uint32
	mark   uint32
	seq    uint64       // of the last message that was sent
	ahead  *replaySlice // what was kept when the member came back, at most a slice: not lost if it is forgotten before the next Deliver
	due    bool         // in Shard.due
	full   uint8        // how many times in a row its member's outbox had no room
}

// Resume is Subscribe, and before what is published from now on, the member gets the kept messages
// from a point on, once and in order: in slices, as its outbox takes them, from the next Deliver
// on. Of what is forgotten before the member has taken it, it is told as a slow member is. Messages
// are replayed whatever Post.Skip says. Loop.
func (s *Shard) Resume(member uint32, f Form, topic string, from From) (Resumed, error) {
	r, pos, err := s.subscribe(member, f, topic)
	if err != nil || r == nil {
		return Resumed{}, err
	}
	t, res := r.topic, Resumed{Added: true}
	if t.numbers.Load() == nil {
		if from.kind != fromNow {
			res.Reset = ResetUnknown
		}
		return res, nil
	}
	reached := r.reached(pos)
	if end := t.tail.Load().last; end.seq == reached {
		res.Position = t.numbers.Load().of(end)
	} else if t.log != nil {
		if e := t.log.at(reached); e != nil {
			res.Position = e.position
		}
	}
	if res.Position == (Position{}) {
		res.Position = t.newest()
	}
	res.Behind = res.Position
	if from.kind == fromNow {
		return res, nil
	}
	seq, reset := t.start(from, reached)
	if reset != ResetNone {
		res.Reset = reset
		return res, nil
	}
	if seq >= reached {
		return res, nil
	}
	res.Messages = int(reached - seq)
	res.Behind.Offset = t.before(from, seq)
	e := r.seat(pos)
	*e |= replaying
	p := &replay{member: member, mark: r.mark, seq: seq}
	if _, newest := t.log.bounds(); seq < min(reached, newest) && s.hub.personalForms&(1<<f) == 0 {
		p.ahead = s.sliceOf(t, f, seq, min(reached, newest))
	}
	s.replays[e.sub()] = p
	s.makeDue(e.sub(), p)
	s.hub.wake(s.index)
	return res, nil
}

// start returns the number of the message behind which a replay begins.
func (t *topic) start(from From, reached uint64) (seq uint64, reset Reset) {
	if t.log == nil {
		return 0, ResetUnknown
	}
	l := t.log
	oldest, newest := l.bounds()
	switch from.kind {
	case fromAfter:
		if from.after.Epoch != t.numbers.Load().epoch {
			return 0, ResetEpoch
		}
		end := t.newest()
		switch {
		case from.after.Offset > end.Offset && !t.isReached(from.after.Offset):
			return 0, ResetUnknown
		case from.after.Offset > end.Offset:
			return max(reached, newest), ResetNone
		case from.after.Offset == end.Offset:
			return max(reached, newest), ResetNone
		}
		if from.after.Offset < l.floor.Load() {
			if l.older.Load() == olderMore {
				return 0, ResetLimit
			}
			return 0, ResetExpired
		}
		return l.behind(from.after.Offset), ResetNone
	case fromLast:
		return max(oldest-1, reached-min(uint64(from.last), reached)), ResetNone
	case fromUnknown:
		return 0, ResetUnknown
	default:
		return l.since(from.since), ResetNone
	}
}

// isReached tells whether the owner of the topic has come up to an offset that is behind the last
// message.
func (t *topic) isReached(offset uint64) bool {
	return t.log.hub.reached != nil && offset <= t.log.hub.reached(t.name)
}

// before is the offset of the message in front of a replay.
func (t *topic) before(from From, seq uint64) uint64 {
	if from.kind == fromAfter {
		return from.after.Offset
	}
	if e := t.log.at(seq + 1); e != nil {
		return e.before
	}
	return t.newest().Offset // forgotten just now: the member is told as one that is slow
}

// reached is the number of the last message that the seat at pos has had, or is not to have: passes
// bring what is behind it. Loop.
func (r *roster) reached(pos uint32) uint64 {
	base := r.cursor.seq
	if p := r.pass; p != nil && pos < p.at {
		base = p.run[len(p.run)-1].seq
	}
	_, joined := r.segment(pos)
	return max(base, joined)
}

// makeDue puts a replay into the queue of those that the next Deliver goes on with.
func (s *Shard) makeDue(sub uint32, p *replay) {
	if !p.due {
		p.due = true
		s.due = append(s.due, sub)
	}
}

// replayDue goes on with replays that are due, at most that many. A member gets one slice a turn.
func (s *Shard) replayDue(sink Sink, most int) (visits int) {
	n := min(len(s.due), most)
	batch := s.due[:n]
	s.due = s.due[n:]
	for _, sub := range batch {
		if p := s.replays[sub]; p != nil && p.due {
			p.due = false
			s.replaySlice(sink, sub, p)
		}
	}
	if len(s.due) == 0 {
		s.due = nil // the array is as long as the longest storm
	}
	return n
}

func (s *Shard) replaySlice(sink Sink, sub uint32, p *replay) {
	r := s.marks.roster(p.mark)
	pos := s.subs.at(sub).pos
	e := r.seat(pos)
	if sink.Pending(p.member) > s.hub.outboxBytes/2 {
		// What is pending may be this turn's, and all be written at its end: the next Deliver looks once
		// more. If it is a backlog, Drained makes the replay due.
		if p.full++; p.full <= fullTurnsMax {
			s.makeDue(sub, p)
		}
		return
	}
	p.full = 0
	if a := p.ahead; a != nil {
		p.ahead = nil
		s.sendSlice(sink, r, p, a)
	}
	oldest, newest := r.topic.log.bounds()
	reached := r.reached(pos)
	if lost := min(oldest-1, reached); lost > p.seq {
		if !s.lose(sink, r, pos, uint32(min(lost-p.seq, 1<<31))) {
			return
		}
		p.seq = lost
		s.announce(sink, r, pos)
	}
	if to := min(reached, newest); p.seq < to && sink.Pending(p.member) <= s.hub.outboxBytes/2 {
		if f := e.form(); s.hub.personalForms&(1<<f) != 0 {
			s.sendSlice(sink, r, p, s.personalSlice(sink, r.topic, p, to))
		} else {
			s.sendSlice(sink, r, p, s.sliceOf(r.topic, f, p.seq, to))
		}
	}
	if p.seq >= reached {
		*e &^= replaying
		delete(s.replays, sub)
		return
	}
	// The next Deliver goes on, also where a publisher has not yet put its message in the log.
	s.makeDue(sub, p)
}

// lose is for messages that were forgotten before the member at pos had taken them. False: the
// member has been removed.
func (s *Shard) lose(sink Sink, r *roster, pos uint32, n uint32) (stays bool) {
	e := r.seat(pos)
	if s.hub.policy == Disconnect {
		s.total.disconnects++
		member := e.member()
		s.Leave(member)
		sink.Slow(member)
		return false
	}
	*e |= lagging
	s.missed[e.sub()] = saturatingAdd(s.missed[e.sub()], n)
	s.total.droppedOldest += uint64(n)
	return true
}

// replaySlice is a run of kept messages of one topic in one form, shared by the members that are
// at the same point: after a cut, as a rule all of them.
type replaySlice struct {
	topic    *topic
	form     Form
	from, to uint64 // behind message number from, up to number to
	until    uint64 // what was asked for
	bytes    []byte
}

// sliceOf returns the kept messages behind number from, up to number until, as many as a run may
// have. The last ones stay for those who come in later turns: after a cut most members come back to
// the same few points, a few members in each turn.
func (s *Shard) sliceOf(t *topic, f Form, from, until uint64) *replaySlice {
	for _, c := range s.slices {
		if c != nil && c.topic == t && c.form == f && c.from == from && c.until == until {
			return c
		}
	}
	old := s.slices[s.sliced]
	c := &replaySlice{topic: t, form: f, from: from, to: from, until: until}
	if old != nil { // this one is as long, as a rule: it does not grow step by step
		c.bytes = make([]byte, 0, len(old.bytes))
	}
	for c.to < until && c.to-c.from < RunMessagesMax {
		e := t.log.at(c.to + 1)
		if e == nil {
			break // forgotten just now; the next slice counts it as lost
		}
		b := e.message.appendTo(c.bytes, f)
		if len(b) > s.hub.runBytes && len(c.bytes) > 0 {
			break
		}
		c.bytes = b
		c.to++
	}
	s.slices[s.sliced] = c
	s.sliced = (s.sliced + 1) % slicesMax
	return c
}

// personalSlice is sliceOf in the member's own form.
func (s *Shard) personalSlice(sink Sink, t *topic, p *replay, until uint64) *replaySlice {
	c := &replaySlice{topic: t, from: p.seq, to: p.seq, until: until}
	for c.to < until && c.to-c.from < RunMessagesMax && len(c.bytes) < s.hub.runBytes/2 {
		e := t.log.at(c.to + 1)
		if e == nil {
			break
		}
		c.bytes = sink.Encode(c.bytes, p.member, e.message)
		c.to++
	}
	return c
}

func (s *Shard) sendSlice(sink Sink, r *roster, p *replay, c *replaySlice) {
	if n := uint32(c.to - c.from); len(c.bytes) > 0 {
		sink.Send(p.member, c.bytes, r.mark, n)
		s.total.deliveries += uint64(n)
		s.total.replayed += uint64(n)
	}
	p.seq = c.to
}

// appendTo appends the message in form f. A form that is not there is not kept: what a message
// costs in a log does not grow.
func (m *Message) appendTo(dst []byte, f Form) []byte {
	if p := m.forms[f].Load(); p != nil {
		return append(dst, *p...)
	}
	return m.hub.encoders[f](dst, m)
}

// drainedReplays makes replays of the member due.
func (s *Shard) drainedReplays(member uint32) {
	if len(s.replays) == 0 {
		return
	}
	i, sub := member, s.subs.of(member)
	for sub != nil {
		if p := s.replays[i]; p != nil {
			p.full = 0
			s.makeDue(i, p)
			s.hub.wake(s.index)
		}
		if i = sub.next; i == 0 {
			return
		}
		sub = s.subs.at(i)
	}
}

// String says it in words, for logs and tests.
func (f From) String() string {
	switch f.kind {
	case fromAfter:
		return fmt.Sprintf("after %s.%d", f.after.Epoch, f.after.Offset)
	case fromLast:
		return fmt.Sprintf("last %d", f.last)
	case fromSince:
		return fmt.Sprintf("since %v", f.since)
	case fromUnknown:
		return "unknown"
	}
	return "now"
}
