// Histograms as a result has them.

package loadgen

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"c100k/loadgen/swarm"
)

// What a histogram of ours can hold, in nanoseconds, and with how many significant digits. Package
// swarm records with the same.
const (
	histogramLow    = int64(time.Microsecond)
	histogramHigh   = int64(5 * time.Minute)
	histogramDigits = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(histogramLow, histogramHigh, histogramDigits)
}

// record adds a duration to a histogram. A value outside its range counts as the nearest value
// inside.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	// The range was just kept, so that it cannot fail.
	_ = h.RecordValue(min(max(int64(d), 0), histogramHigh))
}

// mergePacked adds what a process has measured to histograms.
func mergePacked(packed swarm.Histogram, into ...*hdrhistogram.Histogram) error {
	if len(packed) == 0 {
		return nil
	}
	h, err := packed.Unpack()
	if err != nil {
		return fmt.Errorf("a histogram of a process cannot be read: %w", err)
	}
	for _, to := range into {
		if lost := to.Merge(h); lost > 0 {
			return fmt.Errorf("%d values of a process's histogram are beyond %v", lost, time.Duration(histogramHigh))
		}
	}
	return nil
}

// Latencies is the distribution of one duration.
type Latencies struct {
	Count int64  `json:"count"`
	Min   Millis `json:"min_ms"`
	Mean  Millis `json:"mean_ms"`
	P50   Millis `json:"p50_ms"`
	P90   Millis `json:"p90_ms"`
	P99   Millis `json:"p99_ms"`
	P999  Millis `json:"p999_ms"`
	Max   Millis `json:"max_ms"`
	// Percentiles is the curve, from the least to the largest, with more points the nearer to 100 %.
	Percentiles []Percentile `json:"percentiles,omitempty"`
}

// Percentile is one point of a distribution: so much of it is at most that long.
type Percentile struct {
	Quantile float64 `json:"quantile"` // 0 to 1
	Value    Millis  `json:"ms"`
}

// curveTicks is how many points a curve has for each halving of the distance to 100 %.
const curveTicks = 5

// latencies reads a histogram; nil where nothing was recorded.
func latencies(h *hdrhistogram.Histogram, curve bool) *Latencies {
	if h.TotalCount() == 0 {
		return nil
	}
	at := h.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
	l := &Latencies{Count: h.TotalCount(), Min: told(h.Min()), Mean: told(int64(h.Mean())), Max: told(h.Max()),
		P50: told(at[0]), P90: told(at[1]), P99: told(at[2]), P999: told(at[3])}
	if curve {
		for _, b := range h.CumulativeDistributionWithTicks(curveTicks) {
			l.Percentiles = append(l.Percentiles, Percentile{Quantile: b.Quantile / 100, Value: told(b.ValueAt)})
		}
	}
	return l
}

// told is a value of a histogram, or 0 if it is below the histogram's resolution.
func told(ns int64) Millis {
	if ns < histogramLow {
		return 0
	}
	return Millis(ns)
}
