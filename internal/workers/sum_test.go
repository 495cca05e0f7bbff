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
)

// reading is what a worker with n connections on one loop may have counted.
func reading(loop, n int) *admin.Stats {
	var turns admin.Histogram
	turns.ObserveN(time.Millisecond, uint64(n))
	return &admin.Stats{
		IO: "uring", UptimeSeconds: float64(n),
		Connections: admin.Connections{
			Total: n, Open: map[string]int{"websocket": n}, Opened: map[string]uint64{"websocket": uint64(n) + 2},
			Closed: map[string]map[string]uint64{"websocket": {"peer": 2}, "sse": {}},
		},
		HandshakesRejected: map[string]uint64{"origin": uint64(n)}, RequestsMoved: uint64(n),
		SlowConsumers: map[string]uint64{"disconnect": 1},
		Messages:      admin.Traffic{Received: 1, Sent: uint64(10 * n)},
		Bytes:         admin.Traffic{Received: 10, Sent: uint64(100 * n)},
		Topics:        n, Queues: admin.Queues{PendingBytes: 1, OutboxBytes: 2},
		Loops:       []admin.Loop{{Loop: loop, Connections: n, Turns: 5, BusySeconds: 0.5, Mailbox: 1, IO: "uring"}},
		Bus:         admin.Bus{Kind: "nats", Connected: true, Sent: 1, Received: 2, Missed: 3, Unsent: 4},
		TurnSeconds: turns.Snapshot(),
		Memory:      admin.Memory{PrivateBytes: 1000, BaseBytes: 100, HeapBytes: 10},
		CPUSeconds:  1, Goroutines: 7, Files: admin.Files{Open: 20, Limit: 100},
	}
}

func TestSum(t *testing.T) {
	var sum admin.Stats
	for i, n := range []int{3, 5} {
		addTotals(&sum, reading(i, n))
		addPresent(&sum, reading(i, n))
	}
	var turns admin.Histogram
	turns.ObserveN(time.Millisecond, 8)
	want := admin.Stats{
		Connections: admin.Connections{
			Total: 8, Open: map[string]int{"websocket": 8}, Opened: map[string]uint64{"websocket": 12},
			Closed: map[string]map[string]uint64{"websocket": {"peer": 4}, "sse": {}},
		},
		HandshakesRejected: map[string]uint64{"origin": 8}, RequestsMoved: 8, SlowConsumers: map[string]uint64{"disconnect": 2},
		Messages: admin.Traffic{Received: 2, Sent: 80}, Bytes: admin.Traffic{Received: 20, Sent: 800},
		Topics: 5, Queues: admin.Queues{PendingBytes: 2, OutboxBytes: 4},
		Loops: []admin.Loop{{Loop: 0, Connections: 3, Turns: 5, BusySeconds: 0.5, Mailbox: 1, IO: "uring"},
			{Loop: 1, Connections: 5, Turns: 5, BusySeconds: 0.5, Mailbox: 1, IO: "uring"}},
		Bus:         admin.Bus{Sent: 2, Received: 4, Missed: 6, Unsent: 8},
		TurnSeconds: turns.Snapshot(),
		Memory:      admin.Memory{PrivateBytes: 2000, BaseBytes: 200, HeapBytes: 20},
		CPUSeconds:  2, Goroutines: 14, Files: admin.Files{Open: 40, Limit: 200},
	}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
}

// TestHistogramsOfAnotherBuild: what has other buckets is left out rather than put into the wrong
// ones.
func TestHistogramsOfAnotherBuild(t *testing.T) {
	sum := reading(0, 1).TurnSeconds
	want := sum.Count()
	addHistogram(&sum, admin.HistogramSnapshot{Bounds: []float64{1}, Counts: []uint64{5, 5}})
	addHistogram(&sum, admin.HistogramSnapshot{Bounds: []float64{1}, Counts: []uint64{5}})
	addHistogram(&sum, admin.HistogramSnapshot{Counts: []uint64{0}})
	if sum.Count() != want {
		t.Errorf("%d observations, want %d", sum.Count(), want)
	}
}

// pretended is a process that is none, and serves.
func pretended(pid int) *process {
	p := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: pid}}, client: &client{http: &http.Client{}}, serving: make(chan struct{}), ended: make(chan struct{})}
	close(p.serving)
	return p
}

// TestTotalsNeverGoBack plays a worker that is read, dies, is started again, is silent, and dies
// again.
func TestTotalsNeverGoBack(t *testing.T) {
	p := newSlot(pretender(), 0)
	first, second := pretended(4711), pretended(4712)
	before := admin.Stats{}
	look := func(what string, err error) admin.Worker {
		t.Helper()
		var sum admin.Stats
		row := p.addTo(&sum, err)
		if sum.Messages.Sent < before.Messages.Sent || sum.CPUSeconds < before.CPUSeconds || sum.TurnSeconds.Count() < before.TurnSeconds.Count() ||
			sum.Connections.Opened["websocket"] < before.Connections.Opened["websocket"] || sum.Bus.Missed < before.Bus.Missed {
			t.Errorf("%s: a total has gone back", what)
		}
		open := int(sum.Connections.Opened["websocket"])
		for _, n := range sum.Connections.Closed["websocket"] {
			open -= int(n)
		}
		if err == nil && open != sum.Connections.Open["websocket"] {
			t.Errorf("%s: %d were opened and not closed, and %d are open", what, open, sum.Connections.Open["websocket"])
		}
		before = sum
		return row
	}
	p.now = first
	p.note(first.client, reading(0, 3))
	if row := look("the first", nil); row.State != admin.WorkerServing || row.Connections != 3 || row.MessagesSent != 30 {
		t.Errorf("%+v", row)
	}
	p.note(first.client, reading(0, 2)) // of before, and late
	look("an old reading", nil)
	row := look("silent", errors.New("does not answer"))
	if row.State != admin.WorkerSilent || row.Connections != 0 || row.MessagesSent != 30 || row.Note == "" {
		t.Errorf("%+v", row)
	}
	p.empty()
	if row := look("dead", nil); row.State != admin.WorkerStarting && row.State != admin.WorkerRestarting || row.PID != 0 || row.MessagesSent != 30 {
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
	drains := reading(0, 2)
	drains.Draining, drains.Bus.Connected, drains.Bus.Reason = true, false, "gone"
	p.note(second.client, drains)
	if row := look("the second drains", nil); row.State != admin.WorkerDraining || row.Note != "bus: gone" {
		t.Errorf("%+v", row)
	}
	p.s.draining.Store(true)
	p.empty()
	if row := look("drained", nil); row.State != admin.WorkerEnded {
		t.Errorf("%+v", row)
	}
	p.empty()
	look("dead again", nil)
	if got := before.Connections.Closed["websocket"][reasonLost]; got != 5 {
		t.Errorf("%d connections have ended with their process, want 5", got)
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
