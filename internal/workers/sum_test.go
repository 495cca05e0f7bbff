// Sums: over workers, and over the processes that have had one place.

package workers

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"c100k/internal/admin"
	"c100k/internal/bus"
	"c100k/internal/figures"
	"c100k/netpoll"
)

// reading is what a worker with n connections on one loop may have counted.
func reading(loop, n int) *figures.Reading {
	var turns [12]uint64
	turns[3] = uint64(n)
	return figures.Read(&figures.Source{
		IO: "uring", Uptime: time.Duration(n) * time.Second,
		Transports: map[string]figures.Transport{
			"websocket": {Opened: uint64(n) + 2, Closed: map[string]uint64{"peer": 2}}, "sse": {},
		},
		Loops: []figures.Loop{{Number: loop, IO: "uring", Broadcasts: uint64(10 * n),
			Stats: netpoll.Stats{Connections: n, Turns: 5, Busy: time.Second, TurnBuckets: turns}}},
		Bus:     figures.Bus{Kind: "nats", Health: bus.Health{Connected: true, Missed: 3}},
		Process: figures.Process{CPU: time.Second},
	})
}

// pretended is a stand-in for a process that serves.
func pretended(pid int) *process {
	p := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: pid}}, signs: newSigns(), client: &client{http: &http.Client{}}, serving: make(chan struct{}), ended: make(chan struct{})}
	close(p.serving)
	return p
}

// TestTotalsNeverGoBack plays a worker that is read, dies, is started again, is silent, and dies
// again.
func TestTotalsNeverGoBack(t *testing.T) {
	p := newSlot(fakeSupervisor(), 0)
	first, second := pretended(4711), pretended(4712)
	before := new(figures.Reading)
	look := func(what string, err error) figures.Worker {
		t.Helper()
		sum := new(figures.Reading)
		row := p.addTo(sum, err)
		for _, key := range []string{figures.KeyMessagesSent, figures.KeyCPU, "bus.missed_total"} {
			if sum.Number(key) < before.Number(key) {
				t.Errorf("%s: %s has gone back", what, key)
			}
		}
		opened, was := sum.At(figures.KeyOpened).Family["websocket"], before.At(figures.KeyOpened).Family["websocket"]
		turns, were := sum.At("loop_turn_seconds").Histogram, before.At("loop_turn_seconds").Histogram
		if opened < was || turns.Count() < were.Count() {
			t.Errorf("%s: connections or turns have gone back", what)
		}
		for _, n := range sum.At(figures.KeyClosed).Families["websocket"] {
			opened -= n
		}
		if open := sum.At(figures.KeyOpen).Family["websocket"]; err == nil && opened != open {
			t.Errorf("%s: %v were opened and not closed, and %v are open", what, opened, open)
		}
		before = sum
		return row
	}
	p.now = first
	p.note(first.client, reading(0, 3))
	if row := look("the first", nil); row.State != figures.WorkerServing || row.Connections != 3 || row.MessagesSent != 30 {
		t.Errorf("%+v", row)
	}
	p.note(first.client, reading(0, 2)) // of before, and late
	look("an old reading", nil)
	row := look("silent", errors.New("does not answer"))
	if row.State != figures.WorkerSilent || row.Connections != 0 || row.MessagesSent != 30 || row.Note == "" {
		t.Errorf("%+v", row)
	}
	p.empty()
	if row := look("dead", nil); row.State != figures.WorkerStarting && row.State != figures.WorkerRestarting || row.PID != 0 || row.MessagesSent != 30 {
		t.Errorf("%+v", row)
	}
	p.note(first.client, reading(0, 100)) // an answer that was on its way when it died
	look("after death", nil)
	p.now = second
	look("the second", nil)
	p.note(second.client, reading(0, 1))
	if row := look("the second, read", nil); row.Connections != 1 || row.MessagesSent != 40 {
		t.Errorf("%+v", row)
	}
	p.note(second.client, figures.Read(&figures.Source{
		Uptime: time.Minute, Draining: true, Bus: figures.Bus{Health: bus.Health{Reason: "gone", Missed: 3}},
		Process:    figures.Process{CPU: time.Second},
		Transports: map[string]figures.Transport{"websocket": {Opened: 4, Closed: map[string]uint64{"peer": 2}}},
		Loops:      []figures.Loop{{Broadcasts: 20, Stats: netpoll.Stats{TurnBuckets: [12]uint64{2}}}},
	}))
	if row := look("the second drains", nil); row.State != figures.WorkerDraining || row.Note != "bus: gone" {
		t.Errorf("%+v", row)
	}
	p.s.draining.Store(true)
	p.empty()
	if row := look("drained", nil); row.State != figures.WorkerEnded {
		t.Errorf("%+v", row)
	}
	p.empty()
	look("dead again", nil)
	if got := before.At(figures.KeyClosed).Families["websocket"][reasonLost]; got != 5 {
		t.Errorf("%v connections have ended with their process, want 5", got)
	}
}

func TestMergeTopics(t *testing.T) {
	topic := func(name string, n int) admin.Topic {
		return admin.Topic{Name: name, Subscribers: n, Transports: map[string]int{"websocket": n}}
	}
	got := mergeTopics([][]admin.Topic{{topic("b", 1), topic("c", 2)}, nil, {topic("a", 4), topic("b", 8)}, {topic("b", 16)}})
	want := []admin.Topic{topic("a", 4), topic("b", 25), topic("c", 2)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := mergeTopics(nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestSegment(t *testing.T) {
	for topic, want := range map[string]string{"news": "news", "a/b": "a%2Fb", ".": "%2E", "..": "%2E%2E", "a.b": "a%2Eb", "ü ?#": "%C3%BC%20%3F%23"} {
		if got := segment(topic); got != want {
			t.Errorf("%q: %s, want %s", topic, got, want)
		}
	}
}
