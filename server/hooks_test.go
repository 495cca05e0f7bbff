// Hooks as clients see them: a backend that allows, refuses, hangs and is told.

package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// judge is a backend that answers hooks.
type judge struct {
	*httptest.Server
	answer func(q hookQuestion) string // "" hangs

	mu    sync.Mutex
	asked []hookQuestion
}

type hookQuestion struct {
	Type, Conn, Sub, Transport, Address, Certificate string
	Topics, Forgeable                                []string
	Headers                                          map[string]string
	Data                                             json.RawMessage
	Binary                                           []byte `json:"data_base64"`
}

func newJudge(t *testing.T, answer func(q hookQuestion) string) *judge {
	t.Helper()
	b := &judge{answer: answer}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var q hookQuestion
		if err := json.Unmarshal(body, &q); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		b.mu.Lock()
		b.asked = append(b.asked, q)
		b.mu.Unlock()
		text := b.answer(q)
		if text == "" {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *judge) questions() []hookQuestion {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// knock is a handshake; it returns the status and the body of a refusal.
func knock(t *testing.T, s *Server, target, fields string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"+fields, "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Add(name, value)
		}
	}
	answer, err := new(http.Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer.StatusCode, ""
	}
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func TestHookConnect(t *testing.T) {
	b := newJudge(t, func(q hookQuestion) string {
		switch q.Headers["Cookie"] {
		case "sid=ann":
			return `{"allow":true,"sub":"ann","subscribe":["chat.>","user.{sub}"],"deny":["chat.staff"],"expires":32503680000}`
		case "sid=old":
			return `{"allow":true,"sub":"ann","expires":1000}`
		case "sid=wrong":
			return `{"allow":true,"sub":"ann","subscribe":["a*b"]}`
		case "sid=eve":
			return `{"allow":false,"reason":"Eve has been banned."}`
		case "sid=slow":
			return ""
		}
		return `{"allow":true}`
	})
	c := Config{HookConnect: b.URL, HookTimeout: 200 * time.Millisecond, HookHeaders: []string{"Cookie", "X-Real-IP"}, PublicTopics: []string{"news"}, Loops: 1}
	s := start(t, c)
	for _, row := range []struct {
		name, target, cookie string
		status               int
		says                 string
	}{
		{"lists of the backend", "/ws?topic=chat.1", "sid=ann", 101, ""},
		{"{sub} is that of the backend", "/ws?topic=user.ann", "sid=ann", 101, ""},
		{"denied by the backend's lists", "/ws?topic=chat.staff", "sid=ann", 403, ""},
		{"in no list", "/ws?topic=other", "sid=ann", 403, ""},
		{"refused with a sentence", "/ws?topic=news", "sid=eve", 403, "Eve has been banned."},
		{"over already", "/ws?topic=news", "sid=old", 401, ""},
		{"a pattern that is none", "/ws?topic=news", "sid=wrong", 503, ""},
		{"hangs", "/ws?topic=news", "sid=slow", 503, "does not answer"},
		{"nobody, public topic", "/ws?topic=news", "", 101, ""},
		{"nobody, other topic", "/ws?topic=chat.1", "", 403, ""},
	} {
		fields := "X-Real-IP: 1.2.3.4\r\nX-Other: no\r\n"
		if row.cookie != "" {
			fields += "Cookie: " + row.cookie + "\r\n"
		}
		if status, body := knock(t, s, row.target, fields); status != row.status || !strings.Contains(body, row.says) {
			t.Errorf("%s: %d %s, want %d", row.name, status, body, row.status)
		}
	}
	q := b.questions()[0]
	if q.Type != "connect" || q.Conn == "" || q.Transport != "websocket" || !slices.Equal(q.Topics, []string{"chat.1"}) || q.Address != "127.0.0.1" ||
		len(q.Headers) != 2 || !slices.Equal(q.Forgeable, []string{"Cookie", "X-Real-IP"}) {
		t.Errorf("%+v", q)
	}
	c.HookFail = HookFailOpen
	open := start(t, c)
	if status, body := knock(t, open, "/ws?topic=news", "Cookie: sid=slow\r\n"); status != 101 {
		t.Errorf("fail open: %d %s", status, body)
	}
}

// TestHookConnectKnowsTheToken: the subject that was verified is told, and lists of the answer
// stand in place of the token's.
func TestHookConnectKnowsTheToken(t *testing.T) {
	b := newJudge(t, func(q hookQuestion) string {
		if q.Sub == "u2" {
			return `{"allow":true,"subscribe":["b"]}`
		}
		return `{"allow":true}`
	})
	s := start(t, Config{HookConnect: b.URL, TokenKeys: []string{keyFile(t, tokenSecret)}, Loops: 1})
	for _, row := range []struct {
		sub, topic string
		status     int
	}{{"u1", "a", 101}, {"u1", "b", 403}, {"u2", "a", 403}, {"u2", "b", 101}} {
		token := mint(t, row.sub, time.Hour, lists{"subscribe": []string{"a"}})
		if status, body := knock(t, s, "/ws?topic="+row.topic, "Authorization: Bearer "+token+"\r\n"); status != row.status {
			t.Errorf("%s, %s: %d %s, want %d", row.sub, row.topic, status, body, row.status)
		}
	}
	if status, _ := knock(t, s, "/ws?topic=a", "Authorization: Bearer x.y.z\r\n"); status != 401 || len(b.questions()) != 4 {
		t.Errorf("a bad token: %d, and the backend was asked %d times", status, len(b.questions()))
	}
}

// TestHookSubscribeAndPublish: the backend's verdict counts for each command, in the order of the
// commands; what a token denies it cannot allow.
func TestHookSubscribeAndPublish(t *testing.T) {
	release := make(chan struct{})
	b := newJudge(t, func(q hookQuestion) string {
		switch {
		case slices.Contains(q.Topics, "later"):
			<-release
			return `{"allow":true}`
		case slices.Contains(q.Topics, "secret"):
			return `{"allow":false}`
		case q.Type == "publish" && string(q.Data) == `"spam"`:
			return `{"allow":false,"reason":"That is spam."}`
		case slices.Contains(q.Topics, "broken"):
			return `no`
		}
		return `{"allow":true}`
	})
	s := start(t, Config{HookSubscribe: b.URL, HookPublish: b.URL, TokenKeys: []string{keyFile(t, tokenSecret)}, Loops: 1})
	token := mint(t, "u1", time.Hour, lists{"deny": []string{"denied"}})
	c := dialWS(t, s.Addr().String(), "/ws?access_token="+token, "c100k.v1")
	if _, _, err := wsutil.ReadServerData(c); err != nil { // welcome
		t.Fatal(err)
	}
	say(t, c, `{"type":"subscribe","topics":["later"],"id":1}`)
	say(t, c, `{"type":"publish","topic":"later","data":"x","id":2}`)
	say(t, c, `{"type":"unsubscribe","topics":["later"],"id":3}`)
	say(t, c, `{"type":"ping","id":4}`)
	expectText(t, c, `{"type":"pong","id":4}`) // the others wait
	close(release)
	expectText(t, c, `{"type":"ack","id":1}`)
	got := map[string]bool{}
	for range 2 {
		text, _, err := wsutil.ReadServerData(c)
		if err != nil {
			t.Fatal(err)
		}
		got[string(text)] = true
	}
	if !got[`{"type":"ack","id":2,"matched":1}`] {
		t.Errorf("%v", got)
	}
	for _, row := range [][2]string{
		{`{"type":"subscribe","topics":["a","secret"],"id":5}`, `{"type":"error","id":5,"code":"forbidden","message":"this is not allowed to you"}`},
		{`{"type":"subscribe","topics":["denied"],"id":6}`, `{"type":"error","id":6,"code":"forbidden","message":"this is not allowed to you"}`},
		{`{"type":"subscribe","topics":["broken"],"id":7}`, `{"type":"error","id":7,"code":"unavailable","message":"the backend of this node, which decides about this, does not answer"}`},
		{`{"type":"publish","topic":"a","data":"spam","id":8}`, `{"type":"error","id":8,"code":"forbidden","message":"That is spam."}`},
		{`{"type":"publish","topic":"a","data":{"n":1},"id":9}`, `{"type":"ack","id":9,"matched":0}`},
	} {
		say(t, c, row[0])
		for {
			text, _, err := wsutil.ReadServerData(c)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), `"later"`) || strings.Contains(string(text), `"id":3`) {
				continue // what came before
			}
			if string(text) != row[1] {
				t.Errorf("%s: %s, want %s", row[0], text, row[1])
			}
			break
		}
	}
	for _, q := range b.questions() {
		if slices.Contains(q.Topics, "denied") || q.Sub != "u1" || q.Headers != nil {
			t.Errorf("asked %+v", q)
		}
	}
}

