// The pool: who runs a handshake, and how many wait.

package tlsconn

import (
	"testing"
	"time"

	"c100k/netpoll"
)

// TestWorkersRest: a worker that has nothing to do takes the next handshake, and ends in a while.
func TestWorkersRest(t *testing.T) {
	p := NewPool()
	shakes := make([]*shake, 2)
	for i := range shakes {
		shakes[i] = &shake{layer: New(&Config{}), remote: new(netpoll.Remote)}
		shakes[i].ready = make(chan struct{}, 1)
		shakes[i].abort() // so that it is over at once
	}
	idle := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.idle
	}
	p.begun = 1
	go p.work(shakes[0])
	within(t, "the worker rests", func() bool { return idle() == 1 })
	p.mu.Lock()
	if !p.give(shakes[1]) || p.give(shakes[1]) {
		t.Error("a handshake is given to the one worker that rests, and no other")
	}
	p.begun = 1
	p.mu.Unlock()
	within(t, "it rests again", func() bool { return idle() == 1 })
	within(t, "it ends", func() bool { return idle() == 0 })
	if p.begun != 0 || len(p.next) != 0 {
		t.Errorf("%d have begun, %d are given", p.begun, len(p.next))
	}
	p.idle = workersIdleMax
	p.mu.Lock()
	if p.rest() != nil || !p.mu.TryLock() { // rest has given it back
		t.Error("more rest than the bound allows")
	}
	p.mu.Unlock()
}

// TestHandshakesBegun: clients that begin their handshakes and stop, more than may be under way,
// keep nobody out for longer than stallMax.
func TestHandshakesBegun(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo, open: func(l *netpoll.Loop, c *netpoll.Conn) { l.Arm(c, time.Hour) }})
	hello := helloOf(t)
	const begun = HandshakesMax + 50
	for range begun {
		if _, err := r.dial().Write(hello); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		exchange(t, r.client(clientConfig()), []byte("an honest client"))
	}
	f := r.layer.Figures()
	if f.Failed[failStalled] == 0 || f.Failed[failStalled] > 2*begun || f.Full13 != 3 {
		t.Errorf("%+v", f)
	}
}
