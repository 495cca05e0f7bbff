// Tests of the reverse proxy, with the application played by the tests.

package upstream

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"c100k/frame"
)

// proxied is a Proxy in front of an application, and what it reported.
type proxied struct {
	*Proxy
	site   *httptest.Server
	failed chan string
}

func start(t *testing.T, app http.Handler, opt Options) *proxied {
	t.Helper()
	backend := httptest.NewServer(app)
	p := &proxied{failed: make(chan string, 100)}
	var err error
	if opt.URL, err = url.Parse(backend.URL); err != nil {
		t.Fatal(err)
	}
	if opt.Trusted == nil {
		opt.Trusted = func(string) bool { return false }
	}
	opt.Failed = func(outcome string, _ *http.Request, _ error) { p.failed <- outcome }
	opt.Switched = func(*http.Request) {}
	opt.Logger = slog.New(slog.DiscardHandler)
	p.Proxy = New(opt)
	p.site = httptest.NewServer(p)
	t.Cleanup(func() {
		p.Close()
		p.site.CloseClientConnections()
		p.site.Close()
		backend.CloseClientConnections()
		backend.Close()
		p.Close()
	})
	return p
}

// connect is a raw connection of a client.
func (p *proxied) connect(t *testing.T, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", p.site.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// says answers with the request's head as the application sees it.
var says = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Host: %s\n", r.Host)
	_ = r.Header.Write(w)
})

// TestForwarded: what a trusted proxy says of the client stays; what the client says itself does
// not pass.
func TestForwarded(t *testing.T) {
	const given = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n" +
		"Forwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nX_Forwarded_For: 192.0.2.1\r\nVia: 1.1 edge\r\nX-Own: stays\r\n"
	for _, trusted := range []bool{true, false} {
		p := start(t, says, Options{Trusted: func(string) bool { return trusted }})
		_, r := p.connect(t, "GET / HTTP/1.1\r\nHost: h\r\n"+given+"Connection: close\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		seen := strings.ReplaceAll(string(body), "\r", "")
		want := []string{"Host: h\n", "X-Own: stays\n", "Via: 1.1 edge\nVia: 1.1 c100k\n", "X-Forwarded-For: 127.0.0.1\n", "X-Forwarded-Proto: http\n", "X-Forwarded-Host: h\n"}
		not := []string{"192.0.2.1", "https", "shop.example", "443"}
		if trusted {
			want = []string{"X-Forwarded-For: 192.0.2.1, 127.0.0.1\n", "X-Forwarded-Proto: https\n", "X-Forwarded-Host: shop.example\n", "X-Forwarded-Port: 443\n", "Forwarded: for=192.0.2.1\n", "X-Real-Ip: 192.0.2.1\n"}
			not = nil
		}
		for _, s := range want {
			if !strings.Contains(seen, s) {
				t.Errorf("trusted %t: no %q in\n%s", trusted, s, seen)
			}
		}
		for _, s := range not {
			if strings.Contains(seen, s) {
				t.Errorf("trusted %t: %q passes:\n%s", trusted, s, seen)
			}
		}
		if res.Header.Get("Via") != "1.1 c100k" {
			t.Errorf("the answer came by %q", res.Header.Get("Via"))
		}
	}
}

// TestUpgradesToWebSocketOnly: an application that would speak h2c is not asked to.
func TestUpgradesToWebSocketOnly(t *testing.T) {
	p := start(t, says, Options{})
	for _, tt := range []struct{ upgrade, want string }{{"h2c", ""}, {"foo/2", ""}, {"websocket", "websocket"}, {"h2c, WebSocket", "websocket"}} {
		_, r := p.connect(t, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nUpgrade: "+tt.upgrade+"\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != 200 || strings.Contains(string(body), "Http2-Settings") || strings.Contains(string(body), "Upgrade:") != (tt.want != "") ||
			tt.want != "" && !strings.Contains(string(body), "Upgrade: websocket\r\n") {
			t.Errorf("%s: %s\n%s", tt.upgrade, res.Status, body)
		}
	}
	// An application that switches without being asked has no tunnel.
	p = start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
		c.Close()
	}), Options{})
	_, r := p.connect(t, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\nUpgrade: h2c\r\n\r\n")
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 502 {
		t.Errorf("%v, %v", res, err)
	}
}

