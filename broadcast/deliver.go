// Phase 6 of a loop's turn: pending messages go to members, a bounded number of them.

package broadcast

// Sink is where a shard's members are. All methods are called within Deliver and Drained, on the
// loop. None but Slow may call the shard, and none may fail: for a member that is closing they do
// nothing.
type Sink interface {
	// Pending returns the bytes that the member is owed, those handed to Send and Gap in this turn
	// included.
	Pending(member uint32) int
	// Send queues p, which is immutable and shared by all members: n messages that DropOldest may drop
	// together, as long as none of their bytes is on its way, and then reports with mark.
	Send(member uint32, p []byte, mark uint32, n uint32)
	// DropOldest drops what Send and Gap have queued and what is not on its way, oldest first, until
	// need bytes are freed or nothing is left, and returns the bytes freed. It calls dropped with the
	// mark and n of each.
	DropOldest(member uint32, need int, dropped func(mark, n uint32)) (freed int)
	// Gap queues the announcement, in form f, that the member missed messages of topic: in front of
	// everything that is not on its way if first, otherwise at the end. DropOldest may drop it as it
	// drops what Send queued, and then reports mark and n = missed. In a form without gaps it does
	// nothing.
	Gap(member uint32, f Form, topic string, mark uint32, missed uint32, first bool)
	// Slow closes the member (policy Disconnect). The shard has forgotten it already.
	Slow(member uint32)
	// Encode appends m as this member gets it, in a form of Options.PersonalForms: once for each
	// message that comes to the member, in order, whether it is then sent or dropped.
	Encode(dst []byte, member uint32, m *Message) []byte
}

// Deliver takes pending messages to members: at most `members` visits of a member (each with all
// messages that were pending for its topic), fewer if there is much to put together. It returns
// true if it should be called again in the next turn. Each topic gets one pass, or a part of one, a
// call, and those with pending messages take turns. Loop.
func (s *Shard) Deliver(sink Sink, members int) (more bool) {
	s.turn++
	s.announceFresh(sink)
	if len(s.due) > 0 {
		members -= s.replayDue(sink, max(members/2, 1)) // topics with new messages get the other half
	}
	for more = true; members > 0; {
		r := s.queue.pop()
		if r == nil {
			more = false
			break
		}
		if r.gone {
			// A publisher looked it up before it was detached (topic, 3).
			members--
			continue
		}
		if r.served == s.turn {
			// All others have been served too. What a member gets in one turn stays bounded, and can be
			// written before more comes.
			s.queue.push(r)
			break
		}
		members -= s.serve(sink, r, members)
	}
	s.total.publish(&s.shared)
	s.check()
	return more && !s.queue.empty() || len(s.fresh) > 0 || len(s.due) > 0
}

// mark puts r, a roster of this shard, in the ready queue and wakes the loop. Any goroutine.
func (s *Shard) mark(r *roster) {
	if !r.ready.Load() && r.ready.CompareAndSwap(false, true) {
		s.queue.push(r)
		s.hub.wake(s.index)
	}
}

// serve goes on with r's pass, or begins one, for at most `members` visits. It returns what that
// cost, in visits; at least 1, since a topic without anybody to visit costs time too.
func (s *Shard) serve(sink Sink, r *roster, members int) (cost int) {
	r.served = s.turn
	if r.pass == nil {
		if !s.begin(r) {
			s.rest(r)
			return 1
		}
		cost = r.pass.size / runBytesPerVisit
	}
	visits, done := s.walk(sink, r, members)
	cost += max(visits, 1)
	if !done {
		s.queue.push(r)
		return cost
	}
	s.end(r)
	s.rest(r)
	return cost
}

// rest is for a roster without a pass, which may have nothing more to do.
func (s *Shard) rest(r *roster) {
	if r.len == 0 && s.leave(r) {
		return
	}
	// 1. A publisher links its message, then looks at ready.
	// 2. The shard clears ready, then looks for a message.
	// 3. So one of them sees the other: either the publisher turns ready to true, or the shard does,
	//    here.
	r.ready.Store(false)
	if r.cursor.next.Load() != nil && r.ready.CompareAndSwap(false, true) {
		s.queue.push(r)
	}
}

