// Ordinary HTTP on the public port, beside the streams and on the same connections.

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"c100k/internal/netlab"
)

func TestStatic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "hello.txt"), "a file\n")
	writeFile(t, filepath.Join(dir, "big.bin"), strings.Repeat("0123456789", 300_000))
	outside := filepath.Join(t.TempDir(), "outside")
	writeFile(t, outside, "secret")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	n := serve(t, "--public-topics", ">", "--static", dir)
	site := "http://" + n.public
	for _, test := range []struct {
		path   string
		status int
		want   string
	}{
		{"/hello.txt", 200, "a file\n"}, {"/nothing", 404, "404"}, {"/../" + filepath.Base(dir) + "/hello.txt", 404, ""}, {"/link", 403, ""},
		{"/..%2f..%2fetc/passwd", 404, ""}, {"/a%00b", 404, ""}, {"/" + strings.Repeat("x", 300), 404, ""}, {"/hello.txt/x", 404, ""}, {"/echo", 404, ""}, {"/v1/stats", 404, ""}, {"/healthz", 404, ""}, {"/metrics", 404, ""},
	} {
		status, _, body := curl(t, site+test.path)
		if status != test.status || !strings.Contains(body, test.want) || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %.100s", test.path, status, body)
		}
	}
	if _, _, body := curl(t, site+"/big.bin"); len(body) != 3_000_000 {
		t.Errorf("a large file has %d bytes", len(body))
	}
	if status, _, body := curl(t, "-r", "10-14", site+"/big.bin"); status != 206 || body != "01234" {
		t.Errorf("a range: %d %q", status, body)
	}
	if status, _, body := curl(t, "-I", site+"/hello.txt"); status != 200 || !strings.Contains(strings.ToLower(body), "content-length: 7") {
		t.Errorf("HEAD: %d %q", status, body)
	}
}

// TestSameConnection sends ordinary requests first and asks for a stream then, all on one
// connection.
func TestSameConnection(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	get := "GET / HTTP/1.1\r\nHost: node.test\r\n\r\n"
	t.Run("WebSocket", func(t *testing.T) {
		p := dial(t, n.public)
		for range 3 {
			p.send(get)
			p.expectAnswer(200)
		}
		p.send(upgradeRequest("/echo"))
		if err := p.switched(); err != nil {
			t.Fatal(err)
		}
		p.echo("hello")
		p.echo(strings.Repeat("x", 60_000))
		p.frame(true, ws.OpClose, ws.NewCloseFrameBody(1000, ""))
		p.expectClose(1000)
		p.expectEnd()
	})
	t.Run("WebSocket with its first frames", func(t *testing.T) {
		p := dial(t, n.public)
		p.send(get + upgradeRequest("/echo") + maskedText("one") + maskedText("two"))
		p.expectAnswer(200)
		if err := p.switched(); err != nil {
			t.Fatal(err)
		}
		p.expectText("one")
		p.expectText("two")
		p.echo("three")
	})
	t.Run("SSE", func(t *testing.T) {
		n := n.in(t)
		p := dial(t, n.public)
		p.send(get)
		p.expectAnswer(200)
		p.send("GET /sse?topic=late HTTP/1.1\r\nHost: node.test\r\n\r\n")
		s := p.stream()
		n.awaitSubscribers("late", 1)
		n.publish("late", "hello")
		s.expectEvent("hello")
	})
	t.Run("a refused handshake", func(t *testing.T) {
		p := dial(t, n.public)
		p.send(get)
		p.expectAnswer(200)
		p.send(upgradeRequest("/ws?topic=", "X: y"))
		p.expectRefusal(400)
	})
	n.eventually("all ends in the figures", func() error {
		if s := n.stats(); s.Connections.Open["http"] != 0 {
			return fmt.Errorf("%v", s.Connections.Open)
		}
		return nil
	})
}

// maskedText is a text frame from a client.
func maskedText(s string) string {
	var b strings.Builder
	// Writing to memory does not fail.
	_ = ws.WriteFrame(&b, ws.MaskFrameWith(ws.NewTextFrame([]byte(s)), [4]byte{9, 8, 7, 6}))
	return b.String()
}

