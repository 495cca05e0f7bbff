// A histogram of durations with one writer and no lock.

package figures

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets: 8 µs, then each twice the one before, up to 16.8 s; one more for all beyond. A power
// of two is found with one instruction, and a factor of two is enough to tell a turn of 1 ms from
// one of 2 ms.
const (
	histogramBounds = 22
	histogramFirst  = 8 * time.Microsecond
)

// Histogram counts durations. One goroutine, its loop, calls Observe; any goroutine may call
// Snapshot. The zero value is empty and ready.
type Histogram struct {
	// Written by one goroutine only, so that a store after a load is enough and no instruction locks
	// the bus; read by any.
	counts    [histogramBounds + 1]atomic.Uint64
	nanos     atomic.Uint64
	fine      [fineBuckets + 1]atomic.Uint64 // those of native histograms; the first is up to fineZero
	exemplars [histogramBounds + 1]atomic.Pointer[Exemplar]
}

// Observe counts one duration; a negative one counts as zero. Only the one writing goroutine may
// call it. It does not allocate.
func (h *Histogram) Observe(d time.Duration) { h.ObserveN(d, 1) }

// ObserveN counts n durations of the same length, as n calls of Observe would.
func (h *Histogram) ObserveN(d time.Duration, n uint64) {
	d = max(d, 0)
	c := &h.counts[histogramBucket(d)]
	c.Store(c.Load() + n)
	f := &h.fine[fineBucket(d)]
	f.Store(f.Load() + n)
	h.nanos.Store(h.nanos.Load() + uint64(d)*n)
}

// histogramBucket is the index of the first bucket whose bound is not below d.
func histogramBucket(d time.Duration) int {
	if d <= histogramFirst {
		return 0
	}
	// d in (first·2^(i-1), first·2^i] makes (d-1)/first a number of i bits.
	return min(bits.Len64(uint64((d-1)/histogramFirst)), histogramBounds)
}

// Snapshot reads the histogram. Any goroutine may call it. An observation that happens at the same
// time may be in the counts and not yet in the sum.
func (h *Histogram) Snapshot() HistogramSnapshot {
	s := HistogramSnapshot{
		Bounds: make([]float64, histogramBounds),
		Counts: make([]uint64, histogramBounds+1),
	}
	for i := range s.Bounds {
		s.Bounds[i] = (histogramFirst << i).Seconds()
	}
	for i := range s.Counts {
		s.Counts[i] = h.counts[i].Load()
	}
	s.Sum = time.Duration(h.nanos.Load()).Seconds()
	s.Native = h.native()
	for i := range h.exemplars {
		if e := h.exemplars[i].Load(); e != nil {
			s.Exemplars = append(s.Exemplars, *e)
		}
	}
	return s
}

// HistogramSnapshot is a histogram as it was at one moment. Snapshots of several loops are added up
// with Add.
type HistogramSnapshot struct {
	Bounds []float64 `json:"bounds"` // inclusive upper bounds in seconds, ascending
	Counts []uint64  `json:"counts"` // observations in each bucket, not cumulative; one more than Bounds, for those beyond
	Sum    float64   `json:"sum"`    // seconds

	// Native has the same observations in the finer buckets of a native histogram. Nil: there are
	// none, or they are not counted.
	Native *Native `json:"native,omitempty"`
	// Exemplars are at most one for each of Counts.
	Exemplars []Exemplar `json:"exemplars,omitempty"`
}

// Add adds o's observations. Both must have the same bounds, or either none.
func (s *HistogramSnapshot) Add(o HistogramSnapshot) {
	if len(s.Counts) == 0 {
		s.Bounds = o.Bounds
		s.Counts = append([]uint64(nil), o.Counts...)
		s.Sum, s.Native = o.Sum, o.Native.clone()
		s.Exemplars = append([]Exemplar(nil), o.Exemplars...)
		return
	}
	for i, n := range o.Counts {
		s.Counts[i] += n
	}
	s.Sum += o.Sum
	s.Native = s.Native.plus(o.Native)
	for i := range o.Exemplars {
		s.keep(&o.Exemplars[i])
	}
}

// Count is the number of observations.
func (s HistogramSnapshot) Count() uint64 {
	var n uint64
	for _, c := range s.Counts {
		n += c
	}
	return n
}

// Quantile is the upper bound, in seconds, of the bucket in which the quantile q (0 to 1) lies; 0
// without observations, and the last bound for whatever is beyond it.
func (s HistogramSnapshot) Quantile(q float64) float64 {
	total := s.Count()
	if total == 0 || len(s.Bounds) == 0 {
		return 0
	}
	rank := max(uint64(math.Ceil(q*float64(total))), 1)
	var n uint64
	for i, bound := range s.Bounds {
		n += s.Counts[i]
		if n >= rank {
			return bound
		}
	}
	return s.Bounds[len(s.Bounds)-1]
}
