// The publisher's closed loop.

package loadgen

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"c100k/loadgen/swarm"
)

func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRounds(1, 2)
		begin := time.Now()
		go func() {
			r.hear(0, 3)
			time.Sleep(time.Second)
			r.hear(1, 2)
			time.Sleep(time.Second)
			r.giveUp(1)
		}()
		r.await(t.Context(), 2)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("two messages were with all after %v, want one second: the slowest process counts", took)
		}
		r.await(t.Context(), 3)
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("three after %v, want two seconds: one was given up", took)
		}
		begin = time.Now()
		r.await(t.Context(), 4)
		if took := time.Since(begin); took != roundWithin {
			t.Errorf("what never comes was waited for %v, want %v", took, roundWithin)
		}
	})
}

// TestClosedLoop: a message is published when all listeners have the one before it.
func TestClosedLoop(t *testing.T) {
	posts := make(chan uint64)
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		token, _ := swarm.FindToken(body)
		select {
		case posts <- token.Seq:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	o := DefaultOptions()
	o.URL, o.Mode, o.InFlight, o.PublishURL = "ws://127.0.0.1/", swarm.Subscribe, 2, server.URL
	p, err := newPublisher(t.Context(), &o, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	p.start()
	for want := range uint64(6) {
		if got := <-posts; got != want {
			t.Errorf("message %d is published, want %d", got, want)
		}
		if want > 0 { // the first two may go out by themselves
			if n := p.due.Load(); n > want+1 {
				t.Errorf("%d were handed out while %d had been heard", n, want-1)
			}
			p.heard(0, want)
		}
	}
	p.stop(0)
}

// TestForget: messages published before the measured part do not count, and numbering continues.
func TestForget(t *testing.T) {
	posts := make(chan uint64, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		token, _ := swarm.FindToken(body)
		posts <- token.Seq
	}))
	defer server.Close()
	o := DefaultOptions()
	o.URL, o.Mode, o.InFlight, o.PublishURL = "ws://127.0.0.1/", swarm.Subscribe, 1, server.URL
	p, err := newPublisher(t.Context(), &o, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	for run := range uint64(3) {
		p.start()
		if seq := <-posts; seq != run {
			t.Errorf("run %d begins with number %d", run, seq)
		}
		p.stop(publishTimeout)
		if p.sent.Load() != 1 || p.published()[0] != run+1 {
			t.Errorf("run %d: %d sent, %d published", run, p.sent.Load(), p.published()[0])
		}
		p.forget()
	}
}
