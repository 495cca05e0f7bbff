package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"c100k/server"
	"c100k/websocket"
)

// program is a server whose clients are greeted, echoed, and hear what is published.
func program(o websocket.Options) *websocket.Server {
	wss := websocket.New(o)
	wss.OnUpgrade(func(u *websocket.Upgrade) {
		if u.Request().Query().Get("who") != "" {
			return
		}
		u.Wait()
		go u.Refuse(http.StatusUnauthorized, "who are you?")
	})
	wss.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
		c.SetData(r.Query().Get("who"))
		_ = c.Subscribe("news")
		c.SendText("hello " + c.Data().(string) + " at " + r.Path())
	})
	wss.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		switch string(m.Data) {
		case "publish":
			if _, err := wss.Publish("news", websocket.TextMessage("published")); err != nil {
				c.SendText(err.Error())
			}
		case "go":
			c.Go(func(ctx context.Context, a *websocket.Async) { _ = a.SendText("done") })
		default:
			c.Send(m)
		}
	})
	return wss
}

// ways are the ways to run a server; each gives the URL of it.
var ways = map[string]func(t *testing.T, wss *websocket.Server) string{
	"mounted": func(t *testing.T, wss *websocket.Server) string {
		mux := http.NewServeMux()
		mux.Handle("/chat/{room}", wss)
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the application") })
		s := httptest.NewServer(mux)
		t.Cleanup(s.Close)
		t.Cleanup(wss.Stop)
		return "ws" + strings.TrimPrefix(s.URL, "http") + "/chat/1"
	},
	"standalone": func(t *testing.T, wss *websocket.Server) string {
		ln := listen(t)
		ended := make(chan error, 1)
		go func() { ended <- wss.Serve(ln) }()
		t.Cleanup(func() {
			wss.Stop()
			if err := <-ended; !errors.Is(err, websocket.ErrServerClosed) {
				t.Errorf("Serve returned %v", err)
			}
		})
		return "ws://" + ln.Addr().String() + "/chat/1"
	},
	"on a node": func(t *testing.T, wss *websocket.Server) string {
		s, err := server.New(server.Config{WebSockets: map[string]*websocket.Server{"/chat/1": wss}, MaxConns: 100})
		if err != nil {
			t.Fatal(err)
		}
		ln := listen(t)
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ln) }()
		t.Cleanup(func() {
			s.Close()
			<-ended
		})
		return "ws://" + ln.Addr().String() + "/chat/1"
	},
}

func TestThreeWays(t *testing.T) {
	for way, run := range ways {
		t.Run(way, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var mu sync.Mutex
			var closes []string
			wss := program(websocket.Options{Loops: 2, Compress: true, MaxMessage: 1 << 20})
			closed := make(chan struct{}, 10)
			wss.OnClose(func(c *websocket.Conn, code int, reason string) {
				mu.Lock()
				closes = append(closes, fmt.Sprint(c.Data(), " ", code, " ", reason))
				mu.Unlock()
				closed <- struct{}{}
			})
			url := run(t, wss)

			var refused *websocket.RefusedError
			if _, err := websocket.Dial(ctx, url, nil); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized || string(refused.Body) != "who are you?" {
				t.Fatalf("nobody: %v", err)
			}
			if answer, err := http.Get("http" + strings.TrimPrefix(url, "ws")); err != nil {
				t.Error(err)
			} else {
				answer.Body.Close()
				if answer.StatusCode != http.StatusUpgradeRequired {
					t.Errorf("an ordinary request is answered %s", answer.Status)
				}
			}
			ann := dial(ctx, t, url+"?who=ann", &websocket.DialOptions{Compress: true})
			bob := dial(ctx, t, url+"?who=bob", nil)
			if !ann.Compressed() || bob.Compressed() {
				t.Error("compression is not what was offered")
			}
			expect(ctx, t, ann, "hello ann at /chat/1")
			expect(ctx, t, bob, "hello bob at /chat/1")
			for _, message := range []string{"", "one", strings.Repeat("long ", 100_000)} {
				say(ctx, t, ann, message)
				expect(ctx, t, ann, message)
			}
			say(ctx, t, bob, "publish")
			expect(ctx, t, ann, "published")
			expect(ctx, t, bob, "published")
			say(ctx, t, ann, "go")
			expect(ctx, t, ann, "done")
			if _, err := wss.Broadcast(websocket.BinaryMessage([]byte{1, 2})); err != nil {
				t.Error(err)
			}
			expect(ctx, t, ann, "\x01\x02")
			expect(ctx, t, bob, "\x01\x02")
			if n := wss.Conns(); n != 2 {
				t.Errorf("%d connections", n)
			}
			if err := ann.Close(4000, "bye"); err != nil {
				t.Error(err)
			}
			var end *websocket.CloseError
			if _, err := ann.Read(ctx); !errors.As(err, &end) || end.Code != 4000 {
				t.Errorf("the end of ann: %v", err)
			}
			if err := bob.Terminate(); err != nil {
				t.Error(err)
			}
			<-closed
			<-closed
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(closes, ", "); got != "ann 4000 bye, bob 1006 " && got != "bob 1006 , ann 4000 bye" {
				t.Errorf("OnClose heard %q", got)
			}
		})
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func dial(ctx context.Context, t *testing.T, url string, o *websocket.DialOptions) *websocket.Client {
	t.Helper()
	if o == nil {
		o = &websocket.DialOptions{}
	}
	o.MaxMessage = 1 << 20
	c, err := websocket.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Terminate() })
	return c
}

