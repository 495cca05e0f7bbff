package workers

import "testing"

// TestSparePercent: a small heap has heapSpareMin until the next collection, a large one doubles.
func TestSparePercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 1600}, {1 << 20, 1600}, {5 << 20, 320}, {heapSpareMin, 100}, {1 << 30, 100}} {
		if got := sparePercent(c.live); got != c.want {
			t.Errorf("%d bytes: %d %%, want %d", c.live, got, c.want)
		}
	}
}
