package jitter

import (
	"testing"
	"time"
)

func TestUnder(t *testing.T) {
	a, b := New(7), New(7)
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := a.Under(time.Second)
		if d != b.Under(time.Second) {
			t.Fatal("two sources of one seed differ")
		}
		low, high = min(low, d), max(high, d)
	}
	if low < 0 || low > 100*time.Millisecond || high < 900*time.Millisecond || high >= time.Second {
		t.Errorf("1000 draws under 1s lie between %v and %v", low, high)
	}
	if a.Under(0) != 0 || a.Under(-1) != 0 {
		t.Error("nothing lies under 0")
	}
}

func TestReconnect(t *testing.T) {
	const longest = 2 * time.Second
	for attempts, most := range map[int]time.Duration{
		-1: longest / 10, 0: longest / 10, 1: longest / 10, 2: longest / 5, 10: longest, 11: longest, 1 << 30: longest,
	} {
		low, high := time.Hour, time.Duration(0)
		for range 1000 {
			d := Reconnect(attempts, longest)
			low, high = min(low, d), max(high, d)
		}
		if low < most/2 || low > most*6/10 || high < most*9/10 || high >= most {
			t.Errorf("after %d attempts the waits lie between %v and %v, want half of %v to all of it", attempts, low, high, most)
		}
	}
}
