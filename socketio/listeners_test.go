package socketio

import (
	"fmt"
	"regexp"
	"testing"
)

// OnAny hears of each event of the client before its handlers, also of one that has none; OffAny
// ends that.
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

// OnNamespace hears of each namespace that is made after it, by the program or for a client, once.
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
