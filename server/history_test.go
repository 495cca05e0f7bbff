// History over each transport, and in the API, with real sockets.

package server

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"

	"github.com/gobwas/ws/wsutil"
)

// withHistory starts a node that keeps of topics below h. the last 5 messages.
func withHistory(t *testing.T) *Server {
	return start(t, Config{Dev: true, Admin: "127.0.0.1:0", History: []string{"h.>=5,1m"}, PublicTopics: []string{">"}})
}

func publishTo(t *testing.T, s *Server, topic, text string) broadcast.Result {
	t.Helper()
	r, err := s.Publish(topic, broadcast.Text, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func positionText(p broadcast.Position) string { return fmt.Sprintf("%s.%d", p.Epoch, p.Offset) }

// read returns the next message, with each epoch as E.
func read(t *testing.T, c net.Conn) string {
	t.Helper()
	got, _, err := wsutil.ReadServerData(c)
	if err != nil {
		t.Fatal(err)
	}
	return epochs.ReplaceAllString(string(got), `"E.$1`)
}

var epochs = regexp.MustCompile(`"[0-9a-z]+-[0-9a-z]+\.([0-9]+)`)

func expectAll(t *testing.T, c net.Conn, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := read(t, c); !regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(w), "CONN", "[^\"]*") + "$").MatchString(got) {
			t.Fatalf("got %s, want %s", got, w)
		}
	}
}

func TestHistoryEnveloped(t *testing.T) {
	s := withHistory(t)
	var at [8]broadcast.Position
	for i := range at {
		at[i] = publishTo(t, s, "h.a", fmt.Sprint(i)).Position
	}
	c := dialWS(t, s.Addr().String(), "/ws?topic=h.b", subprotocol)
	expectAll(t, c, `{"type":"welcome","conn":"CONN","offsets":{"h.b":"E.0"}}`)
	say(t, c, `{"type":"subscribe","topics":[{"topic":"h.a","after":"`+positionText(at[5])+`"},"x"],"id":1}`)
	expectAll(t, c, `{"type":"ack","id":1,"offsets":{"h.a":"E.6"}}`, `{"type":"resumed","topic":"h.a","messages":2}`,
		`{"type":"message","topic":"h.a","data":"6","offset":"E.7"}`, `{"type":"message","topic":"h.a","data":"7","offset":"E.8"}`)
	publishTo(t, s, "h.a", "live")
	publishTo(t, s, "x", "plain")
	expectAll(t, c, `{"type":"message","topic":"h.a","data":"live","offset":"E.9"}`, `{"type":"message","topic":"x","data":"plain"}`)

	for wish, want := range map[string]string{
		`"after":"` + positionText(at[0]) + `"`: `"reason":"expired","offset":"E.9"`,
		`"after":"` + at[0].Epoch + `.4000"`:    `"reason":"unknown","offset":"E.9"`,
		`"after":"never.1"`:                     `"reason":"epoch","offset":"E.9"`,
	} {
		say(t, c, `{"type":"unsubscribe","topics":["h.a"]}`)
		say(t, c, `{"type":"subscribe","topics":[{"topic":"h.a",`+wish+`}]}`)
		expectAll(t, c, `{"type":"ack"}`, `{"type":"ack","offsets":{"h.a":"E.9"}}`, `{"type":"reset","topic":"h.a",`+want+`}`)
	}
	say(t, c, `{"type":"subscribe","topics":[{"topic":"plain","last":3}]}`)
	expectAll(t, c, `{"type":"ack"}`, `{"type":"reset","topic":"plain","reason":"unknown"}`)

	for text, want := range map[string]string{
		`{"topic":"h.a","last":3}`:               `"unsubscribe before you resume`,
		`{"topic":"h.c","after":"-1"}`:           `"a position is an epoch`,
		`{"topic":"h.c","after":""}`:             `"must be a string`,
		`{"topic":"h.c","last":"3"}`:             `"last is a number`,
		`{"topic":"h.c","last":0}`:               `"last is a number`,
		`{"topic":"h.c","last":1000000000}`:      `"last is a number`,
		`{"topic":"h.c","rewind":"x"}`:           `"rewind is a duration`,
		`{"topic":"h.c","last":1,"rewind":"1s"}`: `"after, last and rewind exclude`,
		`{"topic":"h.c","last":1,"last":1}`:      `"a member that stands there twice`,
		`{"last":1}`:                             `"an object in`,
		`{}`:                                     `"an object in`,
		`{"topic":1}`:                            `"must be a string`,
		`{"topic":"h.c","from":1}`:               `"unknown member of a topic`,
		`[1]`:                                    `\"topics\" must be an array`,
		`{"topic":"","last":1}`:                  `"message":`,
		`{"topic":"h.c","after":"` + strings.Repeat("9", 4000) + `"}`: `"a position is an epoch`,
	} {
		say(t, c, `{"type":"subscribe","topics":[`+text+`]}`)
		if got := read(t, c); !strings.Contains(got, `"type":"error"`) || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestHistoryBare(t *testing.T) {
	s := withHistory(t)
	for i := range 3 {
		publishTo(t, s, "h.a", fmt.Sprint(i))
	}
	c := dialWS(t, s.Addr().String(), "/ws?topic=h.a&last=2")
	expectText(t, c, "1")
	expectText(t, c, "2")
	publishTo(t, s, "h.a", "live")
	expectText(t, c, "live")
	c = dialWS(t, s.Addr().String(), "/ws?topic=h.a&rewind=30s")
	for _, want := range []string{"0", "1", "2", "live"} {
		expectText(t, c, want)
	}
	for _, query := range []string{"last=0", "last=x", "rewind=1", "after=x", "last=1&rewind=1s", "last=1&last=2", "last="} {
		if status := upgrade(t, s, "/ws?topic=h.a&"+query); status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, status)
		}
	}
}

