// Socket.IO servers of two nodes, joined by the bus.

package server

import (
	"context"
	"strings"
	"testing"

	"c100k/socketio"
)

func TestSocketIOOverTheBus(t *testing.T) {
	n := startNATS(t, 0)
	var servers [2]*socketio.Server
	var polls [2]string
	for i := range servers {
		servers[i] = socketio.New(socketio.Options{})
		servers[i].On("join", func(s *socketio.Socket, room string, done func()) {
			_ = s.Join(room)
			done()
		})
		s := start(t, Config{Dev: true, Admin: "127.0.0.1:0", Bus: busURL(n), Loops: 1, Outbox: 4 << 20, SocketIO: servers[i]})
		polls[i] = poller(t, "http://"+s.Addr().String())
	}
	eventually(t, "they know each other", func() bool {
		n, err := servers[0].Of("/").Servers(context.Background())
		return n == 2 && err == nil
	})
	text(t, "POST", polls[1], `420["join","r"]`)
	if _, got := text(t, "GET", polls[1], ""); got != "430[]" {
		t.Fatalf("joined: %s", got)
	}
	if err := servers[0].To("r").Emit("m", strings.Repeat("x", 50_000), []byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, got := text(t, "GET", polls[1], ""); !strings.HasPrefix(got, `451-["m","xxx`) || !strings.HasSuffix(got, "\x1ebAQ==") {
		t.Errorf("got %.50s", got)
	}
	sockets, err := servers[0].FetchSockets(context.Background())
	if len(sockets) != 2 || err != nil {
		t.Errorf("%d sockets, %v", len(sockets), err)
	}
}

func TestSocketIOAdapterTwice(t *testing.T) {
	sio := socketio.New(socketio.Options{Adapter: func(l *socketio.Local) socketio.Adapter { return l }})
	_, err := New(Config{Dev: true, SocketIO: sio, SocketIOAdapter: AdapterRedis, SocketIORedis: "unix:///nowhere"})
	if err == nil || !strings.Contains(err.Error(), "cannot reach") {
		t.Error(err)
	}
}