// application is a server behind --upstream.
func application(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s host=%s for=%s proto=%s", r.Method, r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"))
	})
	mux.HandleFunc("/body", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 2 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush() // the test sees whether it arrives
		}
		<-r.Context().Done() // it never ends by itself
	})
	mux.HandleFunc("/app-socket", func(w http.ResponseWriter, r *http.Request) {
		c, rw, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			f, err := readFrame(rw)
			if err != nil {
				return
			}
			f = ws.UnmaskFrameInPlace(f)
			f.Payload = append([]byte("app: "), f.Payload...)
			f.Header.Length = int64(len(f.Payload))
			if ws.WriteFrame(c, f) != nil {
				return
			}
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestUpstream(t *testing.T) {
	t.Parallel()
	app := application(t)
	n := serve(t, "--public-topics", ">", "--upstream", app.URL)
	site := "http://" + n.public
	t.Run("requests", func(t *testing.T) {
		body := filepath.Join(t.TempDir(), "body")
		writeFile(t, body, strings.Repeat("x", 1<<20))
		if status, _, body := curl(t, "-H", "Host: shop.example", "-H", "X-Forwarded-For: 6.6.6.6", site+"/who"); status != 200 || body != "GET host=shop.example for=127.0.0.1 proto=http" {
			t.Errorf("%d %q", status, body)
		}
		if status, _, body := curl(t, "--data-binary", "@"+body, "-H", "Transfer-Encoding: chunked", site+"/body"); status != 200 || body != "1048576 <nil>" {
			t.Errorf("%d %q", status, body)
		}
		if status, _, body := curl(t, "--data-binary", "@"+body, "-H", "Expect: 100-continue", site+"/body"); status != 200 || body != "1048576 <nil>" {
			t.Errorf("%d %q", status, body)
		}
		if status, _, _ := curl(t, site+"/nothing"); status != 404 {
			t.Errorf("%d", status)
		}
	})
	t.Run("events are not held back", func(t *testing.T) {
		p := dial(t, n.public)
		p.send("GET /events HTTP/1.1\r\nHost: node.test\r\n\r\n")
		r, err := p.answer("GET")
		if err != nil {
			t.Fatal(err)
		}
		body := bufio.NewReader(r.Body)
		for _, want := range []string{"data: 0\n", "\n", "data: 1\n", "\n"} {
			if got, err := body.ReadString('\n'); got != want {
				t.Fatalf("%q %v, want %q", got, err, want)
			}
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		p := n.upgrade(t, "/app-socket")
		for _, s := range []string{"one", strings.Repeat("x", 100_000)} {
			p.text(s)
			p.expectText("app: " + s)
		}
	})
	t.Run("WebSocket with its first frame", func(t *testing.T) {
		p := dial(t, n.public)
		p.send(upgradeRequest("/app-socket") + maskedText("early"))
		if err := p.switched(); err != nil {
			t.Fatal(err)
		}
		p.expectText("app: early")
	})
	t.Run("ours stay ours", func(t *testing.T) {
		n := n.in(t)
		p := n.upgrade(t, "/ws?topic=x")
		n.publish("x", "hello")
		p.expectText("hello")
	})
	t.Run("a refused upgrade ends the connection", func(t *testing.T) {
		p := dial(t, n.public)
		p.send(upgradeRequest("/who") + "GET /who HTTP/1.1\r\nHost: inner\r\n\r\n")
		if _, body := p.expectAnswer(200); !strings.Contains(body, "host=node.test") {
			t.Errorf("%q", body)
		}
		p.expectEnd()
	})
	t.Run("gone", func(t *testing.T) {
		gone := serve(t, "--upstream", "http://"+netlab.KeepPort(t))
		if status, _, body := curl(t, "http://"+gone.public+"/"); status != 502 || !strings.Contains(body, "upstream") {
			t.Errorf("%d %q", status, body)
		}
	})
}

// TestClosedByDefault: what was not configured open is not open.
func TestClosedByDefault(t *testing.T) {
	t.Parallel()
	n := serve(t, "--public-topics", "open.*")
	for path, status := range map[string]int{"/": 404, "/echo": 404, "/broadcast": 404, "/ws?topic=shut": 403, "/ws?topic=open.a&topic=shut": 403, "/v1/topics/a": 404} {
		p := dial(t, n.public)
		p.send(upgradeRequest(path))
		p.expectAnswer(status)
		p.expectEnd()
	}
	if status, _, body := curl(t, "http://"+n.public+"/sse?topic=shut"); status != 403 {
		t.Errorf("%d %s", status, body)
	}
	c := n.upgrade(t, "/ws?topic=open.a")
	n.publish("open.a", "to all")
	c.expectText("to all")
	c.text("not allowed")
	c.expectClose(1008)
	v := n.upgrade(t, "/ws", "Sec-WebSocket-Protocol: c100k.v1")
	if _, err := v.next(); err != nil {
		t.Fatal(err)
	}
	v.text(`{"type":"subscribe","topics":["open.b","shut"],"id":1}`)
	v.expectText(`{"type":"error","id":1,"code":"forbidden","message":"you may not subscribe to \"shut\""}`)
	v.text(`{"type":"publish","topic":"open.b","data":1,"id":2}`)
	v.expectText(`{"type":"error","id":2,"code":"forbidden","message":"you may not publish to \"open.b\""}`)
	if got := n.subscribers("open.b"); got != 0 {
		t.Errorf("half of a refused command was done: %d", got)
	}
}