func upgrade(t *testing.T, s *Server, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// events reads a stream of events until it has n blocks behind the head's comment; with each epoch
// as E, and the ids as they were.
func events(t *testing.T, s *Server, query, lastID string, n int, then func()) (blocks, ids []string) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr().String()+"/sse?"+query, nil)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		body, _ := io.ReadAll(answer.Body)
		return []string{fmt.Sprint(answer.StatusCode, " ", string(body))}, nil
	}
	time.AfterFunc(patience, func() { answer.Body.Close() })
	in := bufio.NewScanner(answer.Body)
	var block []string
	id := ""
	for len(blocks) < n && in.Scan() {
		line := in.Text()
		switch {
		case strings.HasPrefix(line, "retry:"), strings.HasPrefix(line, ":"):
		case line != "":
			if text, ok := strings.CutPrefix(line, "id: "); ok {
				id = text
				line = "id: " + anyEpoch.ReplaceAllString(sums.ReplaceAllString(text, ";S"), "E.$1")
			} else {
				line = epochs.ReplaceAllString(line, `"E.$1`)
			}
			block = append(block, line)
		case len(block) > 0:
			blocks, ids = append(blocks, strings.Join(block, "|")), append(ids, id)
			block = nil
			if len(blocks) == 1 && then != nil {
				then()
			}
		}
	}
	return blocks, ids
}

var (
	anyEpoch = regexp.MustCompile(`[0-9a-z]+-[0-9a-z]+\.([0-9]+)`)
	sums     = regexp.MustCompile(`;[0-9a-f]+$`)
)

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestHistoryEvents(t *testing.T) {
	s := withHistory(t)
	// A client that has heard nothing gets an id.
	blocks, ids := events(t, s, "topic=h.a", "", 2, func() { publishTo(t, s, "h.a", "0") })
	same(t, blocks, "id: E.0", "event: message|id: E.1|data: 0")
	for i := range 3 {
		publishTo(t, s, "h.a", fmt.Sprint(i+1))
	}
	blocks, _ = events(t, s, "topic=h.a", ids[0], 5, nil)
	same(t, blocks, "id: E.0", "event: message|id: E.1|data: 0", "event: message|id: E.2|data: 1", "event: message|id: E.3|data: 2", "event: message|id: E.4|data: 3")
	blocks, _ = events(t, s, "topic=h.a&last_event_id="+ids[1], "", 3, nil)
	same(t, blocks, "id: E.1", "event: message|id: E.2|data: 1", "event: message|id: E.3|data: 2")
	blocks, _ = events(t, s, "topic=h.a&last=1", "", 2, nil)
	same(t, blocks, "id: E.3", "event: message|id: E.4|data: 3")
	for _, bad := range []string{"x", "never.1", strings.Repeat("9", 30), strings.Repeat("x", 4000)} {
		reason := "unknown"
		if bad == "never.1" {
			reason = "epoch"
		}
		blocks, _ = events(t, s, "topic=h.a", bad, 2, nil)
		same(t, blocks, "id: E.4", `event: reset|id: E.4|data: {"topic":"h.a","reason":"`+reason+`","offset":"E.4"}`)
	}
}

