// What a histogram has beside its buckets: the finer ones of native histograms, and exemplars.

package figures

import (
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"sort"
	"time"
)

// The buckets of native histograms, of schema 3: each is 2^(1/8) times the one before, so a
// quantile is exact to 5 %. They go from 0.95 µs to 32 s; what is less is in the zero bucket, and
// what is more in the last one.
const (
	// NativeSchema is the schema of Native, as Prometheus has it.
	NativeSchema = 3
	// fineFirst is the index of the first bucket, whose values are just above fineZero.
	fineFirst   = -159
	fineLast    = 40
	fineBuckets = fineLast - fineFirst + 1
)

// NativeZero is what the zero bucket holds at most, in seconds: 2^-20.
const NativeZero = 1.0 / (1 << 20)

// fineBounds are the upper bounds of buckets between 1/2 and 1.
var fineBounds = func() (bounds [1 << NativeSchema]float64) {
	for i := range bounds {
		bounds[i] = math.Exp2(float64(i)/float64(len(bounds)) - 1)
	}
	return bounds
}()

// fineBucket is the index of the bucket of a duration in Histogram.fine.
func fineBucket(d time.Duration) int {
	v := d.Seconds()
	if v <= NativeZero {
		return 0
	}
	frac, exp := math.Frexp(v)
	i := sort.SearchFloat64s(fineBounds[:], frac) + (exp-1)*len(fineBounds)
	return min(max(i, fineFirst), fineLast) - fineFirst + 1
}

// Native is what a native histogram counts. Bucket i has what is above 2^((i-1)/8) and up to
// 2^(i/8) seconds.
type Native struct {
	Zero   uint64   `json:"zero"`   // up to NativeZero
	First  int      `json:"first"`  // index of the first of Counts
	Counts []uint64 `json:"counts"` // not cumulative; neither the first nor the last is zero
}

// native reads the fine buckets; nil without observations.
func (h *Histogram) native() *Native {
	var all [fineBuckets]uint64
	for i := range all {
		all[i] = h.fine[i+1].Load()
	}
	n := &Native{Zero: h.fine[0].Load(), First: fineFirst, Counts: all[:]}
	if n.trim(); n.Zero == 0 && len(n.Counts) == 0 {
		return nil
	}
	n.Counts = slices.Clone(n.Counts)
	return n
}

// trim takes zeros off both ends.
func (n *Native) trim() {
	for len(n.Counts) > 0 && n.Counts[0] == 0 {
		n.Counts, n.First = n.Counts[1:], n.First+1
	}
	for len(n.Counts) > 0 && n.Counts[len(n.Counts)-1] == 0 {
		n.Counts = n.Counts[:len(n.Counts)-1]
	}
	if len(n.Counts) == 0 {
		n.First = 0
	}
}

func (n *Native) clone() *Native {
	if n == nil {
		return nil
	}
	return &Native{n.Zero, n.First, slices.Clone(n.Counts)}
}

// plus adds two, of which either may be nil.
func (n *Native) plus(o *Native) *Native {
	if n == nil || o == nil {
		if n == nil {
			n = o
		}
		return n.clone()
	}
	var all [fineBuckets]uint64
	for _, x := range []*Native{n, o} {
		for i, count := range x.Counts {
			all[x.First-fineFirst+i] += count
		}
	}
	sum := &Native{n.Zero + o.Zero, fineFirst, all[:]}
	sum.trim()
	return sum
}

// errNative is returned for a document whose native histogram has buckets that there are not.
var errNative = errors.New("a native histogram has buckets from 0.95 µs to 32 s")

// check refuses what another process cannot have counted.
func (n *Native) check() error {
	if n == nil || len(n.Counts) == 0 {
		return nil
	}
	if n.First < fineFirst || n.First > fineLast || len(n.Counts) > fineLast-n.First+1 {
		return errNative
	}
	return nil
}

// Exemplar is one of the observations of a bucket, which belongs to a trace.
type Exemplar struct {
	Bucket  int       `json:"bucket"` // of HistogramSnapshot.Counts
	TraceID string    `json:"trace_id"`
	Seconds float64   `json:"seconds"`
	At      time.Time `json:"at"`
}

// traceIDBytes is the length of Exemplar.TraceID.
const traceIDBytes = 32

// Trace keeps a duration that was observed as the exemplar of its bucket; at is the time now. Only
// the one writing goroutine may call it. It allocates: few observations belong to a trace.
func (h *Histogram) Trace(d time.Duration, id *[16]byte, at time.Time) {
	d = max(d, 0)
	i := histogramBucket(d)
	h.exemplars[i].Store(&Exemplar{Bucket: i, TraceID: hex.EncodeToString(id[:]), Seconds: d.Seconds(), At: at})
}

// keep takes an exemplar, of one bucket the later one.
func (s *HistogramSnapshot) keep(e *Exemplar) {
	for i := range s.Exemplars {
		if have := &s.Exemplars[i]; have.Bucket == e.Bucket {
			if e.At.After(have.At) {
				*have = *e
			}
			return
		}
	}
	s.Exemplars = append(s.Exemplars, *e)
}

// errExemplar is returned for a document with an exemplar that none is.
var errExemplar = errors.New("an exemplar has a bucket of the histogram, one for each, and a trace id of 32 hexadecimal digits")

// checkExemplars refuses what another process cannot have noted.
func (s *HistogramSnapshot) checkExemplars() error {
	if len(s.Exemplars) > len(s.Counts) {
		return errExemplar
	}
	for _, e := range s.Exemplars {
		if _, err := hex.DecodeString(e.TraceID); err != nil || len(e.TraceID) != traceIDBytes || e.Bucket < 0 || e.Bucket >= len(s.Counts) {
			return errExemplar
		}
	}
	return nil
}
