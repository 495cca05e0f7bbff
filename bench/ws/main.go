// Ws is a Go program with handlers of package websocket that do what the rivals of bench/peers do:
// /echo sends a message back, /broadcast publishes it to all who are connected there, and a
// connection to any other path is quiet. Each connection has 8 bytes of the program's own.
//
// It listens by itself, or with --mounted in a net/http server. With --go the echo runs off the
// event loop, in Conn.Go.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"c100k/websocket"
)

const (
	// messageBytesMax bounds a message, as with all rivals.
	messageBytesMax = 64 << 10

	// connsMax is more than any scenario opens.
	connsMax = 100_000

	// headWait is how long net/http waits for a request's head.
	headWait = 5 * time.Second

	// shutdownWait is how long the end waits for the clients' close frames.
	shutdownWait = time.Second

	// look is how often the program looks whether many connections have come or gone, and many is
	// how many those are: as with c100k serve.
	look = time.Second
	many = 1000

	// room is the topic of /broadcast.
	room = "room"
)

// session is the data of a connection: 8 bytes, a number, and in the last 8 bits what it is for.
type session uint64

const (
	quiet session = iota
	echoes
	member
)

func main() {
	addr := flag.String("listen", "127.0.0.1:0", "address to listen on")
	loops := flag.Int("loops", 1, "event loops")
	mounted := flag.Bool("mounted", false, "run in a net/http server")
	async := flag.Bool("go", false, "echo off the event loop")
	compress := flag.Bool("compress", false, "negotiate permessage-deflate")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	sockets := handlers(websocket.Options{Loops: *loops, MaxMessage: messageBytesMax, MaxConns: connsMax, Compress: *compress}, *async)
	if err := run(ctx, sockets, *addr, *mounted); err != nil {
		log.Fatal(err)
	}
}

func handlers(o websocket.Options, async bool) *websocket.Server {
	sockets := websocket.New(o)
	sockets.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
		purpose := quiet
		switch r.Path() {
		case "/echo":
			purpose = echoes
		case "/broadcast":
			purpose = member
			if err := c.Subscribe(room); err != nil {
				c.Close(1011, err.Error())
			}
		}
		number := session(sockets.Conns()) // at least 1: this one
		c.SetData(number<<8 | purpose)
	})
	sockets.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		switch c.Data().(session) % (1 << 8) {
		case echoes:
			if !async {
				c.Send(m)
				return
			}
			m.Data = bytes.Clone(m.Data)
			c.Go(func(_ context.Context, a *websocket.Async) {
				if err := a.Send(m); err != nil {
					a.Close(1013, err.Error())
				}
			})
		case member:
			if _, err := sockets.Publish(room, m); err != nil {
				c.Close(1013, err.Error())
			}
		}
	})
	return sockets
}

// run serves until ctx ends.
func run(ctx context.Context, sockets *websocket.Server, addr string, mounted bool) error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // Serve refuses a multipath socket
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on %s", ln.Addr())
	ended := make(chan error, 1)
	front := http.Server{Handler: sockets, ReadHeaderTimeout: headWait}
	go returnMemory(ctx, sockets)
	go func() {
		if mounted {
			ended <- front.Serve(ln)
		} else {
			ended <- sockets.Serve(ln)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.Background(), shutdownWait)
	defer cancel()
	front.Close()
	if err := sockets.Shutdown(bounded); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// returnMemory returns memory to the system when many connections have come or gone and none do any
// more, as c100k serve does: a quiet program allocates nothing, so its collector does not run.
func returnMemory(ctx context.Context, sockets *websocket.Server) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	last, returned := 0, -many
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := sockets.Conns()
		if now == last && max(now-returned, returned-now) >= many {
			debug.FreeOSMemory()
			returned = now
		}
		last = now
	}
}
