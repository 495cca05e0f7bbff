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