// TestHookBare: the topics of a query are asked about before the handshake is answered, and a
// message without an envelope before it is published.
func TestHookBare(t *testing.T) {
	b := newJudge(t, func(q hookQuestion) string {
		if slices.Contains(q.Topics, "secret") || string(q.Data) == `"bad"` {
			return `{"allow":false,"reason":"No."}`
		}
		return `{"allow":true,"cache":60}`
	})
	s := start(t, Config{HookSubscribe: b.URL, HookPublish: b.URL, Loops: 1})
	if status, body := knock(t, s, "/ws?topic=secret", ""); status != 403 || !strings.Contains(body, "No.") {
		t.Errorf("%d %s", status, body)
	}
	if status := get(t, "http://"+s.Addr().String()+"/sse?topic=secret"); status != 403 {
		t.Errorf("SSE: %d", status)
	}
	c := dialWS(t, s.Addr().String(), "/ws?topic=a")
	for _, text := range []string{"one", "two", "three"} {
		say(t, c, text)
	}
	for _, text := range []string{"one", "two", "three"} {
		expectText(t, c, text)
	}
	if err := wsutil.WriteClientBinary(c, []byte{1, 2}); err != nil {
		t.Fatal(err)
	}
	if got, op, err := wsutil.ReadServerData(c); op != ws.OpBinary || string(got) != "\x01\x02" {
		t.Errorf("%v %q %v", op, got, err)
	}
	d := dialWS(t, s.Addr().String(), "/ws?topic=b")
	say(t, d, "bad")
	_, _, err := wsutil.ReadServerData(d)
	if closed, ok := err.(wsutil.ClosedError); !ok || closed.Code != 1008 || closed.Reason != "No." {
		t.Errorf("%v", err)
	}
}

