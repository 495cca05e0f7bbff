// Twoways is one page with two clients of one topic beside each other: socket.io-client, and a
// plain WebSocket. What is published by one reaches both, for a node has one set of topics.
//
//	go run ./examples/twoways
//
// and open http://127.0.0.1:8080/.
package main

import (
	"context"
	_ "embed" // the page
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"c100k/server"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "address to listen on; with Dev anyone who reaches it may publish")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string) error {
	node, err := server.New(server.Config{
		Dev:     true,
		Listen:  addr,
		Handler: http.HandlerFunc(servePage), // everything that is not a stream
		Drain:   time.Second,
		Logger:  slog.Default(),
	})
	if err != nil {
		return err
	}
	return node.ListenAndServe(ctx)
}

func servePage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // who does not take it has gone
}