func TestFrozen(t *testing.T) {
	leave := make(chan struct{})
	p := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-leave }), Options{Timeout: 50 * time.Millisecond})
	defer close(leave)
	_, r := p.connect(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 504 || !strings.Contains(string(body), "--upstream-timeout") || <-p.failed != OutcomeTimeout {
		t.Errorf("%s %q", res.Status, body)
	}
	if n := p.Answers()[OutcomeTimeout]; n != 1 {
		t.Errorf("%v", p.Answers())
	}
}

// TestClientLeft: the application is not blamed for a client that does not wait.
func TestClientLeft(t *testing.T) {
	entered, left := make(chan bool, 1), make(chan bool, 1)
	p := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		entered <- true
		<-r.Context().Done()
		left <- true
	}), Options{Timeout: time.Minute})
	c, _ := p.connect(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-entered
	c.Close()
	<-left
	for range 1000 {
		if p.Answers()[OutcomeClientLeft] == 1 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n := p.Answers()[OutcomeClientLeft]; n != 1 || len(p.failed) > 0 {
		t.Errorf("%v, %d failures", p.Answers(), len(p.failed))
	}
}

func TestNoInterimAnswerToHTTP10(t *testing.T) {
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}), Options{})
	_, r := p.connect(t, "POST / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Errorf("%q, %v", line, err)
	}
}

// TestDrain: a WebSocket of the application ends with 1012 between two frames, and is counted until
// then.
func TestDrain(t *testing.T) {
	first, rest := make(chan net.Conn, 1), make(chan bool)
	message := frame.AppendClose(nil, 1000, strings.Repeat("x", 50)) // any frame will do
	p := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = c.Write(message)
		_, _ = c.Write(message[:7])
		first <- c
		<-rest
		_, _ = c.Write(message[7:])
		_, _ = c.Write(message) // too late for the client
		_, _ = io.Copy(io.Discard, rw)
	}), Options{})
	c, r := p.connect(t, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	<-first
	got := make([]byte, len(message)+7)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	if p.Tunnels() != 1 {
		t.Errorf("%d tunnels", p.Tunnels())
	}
	drained := make(chan bool)
	go func() {
		p.Drain(0, nil)
		close(drained)
	}()
	for told := false; !told; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		for tunnel := range p.tunnels {
			told = tunnel.told.Load()
		}
		p.mu.Unlock()
	}
	close(rest)
	after := make([]byte, len(message)-7+len(restart))
	if _, err := io.ReadFull(r, after); err != nil || string(after) != string(message[7:])+string(restart) {
		t.Errorf("%q, %v", after, err)
	}
	c.Close()
	<-drained
	if p.Tunnels() != 0 || p.Answers()["1xx"] != 1 {
		t.Errorf("%d tunnels, %v", p.Tunnels(), p.Answers())
	}
}

// FuzzFrames: whatever the pieces are, boundaries are found where the frames of the whole end.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x05hello\x88\x02\x03\xf4\x82\x7e\x00\x80"), uint8(3))
	f.Add([]byte("\x81\x85maskhello\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var whole, pieces frames
		whole.follow(in)
		for rest := in; len(rest) > 0; {
			n := min(len(rest), int(step)+1)
			pieces.follow(rest[:n])
			rest = rest[n:]
		}
		if whole != pieces && !(whole.boundary() && pieces.boundary()) {
			t.Fatalf("%+v, in pieces %+v", whole, pieces)
		}
		var bound frames
		for rest := in; len(rest) > 0; {
			n := min(1, len(rest))
			bound.follow(rest[:n]) // the first byte of a frame
			rest = rest[n:]
			n = bound.untilBoundary(rest)
			if n < len(rest) && !bound.boundary() {
				t.Fatal("it stopped in a frame")
			}
			rest = rest[n:]
		}
		if bound.boundary() != whole.boundary() {
			t.Fatalf("%t, want %t", bound.boundary(), whole.boundary())
		}
	})
}
