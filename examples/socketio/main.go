// Socketio is the chat of the Socket.IO tutorial, with the stock browser client and a server in Go:
// names, rooms, who is typing, and an acknowledgement for each message, mounted into an ordinary
// http.ServeMux.
//
//	go run ./examples/socketio
//
// and open http://127.0.0.1:8080/ in two tabs.
package main

import (
	"context"
	_ "embed" // the page
	"errors"
	"flag"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"c100k/socketio"
)

//go:embed page.html
var page []byte

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
	io := newChat()
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.Handler())
	mux.HandleFunc("/{$}", servePage)
	web := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		_ = io.Close() // clients are told to come back
		_ = web.Close()
	})
	defer stop()
	slog.Info("chat", "url", "http://"+addr+"/")
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// message is what everybody in a room gets.
type message struct {
	From string `json:"from"`
	Text string `json:"text"`
}

func newChat() *socketio.Server {
	io := socketio.New(socketio.Options{Logger: slog.Default(), Recovery: &socketio.Recovery{}})
	io.Use(func(h *socketio.Handshake) error {
		var auth struct{ Name string }
		if err := h.DecodeAuth(&auth); err != nil || strings.TrimSpace(auth.Name) == "" {
			return socketio.Refuse("who are you?", map[string]string{"missing": "name"})
		}
		h.SetData(auth.Name)
		return nil
	})
	io.OnConnection(func(s *socketio.Socket) {
		name := s.Data().(string)
		if !s.Recovered() { // one who was away for a moment is in the room still
			_ = s.Join("lobby")
			_ = s.To("lobby").Emit("notice", name+" has joined")
		}
		s.On("chat:message", func(text string, ack func(delivered bool)) {
			ack(io.To("lobby").Emit("chat:message", message{name, text}) == nil)
		})
		s.On("typing", func() { _ = s.To("lobby").Volatile().Emit("typing", name) })
		s.OnDisconnect(func(socketio.Reason) { _ = io.To("lobby").Emit("notice", name+" has left") })
	})
	return io
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page) // who does not take it has gone
}
