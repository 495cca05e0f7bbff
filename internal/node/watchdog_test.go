// The watchdog, on real loops: one that is blocked in a call is found, named with its stack, and
// found well again.

package node

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"

	"c100k/internal/edge"
	"c100k/netpoll"
)

// blockInHandler is on the stack of a loop that is blocked.
func blockInHandler(entered chan<- struct{}, release <-chan struct{}) {
	close(entered)
	<-release
}

func TestStuckLoop(t *testing.T) {
	log := new(bytes.Buffer)
	n, err := New(Config{Loops: 2, Admission: &edge.Admission{Max: 10}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	n.watchdog.end() // the test looks by itself
	w := newWatchdog([]*netpoll.Loop{n.Loop(0), n.Loop(1)}, slog.New(slog.NewTextHandler(log, nil)), func() {})
	n.watchdog = w
	go w.run(1 << 62)
	for _, r := range n.reactors { // what newWatchdog has posted is done
		for !r.loop.Remote().Asleep() {
			runtime.Gosched()
		}
	}
	entered, release := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(release) })
	defer goOn() // before Close, which waits for the loop
	n.reactors[1].loop.Remote().Post(func(*netpoll.Loop) { blockInHandler(entered, release) })
	<-entered
	for w.loops[1].looks < stuckLooks {
		if err := n.Stuck(); err != nil {
			t.Fatalf("after %d looks: %v", w.loops[1].looks, err)
		}
		w.look()
	}
	if w.look() {
		t.Error("all loops are alive")
	}
	if err := n.Stuck(); err == nil || !strings.Contains(err.Error(), "loop 1 is stuck in a call") {
		t.Errorf("stuck: %v", err)
	}
	w.look() // said once
	if text := log.String(); strings.Count(text, "loop is stuck") != 1 || !strings.Contains(text, "node.blockInHandler") || strings.Contains(text, "loop=0") {
		t.Errorf("the log: %s", text)
	}
	goOn()
	for !w.look() { // until it sleeps, or has ended a turn
		runtime.Gosched()
	}
	if err := n.Stuck(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if !strings.Contains(log.String(), "loop runs again") {
		t.Errorf("the log: %s", log)
	}
}
