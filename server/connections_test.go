// Tests of what the API tells of connections and their ends.

package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/internal/admin"
	"c100k/internal/ends"
	"c100k/netpoll"
)

type connectionPage struct {
	Connections []admin.Connection `json:"connections"`
	Next        string             `json:"next"`
	Missing     []string           `json:"missing"`
}

// listed is the answer of GET /v1/connections.
func listed(t *testing.T, s *Server, query string) (page connectionPage) {
	t.Helper()
	status, body := api(t, s, "GET", "/v1/connections?"+query, "")
	if status != 200 || json.Unmarshal([]byte(body), &page) != nil || len(page.Missing) > 0 {
		t.Fatal(query, status, body)
	}
	return page
}

// closesOf is the answer of GET /v1/closes.
func closesOf(t *testing.T, s *Server, query string) []admin.Closed {
	t.Helper()
	var page struct {
		Closes []admin.Closed `json:"closes"`
	}
	status, body := api(t, s, "GET", "/v1/closes?"+query, "")
	if status != 200 || json.Unmarshal([]byte(body), &page) != nil {
		t.Fatal(query, status, body)
	}
	return page.Closes
}

func TestConnections(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 2, TokenKeys: []string{keyFile(t, tokenSecret)}, PublicTopics: []string{"open"}})
	rights := lists{"subscribe": []string{"a", "b"}, "publish": []string{"a"}}
	for _, sub := range []string{"u1", "u1", "u2"} {
		dialWS(t, s.Addr().String(), "/ws?topic=a&topic=b&access_token="+mint(t, sub, time.Hour, rights, "jti", "j-"+sub), subprotocol)
	}
	openEvents(t, s.Addr().String(), "/sse?topic=open")

	for query, want := range map[string]int{
		"": 4, "sub=u1": 2, "sub=u3": 0, "topic=a": 3, "topic=open": 1, "sub=u2&topic=open": 0,
		"address=127.0.0.1": 4, "address=127.0.0.0/8": 4, "address=::1": 0, "address=10.1.2.3": 0, "behind=1": 0, "limit=3": 3,
	} {
		if page := listed(t, s, query); len(page.Connections) != want || (page.Next != "") != (query == "limit=3") {
			t.Errorf("%q: %d connections, next %q, want %d", query, len(page.Connections), page.Next, want)
		}
	}
	seen := map[string]bool{}
	for after, pages := "", 0; pages < 5; pages++ {
		page := listed(t, s, "limit=1"+after)
		for _, c := range page.Connections {
			seen[c.ID] = true
		}
		if page.Next == "" {
			break
		}
		after = "&after=" + page.Next
	}
	if len(seen) != 4 {
		t.Errorf("pages have %d connections, want 4", len(seen))
	}

	c := listed(t, s, "sub=u2").Connections[0]
	if c.Transport != "websocket" || c.Address != "127.0.0.1" || c.Topics != 2 || c.Subscriptions != nil {
		t.Errorf("%+v", c)
	}
	var one admin.Connection
	status, body := api(t, s, "GET", "/v1/connections/"+c.ID, "")
	if err := json.Unmarshal([]byte(body), &one); status != 200 || err != nil {
		t.Fatal(status, body)
	}
	if len(one.Subscriptions) != 2 || one.Token != "j-u2" || one.Expires == 0 || one.Rights == nil || len(one.Rights.Publish) != 1 {
		t.Errorf("%s", body)
	}

	if status, body := api(t, s, "DELETE", "/v1/connections/"+c.ID, ""); status != 204 {
		t.Fatal(status, body)
	}
	eventually(t, "the end is kept", func() bool { return len(closesOf(t, s, "reason=admin&sub=u2&since=1h")) == 1 })
	end := closesOf(t, s, "address=127.0.0.1")[0]
	if end.ID != c.ID || end.Reason != "admin" || end.Code != 1008 || end.Text != "closed by operator" || end.Why == "" || end.Closed == "" {
		t.Errorf("%+v", end)
	}
	var same admin.Closed
	if status, body := api(t, s, "GET", "/v1/connections/"+c.ID, ""); status != 200 || json.Unmarshal([]byte(body), &same) != nil || same != end {
		t.Errorf("%d %s, want %+v", status, body, end)
	}
	if status, body := api(t, s, "GET", "/v1/connections/ffffffffffffffff", ""); status != 404 {
		t.Error(status, body)
	}
	if list := closesOf(t, s, "reason=slow_consumer"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// A connection of Socket.IO is listed under the id of its session, whatever its transport, and its
// end is kept.
func TestConnectionsOfSocketIO(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 1, Dev: true})
	c := dialWS(t, s.Addr().String(), "/socket.io/?EIO=4&transport=websocket")
	eventually(t, "is listed", func() bool { return len(listed(t, s, "").Connections) == 1 })
	listedAs := listed(t, s, "").Connections[0]
	if listedAs.Transport != "socketio" || listedAs.Address != "127.0.0.1" {
		t.Errorf("%+v", listedAs)
	}
	c.Close()
	eventually(t, "the end is kept", func() bool { return len(closesOf(t, s, "")) == 1 })
	if end := closesOf(t, s, "")[0]; end.ID != listedAs.ID || end.Transport != "socketio" || end.Address != "127.0.0.1" {
		t.Errorf("%+v", end)
	}
}

