package socketio

import (
	"fmt"
	"testing"
)

// OnAnyOutgoing hears of what is sent to its socket, alone or with others, and of nothing else; a
// listener that panics keeps nobody else from getting a broadcast.
func TestOnAnyOutgoing(t *testing.T) {
	io := New(Options{Loops: 1})
	sockets := make(chan *Socket, 2)
	io.OnConnection(func(s *Socket) { sockets <- s })
	url := mount(t, io)
	c, other := dial(t, url).join(), dial(t, url).join()
	s := <-sockets
	if s.ID() != c.id {
		s, _ = <-sockets, s
	}
	heard := make(chan string, 10)
	s.OnAnyOutgoing(func(event string, args []any) {
		heard <- fmt.Sprint(event, args)
		if event == "b" {
			panic("of a listener, which is logged")
		}
	})
	for _, tt := range []struct {
		emit func() error
		want string // "": the socket is not sent it
	}{
		{func() error { return s.Emit("a", 1) }, "a[1]"},
		{func() error { return io.Emit("b", "x", 2) }, "b[x 2]"},
		{func() error { return io.To(s.ID()).Emit("c") }, "c[]"},
		{func() error { return s.Broadcast().Emit("not for it") }, ""},
		{func() error { return io.To(other.id).Emit("not for it either") }, ""},
		{func() error { return io.All().Volatile().Emit("d") }, "d[]"},
		{func() error { s.OffAnyOutgoing(); return io.Emit("last") }, ""},
	} {
		if err := tt.emit(); err != nil {
			t.Fatal(err)
		}
		if tt.want == "" {
			continue
		}
		if got := <-heard; got != tt.want {
			t.Errorf("heard %q, want %q", got, tt.want)
		}
	}
	for _, r := range []struct {
		c    *raw
		want []string
	}{
		{c, []string{`42["a",1]`, `42["b","x",2]`, `42["c"]`, `42["d"]`, `42["last"]`}},
		{other, []string{`42["b","x",2]`, `42["not for it"]`, `42["not for it either"]`, `42["d"]`, `42["last"]`}},
	} {
		for _, want := range r.want {
			if got := r.c.read(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	if len(heard) > 0 {
		t.Errorf("heard %q too", <-heard)
	}
}
