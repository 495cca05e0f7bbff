// What is sent arrives: whole, once, in order, whatever the socket takes.

package netpoll_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// TestSendAllKinds mixes all kinds of sends under random windows: the peer must
// get exactly the concatenation, and the accounts must be right after each turn.
func TestSendAllKinds(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { sendAllKinds(t, seed, netpolltest.Options{}) })
	}
}

type lane struct {
	peer       *netpolltest.Peer
	want       []byte // all that was sent
	got        []byte
	drainedIDs int
}

func sendAllKinds(t *testing.T, seed uint64, o netpolltest.Options) {
	rng := rand.New(rand.NewPCG(seed, 1))
	lanes := map[netpoll.ID]*lane{}
	h := &script{
		data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			lanes[c.ID()].want = append(lanes[c.ID()].want, p...)
			l.SendTurn(c, p)
		},
		writable: func(l *netpoll.Loop, c *netpoll.Conn) { lanes[c.ID()].drainedIDs++ },
	}
	o.Seed, o.Handlers = seed, handlers(h)
	l := netpolltest.New(t, o)
	var all []*lane
	for range 8 {
		ln := &lane{peer: l.Connect(0)}
		lanes[ln.peer.ID()] = ln
		all = append(all, ln)
	}
	for range 120 {
		for _, ln := range all {
			for range rng.IntN(4) {
				sendOne(l, ln, rng)
			}
			if rng.IntN(3) == 0 {
				ln.peer.SetWindow([]int{0, 0, 1, 100, 5000, 100000, -1}[rng.IntN(7)])
			}
		}
		l.Turn()
		checkAccounts(t, l, all)
	}
	for _, ln := range all {
		ln.peer.SetWindow(-1)
	}
	l.Settle()
	checkAccounts(t, l, all)
	for i, ln := range all {
		if !bytes.Equal(ln.got, ln.want) {
			t.Fatalf("connection %d: %d bytes arrived, %d were sent, equal up to %d", i, len(ln.got), len(ln.want), common(ln.got, ln.want))
		}
		if c := ln.peer.Conn(); c.Pending() != 0 || c.Backlogged() {
			t.Errorf("connection %d: pending %d, backlogged %v", i, c.Pending(), c.Backlogged())
		}
	}
	if s := l.Stats(); s.OutboxBytes != 0 {
		t.Errorf("OutboxBytes %d at the end", s.OutboxBytes)
	}
}

func sendOne(l *netpolltest.Loop, ln *lane, rng *rand.Rand) {
	size := []int{0, 1, 7, 100, 500, 3000, 5000, 40000}[rng.IntN(8)]
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	kind := rng.IntN(5)
	if kind == 4 {
		ln.peer.Write(p) // comes back by SendTurn
		return
	}
	ln.want = append(ln.want, p...)
	c := ln.peer.Conn()
	switch kind {
	case 0, 1:
		l.Send(c, p)
		clear(p) // Send has copied
	case 2:
		l.SendShared(c, p)
	case 3:
		l.SendMessages(c, p, 7, 1)
	}
}

func checkAccounts(t *testing.T, l *netpolltest.Loop, all []*lane) {
	t.Helper()
	pending := int64(0)
	for i, ln := range all {
		ln.got = append(ln.got, ln.peer.Read()...)
		c := ln.peer.Conn()
		pending += int64(c.Pending())
		missing := len(ln.want) - len(ln.got)
		if c.Layered() {
			// Of the record that is on its way the peer has nothing yet, and headers may count in place of
			// plain bytes.
			if off := missing - c.Pending(); off > 1024 || off < -3*(64+1) {
				t.Fatalf("connection %d: pending %d, but %d of %d bytes have arrived", i, c.Pending(), len(ln.got), len(ln.want))
			}
			continue
		}
		if c.Pending() != missing {
			t.Fatalf("connection %d: pending %d, but %d of %d bytes have arrived", i, c.Pending(), len(ln.got), len(ln.want))
		}
	}
	if s := l.Stats(); s.OutboxBytes != pending {
		t.Fatalf("OutboxBytes %d, pending %d", s.OutboxBytes, pending)
	}
}

func common(a, b []byte) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// unit is a message that says how long it is and which one.
func unit(seq uint32, first bool, size int) []byte {
	p := make([]byte, 9+size)
	binary.BigEndian.PutUint32(p, uint32(size))
	binary.BigEndian.PutUint32(p[4:], seq)
	if first {
		p[8] = 1
	}
	return p
}

// TestDropOldest: what is dropped is whole, was not begun, and is the oldest;
// sent, dropped and arrived add up; announcements come where the hole is.
func TestDropOldest(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { dropOldest(t, seed, netpolltest.Options{}) })
	}
}

