// What is in order, late, twice, or missing.

package swarm

import (
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

func TestTrack(t *testing.T) {
	type step struct {
		seq  uint64
		want verdict
	}
	for name, steps := range map[string][]step{
		"in order":      {{0, inOrder}, {1, inOrder}, {2, inOrder}},
		"hole, filled":  {{0, inOrder}, {2, inOrder}, {1, late}, {1, duplicate}, {3, inOrder}},
		"twice":         {{0, inOrder}, {0, duplicate}},
		"far ahead":     {{0, inOrder}, {1000, inOrder}, {999, late}, {937, late}, {936, duplicate}, {1001, inOrder}},
		"63 behind":     {{63, inOrder}, {0, late}, {64, inOrder}, {0, duplicate}},
		"exactly 64 on": {{0, inOrder}, {64, inOrder}, {1, late}, {0, duplicate}},
	} {
		var tr track
		for i, s := range steps {
			if got := tr.hear(s.seq); got != s.want {
				t.Errorf("%s, step %d: %d is %d, want %d", name, i, s.seq, got, s.want)
			}
		}
	}
	var tr track
	tr.begin(100)
	if v := tr.hear(101); v != inOrder {
		t.Errorf("after begin: %d", v)
	}
	if v := tr.hear(100); v != late {
		t.Errorf("the first that was expected: %d", v)
	}
	if v := tr.hear(99); v != duplicate {
		t.Errorf("of before begin: %d", v)
	}
}

// TestTrackAgainstASet: messages shuffled by less than 64 places are classified correctly.
func TestTrackAgainstASet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var tr track
	heard := map[uint64]bool{}
	for base := uint64(0); base < 20000; {
		seq := base + uint64(rng.IntN(30))
		base = max(base, seq-min(seq, 20))
		v := tr.hear(seq)
		if (v == duplicate) != heard[seq] {
			t.Fatalf("%d: verdict %d, heard before %v", seq, v, heard[seq])
		}
		heard[seq] = true
	}
}

func TestClientIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(client{}); n > 72 {
		t.Errorf("a client takes %d bytes", n)
	}
	if n := unsafe.Sizeof(track{}); n > 32 {
		t.Errorf("a track takes %d bytes", n)
	}
	if n := unsafe.Sizeof(stream{}); n > 64 {
		t.Errorf("a stream takes %d bytes", n)
	}
}

func TestSpreads(t *testing.T) {
	s := newSpreads()
	for seq := range uint64(10) {
		for range 3 {
			s.hear(Token{Sender: 4, Seq: seq, Sent: 5}, Clock())
		}
	}
	if all := s.all(); len(all) != 10 || all[0].Receivers != 3 || all[0].Sent != 5 || all[0].Sender != 4 {
		t.Errorf("%+v", all)
	}
	s.reset()
	if s.all() != nil {
		t.Error("not empty")
	}
	// More than there is room for: two processes that receive the same messages in different orders
	// keep the same ones.
	other := newSpreads()
	const publishes = 5 * spreadsMax
	for i := range uint64(publishes) {
		s.hear(Token{Sender: uint32(i % 5), Seq: i / 5}, 1)
		other.hear(Token{Sender: uint32((publishes - 1 - i) % 5), Seq: (publishes - 1 - i) / 5}, 1)
	}
	kept := map[[2]uint64]bool{}
	for _, p := range s.all() {
		kept[[2]uint64{uint64(p.Sender), p.Seq}] = true
	}
	if len(kept) < spreadsMax/4 || len(kept) != len(other.all()) || s.every != other.every {
		t.Errorf("%d and %d kept, every %d and %d", len(kept), len(other.all()), s.every, other.every)
	}
	for _, p := range other.all() {
		if !kept[[2]uint64{uint64(p.Sender), p.Seq}] {
			t.Fatalf("%+v is kept by one only", p)
		}
	}
}

func TestCalendar(t *testing.T) {
	clients := make([]client, 100)
	var c calendar
	var q queue
	now := 5000 * retryTick
	c.due(clients, now, &q)
	if c.next() >= 0 {
		t.Error("wants to be asked though nobody waits")
	}
	for i := range uint32(100) {
		c.add(clients, i, now+time.Duration(i)*13*retryTick)
	}
	for woken, step := 0, now; woken < 100; step += 7 * retryTick {
		c.due(clients, step, &q)
		for !q.empty() {
			i := q.pop(clients)
			if until := now + time.Duration(i)*13*retryTick; step < until || step > until+9*retryTick {
				t.Fatalf("%d comes at %v, wanted %v", i, step, until)
			}
			woken++
		}
	}
	if c.count != 0 {
		t.Errorf("%d left", c.count)
	}
}
