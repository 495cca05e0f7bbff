// A server behind handlers of a program: each request passes them, on every connection.

package socketio_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"c100k/socketio"
)

// patient is how long a test waits for an event before it fails.
const patient = 30 * time.Second

// raw is a client that writes requests by hand on one connection.
type raw struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func dialRaw(t *testing.T, s *httptest.Server) *raw {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patient))
	return &raw{c, t, bufio.NewReader(c)}
}

// write sends a request; fields are header lines.
func (c *raw) write(method, query, body string, fields ...string) {
	c.t.Helper()
	length := ""
	if method == http.MethodPost {
		length = fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	for _, f := range fields {
		length += f + "\r\n"
	}
	if _, err := fmt.Fprintf(c, "%s /socket.io/?EIO=4&transport=%s HTTP/1.1\r\nHost: h\r\n%s\r\n%s", method, query, length, body); err != nil {
		c.t.Fatal(err)
	}
}

// read reads an answer and its body.
func (c *raw) read() (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.StatusCode == http.StatusSwitchingProtocols {
		return r, ""
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return r, string(body)
}

// do is write and read.
func (c *raw) do(method, query, body string, fields ...string) (*http.Response, string) {
	c.t.Helper()
	c.write(method, query, body, fields...)
	return c.read()
}

// sidOf returns the session's id in an open packet.
func sidOf(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	if !ok || sid == "" {
		t.Fatalf("no open packet: %q", body)
	}
	return sid
}

const key = "X-Key: k"

// guarded serves io behind a handler that wants a key and sets header fields with the number of
// each request.
func guarded(t *testing.T, io *socketio.Server) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	n := new(atomic.Int64)
	next := io.Handler()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Set-Cookie", fmt.Sprintf("n=%d", n.Add(1)))
		h.Add("Set-Cookie", "second=1")
		h.Set("Content-Security-Policy", "default-src\r\n 'self'")
		h.Set("Content-Length", "3") // a field that only the server sets
		h["Bad Name"] = []string{"x"}
		if r.Header.Get("X-Key") == "" {
			http.Error(w, "no key", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.Close(); io.Close() })
	return s, n
}

// expectFields checks an answer's status, and that it has the header fields of request n.
func expectFields(t *testing.T, r *http.Response, status int, n int64) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("status %d, want %d", r.StatusCode, status)
	}
	if got, want := fmt.Sprint(r.Header["Set-Cookie"]), fmt.Sprintf("[n=%d second=1]", n); got != want {
		t.Errorf("cookies %s, want %s", got, want)
	}
	if got := r.Header.Get("Content-Security-Policy"); got != "default-src   'self'" {
		t.Errorf("policy %q", got)
	}
	if r.Header["Bad Name"] != nil {
		t.Error("a name that is no token is sent")
	}
}

func TestEachRequestPassesWrapper(t *testing.T) {
	io := socketio.New(socketio.Options{Loops: 2})
	s, n := guarded(t, io)
	c := dialRaw(t, s)
	for i, want := range []int{401, 200, 401, 200, 401} {
		fields := []string{key}
		if want == 401 {
			fields = nil
		}
		r, body := c.do("GET", "polling", "", fields...)
		if r.StatusCode != want {
			t.Fatalf("request %d: %d %q, want %d", i, r.StatusCode, body, want)
		}
	}
	if n.Load() != 5 {
		t.Errorf("the wrapper has seen %d requests of 5", n.Load())
	}
}

// A session by polling over several connections and loops: polls, POSTs, refusals and the upgrade
// have the fields of their own request.
func TestWrapperFields(t *testing.T) {
	io := socketio.New(socketio.Options{Loops: 3})
	io.OnConnection(func(*socketio.Socket) {})
	s, _ := guarded(t, io)
	c, d := dialRaw(t, s), dialRaw(t, s)
	r, body := c.do("GET", "polling", "", key)
	expectFields(t, r, 200, 1)
	session := "polling&sid=" + sidOf(t, body)
	r, body = d.do("POST", session, "40", key)
	expectFields(t, r, 200, 2)
	if body != "ok" {
		t.Errorf("POST: %q", body)
	}
	r, body = c.do("GET", session, "", key)
	expectFields(t, r, 200, 3)
	if !strings.HasPrefix(body, "40{") {
		t.Errorf("poll: %q", body)
	}
	// A poll that waits while the next request follows on its connection.
	c.write("GET", session, "", key)
	c.write("GET", "polling&sid=unknown", "", key)
	c.write("GET", "polling", "")
	for range 2 {
		r, _ = d.do("POST", session, "3", key)
		if r.StatusCode != 200 {
			t.Fatalf("POST beside a poll: %d", r.StatusCode)
		}
	}
	io.Emit("news", 1)
	r, body = c.read()
	if r.StatusCode != 200 || !strings.Contains(body, "news") {
		t.Errorf("poll: %d %q", r.StatusCode, body)
	}
	r, body = c.read()
	expectFields(t, r, 400, 7)
	if !strings.Contains(body, "Session ID unknown") {
		t.Errorf("unknown session: %q", body)
	}
	r, _ = c.read()
	expectFields(t, r, 401, 8)

	w := dialRaw(t, s)
	r, _ = w.do("GET", "websocket&sid="+sidOf(t, `"sid":"`+strings.TrimPrefix(session, "polling&sid=")+`"`), "", key,
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
	expectFields(t, r, 101, 9)
}

// Waiting polls have no goroutine, and no descriptor is leaked.
func TestWrapperCostsNoGoroutine(t *testing.T) {
	const clients = 30
	io := socketio.New(socketio.Options{Loops: 2})
	s, _ := guarded(t, io)
	files := func() int {
		l, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(l)
	}
	settled := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patient); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d goroutines, %d descriptors", what, runtime.NumGoroutine(), files())
			}
		}
	}
	dialRaw(t, s).do("GET", "polling", "", key)
	goroutines, before := runtime.NumGoroutine(), files()
	var all []*raw
	for range clients {
		c := dialRaw(t, s)
		all = append(all, c)
		for range 3 {
			c.do("GET", "polling", "", key)
		}
		_, body := c.do("GET", "polling", "", key)
		c.write("GET", "polling&sid="+sidOf(t, body), "", key)
	}
	settled("polls wait", func() bool { return runtime.NumGoroutine() < goroutines+clients/2 })
	if open := files(); open > before+2*clients+5 {
		t.Errorf("%d descriptors for %d connections, both ends", open-before, clients)
	}
	for _, c := range all {
		c.Close()
	}
	settled("all have left", func() bool { return files() <= before+2 })
}