// TestHistoryEventsOfSeveralTopics: one id says where the stream is in each topic.
func TestHistoryEventsOfSeveralTopics(t *testing.T) {
	s := withHistory(t)
	const query = "topic=h.a&topic=plain&topic=h.b"
	blocks, ids := events(t, s, query, "", 4, func() {
		publishTo(t, s, "h.a", "a1")
		publishTo(t, s, "plain", "p")
		publishTo(t, s, "h.b", "b1")
	})
	if len(blocks) != 4 || blocks[0] != "id: E.0,-,E.0;S" || !strings.HasPrefix(ids[3], strings.Split(ids[3], ".")[0]+".1,-,") {
		t.Fatalf("%q", blocks)
	}
	publishTo(t, s, "h.a", "a2")
	publishTo(t, s, "h.b", "b2")
	blocks, _ = events(t, s, query, ids[3], 3, nil)
	if len(blocks) != 3 || blocks[0] != "id: E.1,-,E.1;S" || !strings.Contains(blocks[2], "E.2,-,E.2;S") {
		t.Errorf("%q", blocks)
	}
	// With other topics the id says nothing.
	blocks, _ = events(t, s, "topic=h.b&topic=h.a", ids[3], 3, nil)
	if len(blocks) != 3 || !strings.Contains(blocks[1], `"reason":"unknown"`) || !strings.Contains(blocks[2], `"reason":"unknown"`) {
		t.Errorf("%q", blocks)
	}
}

// TestHistoryEventsEnveloped: the messages of c100k.v1 as events, each topic with its beginning.
func TestHistoryEventsEnveloped(t *testing.T) {
	s := withHistory(t)
	var at broadcast.Position
	for i := range 3 {
		at = publishTo(t, s, "h.a", fmt.Sprint(i)).Position
		publishTo(t, s, "h.b", fmt.Sprint(i))
	}
	conns := regexp.MustCompile(`"conn":"[0-9a-f]{16}"`)
	stream := func(query string, n int, then func()) []string {
		blocks, _ := events(t, s, "form=c100k.v1"+query, "", n, then)
		for i := range blocks {
			blocks[i] = conns.ReplaceAllString(blocks[i], `"conn":"C"`)
		}
		return blocks
	}
	same(t, stream("&topic=h.a&topic=plain&topic=h.b&topic=h.c&from=last%3D1&from=&from=never.1", 6, func() {
		if _, err := s.Publish("plain", broadcast.JSON, []byte("{\n\"a\":\r\n\"\\n\"}")); err != nil {
			t.Error(err)
		}
		publishTo(t, s, "plain", "two\nlines")
	}), `id: E.2,-,E.3,E.0;S|data: {"type":"welcome","conn":"C","offsets":{"h.a":"E.2","h.b":"E.3","h.c":"E.0"}}`,
		`data: {"type":"resumed","topic":"h.a","messages":1}`, `data: {"type":"reset","topic":"h.b","reason":"epoch","offset":"E.3"}`,
		`id: E.3,-,E.3,E.0;S|data: {"type":"message","topic":"h.a","data":"2","offset":"E.3"}`,
		`id: E.3,-,E.3,E.0;S|data: {"type":"message","topic":"plain","data":{ "a":  "\n"}}`,
		`id: E.3,-,E.3,E.0;S|data: {"type":"message","topic":"plain","data":"two\nlines"}`)
	same(t, stream("&topic=h.a&from="+at.Epoch+".1", 4, nil), `id: E.1|data: {"type":"welcome","conn":"C","offsets":{"h.a":"E.1"}}`,
		`data: {"type":"resumed","topic":"h.a","messages":2}`,
		`id: E.2|data: {"type":"message","topic":"h.a","data":"1","offset":"E.2"}`, `id: E.3|data: {"type":"message","topic":"h.a","data":"2","offset":"E.3"}`)
	same(t, stream("", 1, nil), `data: {"type":"welcome","conn":"C"}`)
	for _, query := range []string{
		"form=bare&topic=h.a", "form=&topic=h.a", "form=c100k.v1&topic=h.a&from=&from=", "form=c100k.v1&topic=h.a&from=last%3D", "form=c100k.v1&topic=h.a&from=last%3D0",
		"form=c100k.v1&topic=h.a&from=rewind%3D-1s", "form=c100k.v1&topic=h.a&from=1", "form=c100k.v1&form=c100k.v1",
	} {
		if blocks, _ := events(t, s, query, "", 1, nil); !strings.HasPrefix(blocks[0], "400 ") {
			t.Errorf("%s: %q", query, blocks)
		}
	}
}

