// The distributions of a Sample.

package swarm

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// histograms are what has been measured since the last Sample. The loop fills one set; who takes a
// Sample gets it, and the loop another.
type histograms struct {
	connect, latency, slip, turn *hdrhistogram.Histogram
	full, resumed                *hdrhistogram.Histogram // TLS handshakes
	catchup                      *hdrhistogram.Histogram // of a recovery
	spreads                      spreads
}

func newHistograms() *histograms {
	fresh := func(digits int) *hdrhistogram.Histogram {
		return hdrhistogram.New(histogramMin, histogramMax, digits)
	}
	return &histograms{connect: fresh(histogramDigits), latency: fresh(histogramDigits), slip: fresh(selfDigits), turn: fresh(selfDigits),
		full: fresh(histogramDigits), resumed: fresh(histogramDigits), catchup: fresh(histogramDigits), spreads: newSpreads()}
}

// reset makes h as good as new.
func (h *histograms) reset() {
	h.connect.Reset()
	h.latency.Reset()
	h.slip.Reset()
	h.turn.Reset()
	h.full.Reset()
	h.resumed.Reset()
	h.catchup.Reset()
	h.spreads.reset()
}

// record adds a time, in nanoseconds. What lies outside of what a histogram can hold counts as its
// end.
func record[D ~int64](h *hdrhistogram.Histogram, d D) {
	// The value is within the bounds, and nothing else is an error.
	_ = h.RecordValue(min(max(int64(d), 0), histogramMax))
}

// Pack is how a histogram of this package's bounds travels; nothing for an empty one. It is not the
// compressed encoding of HdrHistogram: that one allocates megabytes, so that a process which sends
// four a second collects garbage once a second, and on one processor a collection is milliseconds
// in which the loop is late, and measures itself.
func Pack(h *hdrhistogram.Histogram) Histogram {
	if h.TotalCount() == 0 {
		return nil
	}
	s := h.Export()
	p := binary.AppendUvarint(make(Histogram, 0, packedHint), uint64(s.SignificantFigures))
	last := 0
	for i, n := range s.Counts {
		if n > 0 {
			p = binary.AppendUvarint(p, uint64(i-last))
			p = binary.AppendUvarint(p, uint64(n))
			last = i
		}
	}
	return p
}

// Unpack is the histogram of which p is the Pack, or an error where it is none.
func (p Histogram) Unpack() (*hdrhistogram.Histogram, error) {
	digits, p, ok := uvarint(p)
	if !ok || digits < 1 || digits > 5 {
		return nil, errPacked
	}
	s := hdrhistogram.New(histogramMin, histogramMax, int(digits)).Export()
	for at := uint64(0); len(p) > 0; {
		var gap, n uint64
		gap, p, ok = uvarint(p)
		if ok {
			n, p, ok = uvarint(p)
		}
		if !ok || gap >= uint64(len(s.Counts))-at || n > math.MaxInt64 {
			return nil, errPacked
		}
		at += gap
		s.Counts[at] = int64(n)
	}
	return hdrhistogram.Import(s), nil
}

var errPacked = errors.New("not a packed histogram")

func uvarint(p []byte) (v uint64, rest []byte, ok bool) {
	v, n := binary.Uvarint(p)
	return v, p[max(n, 0):], n > 0
}
