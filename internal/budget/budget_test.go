package budget

import (
	"sync"
	"testing"
)

func TestShortageBeginsAtTheLimitAndEndsBelowThreeQuarters(t *testing.T) {
	woken := 0
	b := New(1000, func() { woken++ })
	for _, step := range []struct {
		add   int64
		short bool
	}{{999, false}, {1, true}, {-250, true}, {-1, false}, {250, false}, {1, true}} {
		b.Add(step.add)
		if b.Short() != step.short {
			t.Fatalf("with %d of 1000 bytes: short %v", b.Held(), b.Short())
		}
	}
	if woken != 3 || b.Shortages() != 2 {
		t.Errorf("woken %d times and short %d times, want 3 and 2", woken, b.Shortages())
	}
}

func TestSourcesCountBesideLoops(t *testing.T) {
	b, queue := New(1000, func() {}), int64(600)
	b.Watch(func() int64 { return queue })
	b.Watch(func() int64 { return 100 })
	b.Add(299)
	b.Poll()
	if b.Short() || b.Held() != 999 {
		t.Fatalf("%d bytes, short %v", b.Held(), b.Short())
	}
	queue++
	b.Poll()
	if !b.Short() || b.Rounds() != 2 {
		t.Errorf("%d bytes, short %v after %d rounds", b.Held(), b.Short(), b.Rounds())
	}
	queue = 0
	if b.Poll(); b.Short() {
		t.Errorf("still short with %d bytes", b.Held())
	}
}

func TestLoopsFreeTheirParts(t *testing.T) {
	b := New(1000, func() {})
	b.Add(1200)
	for _, c := range []struct{ loop, want int64 }{{1200, 451}, {600, 226}, {1, 1}, {0, 0}, {-5, 0}} {
		if got := b.ToFree(c.loop); got != c.want {
			t.Errorf("a loop with %d of 1200 bytes frees %d, want %d", c.loop, got, c.want)
		}
	}
	b.Add(-500)
	if got := b.ToFree(700); got != 0 {
		t.Errorf("%d bytes to free below the mark", got)
	}
}

func TestManyGoroutines(t *testing.T) {
	b := New(100, func() {})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				b.Add(50)
				b.Add(-50)
			}
		})
	}
	all.Wait()
	b.Add(0)
	b.Poll()
	if b.Held() != 0 || b.Short() {
		t.Errorf("%d bytes, short %v", b.Held(), b.Short())
	}
}

func TestWithoutABudgetNothingIsShort(t *testing.T) {
	var b *Budget
	b.Add(1 << 40)
	b.Watch(nil)
	b.Poll()
	if b.Short() || b.Held() != 0 || b.Max() != 0 || b.Shortages() != 0 {
		t.Error("a nil budget has counted")
	}
}
