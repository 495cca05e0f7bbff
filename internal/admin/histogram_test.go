// What scrapers get of a histogram, by what they accept.

package admin

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"c100k/internal/figures"
)

// traced is a node whose fan-out of 900 µs belonged to a trace.
func traced() *figures.Reading {
	var h figures.Histogram
	h.ObserveN(900*time.Microsecond, 10)
	h.Observe(time.Second)
	h.Observe(time.Hour)
	h.Trace(900*time.Microsecond, &[16]byte{0xab}, time.Unix(1_800_000_000, 0))
	h.Trace(time.Hour, &[16]byte{0xcd}, time.Unix(1_800_000_000, 0))
	return figures.Read(&figures.Source{Loops: []figures.Loop{{FanoutTimes: h.Snapshot()}}})
}

func TestHistogramByFormat(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector(traced))
	ts, _ := newAPIServer(t, Config{Metrics: registry})
	get := func(accept string) response {
		return do(t, ts, request{method: "GET", path: "/metrics", header: []string{"Accept: " + accept}})
	}
	const bucket = `c100k_publish_fanout_seconds_bucket{le="0.001024"} 10`
	if got := get("text/plain"); !strings.Contains(got.body, bucket+"\n") || strings.Contains(got.body, "trace_id") {
		t.Error("text: the bucket is not there, or it has an exemplar")
	}
	got := get("application/openmetrics-text; version=1.0.0")
	if want := bucket + ` # {trace_id="ab000000000000000000000000000000"} 0.0009 1.8e+09` + "\n"; !strings.Contains(got.body, want) || !strings.HasSuffix(got.body, "# EOF\n") {
		t.Errorf("OpenMetrics: no %q", want)
	}
	got = get(`application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited`)
	decoder := expfmt.NewDecoder(bytes.NewReader([]byte(got.body)), expfmt.NewFormat(expfmt.TypeProtoDelim))
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err != nil {
			t.Fatal("no histogram of the fan-out: ", err)
		}
		if family.GetName() != "c100k_publish_fanout_seconds" {
			continue
		}
		h := family.Metric[0].GetHistogram()
		if h.GetSampleCount() != 12 || len(h.Bucket) != 23 || len(h.Exemplars) != 2 || h.GetSchema() != figures.NativeSchema {
			t.Errorf("%v", h)
		}
		// What the spans and deltas say is where 900 µs, 1 s and more than 32 s are.
		var have []float64
		index, count := 0, int64(0)
		deltas := h.PositiveDelta
		for _, span := range h.PositiveSpan {
			index += int(span.GetOffset())
			for range span.GetLength() {
				count += deltas[0]
				deltas = deltas[1:]
				have = append(have, math.Exp2(float64(index)/8), float64(count))
				index++
			}
		}
		if len(deltas) != 0 || len(have) != 6 || have[0] < 900e-6 || have[0] > 982e-6 || have[1] != 10 || have[2] != 1 || have[3] != 1 || have[4] != 32 || have[5] != 1 {
			t.Errorf("buckets %v of %v", have, h)
		}
		return
	}
}
