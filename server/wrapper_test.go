// Handler behind a program's handlers: each request passes them, and their header fields are sent.

package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"c100k/socketio"
)

func TestEachRequestPassesWrapper(t *testing.T) {
	s, err := New(Config{Dev: true, SocketIO: socketio.New(socketio.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	next := s.Handler()
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Set("X-Request", r.URL.Path)
		if r.Header.Get("X-Key") == "" {
			http.Error(w, "no key", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(foreign.Close)
	const poll, upgrade = "/socket.io/?EIO=4&transport=polling", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	type request struct {
		target, fields string
		want           int
	}
	const key = "X-Key: k\r\n"
	// Each line is one connection, whose last request takes it or ends it.
	for _, requests := range [][]request{
		{{poll, "", 401}, {poll, key, 200}, {poll, "", 401}, {poll, key, 200}, {"/ws?topic=a", key + upgrade, 101}},
		{{poll, key, 200}, {"/other", "", 401}, {"/other", key, 404}, {"/sse?topic=a", key, 200}},
		{{poll, key, 200}, {"/ws?topic=a", key, 426}},
		{{poll, key, 200}, {"/sse", key, 400}},
		{{poll, key, 200}, {"/socket.io/?EIO=4&transport=websocket", key + upgrade, 101}},
		{{poll, key, 200}, {"/socket.io/?EIO=4&transport=websocket", key + "Connection: Upgrade\r\nUpgrade: websocket\r\n", 426}},
	} {
		c, err := net.Dial("tcp", foreign.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(c)
		for i, q := range requests {
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", q.target, q.fields)
			r, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%v: %v", q, err)
			}
			if r.StatusCode != q.want || r.Header.Get("Content-Security-Policy") != "default-src 'self'" || len(r.Header["X-Request"]) != 1 {
				t.Errorf("%v: %d %v", q, r.StatusCode, r.Header)
			}
			if i < len(requests)-1 {
				_, _ = io.Copy(io.Discard, r.Body)
			}
		}
	}
}
