// The wheel against a plain map, and its corners.

package netpoll

import (
	"math/rand/v2"
	"testing"
	"time"
)

func newTestWheel(t testing.TB, now tick, conns int) (*wheel, []*Conn) {
	t.Helper()
	s := new(connSlab)
	w := &wheel{conns: s, now: now}
	all := make([]*Conn, conns)
	for i := range all {
		all[i] = s.alloc()
	}
	return w, all
}

// TestWheelModel lets random operations run on the wheel and on a map.
func TestWheelModel(t *testing.T) {
	starts := []tick{0, 1, wheelBuckets - 1, 1<<31 - 100, ^tick(0) - 5000} // the last two wrap
	for _, start := range starts {
		for seed := range uint64(8) {
			modelWheel(t, start, rand.New(rand.NewPCG(seed, uint64(start))))
		}
	}
}

func modelWheel(t *testing.T, now tick, rng *rand.Rand) {
	w, conns := newTestWheel(t, now, 200)
	model := map[*Conn]tick{}
	arm := func(c *Conn, d tick) {
		w.Arm(c, now+d)
		model[c] = now + max(d, 1)
	}
	for range 3000 {
		c := conns[rng.IntN(len(conns))]
		switch rng.IntN(6) {
		case 0, 1:
			arm(c, tick(rng.IntN(100)))
		case 2:
			arm(c, tick(rng.IntN(5*wheelBuckets)))
		case 3:
			w.Disarm(c)
			delete(model, c)
		case 4:
			checkNext(t, w, model)
		case 5:
			step := tick(rng.IntN(20))
			if rng.IntN(40) == 0 {
				step = tick(rng.IntN(3 * wheelBuckets))
			}
			now += step
			advanceModel(t, w, now, model, rng)
		}
	}
}

func advanceModel(t *testing.T, w *wheel, now tick, model map[*Conn]tick, rng *rand.Rand) {
	t.Helper()
	limit := 1 + rng.IntN(50)
	for {
		fired := 0
		more := w.Advance(now, limit, func(c *Conn) {
			fired++
			deadline, armed := model[c]
			if !armed || deadline.after(now) {
				t.Fatalf("fired at %d: armed %v for %d", now, armed, deadline)
			}
			delete(model, c)
			if rng.IntN(4) == 0 { // arming and disarming from inside
				w.Arm(c, now+3)
				model[c] = now + 3
			}
			for other := range model {
				if rng.IntN(8) == 0 {
					w.Disarm(other)
					delete(model, other)
				}
				break
			}
		})
		if fired > limit {
			t.Fatalf("%d fired, limit %d", fired, limit)
		}
		if !more {
			break
		}
	}
	for c, deadline := range model {
		if !deadline.after(now) {
			t.Fatalf("slot %d was due at %d and has not fired by %d", c.Slot(), deadline, now)
		}
	}
}

// checkNext: Next may be early, by a deadline that was disarmed, never late.
func checkNext(t *testing.T, w *wheel, model map[*Conn]tick) {
	t.Helper()
	next, ok := w.Next()
	if ok != (len(model) > 0) {
		t.Fatalf("Next says %v with %d armed", ok, len(model))
	}
	for _, deadline := range model {
		if next.after(deadline) {
			t.Fatalf("Next says %d, a deadline is %d", next, deadline)
		}
	}
}

// TestWheelNextIsExact: without disarmed deadlines, Next names the next one, however many rounds
// away it is.
func TestWheelNextIsExact(t *testing.T) {
	for _, now := range []tick{0, ^tick(0) - 5000} {
		w, conns := newTestWheel(t, now, 5000)
		rng := rand.New(rand.NewPCG(1, uint64(now)))
		armed := map[tick]int{}
		for _, c := range conns {
			d := now + 1 + tick(rng.IntN(6*wheelBuckets))
			w.Arm(c, d)
			armed[d]++
		}
		for len(armed) > 0 {
			next, ok := w.Next()
			if !ok || armed[next] == 0 {
				t.Fatalf("Next says %d, %v: no deadline is there", next, ok)
			}
			w.Advance(next, len(conns), func(c *Conn) { armed[c.deadline]-- })
			if armed[next] != 0 {
				t.Fatalf("%d deadlines of %d have not fired", armed[next], next)
			}
			delete(armed, next)
		}
		if _, ok := w.Next(); ok {
			t.Error("Next names a deadline, and none is armed")
		}
	}
}

