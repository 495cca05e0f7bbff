// A histogram as a metric: with the buckets that every scraper takes, and with those of a native
// histogram for one that wants protocol buffers.

package admin

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"c100k/internal/figures"
)

// histogram is a prometheus.Metric. The library's constant ones are either native or not.
type histogram struct {
	desc *prometheus.Desc
	read figures.HistogramSnapshot
}

// Desc implements prometheus.Metric.
func (h *histogram) Desc() *prometheus.Desc { return h.desc }

// Write implements prometheus.Metric.
func (h *histogram) Write(out *dto.Metric) error {
	to := &dto.Histogram{SampleCount: proto.Uint64(h.read.Count()), SampleSum: proto.Float64(h.read.Sum)}
	exemplars := map[int]*dto.Exemplar{}
	for i := range h.read.Exemplars {
		exemplars[h.read.Exemplars[i].Bucket] = exemplarOf(&h.read.Exemplars[i])
	}
	var n uint64
	for i, bound := range h.read.Bounds {
		n += h.read.Counts[i]
		to.Bucket = append(to.Bucket, &dto.Bucket{CumulativeCount: proto.Uint64(n), UpperBound: proto.Float64(bound), Exemplar: exemplars[i]})
	}
	if e := exemplars[len(h.read.Bounds)]; e != nil { // the bucket of the rest is written by itself otherwise
		to.Bucket = append(to.Bucket, &dto.Bucket{CumulativeCount: to.SampleCount, UpperBound: proto.Float64(math.Inf(1)), Exemplar: e})
	}
	if h.read.Native != nil {
		addNative(to, h.read.Native)
		for _, e := range exemplars {
			to.Exemplars = append(to.Exemplars, e)
		}
	}
	out.Histogram = to
	return nil
}

func exemplarOf(e *figures.Exemplar) *dto.Exemplar {
	return &dto.Exemplar{
		Label: []*dto.LabelPair{{Name: proto.String("trace_id"), Value: proto.String(e.TraceID)}},
		Value: proto.Float64(e.Seconds), Timestamp: timestamppb.New(e.At),
	}
}

// addNative adds the buckets of a native histogram: spans of buckets that have something, and of
// each bucket by how much it differs from the one before.
func addNative(to *dto.Histogram, n *figures.Native) {
	to.Schema, to.ZeroThreshold, to.ZeroCount = proto.Int32(figures.NativeSchema), proto.Float64(figures.NativeZero), proto.Uint64(n.Zero)
	last, next := int64(0), 0 // of the bucket before; the index behind the last span
	for i, count := range n.Counts {
		if count == 0 {
			continue
		}
		if at := n.First + i; len(to.PositiveSpan) == 0 || at != next {
			to.PositiveSpan = append(to.PositiveSpan, &dto.BucketSpan{Offset: proto.Int32(int32(at - next)), Length: proto.Uint32(0)})
		}
		span := to.PositiveSpan[len(to.PositiveSpan)-1]
		*span.Length++
		to.PositiveDelta = append(to.PositiveDelta, int64(count)-last)
		last, next = int64(count), n.First+i+1
	}
	if len(to.PositiveSpan) == 0 { // a native histogram has one, or it is taken for one of the other kind
		to.PositiveSpan = []*dto.BucketSpan{{Offset: proto.Int32(0), Length: proto.Uint32(0)}}
	}
}
