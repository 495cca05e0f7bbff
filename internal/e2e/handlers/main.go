// Handlers is a program with handlers of package websocket, for real clients: --way says whether it
// is mounted in a net/http server, alone, or on a node. Its first line is its address.
//
// It sends each message back, but for a few: "say WORD" is published to all, "later" is answered by
// a function of Conn.Go, "close" ends the connection with 4000, and "panic" panics.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"c100k/server"
	"c100k/websocket"
)

func main() {
	way := flag.String("way", "mounted", "mounted, alone or node")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *way); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, way string) error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // Serve refuses a multipath socket
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	sockets := handlers(websocket.Options{
		Outbox: 8 << 20, Compress: true, Subprotocols: []string{"test.v1"}, Origins: []string{"*"},
	})
	switch way {
	case "alone":
		context.AfterFunc(ctx, sockets.Stop)
		err = sockets.Serve(ln)
	case "node":
		node, bad := server.New(server.Config{MaxConns: 100, Drain: time.Millisecond, WebSockets: map[string]*websocket.Server{"/echo": sockets}})
		if bad != nil {
			return bad
		}
		context.AfterFunc(ctx, func() { _ = node.Close() }) // Serve returns its error
		err = node.Serve(ln)
	default:
		mux := http.NewServeMux()
		mux.Handle("/echo", sockets)
		front := http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
		context.AfterFunc(ctx, func() { front.Close(); sockets.Stop() })
		err = front.Serve(ln)
	}
	if errors.Is(err, websocket.ErrServerClosed) {
		return nil
	}
	return err
}

func handlers(o websocket.Options) *websocket.Server {
	sockets := websocket.New(o)
	sockets.OnConnection(func(c *websocket.Conn, _ *websocket.Request) {
		if err := c.Subscribe("all"); err != nil {
			c.Close(1011, err.Error())
		}
	})
	sockets.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		said, found := bytes.CutPrefix(m.Data, []byte("say "))
		switch {
		case found:
			m.Data = said
			if _, err := sockets.Publish("all", m); err != nil {
				c.Close(1011, err.Error())
			}
		case string(m.Data) == "later":
			c.Go(func(_ context.Context, a *websocket.Async) {
				if err := a.SendText("done"); err != nil {
					log.Print(err)
				}
			})
		case string(m.Data) == "close":
			c.Close(4000, "as you wish")
		case string(m.Data) == "panic":
			panic("as you wish")
		default:
			c.Send(m)
		}
	})
	return sockets
}
