// Embed mounts c100k's streams in an ordinary net/http server: the mux, its handlers and its
// middleware stay what they are, and /ws and /sse cost no goroutine per connection, because their
// sockets leave net/http for c100k's event loops.
//
//	go run ./examples/embed
//	curl -N 'http://127.0.0.1:8080/sse?topic=news'     # in one shell
//	curl -d hello http://127.0.0.1:8080/news           # in another
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unicode/utf8"

	"c100k/broadcast"
	"c100k/server"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string) error {
	// Anyone may subscribe to "news". Only this program publishes to it.
	push, err := server.New(server.Config{PublicTopics: []string{"news"}})
	if err != nil {
		return err
	}
	web := &http.Server{Addr: addr, Handler: routes(push), ReadHeaderTimeout: 5 * time.Second}

	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		// net/http stops accepting; then the node drains its connections, which web.Shutdown
		// does not know of any more.
		stopped <- errors.Join(web.Shutdown(bounded), push.Shutdown(bounded))
	}()
	log.Printf("listening on http://%s", addr)
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return errors.Join(err, push.Close())
	}
	return <-stopped
}

func routes(push *server.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /ws", push.Handler())
	mux.Handle("GET /sse", push.Handler())
	mux.HandleFunc("POST /news", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil || !utf8.Valid(text) {
			http.Error(w, "want at most 64 KiB of text", http.StatusBadRequest)
			return
		}
		result, err := push.Publish("news", broadcast.Text, text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "sent to %d subscribers\n", result.Queued)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "an ordinary handler; the streams are at /ws?topic=news and /sse?topic=news")
	})
	return mux
}
