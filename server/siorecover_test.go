package server

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"c100k/internal/history"
	"c100k/internal/topicws"

	"github.com/gobwas/ws/wsutil"
)

// stock is a Socket.IO client that keeps what the stock client keeps for its recovery.
type stock struct {
	net.Conn
	t        *testing.T
	sid, pid string
	offset   *string
}

// join connects, and returns whether the client was recovered.
func (c *stock) join(s *Server) (recovered bool) {
	c.t.Helper()
	c.Conn = dialWS(c.t, s.Addr().String(), "/socket.io/?EIO=4&transport=websocket")
	c.packet("0")
	auth := "40"
	if c.pid != "" {
		sent := map[string]any{"pid": c.pid}
		if c.offset != nil {
			sent["offset"] = *c.offset
		}
		p, _ := json.Marshal(sent)
		auth += string(p)
	}
	say(c.t, c, auth)
	var got struct{ SID, PID string }
	if err := json.Unmarshal([]byte(c.packet("40")), &got); err != nil || got.PID == "" {
		c.t.Fatalf("%v: %+v", err, got)
	}
	recovered = got.PID == c.pid
	if c.sid, c.pid = got.SID, got.PID; !recovered {
		c.offset = nil
	}
	return recovered
}

// packet is the next one, without its kind; pings are answered.
func (c *stock) packet(kind string) string {
	c.t.Helper()
	for {
		got, _, err := wsutil.ReadServerData(c)
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", kind, err)
		}
		text, ok := strings.CutPrefix(string(got), kind)
		if ok {
			return text
		}
		if string(got) != "2" {
			c.t.Fatalf("got %s, want %s", got, kind)
		}
		say(c.t, c, "3")
	}
}

// want is the next event; as the stock client does, it keeps the string at the end of it.
func (c *stock) want(event string) {
	c.t.Helper()
	text := c.packet("42")
	var args []any
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		c.t.Fatal(err)
	}
	if last, ok := args[len(args)-1].(string); ok {
		c.offset = &last
		args = args[:len(args)-1]
	}
	p, _ := json.Marshal(args)
	if got := epochs.ReplaceAllString(string(p), `"E.$1`); got != event {
		c.t.Errorf("got %s, want %s", got, event)
	}
}

func (c *stock) subscribe(topics ...string) {
	c.t.Helper()
	p, _ := json.Marshal(topics)
	say(c.t, c, `421["subscribe",`+string(p)+`]`)
	if got := c.packet("431"); got != `[{"ok":true}]` {
		c.t.Fatal(got)
	}
}

// cut breaks the connection, and waits until the node has noticed.
func (c *stock) cut(s *Server, topic string) {
	c.t.Helper()
	c.Close()
	eventually(c.t, "the client to be gone", func() bool { return subscribers(s, topic) == 0 })
}

func event(topic, data string, n int) string {
	return fmt.Sprintf(`["message",{"data":"%s","topic":"%s"},{"offset":"E.%d"}]`, data, topic, n)
}

// TestStockClientIsRecovered: what the stock client missed of the node's topics comes once and in
// order, also for one that was idle, and more than once.
func TestStockClientIsRecovered(t *testing.T) {
	s := start(t, Config{Dev: true, History: []string{"h.>=100,5m"}})
	c := &stock{t: t}
	if c.join(s) {
		t.Fatal("a new client was recovered")
	}
	publishTo(t, s, "h.a", "before")
	c.subscribe("h.a", "h.b", "plain")
	// Idle: it has got nothing.
	for round := range 2 {
		c.cut(s, "h.a")
		publishTo(t, s, "h.a", fmt.Sprint("idle ", round))
		if !c.join(s) {
			t.Fatalf("an idle client was not recovered, round %d", round)
		}
		c.want(`["reset",{"reason":"unknown","topic":"plain"}]`)
		for i := range round + 1 {
			// The answer of the round before was lost with its connection, as far as the client knows.
			c.want(event("h.a", fmt.Sprint("idle ", i), 2+i))
		}
		c.offset = nil
	}
	publishTo(t, s, "h.b", "b1")
	c.want(event("h.b", "b1", 1))
	publishTo(t, s, "h.a", "a4")
	c.want(event("h.a", "a4", 4))
	for round := range 3 {
		c.cut(s, "h.a")
		publishTo(t, s, "h.b", fmt.Sprint("missed b", round))
		publishTo(t, s, "h.a", fmt.Sprint("missed a", round))
		if !c.join(s) {
			t.Fatalf("not recovered, round %d", round)
		}
		c.want(`["reset",{"reason":"unknown","topic":"plain"}]`)
		got := map[string]bool{}
		for range 2 {
			text := c.packet("42")
			var args []any
			json.Unmarshal([]byte(text), &args)
			last := args[len(args)-1].(string)
			c.offset = &last
			got[args[1].(map[string]any)["data"].(string)] = true
		}
		if len(got) != 2 || !got[fmt.Sprint("missed a", round)] || !got[fmt.Sprint("missed b", round)] {
			t.Errorf("round %d: %v", round, got)
		}
		publishTo(t, s, "plain", "live")
		if got := c.packet("42"); got != `["message",{"topic":"plain","data":"live"}]` {
			t.Errorf("got %s", got)
		}
	}
	// More than what is kept is missed: it is told so.
	c.cut(s, "h.a")
	for i := range 150 {
		publishTo(t, s, "h.a", fmt.Sprint(i))
	}
	if !c.join(s) {
		t.Fatal("not recovered")
	}
	c.want(`["reset",{"offset":"E.157","reason":"expired","topic":"h.a"}]`)
	// An offset that is none: not recovered, and the client knows.
	c.cut(s, "h.a")
	for _, offset := range []string{"1-AAAAAAAAAAA", "t:", "t:xyz", "t:1", "t:1 e", ""} {
		c.offset = &offset
		if c.join(s) {
			t.Errorf("recovered with %q", offset)
		}
		c.subscribe("h.a")
		c.cut(s, "h.a")
	}
}

