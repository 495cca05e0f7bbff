// The buckets of native histograms against their definition, and sums of them.

package figures

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNativeBuckets(t *testing.T) {
	for _, d := range []time.Duration{953, 954, 1 << 10, 1000, 1537, time.Microsecond * 77, time.Millisecond, 125 * time.Millisecond,
		125*time.Millisecond + 1, time.Second, time.Second + 1, 31 * time.Second, 32 * time.Second} {
		var h Histogram
		h.ObserveN(d, 3)
		n := h.Snapshot().Native
		if d.Seconds() <= NativeZero {
			if n.Zero != 3 || len(n.Counts) != 0 {
				t.Errorf("%v: %+v, want it in the zero bucket", d, n)
			}
			continue
		}
		if len(n.Counts) != 1 || n.Counts[0] != 3 || n.Zero != 0 {
			t.Errorf("%v: %+v", d, n)
			continue
		}
		low, high := math.Exp2(float64(n.First-1)/8), math.Exp2(float64(n.First)/8)
		if v := d.Seconds(); v <= low || v > high {
			t.Errorf("%v is in the bucket from %v to %v", d, low, high)
		}
	}
	var h Histogram
	if h.Snapshot().Native != nil {
		t.Error("an empty histogram has buckets")
	}
	h.Observe(time.Hour)
	if n := h.Snapshot().Native; n.First != fineLast {
		t.Errorf("an hour is in bucket %d", n.First)
	}
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestNativeSums: snapshots of loops add up, go over a link, and what no process counts is refused.
func TestNativeSums(t *testing.T) {
	var x, y Histogram
	x.ObserveN(time.Millisecond, 2)
	y.Observe(time.Second)
	y.Observe(1)
	at := time.Unix(1_800_000_000, 0).UTC()
	x.Trace(time.Millisecond, &[16]byte{1}, at)
	y.Trace(time.Millisecond, &[16]byte{2}, at.Add(time.Second))
	y.Trace(time.Second, &[16]byte{3}, at)
	var sum HistogramSnapshot
	sum.Add(x.Snapshot())
	sum.Add(HistogramSnapshot{Bounds: x.Snapshot().Bounds, Counts: make([]uint64, histogramBounds+1)}) // of one that counts no fine buckets
	sum.Add(y.Snapshot())
	if n := sum.Native; n.Zero != 1 || n.First != -79 || len(n.Counts) != 80 || n.Counts[0] != 2 || n.Counts[79] != 1 {
		t.Errorf("%+v", n)
	}
	if e := sum.Exemplars; len(e) != 2 || e[0].TraceID[:2] != "02" || e[1].TraceID[:2] != "03" {
		t.Errorf("%+v", e)
	}
	r := Read(&Source{Loops: []Loop{{FanoutTimes: sum}}})
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	again := new(Reading)
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sum, again.At("publish_fanout_seconds").Histogram); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string]string{
		"a bucket that there is not": `"native":{"zero":0,"first":-1000,"counts":[1]}`,
		"too many":                   `"native":{"zero":0,"first":40,"counts":[1,1]}`,
		"an exemplar of no bucket":   `"exemplars":[{"bucket":9,"trace_id":"01000000000000000000000000000000"}]`,
		"an exemplar without an id":  `"exemplars":[{"bucket":0,"trace_id":"x"}]`,
	} {
		if err := json.Unmarshal([]byte(`{"publish_fanout_seconds":{"bounds":[1],"counts":[1,0],"sum":0,`+bad+`}}`), new(Reading)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