// A CORS field that a wrapper sets is not overwritten.
func TestWrapperSetsCORS(t *testing.T) {
	io := socketio.New(socketio.Options{Origins: []string{"*"}})
	next := io.Handler()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://a.example")
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.Close(); io.Close() })
	r, _ := dialRaw(t, s).do("GET", "polling", "", "Origin: https://a.example")
	if got := fmt.Sprint(r.Header["Access-Control-Allow-Origin"]); got != "[https://a.example]" {
		t.Error(got)
	}
}

// Two http.Servers share the Socket.IO server: later requests on a connection go to the handlers of
// its own http.Server.
func TestWrapperOfEachServer(t *testing.T) {
	io := socketio.New(socketio.Options{})
	s, _ := guarded(t, io)
	open := httptest.NewServer(io.Handler())
	t.Cleanup(open.Close)
	c := dialRaw(t, s)
	if r, _ := c.do("GET", "polling", "", key); r.StatusCode != 200 {
		t.Fatal(r.Status)
	}
	if r, _ := dialRaw(t, open).do("GET", "polling", ""); r.StatusCode != 200 {
		t.Fatal(r.Status)
	}
	if r, _ := c.do("GET", "polling", ""); r.StatusCode != 401 {
		t.Errorf("%d by the handlers of the other server", r.StatusCode)
	}
}

// Handlers get the contexts of the program's http.Server, and its log gets their panics, for later
// requests too.
func TestWrapperContexts(t *testing.T) {
	type contextKey string
	io := socketio.New(socketio.Options{})
	next := io.Handler()
	logged := make(chan string, 1)
	s := httptest.NewUnstartedServer(nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") == "" {
			panic("no key")
		}
		ctx := r.Context()
		w.Header().Set("X-Seen", fmt.Sprintln(ctx.Value(contextKey("base")), ctx.Value(contextKey("conn")), ctx.Value(http.ServerContextKey) == s.Config))
		next.ServeHTTP(w, r)
	})
	s.Config.BaseContext = func(l net.Listener) context.Context {
		return context.WithValue(context.Background(), contextKey("base"), l.Addr().Network())
	}
	s.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, contextKey("conn"), fmt.Sprintf("%T", c))
	}
	s.Config.ErrorLog = log.New(lines(logged), "", 0)
	s.Start()
	t.Cleanup(func() { s.Close(); io.Close() })
	c := dialRaw(t, s)
	for range 3 {
		r, _ := c.do("GET", "polling", "", key)
		if got, want := r.Header.Get("X-Seen"), "tcp *net.TCPConn true"; got != want {
			t.Errorf("the handler has seen %q, want %q", got, want)
		}
	}
	c.write("GET", "polling", "")
	if _, err := c.in.ReadByte(); err == nil {
		t.Error("an answer after a panic")
	}
	if line := <-logged; !strings.Contains(line, "panic serving") || !strings.Contains(line, "no key") {
		t.Errorf("logged: %q", line)
	}
}

// lines is a writer that keeps lines up to its capacity.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(p):
	default:
	}
	return len(p), nil
}

// The fields that a program's handlers set are bounded, and a connection that the answer closes
// stays closed.
func TestWrapperBounds(t *testing.T) {
	io := socketio.New(socketio.Options{})
	next := io.Handler()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") == "" {
			w.Header().Set("X-Long", strings.Repeat("a", 20<<10))
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { s.Close(); io.Close() })
	c := dialRaw(t, s)
	if r, _ := c.do("GET", "polling", "", key); r.StatusCode != 200 {
		t.Error(r.Status)
	}
	if r, body := c.do("GET", "polling", ""); r.StatusCode != 500 || !strings.Contains(body, "too many header fields") {
		t.Errorf("%s %q", r.Status, body)
	}
	d := dialRaw(t, s)
	if r, _ := d.do("GET", "polling", "", key, "Connection: close"); r.StatusCode != 200 || !r.Close {
		t.Errorf("%s, close %v", r.Status, r.Close)
	}
	if _, err := d.in.ReadByte(); err == nil {
		t.Error("the connection goes on")
	}
}
