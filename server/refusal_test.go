// Tests of refusals: what the client is told, and what the operator.

package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"c100k/internal/edge"
)

// plainConn is a client's connection to a node.
type plainConn struct {
	net.Conn
	r *bufio.Reader
}

func dialNode(t *testing.T, s *Server) *plainConn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return &plainConn{c, bufio.NewReader(c)}
}

// answer sends a request and reads the whole answer; the connection stays open.
func (c *plainConn) answer(t *testing.T, request string) *http.Response {
	t.Helper()
	fmt.Fprint(c, request)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res
}

// ask sends a raw request to a node and returns the answer.
func ask(t *testing.T, s *Server, request string) (*http.Response, string) {
	t.Helper()
	c := dialNode(t, s)
	fmt.Fprint(c, request)
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestPreflights(t *testing.T) {
	s := start(t, Config{PublicTopics: []string{">"}, APIKey: "secret-secret", Origins: []string{"https://app.example"}})
	const asked = "last-event-id, authorization, cache-control"
	for _, path := range []string{"/sse", "/v1/publish", "/socket.io/"} {
		request := "OPTIONS " + path + " HTTP/1.1\r\nHost: h\r\nOrigin: %s\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: " + asked + "\r\nConnection: close\r\n\r\n"
		res, _ := ask(t, s, fmt.Sprintf(request, "https://app.example"))
		h := res.Header
		if res.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "https://app.example" ||
			h.Get("Access-Control-Allow-Headers") != asked || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "GET") {
			t.Errorf("%s: %s %v", path, res.Status, h)
		}
		if path == "/socket.io/" {
			continue // which leaves out the header fields, so that the browser refuses
		}
		res, body := ask(t, s, fmt.Sprintf(request, "https://evil.example"))
		if res.StatusCode != 403 || !strings.Contains(body, `"https://evil.example"`) || !strings.Contains(body, "--origin") {
			t.Errorf("%s: %s %q", path, res.Status, body)
		}
	}
}

// TestAnyOriginHasNoCredentials: with "*", a page must not read what its visitor's cookies open.
func TestAnyOriginHasNoCredentials(t *testing.T) {
	s := start(t, Config{PublicTopics: []string{">"}, Origins: []string{"*"}})
	c := dialNode(t, s)
	fmt.Fprint(c, "GET /sse?topic=a HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if h := res.Header; h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", h)
	}
}

// TestEventSourceComesBack: what is refused for a time is no error to an EventSource, and is
// counted all the same.
func TestEventSourceComesBack(t *testing.T) {
	s := start(t, Config{PublicTopics: []string{">"}, MaxConns: 1, Origins: []string{"https://a.example"}})
	dialNode(t, s).answer(t, "GET /healthy HTTP/1.1\r\nHost: h\r\n\r\n")
	const events = "GET /sse?topic=a HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\nAccept: text/event-stream\r\n\r\n"
	res, body := ask(t, s, events)
	if res.StatusCode != 200 || !strings.HasPrefix(body, "retry: 5000\n") || res.Header.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Errorf("%s %v %q", res.Status, res.Header, body)
	}
	if res, body := ask(t, s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 503 || !strings.Contains(body, "--max-conns") {
		t.Errorf("%s %q", res.Status, body)
	}
	if n := s.rejected.snapshot()["over_capacity"]; n != 2 {
		t.Errorf("%d refusals are counted", n)
	}
}

func TestMaxHead(t *testing.T) {
	cookie := "Cookie: " + strings.Repeat("c", 20<<10) + "\r\n"
	const first = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
	second := "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + cookie + "\r\n"
	if res, body := ask(t, start(t, Config{}), second); res.StatusCode != 431 || !strings.Contains(body, "--max-head") {
		t.Errorf("%s %q", res.Status, body)
	}
	s := start(t, Config{MaxHead: 32 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.Header.Get("Cookie")))
	})})
	if res, body := ask(t, s, second); res.StatusCode != 200 || body != "20480" {
		t.Errorf("%s %q", res.Status, body)
	}
	c := dialNode(t, s)
	c.answer(t, first) // the next one is the guard's to judge, and net/http's
	fmt.Fprint(c, second)
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("%v, %v", res, err)
	}
}

// TestRebinding: with Dev, a page whose name resolves to 127.0.0.1 is not our own host.
func TestRebinding(t *testing.T) {
	s := start(t, Config{Dev: true})
	for _, path := range []string{"/ws?topic=a", "/socket.io/?EIO=4&transport=polling", "/", "/sse?topic=a"} {
		res, body := ask(t, s, "GET "+path+" HTTP/1.1\r\nHost: evil.example:8080\r\nOrigin: http://evil.example:8080\r\n\r\n")
		if res.StatusCode != 421 || !strings.Contains(body, "--host") {
			t.Errorf("%s: %s %q", path, res.Status, body)
		}
	}
}

