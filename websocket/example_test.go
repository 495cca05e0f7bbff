package websocket_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"c100k/server"
	"c100k/websocket"
)

// ExampleNew is an echo server that is mounted in a net/http server.
func ExampleNew() {
	echo := websocket.New(websocket.Options{MaxMessage: 64 << 10})
	echo.OnMessage(func(c *websocket.Conn, m websocket.Message) { c.Send(m) })
	url, stop := start(echo)
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Terminate()
	c.Write(ctx, websocket.TextMessage("hello"))
	m, err := c.Read(ctx)
	fmt.Println(string(m.Data), err)
	// Output: hello <nil>
}

// ExampleServer_Serve is an echo server that listens by itself, without net/http. ListenAndServe is
// the same for an address.
func ExampleServer_Serve() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	echo := websocket.New(websocket.Options{})
	echo.OnMessage(func(c *websocket.Conn, m websocket.Message) { c.Send(m) })
	served := make(chan error, 1)
	go func() { served <- echo.Serve(ln) }()

	c, err := websocket.Dial(ctx, "ws://"+ln.Addr().String()+"/", nil)
	if err != nil {
		log.Fatal(err)
	}
	c.Write(ctx, websocket.TextMessage("hello"))
	m, err := c.Read(ctx)
	fmt.Println(string(m.Data), err)
	c.Terminate()
	fmt.Println("shut down:", echo.Shutdown(ctx))
	fmt.Println("served:", <-served)
	// Output:
	// hello <nil>
	// shut down: <nil>
	// served: http: Server closed
}

// ExampleServer_node: a program's own WebSocket handlers on a node, beside its topics: what they
// publish reaches all nodes.
func ExampleServer_node() {
	chat := websocket.New(websocket.Options{})
	chat.OnConnection(func(c *websocket.Conn, _ *websocket.Request) {
		if err := c.Subscribe("lobby"); err != nil {
			c.Close(1011, err.Error())
		}
	})
	chat.OnMessage(func(_ *websocket.Conn, m websocket.Message) { chat.Publish("lobby", m) })
	ready := make(chan string, 1)
	node, err := server.New(server.Config{
		Listen:     "127.0.0.1:0",
		WebSockets: map[string]*websocket.Server{"/chat": chat},
		OnListen:   func(public, _ net.Addr) { ready <- public.String() },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- node.ListenAndServe(ctx) }()

	c, err := websocket.Dial(ctx, "ws://"+<-ready+"/chat", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Write(ctx, websocket.TextMessage("hello, all"))
	m, err := c.Read(ctx)
	fmt.Println(string(m.Data), err)
	c.Terminate()
	cancel()
	fmt.Println("served:", <-served)
	// Output:
	// hello, all <nil>
	// served: <nil>
}

// ExampleServer_Publish sends what one connection says to all that are in its room.
func ExampleServer_Publish() {
	chat := websocket.New(websocket.Options{})
	chat.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
		if err := c.Subscribe("lobby"); err != nil {
			c.Close(1011, err.Error())
			return
		}
		c.SendText("welcome")
	})
	chat.OnMessage(func(c *websocket.Conn, m websocket.Message) { chat.Publish("lobby", m) })
	url, stop := start(chat)
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var clients []*websocket.Client
	for range 2 {
		c, err := websocket.Dial(ctx, url, nil)
		if err != nil {
			log.Fatal(err)
		}
		defer c.Terminate()
		c.Read(ctx) // welcome: it is in the room
		clients = append(clients, c)
	}
	clients[0].Write(ctx, websocket.TextMessage("good morning"))
	for _, c := range clients {
		m, err := c.Read(ctx)
		fmt.Println(string(m.Data), err)
	}
	// Output:
	// good morning <nil>
	// good morning <nil>
}

// ExampleConn_Go answers after work that takes long. The answers come in the order of the requests.
func ExampleConn_Go() {
	server := websocket.New(websocket.Options{})
	server.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		request := string(m.Data) // m.Data is valid during the call only
		queued := c.Go(func(ctx context.Context, a *websocket.Async) {
			a.SendText(strings.ToUpper(request)) // in place of a question to a database
		})
		if !queued {
			c.Close(1013, "too many requests wait")
		}
	})
	url, stop := start(server)
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Terminate()
	for _, s := range []string{"one", "two"} {
		c.Write(ctx, websocket.TextMessage(s))
	}
	for range 2 {
		m, err := c.Read(ctx)
		fmt.Println(string(m.Data), err)
	}
	// Output:
	// ONE <nil>
	// TWO <nil>
}

// ExampleUpgrade_Wait asks a service who the client is before the connection is accepted.
func ExampleUpgrade_Wait() {
	userOf := func(cookie string) (string, error) { // in place of a service
		if cookie != "s3cret" {
			return "", errors.New("log in first")
		}
		return "ann", nil
	}
	server := websocket.New(websocket.Options{})
	server.OnUpgrade(func(u *websocket.Upgrade) {
		u.Wait() // the handshake waits, the event loop does not
		go func() {
			user, err := userOf(u.Request().Cookie("session"))
			if err != nil {
				u.Refuse(http.StatusUnauthorized, err.Error())
				return
			}
			u.SetData(user)
			u.Accept()
		}()
	})
	server.OnConnection(func(c *websocket.Conn, r *websocket.Request) { c.SendText("hello, " + c.Data().(string)) })
	url, stop := start(server)
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, cookie := range []string{"session=wrong", "session=s3cret"} {
		c, err := websocket.Dial(ctx, url, &websocket.DialOptions{Header: http.Header{"Cookie": {cookie}}})
		if refused := (*websocket.RefusedError)(nil); errors.As(err, &refused) {
			fmt.Println(refused.Status, string(refused.Body))
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		m, err := c.Read(ctx)
		fmt.Println(string(m.Data), err)
		c.Terminate()
	}
	// Output:
	// 401 log in first
	// hello, ann <nil>
}

// ExampleDial reads until the server closes the connection.
func ExampleDial() {
	server := websocket.New(websocket.Options{Subprotocols: []string{"counter"}})
	server.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
		c.SendText("1")
		c.SendText("2")
		c.Close(1000, "that was all")
	})
	url, stop := start(server)
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"counter"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Terminate()
	fmt.Println(c.Subprotocol())
	for {
		m, err := c.Read(ctx)
		if closed := (*websocket.CloseError)(nil); errors.As(err, &closed) {
			fmt.Println(closed.Code, closed.Reason)
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(m.Data))
	}
	// Output:
	// counter
	// 1
	// 2
	// 1000 that was all
}

// start mounts a server for an example, and returns its URL.
func start(s *websocket.Server) (url string, stop func()) {
	front := httptest.NewServer(s)
	return "ws" + strings.TrimPrefix(front.URL, "http"), func() {
		front.Close()
		s.Stop()
	}
}
