// The watchdog, on real loops: one that is blocked in a call is found, named with its stack, and
// found well again.

package server

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"c100k/netpoll"
)

// blockInHandler is on the stack of a loop that is blocked.
func blockInHandler(entered chan<- struct{}, release <-chan struct{}) {
	close(entered)
	<-release
}

func TestStuckLoop(t *testing.T) {
	log := new(bytes.Buffer)
	c := Defaults()
	c.Loops, c.Dev, c.Admin = 2, true, ""
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.watchdog.end() // the test looks by itself
	beats := 0
	s.watchdog = newWatchdog([]*netpoll.Loop{s.reactors[0].loop, s.reactors[1].loop}, slog.New(slog.NewTextHandler(log, nil)), func() { beats++ })
	go s.watchdog.run(1 << 62)
	readyz := func() (int, string) {
		h, err := s.AdminHandler()
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "http://127.0.0.1/readyz", nil))
		return w.Code, w.Body.String()
	}

	for _, r := range s.reactors { // what newWatchdog has posted is done
		for !r.loop.Remote().Asleep() {
			runtime.Gosched()
		}
	}
	entered, release := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(release) })
	defer goOn() // before Close, which waits for the loop
	s.reactors[1].loop.Remote().Post(func(*netpoll.Loop) { blockInHandler(entered, release) })
	<-entered
	for s.watchdog.loops[1].looks < stuckLooks {
		if status, text := readyz(); status != http.StatusOK {
			t.Fatalf("after %d looks: %s", s.watchdog.loops[1].looks, text)
		}
		s.watchdog.look()
	}
	if status, text := readyz(); status != http.StatusServiceUnavailable || !strings.Contains(text, "loop 1 is stuck") {
		t.Errorf("readiness: %d %s", status, text)
	}
	s.watchdog.look() // said once
	if text := log.String(); strings.Count(text, "loop is stuck") != 1 || !strings.Contains(text, "server.blockInHandler") || strings.Contains(text, "loop=0") {
		t.Errorf("the log: %s", text)
	}
	if beats != 0 {
		t.Error("a node with a stuck loop gives signs of life")
	}

	goOn()
	for !s.watchdog.look() { // until it sleeps, or has ended a turn
		runtime.Gosched()
	}
	if status, text := readyz(); status != http.StatusOK {
		t.Errorf("readiness afterwards: %d %s", status, text)
	}
	if !strings.Contains(log.String(), "loop runs again") {
		t.Errorf("the log: %s", log)
	}
}