// FuzzSIOOffset: an offset can be anything. One that is ours can be written again.
func FuzzSIOOffset(f *testing.F) {
	f.Add("t:1f k3x-1.41,2 e.0")
	f.Add("t:")
	f.Add("1-AAAA")
	f.Fuzz(func(t *testing.T, offset string) {
		at, ok := parseSIOOffset(offset)
		if !ok {
			return
		}
		again := []byte(sioOffsetPrefix)
		for sum, p := range at {
			again = appendSIOOffset(again, sum, p)
		}
		back, ok := parseSIOOffset(string(again))
		if !ok && len(again) <= sioOffsetBytesMax || ok && fmt.Sprint(back) != fmt.Sprint(at) {
			t.Fatalf("%q became %q", offset, again)
		}
	})
}

// TestStockClientAtAnotherNode: with the adapter over streams the stock client is recovered at
// another node. It has its topics there; of those without history messages may be missing.
func TestStockClientAtAnotherNode(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Redis")
	}
	dir, err := os.MkdirTemp("", "redis") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	redis := exec.Command("redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", dir)
	if err := redis.Start(); err != nil {
		t.Fatal("internal/e2e/setup.sh installs Redis: ", err)
	}
	t.Cleanup(func() {
		_ = redis.Process.Kill() // it may have ended
		_ = redis.Wait()
		os.RemoveAll(dir)
	})
	eventually(t, "Redis to listen", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	cfg := Config{Dev: true, History: []string{"h.>=100,5m"}, SocketIOAdapter: AdapterStreams, SocketIORedis: "unix://" + path, SocketIORedisKey: "k"}
	nodes := []*Server{start(t, cfg), start(t, cfg)}
	c := &stock{t: t}
	c.join(nodes[0])
	c.subscribe("h.a", "plain")
	c.cut(nodes[0], "plain")
	recovered := false
	for deadline := time.Now().Add(30 * time.Second); !recovered; {
		// The node saves the session in its own time.
		session, pid := c.sid, c.pid
		if recovered = c.join(nodes[1]); recovered || time.Now().After(deadline) {
			break
		}
		c.Close()
		c.sid, c.pid = session, pid
	}
	if !recovered {
		t.Fatal("not recovered")
	}
	c.want(`["reset",{"offset":"E.0","reason":"epoch","topic":"h.a"}]`)
	c.want(`["reset",{"reason":"unknown","topic":"plain"}]`)
	publishTo(t, nodes[1], "h.a", "after")
	c.want(event("h.a", "after", 1))
}

// TestSavedSIO: what was in Redis is a client's topics, or none.
func TestSavedSIO(t *testing.T) {
	position, err := history.ParsePosition("k3x-1.41")
	if err != nil {
		t.Fatal(err)
	}
	saved := (&sioClient{topics: []sioTopic{{name: "a", kept: true, base: position}, {name: "b"}}}).Saved()
	c := savedSIO(saved)
	if len(c.topics) != 2 || c.topics[0].base != position || !c.topics[0].kept || c.topics[1].name != "b" || c.topics[1].kept {
		t.Errorf("%+v", c.topics)
	}
	many := make([]any, 100_000)
	for i := range many {
		many[i] = map[string]any{"name": fmt.Sprint("t", i)}
	}
	for _, bad := range []any{nil, 17, "x", []any{}, map[string]any{"topics": 1}, map[string]any{"topics": []any{map[string]any{"name": "\x00"}, nil}}, map[string]any{"topics": many}} {
		if c := savedSIO(bad); len(c.topics) > topicws.TopicsPerConnectionMax || len(c.topics) > 0 && c.topics[0].name != "t0" {
			t.Errorf("%d topics of %.100v", len(c.topics), bad)
		}
	}
}