func dropOldest(t *testing.T, seed uint64, o netpolltest.Options) {
	rng := rand.New(rand.NewPCG(seed, 2))
	o.Seed, o.Handlers = seed, handlers(&script{})
	l := netpolltest.New(t, o)
	peer := l.Connect(0)
	var got []byte
	sent, dropped, announced := 0, 0, 0
	for seq := uint32(1); seq < 600; seq++ {
		c := peer.Conn()
		before := c.Pending()
		p := unit(seq, false, rng.IntN(400))
		l.SendMessages(c, p, 5, 1)
		sent++
		if c.Pending() != before+len(p) {
			t.Fatalf("pending %d after %d and %d more", c.Pending(), before, len(p))
		}
		if rng.IntN(10) == 0 && c.Backlogged() {
			n := 0
			freed := l.DropOldest(c, rng.IntN(3000), func(mark, m uint32) {
				if mark != 5 {
					t.Errorf("mark %d", mark)
				}
				n += int(m)
			})
			dropped += n
			if n > 0 {
				l.SendFirst(c, unit(seq, true, 10), 5, 0)
				announced++
				freed -= 19
			}
			l.SendFirst(c, nil, 5, 0)
			if c.Pending() != before+len(p)-freed {
				t.Fatalf("pending %d, want %d", c.Pending(), before+len(p)-freed)
			}
		}
		peer.SetWindow(rng.IntN(500))
		l.Turn()
		got = append(got, peer.Read()...)
	}
	peer.SetWindow(-1)
	l.Settle()
	got = append(got, peer.Read()...)
	arrived, first := readUnits(t, got)
	if arrived+dropped != sent || first != announced {
		t.Errorf("%d sent, %d dropped, %d arrived; %d announced, %d of them arrived", sent, dropped, arrived, announced, first)
	}
	if c := peer.Conn(); c.Pending() != 0 || l.Stats().OutboxBytes != 0 {
		t.Errorf("pending %d, OutboxBytes %d at the end", c.Pending(), l.Stats().OutboxBytes)
	}
}

// readUnits takes a stream of whole units apart; those that are no announcement
// must come in order.
func readUnits(t *testing.T, p []byte) (units, first int) {
	t.Helper()
	last := uint32(0)
	for len(p) > 0 {
		if len(p) < 9 {
			t.Fatalf("%d bytes are no unit", len(p))
		}
		size, seq := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
		if p[8] == 1 {
			first++
		} else {
			units++
			if seq <= last {
				t.Fatalf("unit %d behind %d", seq, last)
			}
			last = seq
		}
		p = p[9+size:]
	}
	return units, first
}

func TestFinish(t *testing.T) {
	reasons := map[netpoll.ID]netpoll.Reason{}
	h := &script{
		data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			l.Send(c, bytes.Repeat([]byte("x"), 1000))
			l.Finish(c, netpoll.ReasonPolicy, time.Second)
			l.Send(c, []byte("ignored"))
		},
		closed: func(_ *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) { reasons[c.ID()] = r },
	}
	for _, v := range []struct {
		name string
		act  func(l *netpolltest.Loop, p *netpolltest.Peer)
		got  int
	}{
		{"the peer closes", func(l *netpolltest.Loop, p *netpolltest.Peer) {
			p.CloseWrite()
			l.Settle()
		}, 1000},
		{"the linger passes", func(l *netpolltest.Loop, p *netpolltest.Peer) {
			p.Write([]byte("discarded"))
			l.Advance(900 * time.Millisecond)
			if p.Closed() {
				t.Error("closed before the linger was over")
			}
			l.Advance(200 * time.Millisecond)
		}, 1000},
		{"the window opens late", func(l *netpolltest.Loop, p *netpolltest.Peer) {
			if p.Finished() {
				t.Error("FIN before the backlog")
			}
			p.SetWindow(-1)
			l.Settle()
			p.CloseWrite()
			l.Settle()
		}, 1000},
		{"the peer closes its side before it has all", func(l *netpolltest.Loop, p *netpolltest.Peer) {
			p.CloseWrite()
			l.Settle()
			if p.Closed() {
				t.Error("closed with output pending")
			}
			p.SetWindow(-1)
			l.Settle()
		}, 1000},
		{"the peer never takes it", func(l *netpolltest.Loop, p *netpolltest.Peer) {
			l.Advance(1100 * time.Millisecond)
		}, 10},
		{"the peer resets", func(l *netpolltest.Loop, p *netpolltest.Peer) {
			p.Reset()
			l.Settle()
		}, 10},
	} {
		t.Run(v.name, func(t *testing.T) {
			l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(h)})
			p := l.Connect(0)
			if v.name != "the peer closes" && v.name != "the linger passes" {
				p.SetWindow(10)
			}
			p.Write([]byte("go"))
			l.Turn()
			if c := p.Conn(); c == nil || !c.Closing() {
				t.Fatal("not finishing")
			}
			v.act(l, p)
			if got := len(p.Read()); got != v.got {
				t.Errorf("%d bytes arrived, want %d", got, v.got)
			}
			if !p.Closed() || reasons[p.ID()] != netpoll.ReasonPolicy {
				t.Errorf("closed %v, reason %v", p.Closed(), reasons[p.ID()])
			}
			if s := l.Stats(); s.OutboxBytes != 0 || s.Connections != 0 {
				t.Errorf("OutboxBytes %d, %d connections", s.OutboxBytes, s.Connections)
			}
		})
	}
}

