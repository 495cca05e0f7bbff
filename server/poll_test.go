package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"c100k/netpoll"
)

// pollOnce polls, and returns the answer with its epochs as E.
func pollOnce(t *testing.T, base, query string, fields ...string) (r *http.Response, body string) {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, base+"/poll?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		q.Header.Set(name, value)
	}
	if r, err = http.DefaultClient.Do(q); err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, pollEpochs.ReplaceAllString(string(got), `${1}E.$2`)
}

var pollEpochs = regexp.MustCompile(`(["=,])[0-9a-z]+-[0-9a-z]+\.([0-9]+)`)

func TestPoll(t *testing.T) {
	s := withHistory(t)
	base := "http://" + s.Addr().String()
	first := publishTo(t, s, "h.a", "0").Position
	publishTo(t, s, "h.a", "1")
	for query, want := range map[string]string{
		"topic=h.a&wait=0":                                     `{"messages":[],"after":"E.2"}`,
		"topic=h.a&after=" + positionText(first):               `{"messages":[{"topic":"h.a","data":"1","offset":"E.2"}],"after":"E.2"}`,
		"topic=h.a&topic=h.a&wait=0s&after=never.1":            `{"messages":[],"after":"E.2","reset":[{"topic":"h.a","reason":"epoch","offset":"E.2"}]}`,
		"topic=h.a&last=1":                                     `{"messages":[{"topic":"h.a","data":"1","offset":"E.2"}],"after":"E.2"}`,
		"topic=h.a&rewind=1m":                                  `{"messages":[{"topic":"h.a","data":"0","offset":"E.1"},{"topic":"h.a","data":"1","offset":"E.2"}],"after":"E.2"}`,
		"topic=none&wait=1ms":                                  `{"messages":[],"after":"-"}`,
		"topic=none&wait=1ms&after=-":                          `{"messages":[],"after":"-","reset":[{"topic":"none","reason":"unknown"}]}`,
		"topic=h.a&wait=0&after=" + first.Epoch + ".9":         `{"messages":[],"after":"E.2","reset":[{"topic":"h.a","reason":"unknown","offset":"E.2"}]}`,
		"topic=h.a&wait=0&after=" + strings.Repeat("9", 4000):  `{"messages":[],"after":"E.2","reset":[{"topic":"h.a","reason":"unknown","offset":"E.2"}]}`,
		"topic=h.a&wait=0&after=" + url.QueryEscape("x\r\n.1"): `{"messages":[],"after":"E.2","reset":[{"topic":"h.a","reason":"unknown","offset":"E.2"}]}`,
	} {
		r, body := pollOnce(t, base, query)
		if r.StatusCode != 200 || body != want || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %s", query, r.StatusCode, body, want)
		}
	}
	for query, reason := range map[string]string{
		"":                         "names no topic",
		"topic=":                   "a topic is",
		"topic=a&wait=25":          "wait is a duration",
		"topic=a&wait=-1s":         "wait is a duration",
		"topic=a&wait=1h":          "wait is a duration",
		"topic=a&wait=1s&wait=1s":  "wait is a duration",
		"topic=a&after=":           "after=POSITION",
		"topic=a&after=e.1&last=1": "after=POSITION",
		"topic=a&last=0":           "last=1 to 1000",
		manyTopics(65):             "at most 64 topics",
	} {
		if r, body := pollOnce(t, base, query); r.StatusCode != 400 || !strings.Contains(body, reason) {
			t.Errorf("%.60s: %d %s", query, r.StatusCode, body)
		}
	}
	if r, err := http.Head(base + "/poll?topic=a"); err != nil || r.Body.Close() != nil || r.StatusCode != 405 || r.Header.Get("Allow") != "GET" {
		t.Errorf("HEAD: %v, %v", r, err)
	}
	c := dialHTTP(t, s.Addr().String())
	for request, want := range map[string]int{
		"POST /poll?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n":           405,
		"GET /poll?topic=a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx":           400,
		"GET /poll?topic=a HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n\r\n": 403,
		"GET /poll?topic=a&wait=0 HTTP/1.0\r\nHost: localhost\r\n\r\n":                          200,
	} {
		if status, _ := c.ask(request); status != want {
			t.Errorf("%q: %d", request, status)
		}
		c = dialHTTP(t, s.Addr().String())
	}
}

func manyTopics(n int) string {
	q := url.Values{}
	for i := range n {
		q.Add("topic", fmt.Sprint("t", i))
	}
	return q.Encode()
}