// TestHookOverload: commands that wait for a backend that hangs are bounded, and a connection that
// leaves takes them along.
func TestHookOverload(t *testing.T) {
	b := newJudge(t, func(hookQuestion) string { return "" })
	s := start(t, Config{HookSubscribe: b.URL, HookTimeout: 10 * time.Second, Loops: 1})
	c := dialWS(t, s.Addr().String(), "/ws", "c100k.v1")
	if _, _, err := wsutil.ReadServerData(c); err != nil { // welcome
		t.Fatal(err)
	}
	for range 65 {
		say(t, c, `{"type":"subscribe","topics":["a"],"id":1}`)
	}
	expectText(t, c, `{"type":"error","id":1,"code":"overloaded","message":"too much of this connection waits for a decision"}`)
	c.Close()
	eventually(t, "nothing is held", func() bool { return s.node.Connections() == 0 && s.budget.Held() < 1<<10 })
}

func TestHookSettings(t *testing.T) {
	for field, c := range map[string]Config{
		"HookConnect":     {HookConnect: "ftp://a"},
		"HookSubscribe":   {HookSubscribe: "/hook"},
		"HookPublish":     {HookPublish: "http://"},
		"HookEvents":      {HookEvents: "http://a/#b"},
		"HookTimeout":     {HookTimeout: time.Minute},
		"HookConcurrency": {HookConcurrency: -1},
		"HookFail":        {HookFail: "maybe"},
		"HookHeaders":     {HookHeaders: []string{"a b"}},
	} {
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), field+" ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	for content, ok := range map[string]bool{"": false, "\n": false, "secret\n": true, strings.Repeat("x", 5000): false} {
		c := Config{HookSecretFile: keyFile(t, content)}
		if secret, err := c.readHookSecret(); (err == nil) != ok || ok && string(secret) != "secret" {
			t.Errorf("%q: %q, %v", content, secret, err)
		}
	}
	if n := hookConcurrency(64, 0, 7) + 6*hookConcurrency(64, 6, 7); n != 10+54 {
		t.Errorf("the parts of 64 are %d", n)
	}
}

