// The pool: who runs a handshake, and how many wait.

package tlsconn

import (
	"crypto/tls"
	"testing"
	"time"

	"c100k/netpoll"
)

// TestWorkersRest: a worker that has nothing to do takes the next handshake, and ends in a while.
func TestWorkersRest(t *testing.T) {
	p := NewPool()
	shakes := make([]*shake, 2)
	for i := range shakes {
		shakes[i] = &shake{layer: New(&Config{Pool: p}), remote: new(netpoll.Remote)}
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
	p.mu.Lock()
	p.fewest[0] = 0 // as if it were needed just now
	p.mu.Unlock()
	p.reap()
	if idle() != 1 {
		t.Error("a worker was ended that was needed")
	}
	within(t, "it ends", func() bool { return idle() == 0 })
	within(t, "nobody looks for others", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return !p.reaps })
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

// TestShort: what is left of a handshake runs on the loop when it is a few hashes only.
func TestShort(t *testing.T) {
	verify := func(tls.ConnectionState) error { return nil }
	for _, c := range []struct {
		name   string
		cfg    *tls.Config
		client bool
		flight bool // the first one is written
		short  bool
	}{
		{"behind the first flight", &tls.Config{}, false, true, true},
		{"before it, as behind a HelloRetryRequest", &tls.Config{}, false, false, false},
		{"of a client", &tls.Config{}, true, true, false},
		{"with a certificate to verify", &tls.Config{ClientAuth: tls.RequestClientCert}, false, true, false},
		{"with a callback", &tls.Config{VerifyConnection: verify}, false, true, false},
	} {
		sh := &shake{layer: New(&Config{})}
		if c.client {
			sh.client = c.cfg
		}
		sh.own(NewPool(), c.cfg)
		if c.flight {
			sh.keys.server = make([]byte, 32)
		}
		if sh.short() != c.short {
			t.Errorf("%s: short is %v", c.name, !c.short)
		}
	}
}

// TestRunnersRest: the coroutine of a handshake runs the next one, and ends in a while. Those that
// nobody needs end, and no more are kept than the bound allows.
func TestRunnersRest(t *testing.T) {
	p := NewPool()
	var all []*runner
	for range workersIdleMax + 1 {
		sh := &shake{layer: New(&Config{Pool: p}), remote: new(netpoll.Remote)}
		sh.abort() // so that it is over at once
		p.begun++
		if !p.advance(sh) || sh.over.err == nil {
			t.Fatal("it goes on")
		}
		all = append(all, sh.runner)
		if len(all) > 1 && sh.runner == all[0] {
			t.Fatal("a runner has two handshakes")
		}
	}
	for _, r := range all {
		p.done(r)
	}
	r := p.runner()
	defer r.stop()
	if r != all[workersIdleMax-1] || len(p.runners) != workersIdleMax-1 || p.begun != 0 {
		t.Errorf("%d rest, %d have begun", len(p.runners), p.begun)
	}
	within(t, "all end", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.runners) == 0 && !p.reaps })
}
