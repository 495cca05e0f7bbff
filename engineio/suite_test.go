// The cases of the public test suite of the Engine.IO protocol (socketio/engine.io-protocol,
// test-suite), played against an echo server from outside.

package engineio

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for an event before it fails.
const patience = 30 * time.Second

// echo serves a server that sends each message back, with the times of the suite.
func echo(t testing.TB, o Options) (s *Server, url string) {
	t.Helper()
	o.PingInterval, o.Loops = 300*time.Millisecond, 2
	if o.PingTimeout == 0 {
		o.PingTimeout = 2 * patience
	}
	s = New(o)
	s.OnMessage(func(c *Conn, m Message) {
		if m.Binary {
			_ = c.SendBinary(m.Data)
		} else {
			_ = c.Send(string(m.Data))
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", s.Handler())
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		ts.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s, ts.URL + "/engine.io/"
}

// request sends a request and returns status and body.
func request(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	p, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(p)
}

type open struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

func readOpen(t testing.TB, packet string) (o open) {
	t.Helper()
	text, ok := strings.CutPrefix(packet, "0")
	if err := json.Unmarshal([]byte(text), &o); !ok || err != nil || o.PingInterval != 300 || o.PingTimeout < 1000 || o.MaxPayload != 1_000_000 || len(o.SID) != 20 {
		t.Fatalf("open packet %q: %v", packet, err)
	}
	return o
}

// polling opens a session and returns the URL of its requests.
func polling(t testing.TB, url string) string {
	t.Helper()
	status, body := request(t, "GET", url+"?EIO=4&transport=polling", "")
	if status != 200 {
		t.Fatal(status, body)
	}
	o := readOpen(t, body)
	if fmt.Sprint(o.Upgrades) != "[websocket]" {
		t.Errorf("upgrades %v", o.Upgrades)
	}
	return url + "?EIO=4&transport=polling&sid=" + o.SID
}

// socket is a WebSocket.
type socket struct {
	t testing.TB
	net.Conn
	in io.Reader
}

func (s *socket) Read(p []byte) (int, error) { return s.in.Read(p) }

func dial(t testing.TB, url string) *socket {
	t.Helper()
	conn, ahead, _, err := ws.Dial(t.Context(), strings.Replace(url, "http", "ws", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	s := &socket{t, conn, conn}
	if ahead != nil {
		s.in = io.MultiReader(bytes.NewReader(peek(ahead)), conn)
	}
	return s
}

func peek(r *bufio.Reader) []byte {
	p, _ := r.Peek(r.Buffered())
	return p
}

func (s *socket) send(op ws.OpCode, text string) {
	s.t.Helper()
	if err := wsutil.WriteClientMessage(s.Conn, op, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// read returns the next message that is no ping; "closed" at the end.
func (s *socket) read() string {
	for {
		p, op, err := wsutil.ReadServerData(s)
		switch {
		case err != nil:
			return "closed"
		case op == ws.OpBinary:
			return "b:" + string(p)
		case string(p) != "2":
			return string(p)
		}
		s.send(ws.OpText, "3")
	}
}

func webSocket(t testing.TB, url string) *socket {
	s := dial(t, url+"?EIO=4&transport=websocket")
	if o := readOpen(t, s.read()); len(o.Upgrades) != 0 {
		t.Errorf("upgrades %v", o.Upgrades)
	}
	return s
}

func TestSuiteHandshake(t *testing.T) {
	_, url := echo(t, Options{})
	polling(t, url)
	webSocket(t, url)
	for _, tt := range []struct{ method, query string }{
		{"GET", "?transport=polling"}, {"GET", "?EIO=abc&transport=polling"}, {"GET", "?EIO=4"}, {"GET", "?EIO=4&transport=abc"},
		{"POST", "?EIO=4&transport=polling"}, {"PUT", "?EIO=4&transport=polling"}, {"GET", "?EIO=4&transport=polling&sid=abc"},
	} {
		if status, body := request(t, tt.method, url+tt.query, ""); status != 400 {
			t.Errorf("%s %s: %d %s", tt.method, tt.query, status, body)
		}
	}
	for _, query := range []string{"?transport=websocket", "?EIO=abc&transport=websocket", "?EIO=4", "?EIO=4&transport=abc", "?EIO=4&transport=websocket&sid=abc"} {
		if conn, _, _, err := ws.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+query); err == nil {
			conn.Close()
			t.Errorf("WebSocket %s was accepted", query)
		}
	}
}

func TestSuiteMessages(t *testing.T) {
	_, url := echo(t, Options{})
	t.Run("polling", func(t *testing.T) {
		session := polling(t, url)
		for _, body := range []string{"4hello", "4test1\x1e4test2\x1e4test3", "bAQIDBA==", "4€"} {
			if status, answer := request(t, "POST", session, body); status != 200 || answer != "ok" {
				t.Fatalf("%q: %d %q", body, status, answer)
			}
			var got []string
			for len(got) < strings.Count(body, "\x1e")+1 {
				_, payload := request(t, "GET", session, "")
				for packet := range strings.SplitSeq(payload, "\x1e") {
					if packet == "2" {
						request(t, "POST", session, "3")
					} else {
						got = append(got, packet)
					}
				}
			}
			if got := strings.Join(got, "\x1e"); got != body {
				t.Errorf("%q, want %q", got, body)
			}
		}
	})
	t.Run("invalid packet over polling", func(t *testing.T) {
		session := polling(t, url)
		request(t, "POST", session, "abc")
		if status, body := request(t, "GET", session, ""); status != 400 && body != "1" {
			t.Errorf("%d %q", status, body)
		}
	})
	t.Run("two GETs at once", func(t *testing.T) {
		session := polling(t, url)
		statuses := make(chan int, 2)
		for range 2 {
			go func() {
				status, body := request(t, "GET", session, "")
				if body == "1" {
					status = 0 // the other one was refused
				}
				statuses <- status
			}()
		}
		one, two := <-statuses, <-statuses
		if one+two != 400 {
			t.Errorf("%d and %d", one, two)
		}
		if status, _ := request(t, "GET", session, ""); status != 400 {
			t.Errorf("the session is still there: %d", status)
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		s := webSocket(t, url)
		s.send(ws.OpText, "4hello")
		if got := s.read(); got != "4hello" {
			t.Error(got)
		}
		s.send(ws.OpBinary, "\x01\x02\x03\x04")
		if got := s.read(); got != "b:\x01\x02\x03\x04" {
			t.Errorf("%q", got)
		}
		s.send(ws.OpText, "abc")
		if got := s.read(); got != "closed" {
			t.Error(got)
		}
	})
}

// Each answer to a ping has a second, or the server closes: two of them pass here.
func TestSuiteHeartbeat(t *testing.T) {
	server, url := echo(t, Options{PingTimeout: time.Second})
	reasons := make(chan string, 4)
	server.OnClose(func(_ *Conn, reason string) { reasons <- reason })
	session := polling(t, url)
	for range 3 {
		if status, body := request(t, "GET", session, ""); status != 200 || body != "2" {
			t.Fatalf("%d %q", status, body)
		}
		if status, body := request(t, "POST", session, "3"); status != 200 || body != "ok" {
			t.Fatalf("%d %q", status, body)
		}
	}
	if reason := <-reasons; reason != "ping timeout" { // which nobody answers any more
		t.Error(reason)
	}
	if status, _ := request(t, "GET", session, ""); status != 400 {
		t.Error(status)
	}
	s := webSocket(t, url)
	for range 3 {
		p, _, err := wsutil.ReadServerData(s)
		if string(p) != "2" {
			t.Fatalf("%q, %v", p, err)
		}
		s.send(ws.OpText, "3")
	}
	for { // a ping that nobody answers, and the end
		if _, _, err := wsutil.ReadServerData(s); err != nil {
			break
		}
	}
	if reason := <-reasons; reason != "ping timeout" {
		t.Error(reason)
	}
}

func TestSuiteClose(t *testing.T) {
	server, url := echo(t, Options{})
	reasons := make(chan string, 4)
	server.OnClose(func(_ *Conn, reason string) { reasons <- reason })
	session := polling(t, url)
	if status, body := request(t, "POST", session, "1"); status != 200 || body != "ok" {
		t.Errorf("%d %q", status, body)
	}
	if reason := <-reasons; reason != "transport close" {
		t.Error(reason)
	}
	if status, _ := request(t, "GET", session, ""); status != 400 {
		t.Error(status)
	}
	webSocket(t, url).Close()
	if reason := <-reasons; reason != "transport close" && reason != "transport error" {
		t.Error(reason)
	}
}

func TestSuiteUpgrade(t *testing.T) {
	server, url := echo(t, Options{})
	upgraded := make(chan string, 1)
	server.OnUpgrade(func(c *Conn) { upgraded <- c.Transport() + " " + fmt.Sprint(len(c.ID()), c.Version()) })
	session := polling(t, url)
	s := dial(t, strings.Replace(session, "polling", "websocket", 1))
	s.send(ws.OpText, "2probe")
	if got := s.read(); got != "3probe" {
		t.Fatal(got)
	}
	s.send(ws.OpText, "5")
	if got := <-upgraded; got != "websocket 20 4" {
		t.Error(got)
	}
	s.send(ws.OpText, "4hello")
	if got := s.read(); got != "4hello" {
		t.Error(got)
	}
	// HTTP requests and WebSockets with the same sid are refused, and the session goes on.
	if status, _ := request(t, "GET", session, ""); status != 400 {
		t.Error(status)
	}
	again := dial(t, strings.Replace(session, "polling", "websocket", 1))
	if got := again.read(); got != "closed" {
		t.Error(got)
	}
	s.send(ws.OpText, "4still there")
	if got := s.read(); got != "4still there" {
		t.Error(got)
	}
}

// Methods of a Conn after its end, and what cannot be sent.
func TestConn(t *testing.T) {
	server, url := echo(t, Options{OnConnectionError: func(*Request, int, string) {}})
	conns, closed := make(chan *Conn, 1), make(chan string, 1)
	server.OnConnection(func(c *Conn, r *Request) {
		c.SetData(r.Query("transport"))
		conns <- c
	})
	server.OnClose(func(_ *Conn, reason string) { closed <- reason })
	s := webSocket(t, url)
	c := <-conns
	if c.Data() != "websocket" || server.Clients() != 1 {
		t.Error(c.Data(), server.Clients())
	}
	for _, text := range []string{"a\x1eb", "\xff"} {
		if err := c.Send(text); err != ErrText {
			t.Errorf("%q: %v", text, err)
		}
	}
	for i := range 3 {
		if err := c.Send(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"40", "41", "42", "closed"} {
		if got := s.read(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if reason := <-closed; reason != "forced close" {
		t.Error(reason)
	}
	if err := c.SendBinary(nil); err != ErrClosed {
		t.Error(err)
	}
}
