// One loop's part of the hub: which of its members are subscribed to what.

package broadcast

import (
	"errors"
	"fmt"
)

// Errors of Subscribe beside those of ValidTopic.
var (
	// ErrTopicsPerMember: the member has Options.TopicsPerMemberMax topics.
	ErrTopicsPerMember = errors.New("too many topics for one connection")
	// ErrTopicNamesPerMember: the names of the member's topics would be longer than
	// Options.TopicNameBytesPerMemberMax together. It is a case of ErrTopicsPerMember.
	ErrTopicNamesPerMember = fmt.Errorf("%w: their names are too long together", ErrTopicsPerMember)
	// ErrShardFull: the shard has TopicsPerShardMax topics or SubscriptionsPerShardMax subscriptions.
	ErrShardFull = errors.New("too many topics on this node")
)

// Shard is a hub's part in one loop. All its methods belong to that loop: they take no lock and are
// not safe on two goroutines.
//
// Invariant: between its calls a shard is attached to the topics that its members are subscribed to
// and to those whose last messages it has yet to pass over.
type Shard struct {
	// Immutable.
	hub   *Hub
	index int

	// Any goroutine.
	queue  readyQueue
	shared sharedCounters

	// Loop.
	subs       subscriptions
	subscribed int // how many there are
	marks      marks
	total      shardCounters
	turn       uint32 // counts Deliver calls
	// missed has, by subscription number, the messages that a member missed and does not know of yet.
	// Invariant: a subscription is in it exactly if its seat has the lagging bit.
	missed map[uint32]uint32
	// fresh are members whose first miss was in the last Deliver; see announceFresh.
	fresh []uint32
	// drops are what DropOldest has reported for the member in hand, by mark.
	drops    []drop
	noteDrop func(mark, n uint32) // s.drop, bound once
	idle     []*pass              // passes to use again
	personal runForm              // the run of the member in hand, in a form of its own
	// replays are members that get kept messages before new ones, by subscription number. Invariant: a
	// subscription is in it exactly if its seat has the replaying bit.
	replays map[uint32]*replay
	due     []uint32                // numbers of replays that Deliver goes on with; some may have ended
	slices  [slicesMax]*replaySlice // the last that were made: many come back to the same few points
	sliced  int                     // number of the next in slices
}

func newShard(h *Hub, i int) *Shard {
	s := &Shard{hub: h, index: i, missed: make(map[uint32]uint32), replays: make(map[uint32]*replay)}
	s.noteDrop = s.drop
	s.queue.init()
	return s
}

// Subscribe makes member get, in form f, what is published to topic from now on. It returns false
// if the member is subscribed already (its form then stays as it is). The error is one of
// ValidTopic, ErrTopicsPerMember, ErrTopicNamesPerMember or ErrShardFull, or says that member or f
// is out of range. The member is a number below MembersMax that the caller chooses, best a small
// one: records are indexed by it. Loop.
func (s *Shard) Subscribe(member uint32, f Form, topic string) (added bool, err error) {
	r, _, err := s.subscribe(member, f, topic)
	return r != nil, err
}

// subscribe is Subscribe; r is nil if the member was subscribed already, or cannot be.
func (s *Shard) subscribe(member uint32, f Form, topic string) (r *roster, pos uint32, err error) {
	if err := ValidTopic(topic); err != nil {
		return nil, 0, err
	}
	if member >= MembersMax || int(f) >= len(s.hub.encoders) {
		return nil, 0, fmt.Errorf("broadcast: member %d in form %d, want below %d and %d",
			member, f, MembersMax, len(s.hub.encoders))
	}
	r = s.roster(topic)
	if r != nil {
		if _, sub, _ := s.subs.find(member, r.mark); sub != nil {
			return nil, 0, nil
		}
	}
	if s.subs.count(member) >= s.hub.topicsPerMember {
		return nil, 0, ErrTopicsPerMember
	}
	if most := s.hub.topicNameBytes; most > 0 && s.nameBytes(member)+len(topic) > most {
		return nil, 0, ErrTopicNamesPerMember
	}
	if s.subs.full() || r == nil && s.marks.full() {
		return nil, 0, ErrShardFull
	}
	if m := s.hub.watcher; m != nil && !m.Room() && m.Wanted(topic) {
		return nil, 0, ErrShardFull
	}
	if r == nil {
		r = s.hub.enter(s.index, topic)
		s.marks.add(r)
	}
	pos = r.join()
	*r.seat(pos) = newSeat(s.subs.add(member, r.mark, pos), member, f)
	r.topic.members[f].Add(1)
	s.subscribed++
	if r.topic.watched {
		s.hub.watcher.Joined(s.index, member, r.topic.name)
	}
	s.checkMember(member)
	return r, pos, nil
}

// Subscriptions is how many subscriptions the shard's members have. Loop.
func (s *Shard) Subscriptions() int { return s.subscribed }

