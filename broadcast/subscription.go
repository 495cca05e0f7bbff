// The records of who is subscribed to what: 12 bytes a subscription, none of them a pointer.

package broadcast

// subscription is one topic of one member. The member is known from its seat, and the seat from
// pos.
type subscription struct {
	mark uint32 // of the roster; 0: the record is free
	pos  uint32 // of the seat in the roster
	next uint32 // number of the member's next subscription; 0: none. In a free record, the next free one
}

// subscriptions are those of all members of a shard, by number.
//
// Invariant: the first subscription of member m is number m; further ones have numbers from
// MembersMax on and are linked from it. So a member with one topic, which most are, needs no entry
// in another table.
type subscriptions struct {
	first chunks[subscription]
	more  chunks[subscription]
	free  uint32 // a free record of more, or 0
	used  uint32 // records of more ever used
}

// at returns subscription number i, which must be in use.
func (s *subscriptions) at(i uint32) *subscription {
	if i < MembersMax {
		return s.first.at(i)
	}
	return s.more.at(i - MembersMax)
}

// of returns the member's first subscription, or nil if it has none.
func (s *subscriptions) of(member uint32) *subscription {
	if member >= MembersMax || !s.first.has(member) {
		return nil
	}
	if sub := s.first.at(member); sub.mark != 0 {
		return sub
	}
	return nil
}

// count returns how many subscriptions the member has.
func (s *subscriptions) count(member uint32) (n int) {
	for sub := s.of(member); sub != nil; n++ {
		if sub.next == 0 {
			return n + 1
		}
		sub = s.at(sub.next)
	}
	return n
}

// find returns the member's subscription to the roster with that mark, its number, and the one that
// links to it (nil for the first).
func (s *subscriptions) find(member, mark uint32) (i uint32, sub, prev *subscription) {
	i, sub = member, s.of(member)
	for sub != nil && sub.mark != mark {
		if sub.next == 0 {
			return 0, nil, nil
		}
		i, sub, prev = sub.next, s.at(sub.next), sub
	}
	return i, sub, prev
}

// full says that add may find no room.
func (s *subscriptions) full() bool { return s.free == 0 && s.used >= SubscriptionsPerShardMax }

// add makes a subscription of the member, second in its list if it has others, and returns its
// number.
func (s *subscriptions) add(member, mark, pos uint32) uint32 {
	first := s.first.make(member)
	if first.mark == 0 {
		*first = subscription{mark: mark, pos: pos}
		return member
	}
	i := s.free
	var sub *subscription
	if i != 0 {
		sub = s.at(i)
		s.free = sub.next
	} else {
		sub = s.more.make(s.used)
		i = MembersMax + s.used
		s.used++
	}
	*sub = subscription{mark: mark, pos: pos, next: first.next}
	first.next = i
	return i
}

// release frees number i of more.
func (s *subscriptions) release(i uint32) {
	*s.more.at(i - MembersMax) = subscription{next: s.free}
	s.free = i
}
