// The loop on the faked kernel: who is called when, and what a fault costs.

package netpoll_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

func TestBecomeAndRedeliver(t *testing.T) {
	var calls []string
	second := &script{
		open: func(l *netpoll.Loop, c *netpoll.Conn) {
			calls = append(calls, fmt.Sprintf("open %d session %d", c.Role(), c.Session()))
		},
		data:   func(_ *netpoll.Loop, _ *netpoll.Conn, p []byte) { calls = append(calls, "data "+string(p)) },
		timer:  func(*netpoll.Loop, *netpoll.Conn) { calls = append(calls, "timer") },
		closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { calls = append(calls, "close "+r.String()) },
	}
	first := &script{
		open: func(l *netpoll.Loop, c *netpoll.Conn) {
			c.SetSession(42)
			l.Arm(c, time.Second)
		},
		data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			head, rest, _ := bytes.Cut(p, []byte("|"))
			l.Send(c, head)
			l.Become(c, 1)
			l.Redeliver(c, rest)
		},
		closed: func(*netpoll.Loop, *netpoll.Conn, netpoll.Reason) { calls = append(calls, "first close") },
	}
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(first, second)})
	p := l.Connect(0)
	p.Write([]byte("head|rest"))
	l.Advance(2 * time.Second)
	p.CloseWrite()
	l.Settle()
	if want := []string{"open 1 session 0", "data rest", "close peer"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
	if got := p.Read(); string(got) != "head" {
		t.Errorf("got %q", got)
	}
}

func TestDetachAndAdopt(t *testing.T) {
	var fd int
	var reasons []netpoll.Reason
	released := 0
	h := &script{
		data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			if string(p) != "leave" {
				l.SendTurn(c, p)
				return
			}
			fd = l.Detach(c)
			if again := l.Detach(c); again != -1 {
				t.Errorf("detached twice: %d", again)
			}
			l.Close(c, netpoll.ReasonLocal)
		},
		closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { reasons = append(reasons, r) },
	}
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(h), OnRelease: func(uint32, netpoll.Reason) { released++ }})
	p := l.Connect(0)
	p.Write([]byte("leave"))
	l.Turn()
	if !slices.Equal(reasons, []netpoll.Reason{netpoll.ReasonDetached}) || released != 0 || p.Closed() || l.Len() != 0 {
		t.Fatalf("reasons %v, %d released, closed %v, %d left", reasons, released, p.Closed(), l.Len())
	}
	p.Write([]byte("later"))
	l.Turn()
	c := l.Adopt(fd, 0, 9, []byte("first "))
	if c == nil || c.Tag() != 9 || c.ID() == p.ID() {
		t.Fatalf("adopted %+v", c)
	}
	l.Settle()
	if got := p.Read(); string(got) != "first later" {
		t.Errorf("got %q", got)
	}
}

// TestStale: names, events and tasks of a closed connection reach no other,
// least of all who has its slot now.
func TestStale(t *testing.T) {
	l := netpolltest.New(t, netpolltest.Options{Seed: 3, Handlers: handlers(echo())})
	var ids []netpoll.ID
	for range 300 {
		p := l.Connect(0)
		ids = append(ids, p.ID())
		p.Reset()
		l.Settle()
		if p.Conn() != nil || !p.Closed() {
			t.Fatal("a reset connection lives on")
		}
	}
	p := l.Connect(0)
	reached := 0
	for _, id := range ids {
		if id.Slot() != p.ID().Slot() || id == p.ID() {
			t.Fatalf("slot of %v, slot of %v: the slot is not used again", id, p.ID())
		}
		if l.Lookup(id) != nil {
			t.Errorf("%v is found", id)
		}
		l.Remote().PostTo(id, func(*netpoll.Loop, *netpoll.Conn) { reached++ })
	}
	l.Remote().PostTo(p.ID(), func(*netpoll.Loop, *netpoll.Conn) { reached += 1000 })
	l.Settle()
	if reached != 1000 || l.Stats().StaleEvents == 0 {
		t.Errorf("reached %d, %d stale events", reached, l.Stats().StaleEvents)
	}
}