// TestHookEvents: the backend hears of a connection and its topic, from the beginning to the end.
func TestHookEvents(t *testing.T) {
	type told struct{ Type, Conn, Sub, Transport, Address, Reason, Topic string }
	var mu sync.Mutex
	var all []told
	b := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var batch struct{ Events []told }
		if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
			t.Error(err)
		}
		mu.Lock()
		all = append(all, batch.Events...)
		mu.Unlock()
	}))
	t.Cleanup(b.Close)
	heard := func(kind string) *told {
		mu.Lock()
		defer mu.Unlock()
		for i := range all {
			if all[i].Type == kind {
				return &all[i]
			}
		}
		return nil
	}
	s := start(t, Config{HookEvents: b.URL, TokenKeys: []string{keyFile(t, tokenSecret)}, Loops: 2, StateDir: t.TempDir()})
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"a"}})
	c := dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+token)
	eventually(t, "connect and occupied", func() bool { return heard("connect") != nil && heard("occupied") != nil })
	if e := heard("connect"); e.Sub != "u1" || e.Transport != "websocket" || e.Address != "127.0.0.1" || e.Conn == "" {
		t.Errorf("%+v", e)
	}
	c.Close()
	eventually(t, "disconnect and vacated", func() bool { return heard("disconnect") != nil && heard("vacated") != nil })
	if e := heard("disconnect"); e.Sub != "u1" || e.Conn != heard("connect").Conn || e.Reason == "" {
		t.Errorf("%+v", e)
	}
	if heard("occupied").Topic != "a" || heard("vacated").Topic != "a" {
		t.Errorf("%+v", all)
	}
}

// TestOccupanciesAreMadeUpFor: topics that changed while there was no room are found later.
func TestOccupanciesAreMadeUpFor(t *testing.T) {
	s := start(t, Config{HookEvents: "http://127.0.0.1:1/", HookTimeout: 100 * time.Millisecond, PublicTopics: []string{">"}, Loops: 1})
	s.occupancies.missed.Store(true) // as if the queue had been full
	dialWS(t, s.Addr().String(), "/ws?topic=a&topic=b&topic=c")
	eventually(t, "all are told of", func() bool { return s.hooks.events.Figures().Queued == 4 }) // and the connection
}

// TestConnsPerUserOnConnect: a connection that shows its token later is counted then, and given
// back once.
func TestConnsPerUserOnConnect(t *testing.T) {
	s := start(t, Config{MaxConnsPerUser: 1, TokenKeys: []string{keyFile(t, tokenSecret)}, PublicTopics: []string{"a"}, Loops: 1})
	ann := mint(t, "ann", time.Hour, lists{"subscribe": []string{"a"}})
	connect := `{"type":"connect","token":"` + ann + `","id":1}`
	first := dialWS(t, s.Addr().String(), "/ws", subprotocol)
	read(t, first) // welcome
	say(t, first, connect)
	if got := read(t, first); !strings.Contains(got, `"id":1`) || strings.Contains(got, "error") {
		t.Fatal(got)
	}
	second := dialWS(t, s.Addr().String(), "/ws", subprotocol)
	read(t, second)
	say(t, second, connect)
	var closed wsutil.ClosedError
	if _, _, err := wsutil.ReadServerData(second); !errors.As(err, &closed) || closed.Code != 1008 {
		t.Errorf("one connection too many: %v", err)
	}
	// The end of the second has given nothing back.
	if status, _ := knock(t, s, "/ws?topic=a", "Authorization: Bearer "+ann+"\r\n"); status != 429 {
		t.Errorf("a third: %d", status)
	}
	first.Close()
	eventually(t, "there is room again", func() bool {
		status, _ := knock(t, s, "/ws?topic=a", "Authorization: Bearer "+ann+"\r\n")
		return status == 101
	})
}

// TestConnsPerUser: one user has so many connections, whatever its address, and who leaves makes
// room.
func TestConnsPerUser(t *testing.T) {
	s := start(t, Config{MaxConnsPerUser: 2, TokenKeys: []string{keyFile(t, tokenSecret)}, Loops: 2})
	ann := mint(t, "ann", time.Hour, lists{"subscribe": []string{"a"}})
	bob := mint(t, "bob", time.Hour, lists{"subscribe": []string{"a"}})
	first := dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+ann)
	dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+ann)
	if status, body := knock(t, s, "/ws?topic=a", "Authorization: Bearer "+ann+"\r\n"); status != 429 || !strings.Contains(body, "--max-conns-per-user") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := knock(t, s, "/ws?topic=other", "Authorization: Bearer "+bob+"\r\n"); status != 403 {
		t.Errorf("a topic that is not his: %d", status)
	}
	dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+bob)
	dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+bob) // what was refused is not counted
	first.Close()
	eventually(t, "there is room again", func() bool {
		status, _ := knock(t, s, "/ws?topic=a", "Authorization: Bearer "+ann+"\r\n")
		return status == 101
	})
}
