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
	"c100k/internal/bus"
	"c100k/internal/figures"
	"c100k/internal/wsconn"
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

func (n *fakeNode) Stats() *figures.Reading { return someStats() }

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

func someStats() *figures.Reading {
	var fanout figures.Histogram
	fanout.ObserveN(900*time.Microsecond, 10)
	return figures.Read(&figures.Source{
		Version: "1.2.3", Revision: "abcdef0", GoVersion: "go1.26",
		Started: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Uptime: 60500 * time.Millisecond, IO: "uring",
		Transports: map[string]figures.Transport{
			"websocket": {Opened: 12, Closed: map[string]uint64{"peer": 9, "timeout": 1}},
			"sse":       {Opened: 1},
		},
		Rejected: map[string]uint64{"origin": 4}, Refused: map[string]uint64{"capacity": 3}, RequestsMoved: 6,
		Accepted: 20, TurnedAway: 2,
		Hub:    broadcast.Counters{Published: 11, Deliveries: 45, Disconnects: 1, Gaps: 2, PendingBytes: 64},
		Topics: 4, Subscriptions: 6, MaxConns: 20_000,
		Loops: []figures.Loop{
			{Number: 0, IO: "uring", Broadcasts: 45, Streams: wsconn.Counters{MessagesReceived: 5, BytesReceived: 320, MessagesSent: 5},
				Stats: netpoll.Stats{Connections: 2, OutboxBytes: 4096, Turns: 1000, Busy: 1500 * time.Millisecond, Mailbox: 1,
					Opened: 12, Closed: 10, Reads: 30, Writes: 31, BytesReceived: 500, BytesSent: 5000, Tasks: 7, Timers: 8, StaleEvents: 1, Panics: 2},
				FanoutTimes: fanout.Snapshot()},
			{Number: 1, IO: "uring", Stats: netpoll.Stats{Connections: 1, Turns: 1, Busy: 250 * time.Millisecond, TurnBuckets: [12]uint64{0, 1000, 11: 1}}},
		},
		Bus: figures.Bus{Kind: "nats", Health: bus.Health{Connected: true, Peers: 2, Sent: 7, Received: 8, Missed: 9, Unsent: 10}},
		Process: figures.Process{PID: 4711, PrivateBytes: 30 << 20, BaseBytes: 20 << 20, HeapBytes: 8 << 20, CPU: 1500 * time.Millisecond,
			Goroutines: 12, OpenFiles: 30, FilesLimit: 20000},
		Workers: []figures.Worker{
			{Number: 0, PID: 4712, State: figures.WorkerServing, Uptime: time.Minute, Connections: 3, MessagesSent: 50,
				CPU: 1250 * time.Millisecond, PrivateBytes: 10 << 20, OpenFiles: 20},
			{Number: 1, State: figures.WorkerRestarting, Restarts: 2, Note: "it died early and waits 250ms for its next start"},
		},
	})
}

func key(k string) func() string { return func() string { return k } }

// newAPIServer serves h on a real port; its URL has a loopback address.
func newAPIServer(t *testing.T, c Config) (*httptest.Server, *fakeNode) {
	t.Helper()
	node := &fakeNode{}
	if c.Node == nil {
		c.Node = node
	}
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = Server(New(c))
	ts.Start()
	t.Cleanup(ts.Close)
	return ts, node
}

// request is one call of a table. Header lines are "Name: value"; a Host line sets the request's
// host.
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
