// A pass: one walk over a topic's members with all messages that were pending when it began.

package broadcast

import (
	"math/bits"
	"sort"
)

// pass is the state of a walk, which may take several Deliver calls.
type pass struct {
	run   []*node // the messages, oldest first
	size  int     // their bytes in the largest form
	at    uint32  // seats before it have been visited
	picky bool    // one of the messages may leave members out
	made  uint32  // bit f: forms[f] is in use
	forms [FormsMax]runForm
}

// runForm is the run in one form, made when the first member needs it.
type runForm struct {
	bytes []byte // the messages one behind the other; immutable, shared by all members' outboxes
	ends  []int  // ends[k] is the length of the first k messages
}

// begin starts a pass over r's pending messages; false if there are none.
func (s *Shard) begin(r *roster) bool {
	n := r.cursor.next.Load()
	if n == nil {
		return false
	}
	p := s.newPass()
	longest := RunMessagesMax
	if withoutRuns {
		longest = 1
	}
	for ; n != nil && len(p.run) < longest; n = n.next.Load() {
		size := p.size + int(n.message.size)
		if size > s.hub.runBytes && len(p.run) > 0 {
			break
		}
		p.run, p.size = append(p.run, n), size
		p.picky = p.picky || n.message.skip != nil
	}
	r.pass = p
	return true
}

// encodeAnew is what a member would be sent if nothing were shared: the messages from number first
// on, encoded for it alone. Measurements use it.
func (p *pass) encodeAnew(f Form, first int) (bytes []byte) {
	for _, n := range p.run[first:] {
		bytes = append(bytes, *n.message.encode(f)...)
	}
	return bytes
}

// end ends r's pass: the cursor moves on, and each message is counted down.
func (s *Shard) end(r *roster) {
	p := r.pass
	r.pass = nil
	r.passed(p.run[len(p.run)-1])
	for _, n := range p.run {
		s.hub.settle(s.index, n)
	}
	p.reset()
	if len(s.idle) < idlePassesMax {
		s.idle = append(s.idle, p)
	}
}

func (s *Shard) newPass() *pass {
	k := len(s.idle) - 1
	if k < 0 {
		return new(pass)
	}
	p := s.idle[k]
	s.idle = s.idle[:k]
	return p
}

// reset drops everything but the arrays.
func (p *pass) reset() {
	clear(p.run)
	p.run, p.size, p.at, p.picky = p.run[:0], 0, 0, false
	for ; p.made != 0; p.made &= p.made - 1 {
		rf := &p.forms[bits.TrailingZeros32(p.made)]
		*rf = runForm{ends: rf.ends[:0]}
	}
}

// form returns the run in form f.
func (p *pass) form(f Form) *runForm {
	rf := &p.forms[f]
	if p.made&(1<<f) == 0 {
		p.made |= 1 << f
		rf.make(p.run, f)
	}
	return rf
}

func (rf *runForm) make(run []*node, f Form) {
	size := 0
	rf.ends = append(rf.ends, 0)
	for _, n := range run {
		size += len(n.message.delivered(f))
		rf.ends = append(rf.ends, size)
	}
	if len(run) == 1 {
		rf.bytes = run[0].message.delivered(f)
		return
	}
	rf.bytes = make([]byte, 0, size)
	for _, n := range run {
		rf.bytes = append(rf.bytes, n.message.delivered(f)...)
	}
}

// personalRun makes the run, from message number first on, as one member gets it.
func (s *Shard) personalRun(sink Sink, p *pass, member uint32, first int) *runForm {
	rf := &s.personal
	rf.bytes, rf.ends = nil, append(rf.ends[:0], make([]int, first+1)...)
	for _, n := range p.run[first:] {
		rf.bytes = sink.Encode(rf.bytes, member, n.message)
		rf.ends = append(rf.ends, len(rf.bytes))
	}
	return rf
}

// wanted returns the next messages from i on that the member gets: i to j-1. Each is asked for
// once, so skipped ones end a stretch and are passed over by the next call. i is the length of the
// run when there are no more.
func (p *pass) wanted(shard int, member uint32, i int) (from, to, next int) {
	skips := func(k int) bool {
		skip := p.run[k].message.skip
		return skip != nil && skip(shard, member)
	}
	for i < len(p.run) && skips(i) {
		i++
	}
	from, to = i, min(i+1, len(p.run))
	for to < len(p.run) {
		if skips(to) {
			return from, to, to + 1
		}
		to++
	}
	return from, to, to
}

// slice returns messages i to j-1.
func (rf *runForm) slice(i, j int) []byte { return rf.bytes[rf.ends[i]:rf.ends[j]:rf.ends[j]] }

// size returns the bytes of messages i to j-1.
func (rf *runForm) size(i, j int) int { return rf.ends[j] - rf.ends[i] }

// fitting returns the greatest j such that messages i to j-1 have at most room bytes; i if not even
// one.
func (rf *runForm) fitting(i, room int) int {
	rest := rf.ends[i+1:]
	return i + sort.Search(len(rest), func(k int) bool { return rest[k]-rf.ends[i] > room })
}

// newest returns the least i, at least low, such that messages i to j-1 have at most room bytes; j
// if not even one.
func (rf *runForm) newest(low, j, room int) int {
	return low + sort.Search(j-low, func(k int) bool { return rf.size(low+k, j) <= room })
}
