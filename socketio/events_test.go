package socketio

import (
	"fmt"
	"regexp"
	"testing"
)

// Listeners of OnAnyOutgoing get the events that are sent to their socket, alone or in a broadcast,
// and no others. If one panics, the other sockets still get the broadcast.
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

// Listeners of OnAny get each event of the client before its handlers, also an event without
// handlers. OffAny removes them.
func TestOnAny(t *testing.T) {
	io := New(Options{Loops: 1})
	heard := make(chan string, 10)
	io.OnConnection(func(s *Socket) {
		s.On("a", func(n int) { heard <- fmt.Sprint("handler ", n) })
		s.OnAny(func(event string, args Args) { heard <- fmt.Sprint("first ", event, args.Len()) })
		s.OnAny(func(event string, _ Args) { heard <- "second " + event })
		s.On("stop", func() { s.OffAny(); heard <- "stopped" })
	})
	c := dial(t, mount(t, io)).join()
	c.send(`42["a",1]`, `42["nobody's","x","y"]`, `42["stop"]`, `42["a",2]`)
	for _, want := range []string{
		"first a1", "second a", "handler 1", "first nobody's2", "second nobody's", "first stop0", "second stop", "stopped", "handler 2",
	} {
		if got := <-heard; got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
}

// Listeners of OnNamespace get each namespace that is made later, by the program or for a client,
// once.
func TestOnNamespace(t *testing.T) {
	io := New(Options{Loops: 1})
	io.Of("/before")
	made := make(chan string, 10)
	io.OnNamespace(func(nsp *Namespace) { made <- nsp.Name() })
	io.Of("/static")
	io.Of("/static")
	io.Of("/before")
	io.OfPattern(regexp.MustCompile(`^/dyn-\d$`))
	c := dial(t, mount(t, io))
	c.send("40/dyn-1,", "40/static,")
	c.read()
	c.read()
	for _, want := range []string{"/static", "/dyn-1"} {
		if got := <-made; got != want {
			t.Errorf("made %q, want %q", got, want)
		}
	}
	if len(made) > 0 {
		t.Errorf("made %q too", <-made)
	}
}