func say(ctx context.Context, t *testing.T, c *websocket.Client, s string) {
	t.Helper()
	if err := c.Write(ctx, websocket.TextMessage(s)); err != nil {
		t.Fatal(err)
	}
}

func expect(ctx context.Context, t *testing.T, c *websocket.Client, want string) {
	t.Helper()
	m, err := c.Read(ctx)
	if err != nil || string(m.Data) != want {
		t.Fatalf("got %.100q, %v; want %.100q", m.Data, err, want)
	}
}

// A server runs in one way only, and a message is text or it is not sent.
func TestMisuse(t *testing.T) {
	wss := websocket.New(websocket.Options{})
	if _, err := wss.Publish("t", websocket.TextMessage("\xff")); err == nil {
		t.Error("text that is not UTF-8 was published")
	}
	if err := wss.Send(0, websocket.TextMessage("x")); !errors.Is(err, websocket.ErrClosed) {
		t.Errorf("a send before the server runs: %v", err)
	}
	config := server.Config{WebSockets: map[string]*websocket.Server{"/a": wss, "/b": wss}, MaxConns: 10}
	if _, err := server.New(config); err == nil || !strings.Contains(err.Error(), "/b") {
		t.Errorf("one server at two paths: %v", err)
	}
	taken := server.Config{WebSockets: map[string]*websocket.Server{"/ws": websocket.New(websocket.Options{})}, MaxConns: 10}
	if _, err := server.New(taken); err == nil || !strings.Contains(err.Error(), "/ws") {
		t.Errorf("a path of the node's: %v", err)
	}
}

func TestShutdownClosesWithRestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	wss := program(websocket.Options{Loops: 1})
	url := ways["standalone"](t, wss)
	c := dial(ctx, t, url+"?who=ann", nil)
	expect(ctx, t, c, "hello ann at /chat/1")
	done := make(chan error, 1)
	go func() { done <- wss.Shutdown(ctx) }()
	var end *websocket.CloseError
	if _, err := c.Read(ctx); !errors.As(err, &end) || end.Code != 1012 {
		t.Errorf("the client heard %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := websocket.Dial(ctx, url+"?who=ann", nil); err == nil {
		t.Error("a connection after the end")
	}
}

// logged gives each line that is logged to a channel.
type logged chan string

func (l logged) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// A handler that blocks its loop is reported once, with its stack; then everything goes on.
func TestBlockedLoopIsReported(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines, release := make(logged, 10), make(chan struct{})
	wss := websocket.New(websocket.Options{Loops: 1, Logger: slog.New(slog.NewTextHandler(lines, nil))})
	wss.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		<-release
		c.Send(m)
	})
	c := dial(ctx, t, ways["standalone"](t, wss), nil)
	say(ctx, t, c, "block")
	line := <-lines
	if !strings.Contains(line, "blocks its event loop") || !strings.Contains(line, "TestBlockedLoopIsReported") {
		t.Errorf("the report is %s", line)
	}
	close(release)
	expect(ctx, t, c, "block")
	if len(lines) > 0 {
		t.Errorf("reported again: %s", <-lines)
	}
}
