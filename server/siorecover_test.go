package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/jsontext"
	"c100k/internal/topicws"

	"github.com/gobwas/ws/wsutil"
)

// stock is a Socket.IO client that keeps what the stock client keeps for its recovery.
type stock struct {
	net.Conn
	t        *testing.T
	sid, pid string
	offset   *string
	auth     map[string]any // beside what recovery needs
	primes   int            // events "offsets" so far
}

// join connects, and returns whether the client was recovered.
func (c *stock) join(s *Server) (recovered bool) {
	c.t.Helper()
	c.Conn = dialWS(c.t, s.Addr().String(), "/socket.io/?EIO=4&transport=websocket")
	c.packet("0")
	sent := map[string]any{}
	maps.Copy(sent, c.auth)
	if c.pid != "" {
		sent["pid"] = c.pid
		if c.offset != nil {
			sent["offset"] = *c.offset
		}
	}
	p, _ := json.Marshal(sent)
	say(c.t, c, "40"+string(p))
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
		if strings.HasPrefix(string(got), `42["offsets",`) {
			c.keep(string(got[2:]))
			c.primes++
			continue
		}
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
	p, _ := json.Marshal(c.keep(c.packet("42")))
	if got := epochs.ReplaceAllString(string(p), `"E.$1`); got != event {
		c.t.Errorf("got %s, want %s", got, event)
	}
}

// keep takes the arguments of an event, and keeps the string at their end.
func (c *stock) keep(text string) (args []any) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		c.t.Fatal(err)
	}
	if last, ok := args[len(args)-1].(string); ok {
		c.offset = &last
		args = args[:len(args)-1]
	}
	return args
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
	first := c.offset
	// Idle: it has got nothing but that.
	for round := range 2 {
		c.cut(s, "h.a")
		publishTo(t, s, "h.a", fmt.Sprint("idle ", round))
		if !c.join(s) {
			t.Fatalf("an idle client was not recovered, round %d", round)
		}
		c.want(`["reset",{"reason":"unknown","topic":"plain"}]`)
		for i := range round + 1 {
			c.want(event("h.a", fmt.Sprint("idle ", i), 2+i))
		}
		c.offset = first // what came was lost with its connection, as far as the client knows
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
			args := c.keep(c.packet("42"))
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
	for _, offset := range []string{"1-AAAAAAAAAAA", "t:", "t:xyz", "t:1", "t:1 e", sioOffsetNone, ""} {
		c.offset = &offset
		if c.join(s) {
			t.Errorf("recovered with %q", offset)
		}
		c.subscribe("h.a")
		c.cut(s, "h.a")
	}
}

