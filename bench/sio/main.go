// Sio is a node with the handlers of the rival on npm socket.io (bench/peers/node/socketio.mjs), so
// that both do the same for the same bytes: an event "echo" is acknowledged with its argument, and
// POST /publish emits its body, as text, to the main namespace.
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"c100k/server"
	"c100k/socketio"
)

// messageBytesMax bounds a message, as with all rivals.
const messageBytesMax = 64 << 10

func main() {
	addr := flag.String("listen", "127.0.0.1:0", "address to listen on")
	loops := flag.Int("loops", 1, "event loops")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *loops); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string, loops int) error {
	sockets := socketio.New(socketio.Options{})
	sockets.On("echo", func(text string, ack func(string)) { ack(text) })
	mux := http.NewServeMux()
	mux.HandleFunc("POST /publish", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, messageBytesMax))
		if err == nil {
			err = sockets.Emit("message", string(body))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	node, err := server.New(server.Config{
		Listen: addr, Loops: loops, MaxMessage: messageBytesMax, Drain: time.Second,
		SocketIO: sockets, Handler: mux, ReturnMemory: true, // as with c100k serve
		Logger:   slog.New(slog.DiscardHandler),
		OnListen: func(public, _ net.Addr) { log.Printf("listening on %s", public) },
	})
	if err != nil {
		return err
	}
	return node.ListenAndServe(ctx)
}