func TestMaxRequests(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	s := start(t, Config{MaxRequests: 1, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- true
		<-leave
	})})
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	c := dialNode(t, s)
	fmt.Fprint(c, request)
	<-entered
	if res, body := ask(t, s, request); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || body != edge.RefuseBusy.Reason+"\n" {
		t.Errorf("%s %q", res.Status, body)
	}
	leave <- true
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 200 {
		t.Errorf("%v, %v", res, err)
	}
	if s.requests.Load() > 1 {
		t.Errorf("%d are counted", s.requests.Load())
	}
}

func TestNotices(t *testing.T) {
	var log bytes.Buffer
	s := &Server{notices: newNotices(slog.New(slog.NewTextHandler(&log, nil)))}
	for range 100 {
		s.refusedFrom(edge.RefusePerAddr, netip.MustParseAddr("2001:db8:1:2::3"))
		s.refusedFrom(edge.OriginRefusal("https://evil.example"), netip.Addr{})
		s.refusedFrom(edge.RefuseNotUpgrade, netip.Addr{}) // no setting has decided
	}
	now := time.Now()
	if s.notices.flush(now) {
		t.Error("more than there is")
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	for _, want := range []string{"count=100", "--max-conns-per-ip", "address=2001:db8:1:2::/64", "https://evil.example", "setting=--origin"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in %q", want, lines)
		}
	}
	log.Reset()
	s.refusedFrom(edge.RefusePerAddr, netip.Addr{})
	if !s.notices.flush(now.Add(noticeEvery/2)) || log.Len() > 0 {
		t.Errorf("%q in the same minute", log.String())
	}
	if s.notices.flush(now.Add(noticeEvery)) || !strings.Contains(log.String(), "count=1") {
		t.Errorf("%q", log.String())
	}
}

// TestBadBodyThroughUpstream: the client is told what is wrong with its body; the application is
// not blamed.
func TestBadBodyThroughUpstream(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer app.Close()
	s := start(t, Config{Upstream: app.URL})
	for _, body := range []string{"zz\r\n", "3\r\nabcd\r\n", "3;a=b c\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nno field\r\n\r\n"} {
		res, answer := ask(t, s, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		if res.StatusCode != 400 || !strings.Contains(answer, "chunk") && !strings.Contains(answer, "body") {
			t.Errorf("%q: %s %q", body, res.Status, answer)
		}
	}
	if n := s.upstream.Answers()["unreachable"]; n != 0 {
		t.Errorf("%d failures are the application's", n)
	}
	if n := s.rejected.snapshot()["bad_request"]; n != 4 {
		t.Errorf("%d refusals are counted", n)
	}
}

// In a flood from one address each connection hears the limit that has refused it, whatever the
// node has room for, and each is counted.
func TestRefusalsOfAFlood(t *testing.T) {
	const flood = 300
	s := start(t, Config{MaxConnsPerIP: 3, MaxConns: 6000, HandshakeTimeout: time.Minute})
	for range 3 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	eventually(t, "all that may are in", func() bool { return s.admission.Open() == 3 })
	answers := make(chan string, flood)
	for range flood {
		go func() {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				answers <- err.Error()
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n")
			p, _ := io.ReadAll(c) // a reset behind the answer does not matter
			answers <- string(p)
		}()
	}
	for range flood {
		// A connection that is closed by its acceptor may be reset before its answer is read.
		if answer := <-answers; answer != "" && (!strings.HasPrefix(answer, "HTTP/1.1 429 ") || !strings.Contains(answer, "--max-conns-per-ip")) {
			t.Fatalf("the answer is %q", answer)
		}
	}
	if r := s.admission.Refused(); r.OverCapacity != 0 || r.PerAddr != flood {
		t.Errorf("%d refusals by the node's limit and %d by that of an address, want 0 and %d", r.OverCapacity, r.PerAddr, flood)
	}
	if n := s.rejected.snapshot()["per_address"]; n != flood {
		t.Errorf("%d refusals are counted by their reason", n)
	}
}

// TestSocketIOOriginIsNamed: a page of an origin that is not allowed learns which one was refused
// and what allows it, and the operator is warned with the setting, as for a WebSocket.
func TestSocketIOOriginIsNamed(t *testing.T) {
	s := start(t, Config{Origins: []string{"https://ok.example"}, PublicTopics: []string{">"}})
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+"/socket.io/?EIO=4&transport=polling", nil)
	r.Header.Set("Origin", "https://evil.example")
	answer, err := new(http.Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	polled, _ := io.ReadAll(answer.Body)
	status, opened := knock(t, s, "/socket.io/?EIO=4&transport=websocket", "Origin: https://evil.example")
	for body, status := range map[string]int{string(polled): answer.StatusCode, opened: status} {
		if status != http.StatusForbidden || !strings.Contains(body, "https://evil.example") || !strings.Contains(body, "--origin") {
			t.Errorf("%d %s", status, body)
		}
	}
	if n := s.rejected.snapshot()["origin"]; n != 2 {
		t.Errorf("%d refusals are counted by their reason", n)
	}
	if _, noted := s.notices.kinds.Load("origin"); !noted {
		t.Error("the operator is not warned")
	}
}
