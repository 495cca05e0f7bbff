// Slow members: what happens when a run does not fit in an outbox, or follows one that did not.

package broadcast

import "math"

// drop is what DropOldest has reported of one mark.
type drop struct {
	mark, n uint32 // mark without the gap bit
}

// overflow hands messages i to j-1 of the run on to the member at pos, who has no room for them or
// has missed something before. False: the member has been removed.
func (s *Shard) overflow(sink Sink, r *roster, pos uint32, form *runForm, i, j int) (stays bool) {
	if e := *r.seat(pos); e&replaying != 0 {
		// A replay brings it.
		if p := s.replays[e.sub()]; sink.Pending(p.member) <= s.hub.outboxBytes/2 {
			s.makeDue(e.sub(), p)
		}
		return true
	}
	switch s.hub.policy {
	case DropOldest:
		s.dropOldest(sink, r, pos, form, i, j)
	case DropNewest:
		s.dropNewest(sink, r, pos, form, i, j)
	default:
		return s.disconnect(sink, r, *r.seat(pos), form, i, j)
	}
	return true
}

func (s *Shard) send(sink Sink, r *roster, member uint32, form *runForm, i, j int) {
	sink.Send(member, form.slice(i, j), r.mark, uint32(j-i))
	s.total.deliveries += uint64(j - i)
}

func (s *Shard) disconnect(sink Sink, r *roster, e seat, form *runForm, i, j int) (stays bool) {
	member := e.member()
	if sink.Pending(member) == 0 {
		// One message larger than the outbox says nothing about the member.
		s.send(sink, r, member, form, i, j)
		return true
	}
	s.total.disconnects++
	// First, so that no other topic finds it slow once more before the loop has closed it.
	s.Leave(member)
	sink.Slow(member)
	return false
}

// dropNewest sends the messages that fit and counts the others. A gap stands in front of the first
// that fits after one that did not; it may exceed the budget by its own bytes, and only when a
// message would fit.
func (s *Shard) dropNewest(sink Sink, r *roster, pos uint32, form *runForm, i, n int) {
	member := r.seat(pos).member()
	pending := sink.Pending(member)
	for i < n {
		j := min(n, form.fitting(i, s.hub.outboxBytes-pending))
		if j > i && s.announce(sink, r, pos) {
			pending = sink.Pending(member)
			j = min(n, form.fitting(i, s.hub.outboxBytes-pending))
		}
		if j == i {
			s.miss(r, pos)
			s.total.droppedNewest++
			i++
			continue
		}
		s.send(sink, r, member, form, i, j)
		pending = sink.Pending(member)
		i = j
	}
}

// dropOldest does what sending the messages one by one would do, a stretch at a time: a message
// that is larger than the whole budget is missed and drops nothing; the others push out what is
// older.
func (s *Shard) dropOldest(sink Sink, r *roster, pos uint32, form *runForm, i, n int) {
	for i < n {
		j := i
		for j < n && form.size(j, j+1) <= s.hub.outboxBytes {
			j++
		}
		if j == i {
			s.miss(r, pos)
			s.total.droppedOldest++
			i++
			continue
		}
		s.displace(sink, r, pos, form, i, j)
		i = j
	}
}

// displace sends messages i to j-1, none larger than the budget, for which older ones go.
// Announcements come on top of the budget by their own bytes: they are made once, after the drop,
// and never drop anything. The next drop takes them first, as the oldest, so a topic has one at
// most (and one on its way).
func (s *Shard) displace(sink Sink, r *roster, pos uint32, form *runForm, i, j int) {
	e := *r.seat(pos)
	member, budget := e.member(), s.hub.outboxBytes
	pending := sink.Pending(member)
	keep := form.newest(i, j, budget)
	need := pending + form.size(keep, j) - budget
	if keep > i {
		need = pending // what waits is older than what does not even fit by itself
	}
	if need > 0 {
		sink.DropOldest(member, need, s.noteDrop)
		pending = sink.Pending(member)
		// Bytes on their way and answers to the member itself stay.
		keep = form.newest(keep, j, budget-pending)
	}
	if keep > i {
		s.drop(r.mark, uint32(keep-i))
	}
	s.announceDrops(sink, member)
	if keep < j {
		s.announce(sink, r, pos)
		s.send(sink, r, member, form, keep, j)
	}
}

// drop notes that n messages of the member in hand are gone.
func (s *Shard) drop(mark, n uint32) {
	if mark&markGap == 0 {
		s.total.droppedOldest += uint64(n)
	} // An announcement that is dropped is made again, and what it stands for is counted already.
	mark &^= markGap
	for i := range s.drops {
		if d := &s.drops[i]; d.mark == mark {
			d.n = saturatingAdd(d.n, n)
			return
		}
	}
	s.drops = append(s.drops, drop{mark, n})
}

// announceDrops announces, in front, what drop has noted, for the topics that the member still has.
func (s *Shard) announceDrops(sink Sink, member uint32) {
	for _, d := range s.drops {
		r := s.marks.roster(d.mark)
		if r == nil {
			continue
		}
		if _, sub, _ := s.subs.find(member, d.mark); sub != nil {
			s.gap(sink, r, *r.seat(sub.pos), d.n, true)
		}
	}
	s.drops = s.drops[:0]
}

// miss counts a message that the member at pos does not get and will be told of later.
func (s *Shard) miss(r *roster, pos uint32) {
	e := r.seat(pos)
	if !e.lags() {
		*e |= lagging
		s.fresh = append(s.fresh, e.member())
	}
	s.missed[e.sub()] = saturatingAdd(s.missed[e.sub()], 1)
}

// announce announces, at the end, what the member at pos has missed, and returns false if that is
// nothing.
func (s *Shard) announce(sink Sink, r *roster, pos uint32) bool {
	e := r.seat(pos)
	if !e.lags() {
		return false
	}
	missed := s.missed[e.sub()]
	delete(s.missed, e.sub())
	*e &^= lagging
	s.gap(sink, r, *e, missed, false)
	return true
}

func (s *Shard) gap(sink Sink, r *roster, e seat, missed uint32, first bool) {
	sink.Gap(e.member(), e.form(), r.topic.name, r.mark|markGap, missed, first)
	s.total.gaps++
}

// Drained announces to the member, whose outbox has emptied, what it has missed, so that it need
// not wait for the next message to hear of it. Call it whenever a backlog has drained (netpoll:
// OnWritable). Loop.
func (s *Shard) Drained(sink Sink, member uint32) {
	s.drainedReplays(member)
	if s.announceMissed(sink, member) {
		s.total.publish(&s.shared)
	}
}

func (s *Shard) announceMissed(sink Sink, member uint32) (any bool) {
	if len(s.missed) == 0 {
		return false
	}
	sub := s.subs.of(member)
	for sub != nil {
		if s.announce(sink, s.marks.roster(sub.mark), sub.pos) {
			any = true
		}
		if sub.next == 0 {
			break
		}
		sub = s.subs.at(sub.next)
	}
	return any
}

// announceFresh looks after members who began to lag in the last Deliver. The flush behind that
// Deliver has either left them with a backlog, and Drained will be called when it is gone, or with
// nothing, and then nobody will call: they are told now.
func (s *Shard) announceFresh(sink Sink) {
	for _, member := range s.fresh {
		if sink.Pending(member) == 0 {
			s.announceMissed(sink, member)
		}
	}
	s.fresh = s.fresh[:0]
}

func saturatingAdd(a, b uint32) uint32 {
	if a > math.MaxUint32-b {
		return math.MaxUint32
	}
	return a + b
}
