// Build tag c100kdebug: the invariants that the comments state, checked while the program runs.

//go:build c100kdebug

package broadcast

import "fmt"

const debug = true

func invariant(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf("broadcast: invariant broken: "+format, args...))
	}
}

// check looks at everything the shard has. It costs as much as the shard is big.
func (s *Shard) check() {
	lags, live, behind := 0, 0, 0
	for i := uint32(1); i <= s.marks.used; i++ {
		slot := s.marks.slots.at(i)
		if slot.roster == nil {
			continue
		}
		live++
		invariant(slot.roster.mark == slot.mark && slot.mark&markIndex == i, "mark %#x in slot %d", slot.mark, i)
		l, b := s.checkRoster(slot.roster)
		lags, behind = lags+l, behind+b
	}
	invariant(live == s.marks.live, "%d rosters, counted %d", live, s.marks.live)
	invariant(behind == len(s.replays), "%d seats are replaying, %d replays", behind, len(s.replays))
	invariant(lags == len(s.missed), "%d seats lag, %d in missed", lags, len(s.missed))
}

func (s *Shard) checkRoster(r *roster) (lags, behind int) {
	t := r.topic
	end := t.tail.Load()
	invariant(!r.gone && t.rosters[s.index].Load() == r, "topic %q has another roster", t.name)
	invariant(end.attached > 0, "topic %q is over and has members", t.name)
	invariant(r.cursor.seq <= end.last.seq, "topic %q: cursor at %d of %d", t.name, r.cursor.seq, end.last.seq)
	invariant(r.len > 0 || r.pass != nil || r.cursor != end.last || r.ready.Load(), "topic %q: empty and idle", t.name)
	invariant(r.pass == nil || r.ready.Load() && r.pass.at <= r.len, "topic %q: pass at %d of %d", t.name, passAt(r), r.len)
	seq, pos := r.cursor.seq, uint32(0)
	for _, c := range r.cuts {
		invariant(c.seq > seq && c.pos >= pos && c.pos <= r.len, "topic %q: cuts %v behind %d", t.name, r.cuts, r.cursor.seq)
		seq, pos = c.seq, c.pos
	}
	for pos := range r.len {
		e := *r.seat(pos)
		sub := s.subs.at(e.sub())
		invariant(sub.mark == r.mark && sub.pos == pos, "topic %q: seat %d has subscription %+v", t.name, pos, *sub)
		invariant(s.subs.of(e.member()) != nil, "topic %q: member %d has no subscription", t.name, e.member())
		_, misses := s.missed[e.sub()]
		invariant(misses == e.lags(), "topic %q: member %d lags %t, in missed %t", t.name, e.member(), e.lags(), misses)
		if misses {
			lags++
		}
		p := s.replays[e.sub()]
		invariant((p != nil) == (e&replaying != 0), "topic %q: member %d is replaying: seat %t, replays %t", t.name, e.member(), e&replaying != 0, p != nil)
		if p != nil {
			invariant(p.mark == r.mark && p.member == e.member() && p.seq <= r.reached(pos), "topic %q: replay %+v of member %d", t.name, *p, e.member())
			behind++
		}
	}
	return lags, behind
}

func passAt(r *roster) uint32 {
	if r.pass == nil {
		return 0
	}
	return r.pass.at
}

// checkMember looks at the subscriptions of one member.
func (s *Shard) checkMember(member uint32) {
	i := member
	sub := s.subs.of(member)
	for sub != nil {
		r := s.marks.roster(sub.mark)
		invariant(r != nil, "member %d: no roster has mark %#x", member, sub.mark)
		e := *r.seat(sub.pos)
		invariant(e.member() == member && e.sub() == i, "member %d: subscription %d, seat of %d, %d", member, i, e.member(), e.sub())
		if i = sub.next; i == 0 {
			return
		}
		sub = s.subs.at(i)
	}
}