func TestPauseRead(t *testing.T) {
	requests := 0
	h := &script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
		requests++
		l.Send(c, make([]byte, 100))
		l.PauseRead(c)
	}}
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(h)})
	p := l.Connect(0)
	p.Write([]byte("a"))
	l.Settle()
	p.Write([]byte("b"))
	l.Settle()
	if requests != 2 {
		t.Fatalf("%d requests without a backlog, want 2: nothing to wait for", requests)
	}
	p.SetWindow(50)
	p.Write([]byte("c"))
	l.Settle()
	p.Write([]byte("d"))
	l.Settle()
	if requests != 3 {
		t.Fatalf("%d requests, want 3: the backlog holds the fourth back", requests)
	}
	p.SetWindow(-1)
	l.Settle()
	if requests != 4 {
		t.Errorf("%d requests after the backlog has drained, want 4", requests)
	}
	p.SetWindow(0)
	p.Write([]byte("e"))
	l.Settle()
	p.Reset()
	l.Settle()
	if !p.Closed() {
		t.Error("the reset of a paused connection was not seen")
	}
}

// TestSendFromOnClose: what OnClose sends to others goes out, and never to who
// gets a slot later.
func TestSendFromOnClose(t *testing.T) {
	var peers []*netpolltest.Peer
	var l *netpolltest.Loop
	h := &script{closed: func(nl *netpoll.Loop, c *netpoll.Conn, _ netpoll.Reason) {
		for _, p := range peers {
			if other := p.Conn(); other != nil {
				nl.Send(other, []byte("bye "))
			}
		}
	}}
	l = netpolltest.New(t, netpolltest.Options{Handlers: handlers(h)})
	for range 4 {
		peers = append(peers, l.Connect(0))
	}
	// The first one's OnClose sends to the third, whose record is freed later in
	// the same phase and taken by a newcomer before the next flush.
	l.Close(peers[0].Conn(), netpoll.ReasonLocal)
	l.Turn()
	l.Close(peers[2].Conn(), netpoll.ReasonLocal)
	newcomer := l.Connect(0)
	l.Settle()
	if got := newcomer.Read(); len(got) != 0 {
		t.Errorf("the newcomer got %q, which was another's", got)
	}
	if got := peers[1].Read(); string(got) != "bye bye " {
		t.Errorf("the second got %q", got)
	}
}

// TestPendingMax: a connection with more output than a record can count is closed.
func TestPendingMax(t *testing.T) {
	reason := netpoll.ReasonNone
	h := &script{closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { reason = r }}
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(h)})
	p := l.Connect(0)
	p.SetWindow(0)
	shared := make([]byte, 64<<20)
	for i := range 17 {
		if c := p.Conn(); c != nil {
			l.SendShared(c, shared)
		} else {
			t.Fatalf("closed after %d sends", i)
		}
		l.Turn()
	}
	if p.Conn() != nil || reason != netpoll.ReasonSlow || l.Stats().OutboxBytes != 0 {
		t.Errorf("reason %v, OutboxBytes %d", reason, l.Stats().OutboxBytes)
	}
}

// TestStopRead: a connection that is not read gets nothing until it is read again; its output is
// sent all the same, and an error ends it.
func TestStopRead(t *testing.T) {
	heard := ""
	closed := netpoll.ReasonNone
	h := &script{
		data:   func(_ *netpoll.Loop, _ *netpoll.Conn, p []byte) { heard += string(p) },
		closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { closed = r },
	}
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(h)})
	p := l.Connect(0)
	l.StopRead(p.Conn())
	p.Write([]byte("unheard"))
	p.SetWindow(3)
	l.Send(p.Conn(), []byte("answer"))
	l.PauseRead(p.Conn())
	l.Settle()
	p.SetWindow(-1)
	l.Settle()
	if got := string(p.Read()); heard != "" || got != "answer" {
		t.Errorf("heard %q, sent %q", heard, got)
	}
	l.StartRead(p.Conn())
	l.Settle()
	if heard != "unheard" {
		t.Errorf("heard %q", heard)
	}
	l.StopRead(p.Conn())
	p.CloseWrite()
	l.Settle()
	if closed != netpoll.ReasonNone {
		t.Error("closed by a FIN that it did not read")
	}
	p.Reset()
	l.Settle()
	if closed != netpoll.ReasonReset {
		t.Errorf("closed by %v", closed)
	}
}
