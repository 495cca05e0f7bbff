// The tracer: from a span that ends to the collector.

package spans

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options are what a Tracer is made of.
type Options struct {
	URL     string  // of the collector; without a path: /v1/traces
	Sample  float64 // the part of what has no parent that is traced, 0 to 1
	Node    string  // service.instance.id
	Version string  // service.version

	// Logger hears of a collector that does not take spans. Nil: nothing is logged.
	Logger *slog.Logger
}

// Tracer sends spans. Any goroutine; nothing blocks but Close.
type Tracer struct {
	// immutable after New
	opt      Options
	provider *sdktrace.TracerProvider
	exporter sdktrace.SpanExporter
	queue    chan *Span
	stop     chan struct{}
	ended    chan struct{}
	once     sync.Once

	// any goroutine
	sent, dropped atomic.Uint64

	// of run
	made  []sdktrace.ReadOnlySpan // spans of the library, of the batch in hand
	ids   ids
	late  time.Time // when the log was last told
	trace trace.Tracer
}

// New makes a tracer, which must be closed. It does not connect: a collector that is not there is
// tried with each batch. The error is that of the URL.
func New(o Options) (*Tracer, error) {
	to, err := url.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	if strings.Trim(to.Path, "/") == "" {
		to.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(to.String()),
		otlptracehttp.WithTimeout(sendTimeout), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		return nil, err
	}
	t := &Tracer{opt: o, exporter: exporter, queue: make(chan *Span, queuedMax), stop: make(chan struct{}), ended: make(chan struct{})}
	if t.opt.Logger == nil {
		t.opt.Logger = slog.New(slog.DiscardHandler)
	}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()), // Begin has decided
		sdktrace.WithIDGenerator(&t.ids), sdktrace.WithSpanProcessor((*collector)(t)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "c100k"),
			attribute.String("service.version", o.Version), attribute.String("service.instance.id", o.Node))))
	t.trace = t.provider.Tracer("c100k")
	go t.run()
	return t, nil
}

// Span is something that is traced. It belongs to one goroutine at a time.
type Span struct {
	tracer     *Tracer
	name       string
	kind       trace.SpanKind
	parent     trace.SpanContext
	id         trace.SpanContext
	start, end time.Time
	attributes []attribute.KeyValue
	failure    string // empty: it went well
}

// Begin begins a span, if it is traced: one whose parent is traced, or a part of those without a
// parent. It returns nil otherwise. It reads a clock only for those that are traced.
func (t *Tracer) Begin(name string, kind trace.SpanKind, parent trace.SpanContext) *Span {
	if t == nil {
		return nil
	}
	traced := parent.IsSampled()
	if !parent.IsValid() {
		traced = rand.Float64() < t.opt.Sample
	}
	if !traced {
		return nil
	}
	s := &Span{tracer: t, name: name, kind: kind, parent: parent, start: time.Now()}
	of := trace.SpanContextConfig{TraceID: parent.TraceID(), TraceFlags: trace.FlagsSampled}
	if !parent.IsValid() {
		of.TraceID = trace.TraceID(randomID())
	}
	id := randomID()
	copy(of.SpanID[:], id[:])
	s.id = trace.NewSpanContext(of)
	return s
}

// randomID is a random id, no half of which is zero.
func randomID() (id [16]byte) {
	for i := 0; i < len(id); i += 8 {
		binary.BigEndian.PutUint64(id[i:], max(rand.Uint64(), 1))
	}
	return id
}

// Header puts the span into the header of a request that is made for it: traceparent.
func (s *Span) Header(h http.Header) {
	if s == nil {
		return
	}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), s.id), propagation.HeaderCarrier(h))
}

// Fail notes that what is traced has failed; what is a label of few values.
func (s *Span) Fail(what string) {
	if s != nil {
		s.failure = what
	}
}

// End ends the span and has it sent.
func (s *Span) End(attributes ...attribute.KeyValue) {
	if s == nil {
		return
	}
	s.end, s.attributes = time.Now(), attributes
	select {
	case s.tracer.queue <- s:
	default:
		s.tracer.dropped.Add(1)
	}
}

// Traced tells whether there is a span, for a caller to whom its attributes cost something.
func (s *Span) Traced() bool { return s != nil }

// Parent is what a request says of the trace that it belongs to, in the header traceparent; not
// valid if it says nothing.
func Parent(h http.Header) trace.SpanContext {
	if h.Get("Traceparent") == "" {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(h)))
}

// Counts is how many spans the collector has taken, and how many were dropped: for want of room, or
// because it did not take them. Any goroutine; nil has none.
func (t *Tracer) Counts() (sent, dropped uint64) {
	if t == nil {
		return 0, 0
	}
	return t.sent.Load(), t.dropped.Load()
}

// ids gives the library the ids that Begin has made.
type ids struct{ next trace.SpanContext }

// NewIDs implements sdktrace.IDGenerator.
func (i *ids) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	return i.next.TraceID(), i.next.SpanID()
}

// NewSpanID implements sdktrace.IDGenerator.
func (i *ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return i.next.SpanID() }

// collector is the sdktrace.SpanProcessor of a Tracer: it keeps what run has made for the batch.
type collector Tracer

// OnStart implements sdktrace.SpanProcessor.
func (*collector) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements sdktrace.SpanProcessor.
func (c *collector) OnEnd(s sdktrace.ReadOnlySpan) { c.made = append(c.made, s) }

// Shutdown implements sdktrace.SpanProcessor.
func (*collector) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdktrace.SpanProcessor.
func (*collector) ForceFlush(context.Context) error { return nil }

// run makes spans of the library and sends them, until Close.
func (t *Tracer) run() {
	defer close(t.ended)
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for {
		select {
		case s := <-t.queue:
			if t.make(s); len(t.made) >= batchMax {
				t.send(sendTimeout)
			}
		case <-tick.C:
			t.send(sendTimeout)
		case <-t.stop:
			for len(t.queue) > 0 {
				t.make(<-t.queue)
			}
			t.send(closeTimeout)
			return
		}
	}
}

func (t *Tracer) make(s *Span) {
	ctx := context.Background()
	if s.parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, s.parent)
	}
	t.ids.next = s.id
	_, span := t.trace.Start(ctx, s.name, trace.WithTimestamp(s.start), trace.WithSpanKind(s.kind), trace.WithAttributes(s.attributes...))
	if s.failure != "" {
		span.SetStatus(codes.Error, s.failure)
	}
	span.End(trace.WithTimestamp(s.end))
}

func (t *Tracer) send(within time.Duration) {
	if len(t.made) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	err := t.exporter.ExportSpans(ctx, t.made)
	cancel()
	if err == nil {
		t.sent.Add(uint64(len(t.made)))
	} else {
		t.dropped.Add(uint64(len(t.made)))
		if now := time.Now(); t.late.IsZero() || now.Sub(t.late) >= complainEvery {
			t.late = now
			t.opt.Logger.Warn("the collector of traces does not take spans", "err", err, "dropped", t.dropped.Load())
		}
	}
	clear(t.made)
	t.made = t.made[:0]
}

// Close sends what waits, as far as the collector takes it in closeTimeout. Nil has nothing.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	t.once.Do(func() {
		close(t.stop)
		<-t.ended
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = t.provider.Shutdown(ctx) // its processor has nothing to flush
		_ = t.exporter.Shutdown(ctx)
	})
}