// TestTimersNeverEarly, and not later than a tick and a step of the clock; also
// where the tick wraps.
func TestTimersNeverEarly(t *testing.T) {
	for _, start := range []time.Duration{time.Hour, time.Duration(1<<32)*32*time.Millisecond - 3*time.Second} {
		due := map[netpoll.ID]time.Duration{}
		fired := 0
		h := &script{timer: func(l *netpoll.Loop, c *netpoll.Conn) {
			late := l.Now() - due[c.ID()]
			if late < 0 || late > 45*time.Millisecond {
				t.Errorf("%v late", late)
			}
			fired++
		}}
		l := netpolltest.New(t, netpolltest.Options{Start: start, Handlers: handlers(h)})
		for i := range 100 {
			p := l.Connect(0)
			d := time.Duration(i*i) * time.Millisecond
			l.Arm(p.Conn(), d)
			due[p.ID()] = l.Now() + d
			if i%10 == 0 {
				l.Disarm(p.Conn())
			}
		}
		l.Advance(11 * time.Second)
		if fired != 90 {
			t.Errorf("%d fired, want 90", fired)
		}
	}
}

// TestFairness: a firehose gets one read a turn and no more, everybody's echo
// comes back in the turn of its request.
func TestFairness(t *testing.T) {
	var turn, firehose int
	perTurn := map[int]int{}
	hose := &script{data: func(_ *netpoll.Loop, _ *netpoll.Conn, p []byte) {
		firehose += len(p)
		perTurn[turn]++
	}}
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(echo(), hose)})
	big := l.Connect(1)
	big.Write(make([]byte, 20<<20))
	var peers []*netpolltest.Peer
	for range 100 {
		peers = append(peers, l.Connect(0))
	}
	clear(perTurn)
	for turn = 1; turn <= 50; turn++ {
		for _, p := range peers {
			p.Write([]byte("ping"))
		}
		l.Turn()
		for i, p := range peers {
			if got := p.Read(); string(got) != "ping" {
				t.Fatalf("turn %d: echo %d got %q", turn, i, got)
			}
		}
	}
	for n, reads := range perTurn {
		if reads > 1 {
			t.Errorf("turn %d read the firehose %d times", n, reads)
		}
	}
	if firehose == 0 || firehose > 160*(64<<10) {
		t.Errorf("the firehose brought %d bytes", firehose)
	}
}

// TestManyReady: more ready connections than one turn serves all get theirs.
func TestManyReady(t *testing.T) {
	l := netpolltest.New(t, netpolltest.Options{Seed: 11, Handlers: handlers(echo())})
	var peers []*netpolltest.Peer
	for range 1300 {
		peers = append(peers, l.Connect(0))
	}
	for i, p := range peers {
		p.Write(fmt.Appendf(nil, "request %d", i))
	}
	l.Settle()
	for i, p := range peers {
		if got, want := string(p.Read()), fmt.Sprintf("request %d", i); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

// TestDeliverSlices: phase 6 gets a smaller slice from the second event on until
// the loop has been calm for a while, and a turn at once while it says that there
// is more. A single event is the publisher's.
func TestDeliverSlices(t *testing.T) {
	var slices []int
	left := 5
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(echo()), Deliver: func(_ *netpoll.Loop, members int) bool {
		slices = append(slices, members)
		left--
		return left > 0
	}})
	p := l.Connect(0)
	p.Write([]byte("x"))
	l.Turn()
	p.Write([]byte("x"))
	l.Turn()
	l.Turn()
	if len(slices) != 4 || slices[1] != slices[0] || slices[2] != slices[3] || slices[2] >= slices[0] || slices[2] == 0 {
		t.Fatalf("slices %v", slices)
	}
	l.Advance(20 * time.Millisecond)
	if last := slices[len(slices)-1]; last != slices[0] {
		t.Errorf("a calm loop's slice is %d, want %d", last, slices[0])
	}
}

