// Chat is a chat room in one page: the page opens a plain WebSocket, and what one client sends goes
// to all. Pages and sockets share one net/http server; each socket leaves it after its handshake.
//
//	go run ./examples/chat
//
// and open http://127.0.0.1:8080/ in two tabs.
package main

import (
	"context"
	_ "embed" // the page
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"c100k/websocket"
)

//go:embed page.html
var page []byte

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "address to listen on; anyone who reaches it may talk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *addr); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, addr string) error {
	chat := websocket.New(websocket.Options{MaxMessage: 4 << 10, Rate: 10, RateBurst: 20})
	chat.OnMessage(func(c *websocket.Conn, m websocket.Message) {
		if _, err := chat.Broadcast(m); err != nil {
			c.Close(1013, err.Error())
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/chat", chat)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page) // the browser may have gone
	})
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", ln.Addr())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		// net/http stops accepting; then the clients hear that the server restarts.
		stopped <- errors.Join(web.Shutdown(bounded), chat.Shutdown(bounded))
	}()
	if err := web.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
