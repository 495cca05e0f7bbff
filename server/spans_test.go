// A publish with a traceparent: a span at the collector, an exemplar among the metrics, and a
// header at the hook.

package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"c100k/broadcast"
	"c100k/internal/admin"
)

func TestTraces(t *testing.T) {
	spans := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var sent collectorpb.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &sent); err != nil {
			t.Error(err)
		}
		for _, of := range sent.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				for _, span := range scope.Spans {
					spans <- span.Name
				}
			}
		}
	}))
	defer collector.Close()
	headers := make(chan string, 10)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header.Get("Traceparent")
		_, _ = io.WriteString(w, `{"allow":true}`)
	}))
	defer backend.Close()
	s := start(t, Config{Dev: true, Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 1, OTLP: collector.URL, OTLPSample: 1, HookConnect: backend.URL})
	c := dialWS(t, s.Addr().String(), "/ws?topic=a")
	defer c.Close()
	call := func(method, path, body string, header ...string) string {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+s.AdminAddr().String()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d, %v: %s", method, path, answer.StatusCode, err, text)
		}
		return string(text)
	}
	const id = "0af7651916cd43dd8448eb211c80319c"
	call("POST", "/v1/topics/a", "x", "Traceparent", "00-"+id+"-b7ad6b7169203331-01")
	eventually(t, "an exemplar", func() bool {
		return strings.Contains(call("GET", "/metrics", "", "Accept", "application/openmetrics-text"), `# {trace_id="`+id+`"}`)
	})
	if h := <-headers; !strings.HasPrefix(h, "00-") || !strings.HasSuffix(h, "-01") {
		t.Errorf("the hook got traceparent %q", h)
	}
	if _, err := s.Publish("a", broadcast.Text, []byte("y")); err != nil {
		t.Fatal(err)
	}
	_ = s.Close() // sends what waits
	got := map[string]int{}
	for len(spans) > 0 {
		got[<-spans]++
	}
	if got["publish"] != 2 || got["hook connect"] != 1 {
		t.Errorf("the collector got %v", got)
	}
}

// TestTraceGoesOverTheBus: the id of a trace and who has published are in front of a payload, both
// or either, and what is cut short is no post.
func TestTraceGoesOverTheBus(t *testing.T) {
	id := [16]byte{1, 2, 3}
	for _, post := range []broadcast.Post{
		{Kind: broadcast.JSON, Payload: []byte("{}")},
		{Kind: broadcast.Text, Payload: []byte("x"), From: "u17"},
		{Kind: broadcast.Binary, Payload: []byte("x"), Trace: &id},
		{Kind: broadcast.Binary, Payload: []byte{}, Trace: &id, From: "u17"},
	} {
		m := onBus("a", &post)
		got, ok := postOf(m)
		if !ok || got.Kind != post.Kind || string(got.Payload) != string(post.Payload) || got.From != post.From || (got.Trace == nil) != (post.Trace == nil) || got.Trace != nil && *got.Trace != id {
			t.Errorf("%+v became %+v", post, got)
		}
		for n := range len(m.Payload) - len(post.Payload) {
			short := m
			short.Payload = m.Payload[:n]
			if _, ok := postOf(short); ok && len(post.Payload) > 0 {
				t.Errorf("%+v: %d bytes are a post", post, n)
			}
		}
	}
	if (&admin.Publication{}).TraceID() != nil {
		t.Error("a publish without a trace has one")
	}
}
