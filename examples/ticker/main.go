// Ticker is a node that publishes the time once a second, to however many are listening: one
// Publish, whether it is one subscriber or a hundred thousand.
//
//	go run ./examples/ticker
//	curl -N 'http://127.0.0.1:8080/sse?topic=time'
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"c100k/broadcast"
	"c100k/server"
)

const topic = "time"

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	every := flag.Duration("every", time.Second, "time between two ticks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr, *every); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string, every time.Duration) error {
	node, err := server.New(server.Config{
		Listen:       addr,
		PublicTopics: []string{topic},
		Drain:        time.Second,
		Logger:       slog.Default(),
	})
	if err != nil {
		return err
	}
	go tick(ctx, node, every)
	return node.ListenAndServe(ctx)
}

// tick publishes until ctx ends. Publish may be called on any goroutine and does not wait for
// anybody.
func tick(ctx context.Context, node *server.Server, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			// A payload belongs to the node once it is published: a new one each time.
			payload := fmt.Appendf(nil, `{"time":%q}`, now.UTC().Format(time.RFC3339Nano))
			result, err := node.Publish(topic, broadcast.JSON, payload)
			if err != nil {
				slog.Error("publish", "err", err)
				return
			}
			slog.Debug("tick", "subscribers", result.Matched)
		}
	}
}
