// What a publish over the API costs, without the network and without the delivery.

package admin

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"c100k/broadcast"
)

// BenchmarkPublishBody is the body of a batch alone: one strict pass, payloads cut out of it.
func BenchmarkPublishBody(b *testing.B) {
	body := []byte(`[{"topic":"news.sport","data":"a short text"},{"topics":["a","b"],"data":{"x":1,"y":[1,2,3],"z":"text"}}]`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		parsePublish(body, MessageBytesMaxDefault)
	}
}

// muteNode takes every message and keeps none.
type muteNode struct{ fakeNode }

func (*muteNode) Publish(string, broadcast.Kind, []byte) (broadcast.Result, error) {
	return broadcast.Result{Matched: 1, Queued: 1}, nil
}

// muteWriter is an answer that nobody reads.
type muteWriter struct {
	header http.Header
	status int
}

func (w *muteWriter) Header() http.Header         { return w.header }
func (w *muteWriter) WriteHeader(status int)      { w.status = status }
func (w *muteWriter) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkPublishAPI is one request of 64 bytes of payload, or of 1 KiB, through the whole
// handler: its path, its checks, its body, its answer. The publish itself is BenchmarkPublish of
// package broadcast; what net/http adds for the connection is not in it.
func BenchmarkPublishAPI(b *testing.B) {
	small, large := strings.Repeat("x", 64), strings.Repeat("x", 1<<10)
	for _, c := range []struct{ name, path, contentType, body string }{
		{"topic/64", "/v1/topics/news", "text/plain", small},
		{"topic/1024", "/v1/topics/news", "text/plain", large},
		{"publish/64", "/v1/publish", "application/json", `{"topic":"news","data":"` + small + `"}`},
		{"publish/1024", "/v1/publish", "application/json", `{"topic":"news","data":"` + large + `"}`},
		{"batch16/64", "/v1/publish", "application/json", "[" + strings.Repeat(`{"topic":"news","data":"`+small+`"},`, 15) + `{"topic":"news","data":"` + small + `"}]`},
	} {
		b.Run(c.name, func(b *testing.B) {
			handler := New(Config{Node: new(muteNode)})
			body := strings.NewReader(c.body)
			r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1"+c.path, io.NopCloser(body))
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Content-Type", c.contentType)
			r.ContentLength = int64(len(c.body))
			r.RequestURI = c.path
			r.RemoteAddr = "127.0.0.1:1"
			w := &muteWriter{header: make(http.Header)}
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(c.body)
				w.status = http.StatusOK
				handler.ServeHTTP(w, r)
				if w.status != http.StatusOK {
					b.Fatal(w.status)
				}
			}
		})
	}
}