// nameBytes is the length of the names of the member's topics together.
func (s *Shard) nameBytes(member uint32) (n int) {
	s.Topics(member, func(topic string) { n += len(topic) })
	return n
}

// roster returns this shard's roster of the topic, or nil.
func (s *Shard) roster(topic string) *roster {
	if t := s.hub.lookup(topic); t != nil {
		return t.rosters[s.index].Load()
	}
	return nil
}

// Unsubscribe ends the member's subscription and returns whether there was one. Messages of the
// topic that are published and not yet delivered do not reach it. Loop.
func (s *Shard) Unsubscribe(member uint32, topic string) bool {
	r := s.roster(topic)
	if r == nil {
		return false
	}
	i, sub, prev := s.subs.find(member, r.mark)
	if sub == nil {
		return false
	}
	s.vacate(i, *sub)
	switch {
	case prev != nil:
		prev.next = sub.next
		s.subs.release(i)
	case sub.next != 0:
		s.promote(member, sub.next)
	default:
		*sub = subscription{}
	}
	s.checkMember(member)
	return true
}

// promote makes subscription number i of the member its first one.
func (s *Shard) promote(member, i uint32) {
	sub := *s.subs.at(i)
	*s.subs.at(member) = sub
	e := s.marks.roster(sub.mark).seat(sub.pos)
	*e = newSeat(member, member, e.form()) | *e&(lagging|replaying)
	if p := s.replays[i]; p != nil {
		delete(s.replays, i)
		s.replays[member] = p
		p.due = false
		s.makeDue(member, p)
		s.hub.wake(s.index)
	}
	if e.lags() {
		s.missed[member] = s.missed[i]
		delete(s.missed, i)
	}
	s.subs.release(i)
}

// Leave ends all subscriptions of the member; its number is free for another. It does nothing for a
// member that has none. Loop; it may also be called by Sink.Slow.
func (s *Shard) Leave(member uint32) {
	first := s.subs.of(member)
	if first == nil {
		return
	}
	sub := *first
	*first = subscription{}
	s.vacate(member, sub)
	for sub.next != 0 {
		i := sub.next
		sub = *s.subs.at(i)
		s.subs.release(i)
		s.vacate(i, sub)
	}
	s.checkMember(member)
}

// vacate takes the seat of subscription number i out of its roster. The record itself is the
// caller's.
func (s *Shard) vacate(i uint32, sub subscription) {
	r := s.marks.roster(sub.mark)
	e := *r.seat(sub.pos)
	if e.lags() {
		delete(s.missed, i)
	}
	if e&replaying != 0 {
		delete(s.replays, i)
	}
	r.remove(&s.subs, sub.pos)
	r.topic.members[e.form()].Add(-1)
	s.subscribed--
	if r.topic.watched {
		s.hub.watcher.Left(s.index, e.member(), r.topic.name)
	}
	if r.len == 0 && r.pass == nil {
		// If messages are pending, the pass over them ends it.
		s.leave(r)
	}
}

// leave detaches r if the shard has passed over all its messages.
func (s *Shard) leave(r *roster) bool {
	if !s.hub.leave(r) {
		return false
	}
	s.marks.remove(r)
	for i, c := range s.slices {
		if c != nil && c.topic == r.topic {
			s.slices[i] = nil // else a topic that has ended would keep its messages in memory
		}
	}
	return true
}

// Topics calls f for each topic of the member, in no particular order. f must not call the shard.
// Loop.
func (s *Shard) Topics(member uint32, f func(topic string)) {
	sub := s.subs.of(member)
	for sub != nil {
		f(s.marks.roster(sub.mark).topic.name)
		if sub.next == 0 {
			return
		}
		sub = s.subs.at(sub.next)
	}
}

// TopicOf is the topic of the messages that have that mark. Loop; in a call of Sink.Send.
func (s *Shard) TopicOf(mark uint32) string { return s.marks.roster(mark).topic.name }

// TopicCount is how many topics the member is subscribed to. Loop.
func (s *Shard) TopicCount(member uint32) int { return s.subs.count(member) }

// OwnBytes is about the memory of the topics that exist for this member alone, in bytes. Loop.
func (s *Shard) OwnBytes(member uint32) (n int) {
	for sub := s.subs.of(member); sub != nil; sub = s.subs.at(sub.next) {
		if t := s.marks.roster(sub.mark).topic; t.members.sum(len(s.hub.encoders)) == 1 {
			n += TopicBytes + len(t.name)
		}
		if sub.next == 0 {
			break
		}
	}
	return n
}

// Subscribed tells whether the member is subscribed to topic. Loop; Post.Skip may call it.
func (s *Shard) Subscribed(member uint32, topic string) bool {
	r := s.roster(topic)
	if r == nil {
		return false
	}
	_, sub, _ := s.subs.find(member, r.mark)
	return sub != nil
}