// TestWheelNextAfterDisarm: a deadline that was disarmed costs one early wake-up at most.
func TestWheelNextAfterDisarm(t *testing.T) {
	w, conns := newTestWheel(t, 0, 3)
	w.Arm(conns[0], 100)
	w.Arm(conns[1], 100+wheelBuckets)
	w.Arm(conns[2], 300+2*wheelBuckets)
	w.Disarm(conns[0])
	next, _ := w.Next()
	w.Advance(next, 10, func(*Conn) { t.Error("nothing is due") })
	if next, _ = w.Next(); next != 100+wheelBuckets {
		t.Errorf("Next says %d, want %d", next, 100+wheelBuckets)
	}
}

func TestWheelOldestFirst(t *testing.T) {
	w, conns := newTestWheel(t, 0, 100)
	for i, c := range conns {
		w.Arm(c, tick(1+(i*37)%100))
	}
	last := tick(0)
	for w.Advance(200, 7, func(c *Conn) {
		if last.after(c.deadline) {
			t.Fatalf("%d after %d", c.deadline, last)
		}
		last = c.deadline
	}) {
	}
}

func TestWheelAllocatesNothing(t *testing.T) {
	w, conns := newTestWheel(t, 0, 64)
	now := tick(0)
	if n := testing.AllocsPerRun(1000, func() {
		now++
		for i, c := range conns {
			w.Arm(c, now+tick(i))
		}
		w.Advance(now, 100, func(*Conn) {})
	}); n != 0 {
		t.Errorf("%v allocations a turn of the wheel", n)
	}
}

// TestUntilWraps: after four years the tick starts again, the clock does not.
func TestUntilWraps(t *testing.T) {
	const tickLength = TickDefault
	l := &Loop{opt: Options{Tick: tickLength}}
	for _, now := range []time.Duration{0, time.Hour, time.Duration(1<<32-2)*tickLength + 5*time.Millisecond, time.Duration(1<<33+7) * tickLength} {
		l.now, l.tick = now, l.tickOf(now)
		for _, d := range []time.Duration{0, 40 * time.Millisecond, time.Minute, armMax} {
			deadline := l.tickOf(now + d + tickLength - 1)
			if got := l.until(deadline); got < d || got > d+tickLength {
				t.Errorf("now %v: until a deadline in %v: %v", now, d, got)
			}
		}
		c := &Conn{seen: l.tick - 3}
		if got := now - l.Seen(c); got < 3*tickLength || got > 4*tickLength {
			t.Errorf("now %v: seen %v ago, want about %v", now, got, 3*tickLength)
		}
	}
}

// BenchmarkWheelArmDisarm is a deadline set and taken back: what a handshake that comes in time
// costs the wheel.
func BenchmarkWheelArmDisarm(b *testing.B) {
	w, conns := newTestWheel(b, 0, 1024)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c := conns[i%len(conns)]
		w.Arm(c, tick(1+i%4000))
		w.Disarm(c)
	}
}

// BenchmarkWheelAdvance is one tick of a wheel with 10,000 deadlines. With due a dozen are due at
// each, and are armed again as heartbeats are; with idle none is, which is what a loop pays for
// those that only wait.
func BenchmarkWheelAdvance(b *testing.B) {
	const spread = 800 // ticks
	b.Run("due", func(b *testing.B) {
		w, conns := newTestWheel(b, 0, 10000)
		for i, c := range conns {
			w.Arm(c, tick(1+i%spread))
		}
		now := tick(0)
		b.ReportAllocs()
		for b.Loop() {
			now++
			w.Advance(now, timersPerTurnMax, func(c *Conn) { w.Arm(c, now+spread) })
		}
	})
	b.Run("idle", func(b *testing.B) {
		w, conns := newTestWheel(b, 0, 10000)
		for _, c := range conns {
			w.Arm(c, 1<<30)
		}
		now := tick(0)
		b.ReportAllocs()
		for b.Loop() {
			now++
			w.Advance(now, timersPerTurnMax, func(*Conn) { b.Fatal("nothing is due") })
		}
	})
}