// lockedBuffer is a log that tests may read.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// The end of a slow consumer says how much it had not taken, in the API and in the log.
func TestOwedBySlowConsumer(t *testing.T) {
	var log lockedBuffer
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 1, Dev: true, Outbox: 64 << 10,
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	dialWS(t, s.Addr().String(), "/ws?topic=a")
	payload := []byte(strings.Repeat("x", 60<<10))
	eventually(t, "too slow", func() bool {
		if _, err := s.Publish("a", broadcast.Text, payload); err != nil {
			t.Fatal(err)
		}
		return len(closesOf(t, s, "reason=slow_consumer")) == 1
	})
	end := closesOf(t, s, "reason=slow_consumer")[0]
	if end.Owed == 0 || end.Code != 1013 {
		t.Errorf("%+v", end)
	}
	want := fmt.Sprintf("conn=%s transport=websocket reason=slow_consumer behind=%d", end.ID, end.Owed)
	eventually(t, "is logged", func() bool { return strings.Contains(log.text(), want) })
}

// Abnormal ends are logged at a bounded rate, and what is left out is counted.
func TestEndsAreLoggedBounded(t *testing.T) {
	var log lockedBuffer
	var e endings
	e.init(slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Unix(1_800_000_000, 0)
	for i := range 100 {
		end := slowEnd(i)
		e.tell(&end, now)
	}
	e.tellSkipped()
	text := log.text()
	if lines := strings.Count(text, "connection ended"); lines != endsLogged {
		t.Errorf("%d lines, want %d", lines, endsLogged)
	}
	if want := fmt.Sprintf("more connections ended\" slow_consumer=%d", 100-endsLogged); !strings.Contains(text, want) {
		t.Errorf("%s\nhas no %s", text, want)
	}
	end := slowEnd(1)
	if !e.tell(&end, now.Add(time.Second)) {
		t.Error("a second later nothing is logged")
	}
}

func slowEnd(i int) ends.End {
	return ends.End{ID: netpoll.ID(i + 1), Transport: "websocket", Reason: netpoll.ReasonSlow, Owed: 7}
}

// traced reads a trace: next returns the next event.
func traced(t *testing.T, s *Server, query string) (next func() admin.TraceEvent) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.AdminAddr().String()+"/v1/trace?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	next = func() (e admin.TraceEvent) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
		t.Fatal(res.StatusCode, lines.Err())
		return e
	}
	if e := next(); e.Type != "begin" {
		t.Fatalf("%+v", e)
	}
	return next
}

func TestTrace(t *testing.T) {
	s := start(t, Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Loops: 2, TokenKeys: []string{keyFile(t, tokenSecret)}})
	user, topic := traced(t, s, "sub=u1&payload=1"), traced(t, s, "topic=a")
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"a"}, "publish": []string{"a"}})
	c := dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+token)
	if e := user(); e.Type != "open" || e.Sub != "u1" || e.Address != "127.0.0.1" || e.Conn == "" || e.Time == "" {
		t.Errorf("%+v", e)
	}
	say(t, c, "hello")
	expectText(t, c, "hello")
	if e := user(); e.Type != "in" || e.Data != "hello" || e.Bytes != 5 {
		t.Errorf("%+v", e)
	}
	if e := user(); e.Type != "out" || e.Topic != "a" || e.Data != "hello" || e.Messages != 1 {
		t.Errorf("%+v", e)
	}
	c.Close()
	if e := user(); e.Type != "close" || e.Reason == "" || e.Why == "" || e.Sub != "u1" {
		t.Errorf("%+v", e)
	}
	if e := topic(); e.Type != "publish" || e.Bytes != 5 || e.Data != "" || e.Conn != "" {
		t.Errorf("%+v", e)
	}
	if e := topic(); e.Type != "out" || e.Sub != "u1" || e.Data != "" {
		t.Errorf("%+v", e)
	}
	for i := 2; i < admin.TracesMax; i++ {
		traced(t, s, "address=10.0.0.0/8")
	}
	if status, body := api(t, s, "GET", "/v1/trace?topic=b", ""); status != 503 || !strings.Contains(body, "too_many_traces") {
		t.Error(status, body)
	}
	for _, query := range []string{"", "sub=a&topic=b", "topic=a&payload=yes", "conn=5", "address=x", "topic=%00", "user=a"} {
		if status, body := api(t, s, "GET", "/v1/trace?"+query, ""); status != 400 {
			t.Error(query, status, body)
		}
	}
}
