// The distributions of a Sample.

package swarm

import (
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histograms are what has been measured since the last Sample. The loop fills one set; who takes a Sample gets it, and the loop another.
type histograms struct {
	connect, latency, slip, turn *hdrhistogram.Histogram
	spreads                      spreads
}

func newHistograms() *histograms {
	fresh := func(digits int) *hdrhistogram.Histogram {
		return hdrhistogram.New(histogramMin, histogramMax, digits)
	}
	return &histograms{connect: fresh(histogramDigits), latency: fresh(histogramDigits), slip: fresh(selfDigits), turn: fresh(selfDigits), spreads: newSpreads()}
}

// reset makes h as good as new.
func (h *histograms) reset() {
	h.connect.Reset()
	h.latency.Reset()
	h.slip.Reset()
	h.turn.Reset()
	h.spreads.reset()
}

// record adds a time, in nanoseconds. What lies outside of what a histogram can hold counts as its end.
func record[D ~int64](h *hdrhistogram.Histogram, d D) {
	// The value is within the bounds, and nothing else is an error.
	_ = h.RecordValue(min(max(int64(d), 0), histogramMax))
}

// encode is how a histogram travels; nothing for an empty one.
func encode(h *hdrhistogram.Histogram) (Histogram, error) {
	if h.TotalCount() == 0 {
		return nil, nil
	}
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return b, nil
}
