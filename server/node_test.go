// A Server in this process, with real sockets: started, published to from Go, reloaded and stopped.

package server

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/prometheus/client_golang/prometheus"
)

// patience bounds the wait for what has to happen.
const patience = 30 * time.Second

// start runs a Server on a free port until the end of the test.
func start(t *testing.T, c Config) *Server {
	t.Helper()
	return startWith(t, c, func(*Server) {})
}

// startWith is start that changes the server before it serves.
func startWith(t *testing.T, c Config, change func(s *Server)) *Server {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	listening := make(chan struct{})
	c.OnListen = func(net.Addr, net.Addr) { close(listening) }
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	serve(t, s, listening)
	return s
}

// serve runs a server until the test ends; listening is closed when it listens.
func serve(t *testing.T, s *Server, listening <-chan struct{}) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe(context.Background()) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, ErrServerClosed) {
			t.Errorf("ListenAndServe: %v", err)
		}
	})
	select {
	case <-listening:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
}

// dialWS opens a WebSocket.
func dialWS(t *testing.T, address, path string, protocols ...string) net.Conn {
	t.Helper()
	d := ws.Dialer{Timeout: patience, Protocols: protocols}
	c, early, _, err := d.Dial(t.Context(), "ws://"+address+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if early != nil {
		return &earlyConn{c, early}
	}
	return c
}

// earlyConn gives out first what came with the handshake.
type earlyConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *earlyConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func expectText(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got, op, err := wsutil.ReadServerData(c)
	if err != nil || op != ws.OpText || string(got) != want {
		t.Fatalf("%v %q %v, want %q", op, got, err, want)
	}
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if err := wsutil.WriteClientText(c, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

func subscribers(s *Server, topic string) int {
	info, _ := s.node.Hub().Topic(topic)
	return info.Members
}

func TestPublishFromGo(t *testing.T) {
	s := start(t, Config{Dev: true})
	c := dialWS(t, s.Addr().String(), "/ws?topic=t")
	eventually(t, "subscribed", func() bool { return subscribers(s, "t") == 1 })
	for _, m := range []struct {
		kind    broadcast.Kind
		payload string
		op      ws.OpCode
	}{{broadcast.Text, "text", ws.OpText}, {broadcast.JSON, `{"a":1}`, ws.OpText}, {broadcast.Binary, "\x00\xff", ws.OpBinary}} {
		r, err := s.Publish("t", m.kind, []byte(m.payload))
		if err != nil || r.Matched != 1 || r.Queued != 1 || r.Dropped != 0 {
			t.Errorf("%+v %v", r, err)
		}
		got, op, err := wsutil.ReadServerData(c)
		if err != nil || op != m.op || string(got) != m.payload {
			t.Errorf("%v %q %v", op, got, err)
		}
	}
	if _, err := s.Publish("", broadcast.Text, nil); err == nil {
		t.Error("a topic without a name")
	}
	if r, err := s.Publish("nobody", broadcast.Text, []byte("x")); err != nil || r.Matched != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestOnListen(t *testing.T) {
	var s *Server
	told := make(chan [4]string, 1)
	var err error
	s, err = New(Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", OnListen: func(public, admin net.Addr) {
		told <- [4]string{public.String(), admin.String(), s.Addr().String(), s.AdminAddr().String()}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Addr() != nil || s.AdminAddr() != nil {
		t.Error("addresses before Serve")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.ListenAndServe(ctx) }()
	got := <-told
	if got[0] != got[2] || got[1] != got[3] || strings.HasSuffix(got[0], ":0") {
		t.Errorf("%q", got)
	}
	if status := get(t, "http://"+got[1]+"/readyz"); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	cancel() // a context that ends drains, and is no error
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	// The body is not what is asked about.
	_, _ = io.Copy(io.Discard, r.Body)
	return r.StatusCode
}

func TestNewRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"Listen": {Listen: "nowhere"}, "MaxMessage": {MaxMessage: -1}, "Outbox": {Outbox: 1}, "SlowConsumer": {SlowConsumer: "x"}, "IO": {IO: "x"},
		"Workers": {Workers: 2}, "Bus": {Bus: "redis://h/x"}, "Origins": {Origins: []string{"https://a/b"}}, "PublicTopics": {PublicTopics: []string{""}},
		"Static": {Static: filepath.Join(file, "nothing")}, "Upstream": {Upstream: "x"}, "APIKey": {APIKey: "x"}, "APIKeyFile": {APIKeyFile: file}, "Rate": {Rate: -1},
		"HandshakeTimeout": {HandshakeTimeout: 1}, "PingInterval": {PingInterval: 1}, "PingTimeout": {PingTimeout: 1}, "Drain": {Drain: -5}, "Loops": {Loops: -1},
	} {
		s, err := New(c)
		if err == nil {
			s.Close()
			t.Errorf("%s: accepted", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]Config{
		"public": {Listen: taken.Addr().String()}, "admin": {Listen: "127.0.0.1:0", Admin: taken.Addr().String()},
	} {
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ListenAndServe(t.Context()); !errors.Is(err, ErrListen) || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.Serve(taken); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Close: %v", err)
	}
}

func TestShutdown(t *testing.T) {
	t.Run("with nobody", func(t *testing.T) {
		s := start(t, Config{Dev: true, Drain: time.Hour})
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("a second time: %v", err)
		}
		if _, err := s.Publish("t", broadcast.Text, []byte("x")); err != nil {
			t.Logf("publishing to a stopped node: %v", err)
		}
	})
	t.Run("its context ends first", func(t *testing.T) {
		s := start(t, Config{Dev: true, Drain: time.Hour})
		c := dialWS(t, s.Addr().String(), "/echo")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(ctx) }()
		eventually(t, "draining", s.draining)
		say(t, c, "still served")
		expectText(t, c, "still served")
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if _, _, err := wsutil.ReadServerData(c); err == nil {
			t.Error("the connection is still there")
		}
	})
	t.Run("everybody is told", func(t *testing.T) {
		s := start(t, Config{Dev: true, Drain: 200 * time.Millisecond})
		c := dialWS(t, s.Addr().String(), "/echo")
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(t.Context()) }()
		header, err := ws.ReadHeader(c)
		var code [2]byte
		if err == nil {
			_, err = io.ReadFull(c, code[:])
		}
		if err != nil || header.OpCode != ws.OpClose || binary.BigEndian.Uint16(code[:]) != 1012 {
			t.Errorf("%+v %d %v", header, code, err)
		}
		c.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestReload(t *testing.T) {
	c := Config{Listen: "127.0.0.1:0", PublicTopics: []string{"a"}, APIKey: "first-key"}
	s := start(t, c)
	refused := func(topic string) bool {
		_, _, _, err := (ws.Dialer{Timeout: patience}).Dial(t.Context(), "ws://"+s.Addr().String()+"/ws?topic="+topic)
		return errors.Is(err, ws.StatusError(403))
	}
	old := dialWS(t, s.Addr().String(), "/ws?topic=a")
	c.PublicTopics = []string{"b"}
	if err := s.Reload(c); err != nil {
		t.Fatal(err)
	}
	if !refused("a") {
		t.Error("a topic that is closed is open")
	}
	dialWS(t, s.Addr().String(), "/ws?topic=b")
	if _, err := s.Publish("a", broadcast.Text, []byte("who is there stays")); err != nil {
		t.Fatal(err)
	}
	expectText(t, old, "who is there stays")
	for field, bad := range map[string]func(c *Config){
		"MaxConns":     func(c *Config) { c.MaxConns = 17 },
		"Drain":        func(c *Config) { c.Drain = time.Minute },
		"SlowConsumer": func(c *Config) { c.SlowConsumer = "x" },
	} {
		changed := c
		changed.PublicTopics = []string{"c"}
		bad(&changed)
		if err := s.Reload(changed); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
		if !refused("c") {
			t.Error("half of a refused reload is in force")
		}
	}
}

// TestRegistry: the program's own registry shows the node's metrics beside its own.
func TestRegistry(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mine", Help: "Mine."}, func() float64 { return 1 }))
	s := start(t, Config{Admin: "127.0.0.1:0", Registry: registry})
	r, err := http.Get("http://" + s.AdminAddr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(string(body), "\nmine 1\n") || !strings.Contains(string(body), "\nc100k_build_info{") {
		t.Errorf("%v %s", err, body)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// TestOwnHandler: an ordinary handler answers what is not ours, on the same port and the same
// connection.
func TestOwnHandler(t *testing.T) {
	s := start(t, Config{Dev: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "mine: ", r.URL.Path) })})
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	for _, path := range []string{"/", "/a/b", "/wsx"} {
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != "mine: "+path {
			t.Errorf("%q %v", body, err)
		}
	}
	fmt.Fprint(c, "GET /ws?topic=t HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if r, err := http.ReadResponse(in, nil); err != nil || r.StatusCode != 101 {
		t.Fatalf("%v %v", r, err)
	}
	eventually(t, "subscribed", func() bool { return subscribers(s, "t") == 1 })
}