// walk visits members from where the pass stands. done says that it has come to the end.
func (s *Shard) walk(sink Sink, r *roster, members int) (visits int, done bool) {
	p := r.pass
	for p.at < r.len {
		end, joined := r.segment(p.at)
		// Who joined when message number `joined` was the newest gets what is behind it in the run.
		first := 0
		if base := r.cursor.seq; joined > base {
			first = int(min(joined-base, uint64(len(p.run))))
		}
		if first == len(p.run) {
			break // nor is the run for any later member
		}
		if visits == members {
			return visits, false
		}
		seats := r.seats(p.at, min(end, p.at+uint32(members-visits)))
		if p.picky {
			visits += s.visitEach(sink, r, seats, first)
		} else {
			visits += s.visit(sink, r, seats, first)
		}
	}
	return visits, true
}

// visit hands the run from message number first on to the members of seats, which begin where the
// pass stands. It returns how many it has visited: it stops behind one that lagged, since seats may
// then have changed.
func (s *Shard) visit(sink Sink, r *roster, seats []seat, first int) int {
	p := r.pass
	n := len(p.run) - first
	var form *runForm
	var bytes []byte
	last := Form(FormsMax)
	for k, e := range seats {
		member := e.member()
		if f := e.form(); f != last {
			if s.hub.personalForms&(1<<f) != 0 && e&replaying == 0 {
				form, last = s.personalRun(sink, p, member, first), FormsMax
			} else {
				last, form = f, p.form(f)
			}
			bytes = form.slice(first, len(p.run))
		}
		if withoutSharing {
			bytes = p.encodeAnew(e.form(), first)
		}
		if len(bytes) > 0 && !e.special() && sink.Pending(member)+len(bytes) <= s.hub.outboxBytes {
			sink.Send(member, bytes, r.mark, uint32(n))
			s.total.deliveries += uint64(n)
			continue
		}
		p.at += uint32(k) + 1
		if len(bytes) > 0 {
			s.overflow(sink, r, p.at-1, form, first, len(p.run))
		}
		return k + 1
	}
	p.at += uint32(len(seats))
	return len(seats)
}

// visitEach is visit for a run with messages that leave members out: each member gets the stretches
// between those that it does not.
func (s *Shard) visitEach(sink Sink, r *roster, seats []seat, first int) int {
	p := r.pass
	for k := range seats {
		p.at++
		if !s.handOver(sink, r, seats[k], first) {
			return k + 1
		}
	}
	return len(seats)
}

// handOver hands the member of e, whose seat is just before where the pass stands, what it is to
// get of the run. False: it lagged, and seats may have changed.
func (s *Shard) handOver(sink Sink, r *roster, e seat, first int) (inTime bool) {
	p, pos := r.pass, r.pass.at-1
	if e&replaying != 0 {
		return s.overflow(sink, r, pos, nil, 0, 0)
	}
	member := e.member()
	var form *runForm
	if s.hub.personalForms&(1<<e.form()) != 0 {
		form = s.personalRun(sink, p, member, first)
	} else {
		form = p.form(e.form())
	}
	inTime = !e.lags()
	for from, to, next := p.wanted(s.index, member, first); from < to; from, to, next = p.wanted(s.index, member, next) {
		bytes := form.slice(from, to)
		switch {
		case len(bytes) == 0:
		case inTime && sink.Pending(member)+len(bytes) <= s.hub.outboxBytes:
			sink.Send(member, bytes, r.mark, uint32(to-from))
			s.total.deliveries += uint64(to - from)
		default:
			inTime = false
			if !s.overflow(sink, r, pos, form, from, to) {
				return false
			}
		}
	}
	return inTime
}
