// Spans and a collector that takes them, hangs, or is not there.

package spans

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const parentText = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// collect is a collector; its spans come out of the channel.
func collect(t *testing.T) (url string, got chan *tracepb.Span) {
	got = make(chan *tracepb.Span, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collectorpb.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &sent) != nil {
			t.Errorf("%s: %d bytes, %v", r.URL.Path, len(body), err)
		}
		for _, of := range sent.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				for _, span := range scope.Spans {
					got <- span
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestSpans(t *testing.T) {
	url, got := collect(t)
	tracer, err := New(Options{URL: url, Sample: 1, Node: "a/1", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	parent := Parent(http.Header{"Traceparent": {parentText}})
	child := tracer.Begin("publish", trace.SpanKindProducer, parent)
	sent := http.Header{}
	child.Header(sent)
	child.Fail("refused")
	child.End(attribute.Int("matched", 3))
	tracer.Begin("hook", trace.SpanKindClient, trace.SpanContext{}).End()
	tracer.Close()
	tracer.Close()
	first, second := <-got, <-got
	if id := trace.TraceID(first.TraceId); first.Name != "publish" || id != parent.TraceID() || trace.SpanID(first.ParentSpanId) != parent.SpanID() ||
		first.Status.Message != "refused" || first.EndTimeUnixNano < first.StartTimeUnixNano || len(first.Attributes) != 1 {
		t.Errorf("%v", first)
	}
	if given := Parent(sent); given.TraceID() != parent.TraceID() || given.SpanID() != trace.SpanID(first.SpanId) || !given.IsSampled() {
		t.Errorf("the header has %v", sent)
	}
	if second.Name != "hook" || len(second.ParentSpanId) != 0 || trace.TraceID(second.TraceId) == parent.TraceID() {
		t.Errorf("%v", second)
	}
	if sent, dropped := tracer.Counts(); sent != 2 || dropped != 0 {
		t.Errorf("%d sent, %d dropped", sent, dropped)
	}
}

// TestSampling: the parent decides, if there is one. Without a tracer nothing is done.
func TestSampling(t *testing.T) {
	url, _ := collect(t)
	tracer, err := New(Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer tracer.Close()
	for text, want := range map[string]bool{
		"": false, parentText: true, parentText[:len(parentText)-1] + "0": false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01": false, // no parent, and Sample is 0
		"x": false,
	} {
		if s := tracer.Begin("a", trace.SpanKindProducer, Parent(http.Header{"Traceparent": {text}})); s.Traced() != want {
			t.Errorf("%q: traced %v, want %v", text, s.Traced(), want)
		}
	}
	var off *Tracer
	s := off.Begin("a", trace.SpanKindProducer, Parent(http.Header{"Traceparent": {parentText}}))
	s.Header(nil)
	s.Fail("x")
	s.End()
	off.Close()
	if sent, dropped := off.Counts(); s.Traced() || sent != 0 || dropped != 0 {
		t.Error("a tracer that is off traces")
	}
	if n := testing.AllocsPerRun(100, func() { off.Begin("a", trace.SpanKindProducer, trace.SpanContext{}).End() }); n != 0 {
		t.Errorf("%v allocations while it is off", n)
	}
}

// TestCollectorThatHangs: nothing waits, and what finds no room is counted.
func TestCollectorThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	tracer, err := New(Options{URL: server.URL, Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	const all = queuedMax + 2*batchMax
	for range all {
		tracer.Begin("a", trace.SpanKindProducer, trace.SpanContext{}).End()
	}
	for end := time.Now().Add(30 * time.Second); len(tracer.queue) < queuedMax-batchMax && time.Now().Before(end); {
		tracer.Begin("a", trace.SpanKindProducer, trace.SpanContext{}).End()
	}
	close(release)
	tracer.Close()
	if sent, dropped := tracer.Counts(); sent != 0 || dropped < all {
		t.Errorf("%d sent, %d dropped, want all", sent, dropped)
	}
	if _, err := New(Options{URL: "http://a b"}); err == nil {
		t.Error("a URL with a space is taken")
	}
}

func FuzzParent(f *testing.F) {
	for _, s := range []string{parentText, "", "00-0-0-0", "ff-" + parentText[3:], parentText + "-x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if of := Parent(http.Header{"Traceparent": {text}}); of.IsValid() {
			h := http.Header{}
			(&Span{id: of}).Header(h)
			if again := Parent(h); again.TraceID() != of.TraceID() || again.SpanID() != of.SpanID() {
				t.Errorf("%q becomes %q", text, h)
			}
		}
	})
}
