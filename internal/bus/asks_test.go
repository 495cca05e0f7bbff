package bus

import (
	"testing"
	"time"
)

// book keeps the answers of questions, by their numbers.
type book map[uint64]Answer

func (b book) ask(t *testing.T, a *asks, sequence uint64, now time.Time) {
	t.Helper()
	over := a.begin(sequence, now, func(got Answer) {
		if _, twice := b[sequence]; twice {
			t.Errorf("question %d is answered twice", sequence)
		}
		b[sequence] = got
	})
	if over != nil {
		tell(over)
	}
}

func TestAsks(t *testing.T) {
	var a asks
	b := book{}
	now := time.Now()
	one := Tally{Matched: 1, Queued: 2, Dropped: 3}
	answer := func(node, sequence uint64, lost bool) {
		if q := a.answered(node, sequence, one, lost); q != nil {
			tell(q)
		}
	}
	b.ask(t, &a, 1, now) // nobody is there
	tell(a.setNodes([]uint64{10, 20, 30})...)
	for sequence := uint64(2); sequence <= 6; sequence++ {
		b.ask(t, &a, sequence, now.Add(time.Duration(sequence)*time.Millisecond))
	}
	for _, node := range []uint64{30, 10, 20} { // 2: all
		answer(node, 2, false)
	}
	answer(40, 3, false) // 3: one that had only just come, all but one of the others, and one that has lost it
	answer(10, 3, false)
	answer(20, 3, false)
	answer(30, 3, true)
	answer(10, 99, false) // to nothing that was asked, and once more to what is over
	answer(10, 2, false)
	answer(10, 4, false) // 4: two leave
	answer(10, 5, false) // 5: two leave, one of them was heard
	answer(20, 5, false)
	tell(a.setNodes([]uint64{10})...)
	b.ask(t, &a, 7, now.Add(7*time.Millisecond)) // 6 and 7: only 10 is waited for
	if over := a.expire(now.Add(AskTimeout + 5*time.Millisecond)); len(over) != 0 {
		t.Errorf("%d questions end before their time", len(over))
	}
	tell(a.expire(now.Add(AskTimeout + 6*time.Millisecond))...)
	if _, early := b[7]; early {
		t.Error("question 7 ends before its time")
	}
	tell(a.close()...)
	times := func(n int) Tally { return Tally{Matched: n, Queued: 2 * n, Dropped: 3 * n} }
	for sequence, want := range (book{
		1: {}, 2: {Tally: times(3), Nodes: 3}, 3: {Tally: times(3), Nodes: 3, Silent: 1}, 4: {Tally: times(1), Nodes: 1, Silent: 2},
		5: {Tally: times(2), Nodes: 2, Silent: 1}, 6: {Silent: 3}, 7: {Silent: 1},
	}) {
		if got, over := b[sequence]; !over || got != want {
			t.Errorf("question %d: %+v, over %v; want %+v", sequence, got, over, want)
		}
	}
	if len(a.bySequence) != 0 || len(a.queue) != 0 {
		t.Errorf("%d and %d are left", len(a.bySequence), len(a.queue))
	}
}

// Beyond AsksMax nobody is asked. Questions that are over make room, also in the queue.
func TestAsksMax(t *testing.T) {
	var a asks
	b := book{}
	a.setNodes([]uint64{10, 20})
	now := time.Now()
	for sequence := range uint64(AsksMax) {
		b.ask(t, &a, sequence+1, now)
	}
	if len(b) != 0 {
		t.Fatalf("%d are over", len(b))
	}
	b.ask(t, &a, 1<<20, now)
	if got := b[1<<20]; got != (Answer{Silent: 2}) {
		t.Errorf("%+v", got)
	}
	for _, node := range a.nodes {
		if q := a.answered(node, 1, Tally{}, false); q != nil {
			tell(q)
		}
	}
	b.ask(t, &a, 1<<21, now)
	if _, over := b[1<<21]; over || len(a.queue) != AsksMax {
		t.Errorf("over %v, %d in the queue", over, len(a.queue))
	}
}

func TestPeers(t *testing.T) {
	ps := peers{byID: map[uint64]*peer{}}
	now := time.Now()
	p, changed := ps.hear(1, now)
	if !changed || len(ps.there()) != 1 {
		t.Error("it is not there")
	}
	for _, step := range []struct {
		n      uint64
		missed uint64
		fresh  bool
	}{{5, 0, true}, {6, 0, true}, {6, 0, false}, {9, 2, true}, {7, 0, false}} {
		if missed, fresh := ps.message(p, step.n); missed != step.missed || fresh != step.fresh {
			t.Errorf("message %d: %d missed, fresh %v", step.n, missed, fresh)
		}
	}
	for _, step := range []struct{ latest, missed uint64 }{{9, 0}, {12, 3}, {12, 0}, {11, 0}} {
		if missed := ps.presence(p, []byte("n"), step.latest); missed != step.missed {
			t.Errorf("presence %d: %d missed", step.latest, missed)
		}
	}
	if ps.expire(now.Add(PeerTimeout)) || !ps.expire(now.Add(PeerTimeout+1)) || len(ps.there()) != 0 {
		t.Error("silence of PeerTimeout is allowed, and no more")
	}
	// It comes back, and what it said meanwhile is missed.
	if again, changed := ps.hear(1, now.Add(time.Minute)); again != p || !changed {
		t.Error("it does not come back")
	}
	if missed, _ := ps.message(p, 20); missed != 7 {
		t.Errorf("%d missed", missed)
	}
	// Somebody saw it die: what was still on the way does not bring it back.
	if !ps.gone("n") || ps.gone("n") || ps.gone("m") {
		t.Error("gone, once")
	}
	if _, changed := ps.hear(1, now); changed || len(ps.there()) != 0 {
		t.Error("the dead come back")
	}
	for id := range uint64(2 * PeersMax) {
		ps.hear(id+2, now)
	}
	if n := len(ps.byID); n != PeersMax {
		t.Errorf("%d nodes are known", n)
	}
	if p, _ := ps.hear(1<<30, now); p != nil {
		t.Error("one too many")
	}
	ps.expire(now.Add(PeerTimeout + 1))
	if p, _ := ps.hear(1<<30, now.Add(PeerTimeout+1)); p == nil {
		t.Error("those that are silent do not make room")
	}
}