func TestHistoryAPI(t *testing.T) {
	s := withHistory(t)
	call := func(method, path string) (int, map[string]any) {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), method, "http://"+s.AdminAddr().String()+path, nil)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		m := map[string]any{}
		_ = json.NewDecoder(answer.Body).Decode(&m)
		return answer.StatusCode, m
	}
	if status, m := call("GET", "/v1/topics/h.a/history"); status != 200 || len(m["messages"].([]any)) != 0 || m["newest"] != nil {
		t.Errorf("%d %v", status, m)
	}
	var last broadcast.Position
	for i := range 7 {
		last = publishTo(t, s, "h.a", fmt.Sprint(i)).Position
	}
	status, m := call("GET", "/v1/topics/h.a/history?limit=2")
	messages := m["messages"].([]any)
	if status != 200 || len(messages) != 2 || messages[0].(map[string]any)["data"] != "2" || m["newest"] != positionText(last) {
		t.Errorf("%d %v", status, m)
	}
	if _, m = call("GET", "/v1/topics/h.a/history?after="+m["next"].(string)); len(m["messages"].([]any)) != 3 || m["next"] != nil {
		t.Errorf("%v", m)
	}
	if _, m = call("GET", "/v1/topics/h.a/history?reverse=true&limit=1"); m["messages"].([]any)[0].(map[string]any)["data"] != "6" {
		t.Errorf("%v", m)
	}
	for path, want := range map[string]int{
		"/v1/topics/plain/history": 404, "/v1/topics/h.a/history?after=x": 400, "/v1/topics/h.a/history?after=never.1": 410,
		"/v1/topics/h.a/history?limit=0": 400, "/v1/topics/h.a/history?limit=100000": 400, "/v1/topics/h.a/history?reverse=x": 400, "/v1/topics/h.a/history?x=1": 400,
	} {
		if status, m := call("GET", path); status != want {
			t.Errorf("%s: %d %v", path, status, m)
		}
	}
	if status, _ := call("DELETE", "/v1/topics/h.a/history"); status != 204 {
		t.Errorf("DELETE: %d", status)
	}
	if _, m = call("GET", "/v1/topics/h.a/history"); len(m["messages"].([]any)) != 0 || m["newest"] != positionText(last) {
		t.Errorf("%v", m)
	}
	if status, _ := call("DELETE", "/v1/topics/plain/history"); status != 404 {
		t.Errorf("DELETE: %d", status)
	}
	if answer := post(t, s, "/v1/topics/h.a", "text/plain", "x"); !strings.Contains(answer, `"offset":"`+last.Epoch+`.8","durable":"memory"`) {
		t.Errorf("%s", answer)
	}
	if answer := post(t, s, "/v1/publish", "application/json", `{"topics":["h.a","h.b","x"],"data":1}`); !strings.Contains(answer, `"offsets":{"h.a":"`+last.Epoch+`.9","h.b":"`) {
		t.Errorf("%s", answer)
	}
}

// TestIdempotencyKey: the same key publishes once, and gets the first answer.
func TestIdempotencyKey(t *testing.T) {
	s := withHistory(t)
	first := post(t, s, "/v1/publish", "application/json", `[{"topic":"h.a","data":1,"key":"k"},{"topic":"h.a","data":1,"key":"k"},{"topic":"h.b","data":1,"key":"k"}]`)
	again := post(t, s, "/v1/publish", "application/json", `{"topic":"h.a","data":1,"key":"k"}`)
	var answers []struct{ Offset string }
	if err := json.Unmarshal([]byte(first), &answers); err != nil || len(answers) != 3 || answers[0] != answers[1] || answers[0].Offset == answers[2].Offset ||
		!strings.Contains(again, answers[0].Offset) || !strings.HasSuffix(answers[0].Offset, ".1") {
		t.Errorf("%s; again %s", first, again)
	}
	if other := post(t, s, "/v1/publish", "application/json", `{"topic":"h.a","data":2,"key":"k"}`); other != again {
		t.Errorf("the same key with another message: %s, not %s", other, again)
	}
	if k, _ := s.node.Hub().Kept("h.a", broadcast.Position{}, 10, false); len(k.Messages) != 1 {
		t.Errorf("%d messages", len(k.Messages))
	}
	for body, want := range map[string]int{
		`{"topic":"h.a","data":2,"key":"k"}`:                                  http.StatusOK, // the first answer
		`{"topic":"h.a","data":2,"key":"` + strings.Repeat("k", 256) + `"}`:   http.StatusBadRequest,
		`{"topic":"h.a","data":2,"key":"` + strings.Repeat("k", 1<<19) + `"}`: http.StatusBadRequest,
		`{"topic":"h.a","data":2,"key":"` + strings.Repeat("k", 1<<20) + `"}`: http.StatusBadRequest,
		`{"topic":"h.a","data":2,"key":""}`:                                   http.StatusBadRequest,
		`{"topic":"h.a","data":2,"key":7}`:                                    http.StatusBadRequest,
	} {
		r, err := http.Post("http://"+s.AdminAddr().String()+"/v1/publish", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%.60s: %d", body, r.StatusCode)
		}
	}
}
