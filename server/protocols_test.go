// A protocol that the node knows nothing of but its row.

package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/internal/proto/lines"
	"c100k/netpoll"
)

// serveLines runs a node with the protocol of lines beside its own, and opens a stream on topic t.
func serveLines(t *testing.T, c Config) (*Server, net.Conn, *bufio.Reader) {
	t.Helper()
	s, err := newServer(c, lines.Row(lines.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	ln, err := listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() { s.Close(); <-served })
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET /lines?t HTTP/1.1\r\nHost: h\r\n\r\n")
	in := bufio.NewReader(conn)
	nextLine(t, in, "+-\n")
	eventually(t, "subscribed", func() bool { return subscribers(s, "t") == 1 })
	return s, conn, in
}

func nextLine(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	if got, err := in.ReadString('\n'); err != nil || got != want {
		t.Fatalf("%.60q %v, want %q", got, err, want)
	}
}

// flood publishes to t more than the kernel and the outbox take, without a reader.
func flood(t *testing.T, s *Server) {
	t.Helper()
	for range 100 {
		r, err := s.Publish("t", broadcast.Text, []byte(strings.Repeat("x", 100_000)))
		if err != nil {
			t.Fatal(err)
		}
		if r.Matched == 0 {
			return
		}
		done := make(chan struct{}) // so that the loop has a turn, and the message is not dropped before it
		for i := range s.node.Loops() {
			s.node.Loop(i).Remote().Post(func(*netpoll.Loop) { done <- struct{}{} })
			<-done
		}
	}
}

// skipTo reads lines until one begins with want; those before it are messages.
func skipTo(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, want) {
			return
		}
		if line[0] != 'x' {
			t.Fatalf("got %.60q", line)
		}
	}
}

func TestProtocolOfOneRow(t *testing.T) {
	t.Run("messages, a panic, and the figures", func(t *testing.T) {
		s, conn, in := serveLines(t, Config{Loops: 1})
		if r, err := s.PublishAll(t.Context(), "t", broadcast.JSON, []byte("{}")); err != nil || r.Matched != 1 {
			t.Errorf("%+v %v", r, err)
		}
		nextLine(t, in, "{}\n")
		if info, ok := (adminNode{s}).Topic("t"); !ok || info.Transports["lines"] != 1 {
			t.Errorf("%+v", info)
		}
		fmt.Fprint(conn, "panic\n")
		nextLine(t, in, "panic\n")
		conn.Close()
		count := s.node.Count("lines")
		eventually(t, "counted", func() bool { return count.OpenedTotal() == 1 && count.ClosedTotal(netpoll.ReasonPanic) == 1 })
	})
	t.Run("drained", func(t *testing.T) {
		s, _, in := serveLines(t, Config{Loops: 1, Drain: Off})
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(context.Background()) }()
		nextLine(t, in, "drain\n")
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("behind the last line: %v", err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("kicked", func(t *testing.T) {
		s, _, in := serveLines(t, Config{Loops: 1})
		ids := make(chan netpoll.ID, 1)
		s.node.Loop(0).Remote().Post(func(l *netpoll.Loop) {
			l.Each(func(c *netpoll.Conn) bool { ids <- c.ID(); return false })
		})
		if found, err := (adminNode{s}).CloseConnection(<-ids); !found || err != nil {
			t.Errorf("%v %v", found, err)
		}
		nextLine(t, in, "kick\n")
	})
	t.Run("slow", func(t *testing.T) {
		s, _, in := serveLines(t, Config{Loops: 1, SlowConsumer: SlowDisconnect})
		flood(t, s)
		skipTo(t, in, "slow\n")
	})
	t.Run("gaps", func(t *testing.T) {
		s, _, in := serveLines(t, Config{Loops: 1, SlowConsumer: SlowDropOldest})
		flood(t, s)
		skipTo(t, in, "gap t ")
	})
	t.Run("a path that is taken", func(t *testing.T) {
		if _, err := newServer(Config{}, lines.Row(lines.Options{Name: "lines", Path: "/ws"})); err == nil {
			t.Error("two protocols have /ws")
		}
	})
}
