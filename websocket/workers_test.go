package websocket_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"c100k/server"
	"c100k/websocket"
)

// startBus runs the bus that joins workers, which is NATS.
func startBus(t *testing.T) (url string) {
	t.Helper()
	bus, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	bus.Start()
	if !bus.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() {
		bus.Shutdown()
		bus.WaitForShutdown()
	})
	return fmt.Sprintf("nats://127.0.0.1:%d", bus.Addr().(*net.TCPAddr).Port)
}

// What one worker of a node publishes reaches the clients of all of them, whoever publishes: the
// server, a handler, or the server to all connections. What is not published stays in its process.
func TestWorkers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	url := startBus(t)
	const workers = 3
	var servers []*websocket.Server
	var clients []*websocket.Client
	ids := make(chan websocket.ID, workers)
	for i := range workers {
		wss := websocket.New(websocket.Options{})
		wss.OnConnection(func(c *websocket.Conn, _ *websocket.Request) {
			if err := c.Subscribe("room"); err != nil {
				t.Error(err)
			}
			ids <- c.ID()
		})
		wss.OnMessage(func(c *websocket.Conn, m websocket.Message) {
			if _, err := c.Publish("room", m); err != nil {
				t.Error(err)
			}
		})
		s, err := server.New(server.Config{
			WebSockets: map[string]*websocket.Server{"/chat": wss}, MaxConns: 100, Loops: 2, Bus: url,
			Worker: &server.Worker{Number: i, Count: workers, LoopBase: 2 * i, API: http.NotFoundHandler()},
		})
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
		servers = append(servers, wss)
		clients = append(clients, dial(ctx, t, "ws://"+ln.Addr().String()+"/chat", nil))
	}
	var names []websocket.ID
	for range workers {
		names = append(names, <-ids)
	}
	if names[0] == names[1] || names[1] == names[2] || names[0] == names[2] {
		t.Errorf("connections of different workers have the IDs %v", names)
	}
	// A subscription takes a while to be known to the other workers: what is published before may
	// not arrive, so the test goes on when each has heard of each.
	for i, wss := range servers {
		for _, c := range clients {
			hears(ctx, t, wss, c, fmt.Sprint("from worker ", i))
		}
	}
	for i, wss := range servers {
		text := fmt.Sprint("to everybody, from worker ", i)
		if _, err := wss.Broadcast(websocket.TextMessage(text)); err != nil {
			t.Error(err)
		}
		for _, c := range clients {
			skipTo(ctx, t, c, text)
		}
	}
	say(ctx, t, clients[0], "from a client")
	skipTo(ctx, t, clients[1], "from a client")
	skipTo(ctx, t, clients[2], "from a client")
	say(ctx, t, clients[1], "to its sender too?")
	expect(ctx, t, clients[0], "to its sender too?") // what it said itself did not come
	for _, wss := range servers {
		if n := wss.Conns(); n != 1 {
			t.Errorf("%d connections, want those of the process", n)
		}
		for i, id := range names {
			if err := wss.Send(id, websocket.TextMessage(fmt.Sprint("for ", i))); err != nil {
				t.Errorf("a connection of another process: %v", err)
			}
		}
	}
	for _, c := range clients {
		m, err := c.Read(ctx)
		for err == nil && string(m.Data) == "to its sender too?" {
			m, err = c.Read(ctx)
		}
		if err != nil || len(m.Data) != len("for 0") {
			t.Errorf("got %q, %v", m.Data, err)
		}
	}
}

// hears publishes until a client has heard it.
func hears(ctx context.Context, t *testing.T, wss *websocket.Server, c *websocket.Client, text string) {
	t.Helper()
	heard := make(chan error, 1)
	go func() {
		for {
			m, err := c.Read(ctx)
			if err != nil || string(m.Data) == text {
				heard <- err
				return
			}
		}
	}()
	for {
		if _, err := wss.Publish("room", websocket.TextMessage(text)); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-heard:
			if err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// skipTo reads until a message comes; those before it were published to be sure.
func skipTo(ctx context.Context, t *testing.T, c *websocket.Client, text string) {
	t.Helper()
	for {
		m, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("where %q is due: %v", text, err)
		}
		if string(m.Data) == text {
			return
		}
	}
}
