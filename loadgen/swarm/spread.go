// How far apart the receivers of one publish are.

package swarm

import "time"

// spreads are the publishes that were received since the last Sample: a hash table that is never
// removed from, only reset. Beyond spreadsMax publishes it keeps those whose hash a power of two
// divides, so that all processes keep the same ones.
type spreads struct {
	table []Spread // Receivers 0: free
	used  int
	every uint64 // a power of two: publishes whose hash it does not divide are left out
	last  *Spread
}

func newSpreads() spreads { return spreads{every: 1} }

// hear takes one receiver's message.
func (s *spreads) hear(t Token, now time.Duration) {
	if s.table == nil { // most swarms never hear a publish
		s.table = make([]Spread, 2*spreadsMax)
	}
	p := s.last
	if p == nil || p.Seq != t.Seq || p.Sender != t.Sender {
		hash := hashOf(t.Sender, t.Seq)
		if hash&(s.every-1) != 0 {
			return
		}
		if p = s.find(hash, t.Sender, t.Seq); p.Receivers == 0 {
			if s.used == spreadsMax {
				s.thin()
				s.hear(t, now)
				return
			}
			s.used++
			*p = Spread{Sender: t.Sender, Seq: t.Seq, Sent: t.Sent, First: now}
		}
		s.last = p
	}
	p.Last = max(p.Last, now)
	p.Receivers++
}

// hashOf is the same in all processes. Both its halves are used.
func hashOf(sender uint32, seq uint64) uint64 {
	h := (seq ^ uint64(sender)<<40) * 0x9e3779b97f4a7c15
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

// find is where a publish stands, or may be put: the table is never more than half full.
func (s *spreads) find(hash uint64, sender uint32, seq uint64) *Spread {
	mask := uint64(len(s.table) - 1)
	for i := hash >> 32; ; i++ {
		p := &s.table[i&mask]
		if p.Receivers == 0 || p.Seq == seq && p.Sender == sender {
			return p
		}
	}
}

// thin keeps every second publish, or fewer.
func (s *spreads) thin() {
	for s.used == spreadsMax {
		kept := s.all()
		every := s.every * 2
		s.reset()
		s.every = every
		for _, p := range kept {
			if hash := hashOf(p.Sender, p.Seq); hash&(every-1) == 0 {
				*s.find(hash, p.Sender, p.Seq) = p
				s.used++
			}
		}
	}
}

// all are the publishes, in no order.
func (s *spreads) all() []Spread {
	if s.used == 0 {
		return nil
	}
	list := make([]Spread, 0, s.used)
	for i := range s.table {
		if s.table[i].Receivers > 0 {
			list = append(list, s.table[i])
		}
	}
	return list
}

func (s *spreads) reset() {
	if s.used > 0 {
		clear(s.table)
	}
	s.used, s.every, s.last = 0, 1, nil
}