// TestPollNothingMissed: a client that polls again and again gets each message once, on one
// connection that other requests use between, whatever the moment at which messages come.
func TestPollNothingMissed(t *testing.T) {
	s := start(t, Config{Dev: true, History: []string{"h.>=1000,1m"}})
	const messages = 300 // of which all are kept
	c := dialHTTP(t, s.Addr().String())
	status, body := c.ask("GET /poll?topic=h.a&topic=h.b&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	go func() {
		for i := range messages {
			s.Publish([]string{"h.a", "h.b"}[i%2], 0, []byte(fmt.Sprint(i)))
			if i%7 == 0 {
				if r, err := http.Get("http://" + s.Addr().String() + "/nothing"); err == nil { // time for a poll
					r.Body.Close()
				}
			}
		}
	}()
	next := map[string]int{"h.a": 0, "h.b": 1}
	for {
		var a struct {
			Messages []struct{ Topic, Data string }
			After    string
			Reset    []any
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 || a.Reset != nil {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		for _, m := range a.Messages {
			if m.Data != fmt.Sprint(next[m.Topic]) {
				t.Fatalf("%s has %s instead of %d", m.Topic, m.Data, next[m.Topic])
			}
			next[m.Topic] += 2
		}
		if next["h.a"]%10 == 0 {
			if status, _ := c.ask("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"); status != 404 {
				t.Fatal(status)
			}
		}
		if next["h.a"] >= messages && next["h.b"] >= messages {
			break
		}
		status, body = c.ask("GET /poll?topic=h.a&topic=h.b&after=" + url.QueryEscape(a.After) + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
}

// TestPollIsAConnection: polls are counted, limited by user, and subject to rights as connections
// are.
func TestPollIsAConnection(t *testing.T) {
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, MaxConnsPerUser: 1, History: []string{"h.>=5,1m"}, Origins: []string{"https://good.example"}})
	base := "http://" + s.Addr().String()
	token := "Authorization: Bearer " + mint(t, "ann", time.Hour, lists{"subscribe": []string{"h.>"}})
	if r, _ := pollOnce(t, base, "topic=h.a&wait=0"); r.StatusCode != 403 {
		t.Errorf("without a token: %d", r.StatusCode)
	}
	r, body := pollOnce(t, base, "topic=h.a&wait=0&access_token=x", "Origin: https://good.example")
	if r.StatusCode != 401 || r.Header.Get("Access-Control-Allow-Origin") != "https://good.example" || r.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Errorf("with a bad token: %d %s %v", r.StatusCode, body, r.Header)
	}
	r, body = pollOnce(t, base, "topic=h.a&wait=0", token, "Origin: https://good.example")
	if want := `{"messages":[],"after":"-"}`; r.StatusCode != 200 || body != want || r.Header.Get("Access-Control-Allow-Origin") != "https://good.example" {
		t.Errorf("%d %s %v", r.StatusCode, body, r.Header)
	}
	c := dialHTTP(t, s.Addr().String())
	c.send("GET /poll?topic=h.a&wait=55s HTTP/1.1\r\nHost: localhost\r\n" + token + "\r\n\r\n")
	eventually(t, "subscribed", func() bool { return subscribers(s, "h.a") == 1 })
	if r, _ := pollOnce(t, base, "topic=h.a&wait=0", token); r.StatusCode != 429 {
		t.Errorf("a second poll of the user: %d", r.StatusCode)
	}
	publishTo(t, s, "h.a", "x")
	if status, body := c.answer(); status != 200 || !strings.Contains(body, `"data":"x"`) {
		t.Errorf("%d %s", status, body)
	}
	count := s.node.Count("poll")
	if open, closed := count.OpenedTotal(), count.ClosedTotal(netpoll.ReasonLocal); open != 2 || closed != 2 {
		t.Errorf("%d opened, %d closed", open, closed)
	}
	q, _ := http.NewRequest(http.MethodOptions, base+"/poll?topic=h.a", nil)
	q.Header.Set("Origin", "https://good.example")
	q.Header.Set("Access-Control-Request-Method", "GET")
	q.Header.Set("Access-Control-Request-Headers", "authorization")
	if r, err := http.DefaultClient.Do(q); err != nil || r.Body.Close() != nil || r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Headers") != "authorization" {
		t.Errorf("preflight: %v %v", r, err)
	}
}

// TestPollMounted: a poll in a program's own server, whose handlers get the next request on the
// connection.
func TestPollMounted(t *testing.T) {
	s, _ := mount(t, Config{Dev: true, History: []string{"h.>=5,1m"}})
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("X-Program", "yes")
		s.Handler().ServeHTTP(w, r)
	}))
	defer server.Close()
	publishTo(t, s, "h.a", "x")
	c := dialHTTP(t, strings.TrimPrefix(server.URL, "http://"))
	for range 3 {
		if status, body := c.ask("GET /poll?topic=h.a&last=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"); status != 200 || !strings.Contains(body, `"data":"x"`) {
			t.Errorf("%d %s", status, body)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("the program has seen %d requests", n)
	}
}

// TestPollDrains: a node that goes down answers what waits, at once.
func TestPollDrains(t *testing.T) {
	s := withHistory(t)
	c := dialHTTP(t, s.Addr().String())
	c.send("GET /poll?topic=h.a&wait=55s HTTP/1.1\r\nHost: localhost\r\n\r\n")
	eventually(t, "subscribed", func() bool { return subscribers(s, "h.a") == 1 })
	s.beginDrain()
	if status, body := c.answer(); status != 200 || !strings.HasPrefix(body, `{"messages":[]`) {
		t.Errorf("%d %s", status, body)
	}
}

// TestPollThroughProxy: the polls of a proxy's connections count for the clients that it names.
func TestPollThroughProxy(t *testing.T) {
	s := start(t, Config{Dev: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, MaxConnsPerIP: 1})
	for i, client := range []string{"192.0.2.1", "192.0.2.2"} {
		c := dialHTTP(t, s.Addr().String())
		c.send("GET /poll?topic=a&wait=55s HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: " + client + "\r\n\r\n")
		eventually(t, "subscribed", func() bool { return subscribers(s, "a") == i+1 })
	}
	base := "http://" + s.Addr().String()
	if r, _ := pollOnce(t, base, "topic=a&wait=0", "X-Forwarded-For: 192.0.2.1"); r.StatusCode != 429 {
		t.Errorf("a second poll of a client: %d", r.StatusCode)
	}
	publishTo(t, s, "a", "x")
	eventually(t, "the polls to end", func() bool { return s.admission.Sessions() == 0 })
	if r, _ := pollOnce(t, base, "topic=a&wait=0", "X-Forwarded-For: 192.0.2.1"); r.StatusCode != 200 {
		t.Errorf("a poll after the first: %d", r.StatusCode)
	}
}
