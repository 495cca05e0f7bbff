// A histogram survives encoding, and damaged data is refused.

package swarm

import (
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestPack(t *testing.T) {
	for _, digits := range []int{selfDigits, histogramDigits} {
		h := hdrhistogram.New(histogramMin, histogramMax, digits)
		if Pack(h) != nil {
			t.Error("an empty histogram travels")
		}
		for _, d := range []int64{0, 1, 1000, 999_999, 1_000_000, 1_000_000, histogramMax - 1, histogramMax, histogramMax + 1} {
			record(h, d)
		}
		if err := h.RecordValues(12345, 1<<40); err != nil {
			t.Fatal(err)
		}
		got, err := Pack(h).Unpack()
		if err != nil || !got.Equals(h) || got.TotalCount() != h.TotalCount() || got.Max() != h.Max() || got.Min() != h.Min() {
			t.Errorf("%d digits: another histogram came out (%v)", digits, err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	h := newHistograms().latency
	record(h, int64(5000))
	record(h, histogramMax)
	f.Add([]byte(Pack(h)))
	for _, p := range []string{"", "\x00", "\x06", "\x03\x01", "\x03\xff\xff\x7f\x01", "\x03\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x03\x80"} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, err := Histogram(p).Unpack(); err == nil && h.TotalCount() > 0 {
			if again, err := Pack(h).Unpack(); err != nil || !again.Equals(h) {
				t.Errorf("%v, %v", again, err)
			}
		}
	})
}
