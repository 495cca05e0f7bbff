// Handler in somebody else's server: streams are taken over from net/http, and what cannot be taken
// is told why.

package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"

	"github.com/gobwas/ws"
)

// mount puts a node's Handler beside another in a ServeMux.
func mount(t *testing.T, c Config) (*Server, *http.ServeMux) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "theirs") })
	for _, path := range []string{"/ws", "/sse", "/echo", "/unknown"} {
		mux.Handle(path, s.Handler())
	}
	return s, mux
}

func TestMounted(t *testing.T) {
	s, mux := mount(t, Config{Dev: true, MaxConns: 10})
	foreign := httptest.NewServer(mux)
	defer foreign.Close()
	address := foreign.Listener.Addr().String()

	if status := get(t, foreign.URL+"/"); status != 200 {
		t.Errorf("theirs: %d", status)
	}
	for path, want := range map[string]int{"/unknown": 404, "/ws?topic=a": 426, "/sse": 400, "/sse?topic=%00": 400} {
		if status := get(t, foreign.URL+path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	c := dialWS(t, address, "/ws?topic=t")
	e := dialWS(t, address, "/echo")
	say(t, e, "taken over")
	expectText(t, e, "taken over")
	eventually(t, "subscribed", func() bool { return subscribers(s, "t") == 1 })

	events, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	if err := events.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// An ordinary request first: the stream comes on a connection that net/http has served.
	fmt.Fprint(events, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	in := bufio.NewReader(events)
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "theirs" {
		t.Fatalf("%q %v", body, err)
	}
	fmt.Fprint(events, "GET /sse?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if r, err = http.ReadResponse(in, nil); err != nil || r.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v %v", r, err)
	}
	eventually(t, "both are subscribed", func() bool { return subscribers(s, "t") == 2 })
	if r, err := s.Publish("t", broadcast.Text, []byte("to both")); err != nil || r.Matched != 2 {
		t.Errorf("%+v %v", r, err)
	}
	expectText(t, c, "to both")
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() && lines.Text() != "data: to both" {
	}
	if lines.Text() != "data: to both" {
		t.Errorf("the stream ends: %v", lines.Err())
	}

	// The node's limits hold for those who come this way, too.
	var conns []net.Conn
	for range 7 {
		conns = append(conns, dialWS(t, address, "/echo"))
	}
	_, _, _, err = (ws.Dialer{Timeout: patience}).Dial(t.Context(), "ws://"+address+"/echo")
	if err != ws.StatusError(503) {
		t.Errorf("beyond MaxConns: %v", err)
	}
	for _, c := range append(conns, c, e, events) {
		c.Close()
	}
	eventually(t, "every place is free", func() bool { return s.admission.Open() == 0 && s.node.Connections() == 0 })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if status := get(t, foreign.URL+"/ws?topic=t"); status != 503 {
		t.Errorf("after the end: %d", status)
	}
}

// TestMountedElsewhere: HTTP/2 and TLS cannot be taken over, and say so.
func TestMountedElsewhere(t *testing.T) {
	_, mux := mount(t, Config{Dev: true})
	for name, http2 := range map[string]bool{"TLS": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			foreign := httptest.NewUnstartedServer(mux)
			foreign.EnableHTTP2 = http2
			foreign.StartTLS()
			defer foreign.Close()
			r, err := foreign.Client().Get(foreign.URL + "/sse?topic=t")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			body, err := io.ReadAll(r.Body)
			want := http.StatusNotImplemented
			if http2 {
				want = http.StatusHTTPVersionNotSupported
			}
			if err != nil || r.StatusCode != want || len(strings.TrimSpace(string(body))) < 10 {
				t.Errorf("%s %q %v, want %d with a reason", r.Status, body, err, want)
			}
			foreign.Client().CloseIdleConnections()
		})
	}
	t.Run("a connection that wraps another", func(t *testing.T) {
		foreign := httptest.NewUnstartedServer(mux)
		foreign.Listener = wrapping{foreign.Listener}
		foreign.Start()
		defer foreign.Close()
		if status := get(t, foreign.URL+"/sse?topic=t"); status != http.StatusNotImplemented {
			t.Errorf("%d", status)
		}
	})
	t.Run("WebSocket over TLS", func(t *testing.T) {
		foreign := httptest.NewTLSServer(mux)
		defer foreign.Close()
		d := ws.Dialer{Timeout: patience, TLSConfig: &tls.Config{InsecureSkipVerify: true}}
		_, _, _, err := d.Dial(context.Background(), strings.Replace(foreign.URL, "https", "wss", 1)+"/echo")
		if err != ws.StatusError(http.StatusNotImplemented) {
			t.Errorf("%v", err)
		}
	})
}

// wrapping is a listener whose connections hide their sockets.
type wrapping struct{ net.Listener }

func (l wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}
