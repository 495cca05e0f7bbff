package figures

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHistogramBuckets(t *testing.T) {
	for _, tc := range []struct {
		d      time.Duration
		bucket int
	}{
		{-time.Hour, 0}, {0, 0}, {1, 0}, {8 * time.Microsecond, 0}, {8*time.Microsecond + 1, 1}, {16 * time.Microsecond, 1},
		{16*time.Microsecond + 1, 2}, {32 * time.Microsecond, 2}, {8 * time.Microsecond << 21, 21}, {8*time.Microsecond<<21 + 1, 22},
		{time.Hour, 22}, {math.MaxInt64, 22},
	} {
		var h Histogram
		h.Observe(tc.d)
		s := h.Snapshot()
		if s.Counts[tc.bucket] != 1 || s.Count() != 1 {
			t.Errorf("%v is in %v, want bucket %d", tc.d, s.Counts, tc.bucket)
		}
		if tc.bucket < len(s.Bounds) && tc.d.Seconds() > s.Bounds[tc.bucket] {
			t.Errorf("%v is above its bound %v", tc.d, s.Bounds[tc.bucket])
		}
	}
}

func TestHistogramAddAndQuantile(t *testing.T) {
	var x, y Histogram
	x.ObserveN(10*time.Microsecond, 98)
	y.Observe(time.Millisecond)
	y.Observe(time.Hour)
	var sum HistogramSnapshot
	if sum.Quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	sum.Add(x.Snapshot())
	sum.Add(y.Snapshot())
	if sum.Count() != 100 || math.Abs(sum.Sum-3600.00198) > 1e-9 {
		t.Errorf("count %d, sum %v", sum.Count(), sum.Sum)
	}
	for q, want := range map[float64]float64{0: 16e-6, 0.5: 16e-6, 0.98: 16e-6, 0.99: 1.024e-3, 1: 16.777216} {
		if got := sum.Quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v = %v, want %v", q, got, want)
		}
	}
	// Add keeps nothing of what it was given.
	first := x.Snapshot()
	var other HistogramSnapshot
	other.Add(first)
	other.Add(first)
	if diff := cmp.Diff(x.Snapshot(), first); diff != "" {
		t.Error(diff)
	}
}

func TestHistogramObserveAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// One writer and several readers, for the race detector.
func TestHistogramReadWhileWritten(t *testing.T) {
	var h Histogram
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			last := uint64(0)
			for last < 1000 {
				n := h.Snapshot().Count()
				if n < last {
					t.Errorf("count went from %d to %d", last, n)
					return
				}
				last = n
			}
		})
	}
	for i := range 1000 {
		h.Observe(time.Duration(i) * time.Microsecond)
	}
	readers.Wait()
}

// BenchmarkHistogramObserve is one duration counted: a loop does it once a turn, and once for each
// fan-out.
func BenchmarkHistogramObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Observe(time.Duration(i&0xffff) * time.Microsecond)
	}
}
