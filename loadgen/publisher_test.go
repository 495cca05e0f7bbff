// The publisher against servers that accept, refuse and lose messages.

package loadgen

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"c100k/loadgen/swarm"
)

// wall is a server that stores posted messages, and refuses every third.
type wall struct {
	mu     sync.Mutex // guards the fields below
	posts  int
	kept   map[string][]uint64 // by path: numbers of the messages
	seen   chan struct{}       // closed when there are enough
	enough int
	leaked bool
}

func (w *wall) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posts++
	w.leaked = w.leaked || r.Header.Get("Authorization") != "" || r.Header.Get("X-Key") != "for the publisher"
	if token, at := swarm.FindToken(body); err == nil && at == 0 && len(body) == 100 && w.posts%3 != 0 {
		w.kept[r.URL.Path] = append(w.kept[r.URL.Path], token.Seq)
	} else {
		http.Error(out, "no", http.StatusServiceUnavailable)
	}
	if w.posts == w.enough {
		close(w.seen)
	}
}

func TestPublisher(t *testing.T) {
	w := &wall{kept: map[string][]uint64{}, seen: make(chan struct{}), enough: 90}
	server := httptest.NewServer(w)
	defer server.Close()
	o := DefaultOptions()
	o.URL, o.Mode, o.Size, o.Topic, o.Topics = "ws://127.0.0.1/?{topic}", swarm.Subscribe, 100, "a", 3
	o.PublishURL, o.PublishRate, o.PublishHeader = server.URL+"/v1/{topic}", 3000, [][2]string{{"X-Key", "for the publisher"}}
	o.Header = [][2]string{{"Authorization", "Bearer for-the-target"}}
	p, err := newPublisher(t.Context(), &o, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	p.start()
	<-w.seen
	p.stop(publishTimeout)
	published := p.published()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaked {
		t.Error("the publisher's requests do not have its header lines, or have those of the target")
	}
	total := uint64(0)
	for i, path := range []string{"/v1/a.0", "/v1/a.1", "/v1/a.2"} {
		// The number of a refused message is used again: the accepted numbers have no gaps and are in
		// order.
		want := make([]uint64, published[i])
		for n := range want {
			want[n] = uint64(n)
		}
		if !slices.Equal(w.kept[path], want) {
			t.Errorf("%s: %v, want 0 to %d", path, w.kept[path], published[i])
		}
		total += published[i]
	}
	if p.sent.Load() != total || p.failures()["http 503"] != uint64(w.posts)-total || p.sent.Load()+p.failures()["http 503"]+p.unsent.Load() != p.due.Load() {
		t.Errorf("sent %d, failed %v, unsent %d, due %d; the server kept %d of %d", p.sent.Load(), p.failures(), p.unsent.Load(), p.due.Load(), total, w.posts)
	}
}

// TestPublisherTooFast: a publisher whose rate cannot be reached is late, and still ends in time.
func TestPublisherTooFast(t *testing.T) {
	w := &wall{kept: map[string][]uint64{}, seen: make(chan struct{}), enough: 3}
	server := httptest.NewServer(w)
	defer server.Close()
	o := DefaultOptions()
	o.Size, o.PublishURL, o.PublishRate, o.PublishHeader = 100, server.URL, RateMax, [][2]string{{"X-Key", "for the publisher"}}
	p, err := newPublisher(t.Context(), &o, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	p.start()
	<-w.seen
	p.stop(0)
	if p.unsent.Load() == 0 || p.due.Load() < p.sent.Load()+p.unsent.Load() {
		t.Errorf("due %d, sent %d, unsent %d", p.due.Load(), p.sent.Load(), p.unsent.Load())
	}
}

// TestDeafServer: a publish that the server does not read ends with the run, before its own
// timeout.
func TestDeafServer(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, _, _, err := ws.UpgradeHTTP(r, w); err == nil {
			defer conn.Close()
			<-over
		}
	}))
	defer server.Close()
	defer close(over)
	o := DefaultOptions()
	o.Size, o.PublishURL, o.PublishRate, o.Protocol = SizeMax, "ws"+strings.TrimPrefix(server.URL, "http"), 1000, swarm.Raw
	p, err := newPublisher(t.Context(), &o, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	p.start()
	for p.due.Load() < p.sent.Load()+100 { // the socket is full, and more is waiting
		runtime.Gosched()
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.stop(publishTimeout)
		p.close()
	}()
	p.abandon()
	select {
	case <-stopped:
	case <-time.After(publishTimeout / 2):
		t.Fatal("it waits for a server that does not read")
	}
}

func TestPublisherRefused(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"several topics, one address": func(o *Options) { o.Topics, o.PublishURL = 2, "http://127.0.0.1/v1/a" },
		"nobody there":                func(o *Options) { o.PublishURL = "ws://127.0.0.1:1/" },
	} {
		o := DefaultOptions()
		o.Topic = "a"
		change(&o)
		if _, err := newPublisher(t.Context(), &o, 1, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestPublisherUnsure: the number of a message that cannot have reached the server is used again; a
// message that may have reached it is not expected.
func TestPublisherUnsure(t *testing.T) {
	read := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	defer read.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	for name, test := range map[string]struct {
		url       string
		closed    bool
		published uint64
		unsure    uint64
		reason    string
	}{
		"read and not answered": {read.URL, false, 1, 1, "connection lost"},
		"nobody listens":        {gone.URL, true, 0, 0, "refused"},
	} {
		o := DefaultOptions()
		o.PublishURL = test.url
		p, err := newPublisher(t.Context(), &o, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		if test.closed {
			gone.Close()
		}
		message := swarm.AppendMessage(nil, swarm.Token{Run: 1}, o.Size)
		outcome, err := p.lanes[0].publish(t.Context(), 0, [][]byte{message})
		p.note(0, outcome, err, 0)
		if p.published()[0] != test.published || p.unsure()[0] != test.unsure || p.failures()[test.reason] != 1 {
			t.Errorf("%s: published %v, unsure %v, failed %v", name, p.published(), p.unsure(), p.failures())
		}
		p.close()
	}
}