// TestEach closes half of all, while walking.
func TestEach(t *testing.T) {
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(echo())})
	for range 10 {
		l.Connect(0)
	}
	n := 0
	l.Each(func(c *netpoll.Conn) bool {
		if n++; n%2 == 0 {
			l.Close(c, netpoll.ReasonAdmin)
			l.Close(c, netpoll.ReasonDrain)
		}
		return true
	})
	l.Turn()
	if l.Len() != 5 || l.Stats().Closed != 5 || l.Remote().Load() != 5 {
		t.Errorf("%d left, %d closed, load %d", l.Len(), l.Stats().Closed, l.Remote().Load())
	}
	for slot := range uint32(12) {
		if c := l.ConnAt(slot); (c != nil) != (slot < 10 && slot%2 == 0) {
			t.Errorf("slot %d: %v", slot, c)
		}
	}
}

// TestMailbox: tasks run in order, a bounded number a turn, and a full mailbox
// says no.
func TestMailbox(t *testing.T) {
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(echo())})
	next, posted := 0, 0
	for l.Remote().Post(func() func(*netpoll.Loop) {
		i := posted
		return func(*netpoll.Loop) {
			if i != next {
				t.Fatalf("task %d, want %d", i, next)
			}
			next++
		}
	}()) {
		posted++
	}
	if posted != 1<<17 {
		t.Errorf("%d tasks fit", posted)
	}
	l.Turn()
	if next != 1024 {
		t.Errorf("%d tasks in one turn", next)
	}
	if !l.Remote().Post(func(*netpoll.Loop) { next++ }) {
		t.Error("the mailbox has room and says no")
	}
	for range 200 {
		l.Turn()
	}
	if next != posted+1 || l.Stats().Mailbox != 0 {
		t.Errorf("%d ran of %d, %d left", next, posted+1, l.Stats().Mailbox)
	}
}

// TestSteadyTurnAllocatesNothing: an echo turn, and a turn of shared messages.
func TestSteadyTurnAllocatesNothing(t *testing.T) {
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(echo())})
	peer := l.Connect(0)
	base := testing.AllocsPerRun(500, l.Turn) // the faked kernel's own
	message := make([]byte, 64)
	if n := testing.AllocsPerRun(500, func() {
		c := peer.Conn()
		l.SendMessages(c, message, 1, 1)
		l.Send(c, message)
		l.Arm(c, time.Second)
		l.Turn()
		peer.Discard()
	}); n > base {
		t.Errorf("a turn of sends allocates %v times, an empty one %v", n, base)
	}
	if n := testing.AllocsPerRun(500, func() {
		peer.Write(message)
		l.Turn()
		peer.Discard()
	}); n > base {
		t.Errorf("an echo turn allocates %v times, an empty one %v", n, base)
	}
}

// BenchmarkEchoTurn is a turn in which 256 connections are read, answered and flushed on a faked
// kernel: what the loop itself costs, with no system call in it. ns/echo is the figure; that of a
// turn is 256 of them.
func BenchmarkEchoTurn(b *testing.B) {
	l := netpolltest.New(b, netpolltest.Options{Handlers: handlers(echo())})
	var peers []*netpolltest.Peer
	for range 256 {
		peers = append(peers, l.Connect(0))
	}
	message := make([]byte, 64)
	b.SetBytes(int64(len(peers) * len(message)))
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range peers {
			p.Write(message)
		}
		l.Turn()
		for _, p := range peers {
			p.Discard()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(peers)), "ns/echo")
}

// BenchmarkAdoptRelease is a connection's whole life on a loop, on a faked kernel: a record taken
// and given back, and the turn in between. Most of it is the fake's.
func BenchmarkAdoptRelease(b *testing.B) {
	l := netpolltest.New(b, netpolltest.Options{Handlers: handlers(echo())})
	b.ReportAllocs()
	for b.Loop() {
		p := l.Connect(0)
		l.Close(p.Conn(), netpoll.ReasonLocal)
		l.Turn()
	}
}

// BenchmarkMailboxPost is one task posted and its share of the turn that runs it. The allocation is
// the task.
func BenchmarkMailboxPost(b *testing.B) {
	l := netpolltest.New(b, netpolltest.Options{Handlers: handlers(echo())})
	task := func(*netpoll.Loop) {}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Remote().Post(task)
		if i%1024 == 1023 {
			l.Turn()
		}
	}
}
