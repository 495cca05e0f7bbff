// The node that the tests put behind the API, and how they call it.

package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"c100k/broadcast"
	"c100k/netpoll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type sent struct {
	topic   string
	kind    broadcast.Kind
	payload string
}

type fakeNode struct {
	mu         sync.Mutex
	sent       []sent
	closed     netpoll.ID
	drains     int
	publishErr map[string]error // by topic
	drainErr   error
	closeErr   error
	remarks    []string
	readyErr   error
}

func (n *fakeNode) Publish(topic string, kind broadcast.Kind, payload []byte) (broadcast.Result, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.publishErr[topic]; err != nil {
		return broadcast.Result{}, err
	}
	n.sent = append(n.sent, sent{topic, kind, string(payload)})
	return broadcast.Result{Matched: 3, Queued: 2, Dropped: 1}, nil
}

func (n *fakeNode) take() []sent {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.sent
	n.sent = nil
	return s
}

func (n *fakeNode) Topics(prefix, _ string, _ int) (list []Topic, missing []string) {
	var topics []Topic
	for _, name := range []string{"news.sport", "a/b", "news", "chat"} {
		if strings.HasPrefix(name, prefix) {
			topics = append(topics, fakeTopic(name))
		}
	}
	return topics, nil
}

func fakeTopic(name string) Topic {
	return Topic{Name: name, Subscribers: 3, Transports: map[string]int{"websocket": 2, "sse": 1}}
}

func (n *fakeNode) Topic(name string) (Topic, bool) {
	if name == "quiet" {
		return Topic{}, false
	}
	return fakeTopic(name), true
}

func (n *fakeNode) Stats() Stats { return someStats() }

func (n *fakeNode) CloseConnection(id netpoll.ID) (found bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = id
	return id.Slot() == 1, n.closeErr
}

func (n *fakeNode) Drain() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drains++
	return n.drainErr
}

func (n *fakeNode) Ready() (remarks []string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.remarks, n.readyErr
}

func someStats() Stats {
	var fanout, turns Histogram
	fanout.ObserveN(900*time.Microsecond, 10)
	turns.ObserveN(20*time.Microsecond, 1000)
	turns.Observe(time.Minute)
	return Stats{
		Version: "1.2.3", Revision: "abcdef0", GoVersion: "go1.26",
		Started: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), UptimeSeconds: 60.5, IO: "uring",
		Connections: Connections{
			Total:  3,
			Open:   map[string]int{"websocket": 2, "sse": 1},
			Opened: map[string]uint64{"websocket": 12, "sse": 1},
			Closed: map[string]map[string]uint64{"websocket": {"peer": 9, "timeout": 1}, "sse": {}},
		},
		HandshakesRejected: map[string]uint64{"origin": 4}, RequestsMoved: 6,
		Messages:      Traffic{Received: 5, Sent: 50},
		Bytes:         Traffic{Received: 500, Sent: 5000},
		SlowConsumers: map[string]uint64{"disconnect": 1},
		Topics:        4,
		Queues:        Queues{PendingBytes: 64, OutboxBytes: 4096},
		Loops: []Loop{
			{Loop: 0, Connections: 2, Turns: 1000, BusySeconds: 1.5, Mailbox: 1, IO: "uring"},
			{Loop: 1, Connections: 1, Turns: 1, BusySeconds: 0.25, IO: "uring"},
		},
		Bus:           Bus{Kind: "nats", Connected: true, Peers: 2, Sent: 7, Received: 8, Missed: 9, Unsent: 10},
		FanoutSeconds: fanout.Snapshot(),
		TurnSeconds:   turns.Snapshot(),
		Workers: []Worker{
			{Worker: 0, PID: 4712, State: WorkerServing, Uptime: 60, Connections: 3, MessagesSent: 50, CPUSeconds: 1.25, PrivateBytes: 10 << 20, OpenFiles: 20},
			{Worker: 1, State: WorkerRestarting, Restarts: 2, Note: "it has died young, and waits 250ms for its next start"},
		},
	}
}

func fakeProcess(s *Stats) {
	s.PID = 4711
	s.Memory = Memory{PrivateBytes: 30 << 20, BaseBytes: 20 << 20, HeapBytes: 8 << 20, PerConnectionBytes: 10 << 20 / 3}
	s.Goroutines, s.CPUSeconds = 12, 1.5
	s.Files = Files{Open: 30, Limit: 20000}
}

func key(k string) func() string { return func() string { return k } }

// newAPIServer serves h on a real port; its URL has a loopback address.
func newAPIServer(t *testing.T, c Config) (*httptest.Server, *fakeNode) {
	t.Helper()
	node := &fakeNode{}
	c.Node = node
	c.Process = fakeProcess
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = Server(New(c))
	ts.Start()
	t.Cleanup(ts.Close)
	return ts, node
}

// request is one call of a table. Header lines are "Name: value"; a Host line
// sets the request's host.
type request struct {
	method, path string
	header       []string
	body         string
}

type response struct {
	status int
	header http.Header
	body   string
}

// do sends exactly the path that it is given, escapes and dots included.
func do(t *testing.T, ts *httptest.Server, q request) response {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), q.method, ts.URL, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	path, rawQuery, _ := strings.Cut(q.path, "?")
	r.URL.Opaque = "//" + r.URL.Host + path
	r.URL.RawQuery = rawQuery
	setHeader(r, q.header)
	client := ts.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(body)}
}

func setHeader(r *http.Request, lines []string) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
}

// wantProblem checks that a response is a whole problem document.
func wantProblem(t *testing.T, got response, status int, code string) Problem {
	t.Helper()
	var p Problem
	d := json.NewDecoder(bytes.NewReader([]byte(got.body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("status %d, body %q is not a problem: %v", got.status, got.body, err)
	}
	if ct := got.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type = %q", ct)
	}
	want := NewProblem(status, code, p.Detail)
	if got.status != status || p != *want || p.Detail == "" {
		t.Errorf("status %d, problem %+v; want %d %s", got.status, p, status, code)
	}
	return p
}
