package socketio_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"c100k/socketio"
)

func ExampleServer_Handler() {
	io := socketio.New(socketio.Options{})
	defer io.Close()
	io.OnConnection(func(s *socketio.Socket) {
		s.On("chat:message", func(msg string) { io.Emit("chat:message", s.ID(), msg) })
		s.On("join", func(room string, ack func(ok bool)) {
			s.Join(room)
			io.To(room).Emit("user:joined", s.ID())
			ack(true)
		})
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.Handler())
	// http.ListenAndServe("127.0.0.1:8080", mux)
}

func ExampleNamespace_Use() {
	io := socketio.New(socketio.Options{})
	io.Of("/admin").Use(func(h *socketio.Handshake) error {
		var auth struct{ Token string }
		if err := h.DecodeAuth(&auth); err != nil || auth.Token != "secret" {
			return socketio.Refuse("not authorized", map[string]int{"code": 401})
		}
		h.SetData("admin") // Socket.Data
		return nil
	})
}

func ExampleNamespace_UseAsync() {
	lookUp := func(ctx context.Context, auth []byte) error { return nil } // in a database
	io := socketio.New(socketio.Options{})
	io.Of("/").UseAsync(func(h *socketio.Handshake, next func(error)) {
		go func() { // a middleware runs on the event loop: work that takes time goes to a goroutine
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			next(lookUp(ctx, h.Auth()))
		}()
	})
}

func ExampleServer_OfPattern() {
	io := socketio.New(socketio.Options{CleanupEmptyNamespaces: true})
	games := io.OfPattern(regexp.MustCompile(`^/game-\d+$`))
	games.OnConnection(func(s *socketio.Socket) { s.Broadcast().Emit("player", s.Namespace().Name()) })
}

func ExampleSocket_On() {
	type move struct{ X, Y int }
	io := socketio.New(socketio.Options{})
	io.OnConnection(func(s *socketio.Socket) {
		s.On("move", func(m move, ack func(valid bool)) { ack(m.X >= 0 && m.Y >= 0) })
		s.On("upload", func(name string, data []byte) { s.To("viewers").Emit("image", name, data) })
		s.On("tags", func(tags ...string) { s.Join(tags...) })
		s.On("anything", func(args socketio.Args, ack socketio.Ack) { ack(args.Len()) })
		s.OnError(func(err error) { s.Emit("wrong", err.Error()) }) // arguments that do not fit
	})
	defer func() {
		why, _, _ := strings.Cut(fmt.Sprint(recover()), ";")
		fmt.Println(why)
	}()
	new(socketio.Socket).On("bad", func(chan int) {})
	// Output:
	// socketio: handler of event "bad" is a func(chan int): parameter 1: no JSON becomes a chan int
}

func ExampleTarget_EmitWithAck() {
	io := socketio.New(socketio.Options{})
	go func() { // not on an event loop, because it blocks
		answers, err := io.To("voters").Timeout(5*time.Second).EmitWithAck(context.Background(), "vote", "who?")
		fmt.Println(len(answers), err)
	}()
}

func ExampleNamespace_OnServerSide() {
	var join func(local *socketio.Local) socketio.Adapter // of a package with an adapter
	io := socketio.New(socketio.Options{Adapter: join})
	io.OnServerSide("load", func(ack func(clients int)) { ack(io.Connections()) })
	go func() { // not on an event loop, because it blocks
		answers, err := io.Of("/").ServerSideEmitWithAck(context.Background(), "load")
		fmt.Println(len(answers), err) // one of each other server; ErrPartial if one is missing
	}()
}
