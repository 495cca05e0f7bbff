// Tests of the memory budget: what is held is counted for each protocol, and those that hold most
// are ended.

package server

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// begun is a text frame of 65,000 bytes without its last byte.
func begun() []byte {
	head := []byte{0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(head[2:], 65000)
	return append(head, bytes.Repeat([]byte("x"), 64999)...)
}

// Connections that each hold an unfinished frame take no more than the budget; whoever holds
// nothing is served meanwhile.
func TestMemoryStaysWithinTheBudget(t *testing.T) {
	s := start(t, Config{Dev: true, Memory: memoryMin, MaxConns: 4000, PingInterval: Off, Loops: 2})
	address := s.Addr().String()
	honest := dialWS(t, address, "/echo")
	limit, frame := s.budget.Max(), begun()
	ended := make(chan error, 600)
	strangers := 0
	for strangers < 600 { // 39 MB, where 16 may be held
		d := ws.Dialer{Timeout: patience}
		c, _, _, err := d.Dial(t.Context(), "ws://"+address+"/echo")
		if err != nil {
			continue // 503
		}
		t.Cleanup(func() { c.Close() })
		strangers++
		go func() {
			_, _ = c.Write(frame)
			_, err := io.Copy(io.Discard, c)
			ended <- err
		}()
		if strangers%50 == 0 {
			say(t, honest, "still here?")
			expectText(t, honest, "still here?")
		}
		// Each of two loops may read once more before it counts.
		if held := s.budget.Held(); held > limit+2*1024*65000 {
			t.Fatalf("%d bytes are held, %d may be", held, limit)
		}
	}
	<-ended
	eventually(t, "memory is free again", func() bool { return s.budget.Held() < limit && !s.budget.Short() })
	say(t, honest, "and now?")
	expectText(t, honest, "and now?")
	if s.budget.Shortages() == 0 {
		t.Error("the budget was never short")
	}
}

// Each way to make the node hold something is counted, gives it up, and leaves nothing in the
// count.
func TestMemoryOfEachKind(t *testing.T) {
	part := begun()
	for _, kind := range []struct {
		name, path string
		fill       func(t *testing.T, s *Server, c net.Conn)
		raw        bool   // no WebSocket
		reads      bool   // the client reads before it is ended
		farewell   string // in what the client gets at last
	}{
		{name: "frame of /echo", path: "/echo", reads: true, fill: func(_ *testing.T, _ *Server, c net.Conn) { _, _ = c.Write(part) }, farewell: "\x03\xf5server is short of memory"},
		{name: "frame of /ws", path: "/ws?topic=a", reads: true, fill: func(_ *testing.T, _ *Server, c net.Conn) { _, _ = c.Write(part) }, farewell: "\x03\xf5server is short of memory"},
		{name: "frame of /broadcast", path: "/broadcast", reads: true, fill: func(_ *testing.T, _ *Server, c net.Conn) { _, _ = c.Write(part) }, farewell: "\x03\xf5server is short of memory"},
		{name: "frame of Socket.IO", path: "/socket.io/?EIO=4&transport=websocket", reads: true,
			fill: func(_ *testing.T, _ *Server, c net.Conn) { _, _ = c.Write(part) }, farewell: "\x03\xf5server is short of memory"},
		{name: "head", raw: true, reads: true, farewell: "503 Service Unavailable",
			fill: func(_ *testing.T, _ *Server, c net.Conn) {
				_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: "+strings.Repeat("y", 7000))
			}},
		{name: "session that polls", raw: true, farewell: `"sid"`,
			fill: func(_ *testing.T, _ *Server, c net.Conn) {
				_, _ = io.WriteString(c, "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n")
			}},
		{name: "output", path: "/ws?topic=big", fill: func(t *testing.T, s *Server, c net.Conn) {
			eventually(t, "subscribed", func() bool { return subscribers(s, "big") == 1 })
			for s.node.Loop(0).Stats().OutboxBytes == 0 {
				if _, err := s.Publish("big", 0, bytes.Repeat([]byte("z"), 60000)); err != nil {
					t.Fatal(err)
				}
			}
		}, farewell: "zzz"},
		{name: "stream of events", raw: true, farewell: "zzz", fill: func(t *testing.T, s *Server, c net.Conn) {
			_, _ = io.WriteString(c, "GET /sse?topic=sse HTTP/1.1\r\nHost: localhost\r\n\r\n")
			eventually(t, "subscribed", func() bool { return subscribers(s, "sse") == 1 })
			for s.node.Loop(0).Stats().OutboxBytes == 0 {
				if _, err := s.Publish("sse", 0, bytes.Repeat([]byte("z"), 60000)); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			s := start(t, Config{Dev: true, Memory: memoryMin, PingInterval: Off, Loops: 1, MaxHead: 8 << 10})
			before := s.budget.Held()
			var c net.Conn
			if kind.raw {
				var err error
				if c, err = net.Dial("tcp", s.Addr().String()); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
			} else {
				c = dialWS(t, s.Addr().String(), kind.path)
			}
			kind.fill(t, s, c)
			eventually(t, "counted", func() bool { return s.budget.Held() > before })
			// Somebody else takes all the rest.
			s.budget.Add(s.budget.Max())
			got := make(chan string, 1)
			read := func() {
				var text strings.Builder
				p := make([]byte, 64<<10)
				for !strings.Contains(text.String(), kind.farewell) {
					n, err := c.Read(p)
					text.Write(p[:n])
					if err != nil {
						break
					}
				}
				c.Close() // the node waits for it behind its own FIN
				got <- text.String()
			}
			if kind.reads {
				go read()
			}
			eventually(t, "freed", func() bool { return s.budget.Held() <= s.budget.Max()+before })
			if err := (adminNode{s}).memoryReady(); err == nil || !strings.Contains(err.Error(), "short of memory") {
				t.Errorf("ready: %v", err)
			}
			if status := statusOf(t, s.Addr().String()); status != http.StatusServiceUnavailable {
				t.Errorf("a new connection gets %d, want 503", status)
			}
			s.budget.Add(-s.budget.Max())
			if s.budget.Short() || (adminNode{s}).memoryReady() != nil {
				t.Error("still short")
			}
			if !kind.reads {
				go read()
			}
			if text := <-got; !strings.Contains(text, kind.farewell) {
				t.Errorf("the client got %d bytes without %q at the end: %.200q", len(text), kind.farewell, text[max(0, len(text)-200):])
			}
			eventually(t, "nothing is counted", func() bool { return s.budget.Held() == before })
		})
	}
}

// What TLS keeps below the protocols is counted and freed like what they keep: the beginning of a
// ClientHello and of a record.
func TestMemoryOfTLS(t *testing.T) {
	hello := append([]byte{22, 3, 1, 0x30, 0x00, 1, 0, 0x2f, 0xfc}, make([]byte, 8000)...)
	record := append([]byte{23, 3, 3, 0x40, 0x00}, make([]byte, 15000)...)
	for _, kind := range []struct {
		name string
		open func(t *testing.T, s *Server) net.Conn
		part []byte
	}{
		{"ClientHello", func(t *testing.T, s *Server) net.Conn {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}, hello},
		{"record", func(t *testing.T, s *Server) net.Conn {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if err := tls.Client(c, clientTLS()).Handshake(); err != nil {
				t.Fatal(err)
			}
			return c
		}, record},
	} {
		t.Run(kind.name, func(t *testing.T) {
			s := start(t, Config{Dev: true, Memory: memoryMin, PingInterval: Off, Loops: 1, TLS: serverTLS()})
			c := kind.open(t, s)
			t.Cleanup(func() { c.Close() })
			if _, err := c.Write(kind.part); err != nil {
				t.Fatal(err)
			}
			eventually(t, "counted", func() bool { return s.budget.Held() >= int64(len(kind.part)) })
			s.budget.Add(s.budget.Max())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, c)
				c.Close() // the node waits for it behind its own FIN
			}()
			eventually(t, "freed", func() bool { return s.budget.Held() == s.budget.Max() })
			s.budget.Add(-s.budget.Max())
			<-ended
			eventually(t, "nothing is counted", func() bool { return s.budget.Held() == 0 })
		})
	}
}

// statusOf is the status with which a new connection is answered.
func statusOf(t *testing.T, address string) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
	p, _ := io.ReadAll(c)
	var status int
	_, _ = fmt.Sscanf(string(p), "HTTP/1.1 %d", &status)
	return status
}
