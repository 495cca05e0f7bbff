// Chat is a chat room in one page and one call: the page opens a plain WebSocket on a topic, and
// with Dev every frame that a client sends goes to all who are on that topic.
//
//	go run ./examples/chat
//
// and open http://127.0.0.1:8080/ in two tabs.
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
	w.Write(page)
}