// TestStockClientMovesOn: a client comes back to another process that has the history of its
// topics, idle or not, more than once, before its end is noticed, and when its node has started
// again. Where the history is another, it is a new client, and sees that.
func TestStockClientMovesOn(t *testing.T) {
	n := startJetStream(t, t.TempDir(), 0)
	var nodes [2]*Server
	for i := range nodes {
		nodes[i] = start(t, Config{Dev: true, Admin: "127.0.0.1:0", Bus: busURL(n), Loops: 1, History: []string{"h.>=100,1m"}})
	}
	c := &stock{t: t}
	c.join(nodes[0])
	c.subscribe("h.a", "h.b", `h."q" \`, "plain")
	sid, count := c.sid, 0
	for round := range 4 {
		to := nodes[(round+1)%2]
		if round == 2 {
			to = nodes[1] // that has it
		}
		if round > 0 {
			c.Close() // idle in the first round: and not even gone
		}
		storeTo(t, to, "h.a", fmt.Sprint(count))
		storeTo(t, nodes[round%2], `h."q" \`, fmt.Sprint(count))
		count++
		if !c.join(to) || c.sid != sid {
			t.Fatalf("round %d: not recovered, or it is %s and was %s", round, c.sid, sid)
		}
		c.want(`["reset",{"reason":"unknown","topic":"plain"}]`)
		got := map[string]int{}
		for len(got) < 2 {
			args := c.keep(c.packet("42"))
			if m := args[1].(map[string]any); m["topic"] != "plain" {
				got[m["topic"].(string)+"="+m["data"].(string)]++
			}
		}
		if got["h.a="+fmt.Sprint(count-1)] != 1 || got[`h."q" \=`+fmt.Sprint(count-1)] != 1 {
			t.Errorf("round %d: %v", round, got)
		}
		say(t, c, `422["unsubscribe",["h.b"]]`)
		c.packet("432")
		live := func(round int) string { return fmt.Sprintf(`["message",{"topic":"plain","data":"live %d"}]`, round) }
		say(t, c, fmt.Sprintf(`423["publish","plain","live %d"]`, round)) // the subscriptions are there
		for _, want := range []string{live(round), "3"} {
			got := c.packet("4")
			if strings.HasSuffix(got, live(round-1)) { // it was on its way here when the client came
				got = c.packet("4")
			}
			if !strings.HasSuffix(got, want) && !strings.HasPrefix(got, want) {
				t.Errorf("round %d: got %s", round, got)
			}
		}
	}
	if at, _ := parseSIOOffset(*c.offset, ""); len(at) != 3 {
		t.Errorf("the topic that it left is in %q", *c.offset)
	}
	other := start(t, Config{Dev: true, Loops: 1, History: []string{"h.>=100,1m"}})
	if c.join(other) {
		t.Error("recovered by a node that has nothing of its topics")
	}
}

// Rights are judged again when a client comes back, its state is worth nothing to another user, and
// one that says something of its own gets only what it may have.
func TestComingBackGivesNoRights(t *testing.T) {
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, Loops: 1, History: []string{">=100,1m"}})
	auth := func(sub string, topics ...string) map[string]any {
		return map[string]any{"token": mint(t, sub, time.Hour, lists{"subscribe": topics, "history": topics})}
	}
	c := &stock{t: t, auth: auth("u1", "a", "b")}
	c.join(s)
	c.subscribe("a", "b")
	held := *c.offset
	publishTo(t, s, "a", "1")
	publishTo(t, s, "b", "1")
	other := &stock{t: t, pid: c.pid, offset: &held, auth: auth("u2", "a", "b")}
	if other.join(s) {
		t.Error("another user is recovered")
	}
	c.Close()
	c.offset, c.auth = &held, auth("u1", "a")
	if !c.join(s) {
		t.Fatal("not recovered")
	}
	c.want(`["reset",{"reason":"unknown","topic":"b"}]`)
	c.want(event("a", "1", 1))
	c.Close()
	forged := strings.ReplaceAll(*c.offset, " 1 a", " 6 secret")
	c.offset = &forged
	if c.join(s) {
		c.want(`["reset",{"reason":"unknown","topic":"secret"}]`)
	}
	if s.node.Hub().Occupied("secret") {
		t.Error("a client is in a topic that it may not have")
	}
	c.pid = strings.Repeat("A", 31) + "\n"
	if c.join(s) {
		t.Error("recovered with an id that none has given it")
	}
}

// A client comes back to a node that has started again, while its store or the backend that decides
// does not answer: it is let go of, comes again, and misses nothing.
func TestComingBackWaits(t *testing.T) {
	var fails atomic.Int32 // so many answers more are none
	b := newJudge(t, func(q hookQuestion) string {
		if fails.Add(-1) >= 0 {
			return "?"
		}
		return `{"allow":` + strconv.FormatBool(q.Topics[0] != "h.no") + `}`
	})
	config := durable(t.TempDir())
	config.HookSubscribe, config.HookTimeout = b.URL, patience
	s := start(t, config)
	c := &stock{t: t}
	c.join(s)
	c.subscribe("h.a", "h.b")
	if got := anyEpoch.ReplaceAllString(*c.offset, "E.$1"); got != sioOffsetHead("")+",E.0 3 h.a,E.0 3 h.b" {
		t.Errorf("%q", got)
	}
	storeTo(t, s, "h.b", "1")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = startWith(t, config, func(s *Server) { s.returnPause = time.Millisecond })
	forged := *c.offset + ", 4 h.no"
	c.offset = &forged
	fails.Store(1 << 30)
	if !c.join(s) {
		t.Fatal("not recovered")
	}
	for err := error(nil); err == nil; {
		_, _, err = wsutil.ReadServerData(c)
		if closed := (wsutil.ClosedError{}); errors.As(err, &closed) && uint16(closed.Code) != frame.CodeTryLater {
			t.Errorf("%v", err)
		}
	}
	fails.Store(2) // it is asked again
	if !c.join(s) {
		t.Fatal("not recovered")
	}
	c.want(`["reset",{"reason":"unknown","topic":"h.no"}]`)
	c.want(event("h.b", "1", 1))
	if s.node.Hub().Occupied("h.no") {
		t.Error("the backend has not allowed that")
	}
}

// A client with more topics than an offset holds comes back as a new one.
func TestTooManyTopicsToRecover(t *testing.T) {
	s := start(t, Config{Dev: true, Loops: 1, History: []string{"h.>=100,1m"}})
	for _, topics := range [][]string{make([]string, sioTopicsMax+1), make([]string, 40)} {
		c := &stock{t: t}
		c.join(s)
		for i := range topics {
			topics[i] = "h." + strconv.Itoa(i) + strings.Repeat("x", (sioTopicsMax-len(topics)+1)*8)
		}
		c.subscribe(topics...)
		if *c.offset != sioOffsetNone {
			t.Errorf("%d topics: offset %q", len(topics), *c.offset)
		}
		publishTo(t, s, topics[0], "1")
		c.want(event(topics[0], "1", 1))
		c.Close()
		if c.join(s) {
			t.Errorf("%d topics: recovered", len(topics))
		}
		c.Close()
	}
}

// FuzzSIOOffset: an offset can be anything. One that is ours can be written again.
func FuzzSIOOffset(f *testing.F) {
	head := sioOffsetHead("")
	f.Add(head + ",k3x-1.41 6 chat.a, 5 plain")
	f.Add(head)
	f.Add(head + ",")
	f.Add(head + ", 01 a")
	f.Add(head + ", +1 a, 9 a")
	f.Add(sioOffsetNone)
	f.Add("1-AAAA")
	f.Fuzz(func(t *testing.T, offset string) {
		at, ok := parseSIOOffset(offset, "")
		if !ok {
			return
		}
		c := &sioClient{head: head}
		for _, one := range at {
			kept := one.Position != (broadcast.Position{})
			c.topics = append(c.topics, sioTopic{name: one.name, text: string(jsontext.AppendEscaped(nil, one.name)), kept: kept, sent: one.Position})
		}
		var again string
		if err := json.Unmarshal(append(c.appendOffset([]byte{'"'}), '"'), &again); err != nil || again != offset {
			t.Fatalf("%q became %q: %v", offset, again, err)
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
		session, pid, offset := c.sid, c.pid, c.offset
		if recovered = c.join(nodes[1]); recovered || time.Now().After(deadline) {
			break
		}
		c.Close()
		c.sid, c.pid, c.offset = session, pid, offset
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
	c := savedSIO((&sioClient{topics: []sioTopic{{name: "a", kept: true}, {name: "b"}}}).Saved())
	if len(c.topics) != 2 || c.topics[0].name != "a" || c.topics[0].kept || c.topics[1].name != "b" {
		t.Errorf("%+v", c.topics)
	}
	many := make([]any, 100_000)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	for _, bad := range []any{nil, 17, "x", []any{}, map[string]any{"topics": 1}, map[string]any{"topics": []any{"", nil}}, map[string]any{"topics": many}} {
		if c := savedSIO(bad); len(c.topics) > topicws.TopicsPerConnectionMax || len(c.topics) > 0 && c.topics[0].name != "t0" {
			t.Errorf("%d topics of %.100v", len(c.topics), bad)
		}
	}
}
