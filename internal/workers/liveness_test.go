// Workers that hang: out of the accept rotation, back again, killed and replaced.

package workers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// neverOut is for tests of the time before a hung worker is noticed.
func neverOut(o *Options) { o.Liveness = Liveness{Out: time.Hour, Kill: time.Hour} }

func TestSigns(t *testing.T) {
	s := newSigns()
	defer s.close()
	ctx, done := s.whileAlive(t.Context())
	defer done()
	for i := 1; i <= 3; i++ {
		if silent := s.look(time.Second); silent != time.Duration(i)*time.Second {
			t.Errorf("look %d without a beat: %v", i, silent)
		}
	}
	if s.silence() != nil || ctx.Err() != nil {
		t.Error("out before somebody has said so")
	}
	if !s.setOut(true) || s.setOut(true) {
		t.Error("it is out once")
	}
	<-ctx.Done()
	if err := s.silence(); err == nil || !strings.Contains(err.Error(), "no sign of life for 3s") {
		t.Errorf("silence: %v", err)
	}
	s.beat()
	s.beat()
	if silent := s.look(time.Second); silent != 0 {
		t.Errorf("after a beat: %v", silent)
	}
	if !s.setOut(false) || s.silence() != nil {
		t.Error("it is not back")
	}
	ctx, done = s.whileAlive(t.Context())
	defer done()
	if ctx.Err() != nil {
		t.Error("it is back, and nobody waits for it")
	}
}

// connectAll makes new connections, each with a request, and expects an answer to each. There are
// enough of them that every worker gets at least one.
func (r *running) connectAll() {
	r.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for i := range 60 {
		response, err := client.Get("http://" + r.public + "/")
		if err != nil {
			r.t.Fatalf("connection %d: %v\n%s", i, err, r.log)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

// TestHungWorkerIsOut: a worker that is silent gets no new connections, readiness and figures say
// so, and nothing waits for it; it gets connections again when it goes on.
func TestHungWorkerIsOut(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Liveness = Liveness{Beat: 20 * time.Millisecond, Out: 2 * time.Second, Kill: time.Hour}
	})
	pid := r.stats().Workers[2].PID
	r.hang(pid)
	var text string
	r.eventually("readiness says so", func() error {
		if r.ask("GET", "/readyz", "", &text); !strings.Contains(text, "worker 2: hangs: no sign of life") {
			return errors.New(text)
		}
		return nil
	})
	r.connectAll()
	if w := r.stats().Workers[2]; w.State != "silent" || !strings.Contains(w.Note, "no sign of life") {
		t.Errorf("figures: %+v", w)
	}
	if r.ask("GET", "/v1/topics", "", &text); !strings.Contains(text, "worker 2: hangs") {
		t.Errorf("topics: %s", text)
	}
	if status := r.ask("DELETE", "/v1/connections/0200000100000001", "", &text); status != 503 || !strings.Contains(text, "no sign of life") {
		t.Errorf("a connection of the hung worker: %d %s", status, text)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.eventually("it is well again", func() error {
		if status := r.ask("GET", "/readyz", "", &text); status != 200 || text != "ok\n" {
			return errors.New(text)
		}
		return nil
	})
	before := r.stats().Loops[2].Turns
	r.eventually("it gets connections", func() error {
		r.connectAll()
		if now := r.stats(); now.Workers[2].PID != pid || now.Loops[2].Turns < before+10 {
			return fmt.Errorf("%+v, %d turns", now.Workers[2], now.Loops[2].Turns-before)
		}
		return nil
	})
}

// TestHungWorkerIsReplaced: a worker that stays silent is killed, and another has its place.
func TestHungWorkerIsReplaced(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Liveness = Liveness{Beat: 20 * time.Millisecond, Out: 2 * time.Second, Kill: 4 * time.Second}
	})
	pid := r.stats().Workers[1].PID
	r.hang(pid)
	r.eventually("another worker serves in its place", func() error {
		if w := r.stats().Workers[1]; w.PID == pid || w.State != "serving" || w.Restarts == 0 {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
	if !strings.Contains(r.log.String(), "worker hangs and is killed") {
		t.Errorf("the log does not say why:\n%s", r.log)
	}
	r.connectAll()
}

// TestDrainWithAHungWorker: a drain does not wait for a worker that hangs.
func TestDrainWithAHungWorker(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Liveness = Liveness{Beat: 20 * time.Millisecond, Out: 2 * time.Second, Kill: time.Hour}
	})
	r.hang(r.stats().Workers[0].PID)
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	text := r.log.String()
	if !strings.Contains(text, "worker hangs and is killed") || strings.Contains(text, "have not drained in time") {
		t.Errorf("the log:\n%s", text)
	}
}
