// A layer below the handlers: what holds for plain connections holds for them too.

package netpoll_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// layered are the options of a loop all of whose connections have the layer.
func layered(y *netpolltest.XORLayer) netpolltest.Options {
	return netpolltest.Options{Layer: y, Wire: func() netpolltest.Wire { return new(netpolltest.XOR) }}
}

func TestLayerSendAllKinds(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { sendAllKinds(t, seed, layered(new(netpolltest.XORLayer))) })
	}
}

// TestLayerDropOldest: with a sealed remainder in front, too, whole messages are dropped and no
// record is torn.
func TestLayerDropOldest(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { dropOldest(t, seed, layered(new(netpolltest.XORLayer))) })
	}
}

// TestLayerEcho: random splits below the layer, by peers that write slowly and take slowly.
func TestLayerEcho(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			y := new(netpolltest.XORLayer)
			o := layered(y)
			o.Seed, o.Handlers = seed, handlers(echo())
			l := netpolltest.New(t, o)
			peer := l.Connect(0)
			var raw, want, got []byte
			for range 60 {
				p := make([]byte, rng.IntN(4000))
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
				raw, want = peer.Seal(raw, p), append(want, p...)
			}
			for len(raw) > 0 {
				n := min(len(raw), 1+rng.IntN(3000))
				peer.WriteRaw(raw[:n])
				raw = raw[n:]
				peer.SetWindow([]int{0, 1, 2, 500, 5000, -1}[rng.IntN(6)])
				l.Turn()
				got = append(got, peer.Read()...)
			}
			peer.SetWindow(-1)
			l.Settle()
			if got = append(got, peer.Read()...); !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, %d were sent, equal up to %d", len(got), len(want), common(got, want))
			}
			peer.CloseWrite()
			l.Settle()
			if !peer.Closed() || y.Len() != 0 {
				t.Errorf("closed %v, %d states are left", peer.Closed(), y.Len())
			}
		})
	}
}

// TestLayerBudget: pending counts plain bytes, and sealing never adds to it.
func TestLayerBudget(t *testing.T) {
	o := layered(new(netpolltest.XORLayer))
	o.Handlers = handlers(&script{})
	l := netpolltest.New(t, o)
	peer := l.Connect(0)
	peer.SetWindow(0)
	const size = 5000
	l.SendMessages(peer.Conn(), make([]byte, size), 1, 1)
	l.Turn()
	if c := peer.Conn(); c.Pending() != size || l.Stats().OutboxBytes != size {
		t.Errorf("pending %d, OutboxBytes %d; want %d", c.Pending(), l.Stats().OutboxBytes, size)
	}
	// The first message is sealed: it cannot be taken back. The second can.
	l.SendMessages(peer.Conn(), make([]byte, size), 1, 1)
	dropped := 0
	if freed := l.DropOldest(peer.Conn(), 1<<20, func(_, n uint32) { dropped += int(n) }); freed != size || dropped != 1 {
		t.Errorf("%d bytes and %d messages dropped, want %d and 1", freed, dropped, size)
	}
	last := peer.Conn().Pending()
	for range 100 {
		peer.SetWindow(60)
		l.Turn()
		if now := peer.Conn().Pending(); now > last {
			t.Errorf("pending went from %d to %d", last, now)
		} else {
			last = now
		}
	}
	if last != 0 || len(peer.Read()) != size {
		t.Errorf("pending %d at the end", last)
	}
}

// TestLayerFewRecords: one turn's output of a connection is one record, if it fits.
func TestLayerFewRecords(t *testing.T) {
	y := new(netpolltest.XORLayer)
	o := layered(y)
	o.Handlers = handlers(&script{})
	l := netpolltest.New(t, o)
	peer := l.Connect(0)
	for range 10 {
		l.SendMessages(peer.Conn(), []byte("ten bytes."), 1, 1)
	}
	l.Turn()
	if raw := peer.ReadRaw(); len(raw) != 3+100 || y.Seals != 1 {
		t.Errorf("%d bytes in %d calls of Seal, want 103 in 1", len(raw), y.Seals)
	}
}

// TestLayerFanOut: more than the seal arena takes is written in several batches.
func TestLayerFanOut(t *testing.T) {
	o := layered(new(netpolltest.XORLayer))
	o.Handlers = handlers(&script{})
	l := netpolltest.New(t, o)
	var peers []*netpolltest.Peer
	for range 50 {
		peers = append(peers, l.Connect(0))
	}
	p := bytes.Repeat([]byte("0123456789"), 10000) // also more than Seal gets at once
	for _, peer := range peers {
		l.SendShared(peer.Conn(), p)
	}
	l.Settle()
	for i, peer := range peers {
		if got := peer.Read(); !bytes.Equal(got, p) {
			t.Fatalf("connection %d got %d bytes, want %d", i, len(got), len(p))
		}
	}
}

// TestLayerFinish: the closing record comes behind all output and before the FIN.
func TestLayerFinish(t *testing.T) {
	for _, window := range []int{-1, 10, 1000, 1005, 1006, 1009} {
		for _, said := range []int{0, 1000} {
			o := layered(new(netpolltest.XORLayer))
			o.Handlers = handlers(&script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
				l.Send(c, make([]byte, said))
				l.Finish(c, netpoll.ReasonPolicy, time.Second)
			}})
			l := netpolltest.New(t, o)
			peer, wire := l.Connect(0), new(netpolltest.XOR)
			peer.SetWindow(window)
			peer.Write([]byte("go"))
			l.Settle()
			raw := peer.ReadRaw()
			if all := said + 3 + 3*min(said, 1); window < 0 || window >= all {
				if !peer.Finished() {
					t.Errorf("window %d: no FIN", window)
				}
			} else if peer.Finished() {
				t.Errorf("window %d: FIN before the closing record", window)
			}
			peer.SetWindow(-1)
			l.Settle()
			plain, err := wire.Open(append(raw, peer.ReadRaw()...))
			if err != nil || len(plain) != said || !wire.Ended() || !peer.Finished() {
				t.Errorf("window %d: %d bytes, error %v, closing record %v, FIN %v", window, len(plain), err, wire.Ended(), peer.Finished())
			}
			peer.CloseWrite()
			l.Settle()
			if !peer.Closed() {
				t.Errorf("window %d: not closed", window)
			}
		}
	}
}

// TestLayerEnds: how the peer's end of a layered connection is told.
func TestLayerEnds(t *testing.T) {
	for _, v := range []struct {
		name string
		act  func(p *netpolltest.Peer)
		want netpoll.Reason
	}{
		{"closing record", (*netpolltest.Peer).CloseWrite, netpoll.ReasonPeer},
		{"closing record without a FIN", func(p *netpolltest.Peer) { p.WriteRaw(new(netpolltest.XOR).SealEnd(nil)) }, netpoll.ReasonPeer},
		{"only a FIN", (*netpolltest.Peer).CloseRaw, netpoll.ReasonTruncated},
		{"FIN in a record", func(p *netpolltest.Peer) {
			raw := new(netpolltest.XOR).Seal(nil, []byte("hello"))
			p.WriteRaw(raw[:4])
			p.CloseRaw()
		}, netpoll.ReasonTruncated},
		{"not a record", func(p *netpolltest.Peer) { p.WriteRaw([]byte("GET / HTTP/1.1\r\n")) }, netpoll.ReasonLayer},
		{"reset", (*netpolltest.Peer).Reset, netpoll.ReasonReset},
	} {
		t.Run(v.name, func(t *testing.T) {
			y, reason := new(netpolltest.XORLayer), netpoll.ReasonNone
			o := layered(y)
			o.Handlers = handlers(&script{closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { reason = r }})
			l := netpolltest.New(t, o)
			p := l.Connect(0)
			l.SendMessages(p.Conn(), []byte("pending"), 1, 1)
			v.act(p)
			l.Settle()
			raw := p.ReadRaw()
			l.Advance(2 * time.Second) // a peer without a FIN
			if reason != v.want || !p.Closed() || y.Len() != 0 {
				t.Errorf("reason %v, want %v; closed %v, %d states", reason, v.want, p.Closed(), y.Len())
			}
			if v.want == netpoll.ReasonLayer {
				// Its alert and its closing record, and of the plain output nothing.
				if want := new(netpolltest.XOR); len(raw) != 3+3+3 {
					t.Errorf("% x was sent (%v)", raw, want)
				}
			}
		})
	}
	if s := netpoll.ReasonLayer.String() + " " + netpoll.ReasonTruncated.String(); s != "layer_error truncated" {
		t.Errorf("labels %q", s)
	}
}

// TestLayerPanics: a panic in a method of the layer costs the connection it was called for.
func TestLayerPanics(t *testing.T) {
	y := &netpolltest.XORLayer{PanicOn: func(in []byte) bool { return bytes.HasPrefix(in, []byte("panic")) }}
	o := layered(y)
	o.Handlers = handlers(echo())
	l := netpolltest.New(t, o)
	bad, good := l.Connect(0), l.Connect(0)
	bad.WriteRaw([]byte("panic"))
	good.Write([]byte("echo"))
	l.Settle()
	if !bad.Closed() || string(good.Read()) != "echo" || l.Stats().Panics != 1 {
		t.Errorf("closed %v, %d panics", bad.Closed(), l.Stats().Panics)
	}
	for _, when := range []string{"attach", "seal", "end", "release"} {
		broken := &brokenLayer{when: when}
		opened, closed := 0, 0
		h := echo()
		h.open = func(*netpoll.Loop, *netpoll.Conn) { opened++ }
		h.closed = func(*netpoll.Loop, *netpoll.Conn, netpoll.Reason) { closed++ }
		o := netpolltest.Options{Layer: broken, Wire: func() netpolltest.Wire { return nil }, Handlers: handlers(h),
			OnPanic: func(l *netpoll.Loop, c *netpoll.Conn) { l.Finish(c, netpoll.ReasonPanic, time.Second) }}
		l := netpolltest.New(t, o)
		id := netpoll.ID(0)
		if c := l.AdoptLayered(l.Socket(), 0, 0, nil, nil); c != nil {
			id = c.ID()
			l.Send(c, []byte("sealed"))
		}
		l.Turn()
		if c := l.Lookup(id); c != nil {
			l.Finish(c, netpoll.ReasonLocal, time.Millisecond)
		}
		l.Advance(2 * time.Second)
		if s := l.Stats(); s.Panics == 0 || s.Connections != 0 || opened != 1 || closed != 1 {
			t.Errorf("%s: %d panics, %d connections, OnOpen %d, OnClose %d", when, s.Panics, s.Connections, opened, closed)
		}
	}
}

// brokenLayer seals nothing and panics.
type brokenLayer struct{ when string }

func (b *brokenLayer) panic(when string) {
	if b.when == when {
		panic(when)
	}
}

func (b *brokenLayer) Attach(*netpoll.Loop, *netpoll.Conn, any) { b.panic("attach") }

func (b *brokenLayer) Open(_ *netpoll.Loop, _ *netpoll.Conn, in []byte) (plain, rest []byte, end netpoll.Reason) {
	return in, nil, netpoll.ReasonNone
}

func (b *brokenLayer) Seal(_ *netpoll.Loop, _ *netpoll.Conn, dst []byte, pieces [][]byte) ([]byte, bool) {
	b.panic("seal")
	return append(dst, pieces[0]...), true
}

func (b *brokenLayer) SealEnd(_ *netpoll.Loop, _ *netpoll.Conn, dst []byte) []byte {
	b.panic("end")
	return dst
}

func (b *brokenLayer) Detach(*netpoll.Loop, *netpoll.Conn) any { return nil }

func (b *brokenLayer) Release(*netpoll.Loop, *netpoll.Conn) { b.panic("release") }

// TestLayerMoves: a connection takes its layer along to another loop, with a record that has come
// in part, input that came behind what its handler had, and a sealed remainder.
func TestLayerMoves(t *testing.T) {
	withSealed, withUnopened := 0, 0
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 4))
		var moved *netpoll.Moved
		var left []byte
		fd := -1
		first := layered(new(netpolltest.XORLayer))
		first.Handlers = handlers(&script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			if i := bytes.IndexByte(p, '!'); i >= 0 {
				left = append([]byte(nil), p[i:]...)
				fd, moved = l.DetachLayered(c)
				return
			}
			l.Send(c, p)
		}})
		second := layered(new(netpolltest.XORLayer))
		var heard []byte
		second.Handlers = handlers(&script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			heard = append(heard, p...)
			l.Send(c, p)
		}})
		a := netpolltest.New(t, first)
		b := netpolltest.New(t, second)
		peer, wire := a.Connect(0), new(netpolltest.XOR)
		peer.SetWindow(rng.IntN(200))
		before := bytes.Repeat([]byte("before "), 40)
		peer.WriteRaw(wire.Seal(nil, before))
		a.Turn() // a part of the echo is a sealed remainder now
		raw := wire.Seal(nil, []byte("move!now"))
		for range 3 {
			raw = wire.Seal(raw, []byte(" and then"))
		}
		begin, cut := rng.IntN(8), len(raw)-rng.IntN(30)
		peer.WriteRaw(raw[:begin])
		a.Turn()
		peer.WriteRaw(raw[begin:cut])
		a.Turn()
		if fd < 0 || moved == nil {
			t.Fatal("not detached")
		}
		withSealed += min(len(moved.Sealed), 1)
		withUnopened += min(len(moved.Unopened), 1)
		peer = b.Take(peer, 0, moved, left)
		peer.SetWindow(-1)
		peer.WriteRaw(raw[cut:])
		b.Settle()
		const want = "!now and then and then and then"
		if string(heard) != want {
			t.Fatalf("seed %d: the second loop heard %q, want %q", seed, heard, want)
		}
		if got := string(peer.Read()); got != string(before)+want {
			t.Fatalf("seed %d: the peer got %q", seed, got)
		}
	}
	if withSealed == 0 || withUnopened == 0 {
		t.Errorf("%d moves with a sealed remainder, %d with unopened input", withSealed, withUnopened)
	}
}

// TestLayerHandshake: output waits until the layer can seal; input that comes too early waits in
// the layer; what the layer says by itself goes first.
func TestLayerHandshake(t *testing.T) {
	for seed := range uint64(20) {
		var y *netpolltest.XORLayer
		y = &netpolltest.XORLayer{Handshake: true, Waiting: func(l *netpoll.Loop, id netpoll.ID) {
			l.Remote().PostTo(id, func(l *netpoll.Loop, c *netpoll.Conn) {
				l.Remote().PostTo(id, func(l *netpoll.Loop, c *netpoll.Conn) { y.Ready(l, c) })
			})
		}}
		o := layered(y)
		o.Seed = seed
		o.Handlers = handlers(&script{
			open: func(l *netpoll.Loop, c *netpoll.Conn) { l.Send(c, []byte("early ")) },
			data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) { l.SendTurn(c, p) },
		})
		l := netpolltest.New(t, o)
		peer, wire := l.Connect(0), new(netpolltest.XOR)
		l.Settle()
		if raw := peer.ReadRaw(); len(raw) != 8 {
			t.Fatalf("% x was sent before the peer's hello", raw)
		}
		if c := peer.Conn(); c.Pending() != len("early ") || !c.Backlogged() {
			t.Fatalf("pending %d, backlogged %v", c.Pending(), c.Backlogged())
		}
		peer.WriteRaw(wire.Seal(wire.Hello(nil), []byte("data")))
		l.Settle()
		peer.WriteRaw(wire.Seal(nil, []byte(" more")))
		l.Settle()
		peer.WriteRaw(wire.SealEnd(nil))
		peer.CloseRaw()
		l.Settle()
		plain, err := openFrom(new(netpolltest.XOR), 1, peer.ReadRaw())
		if string(plain) != "early data more" || err != nil || !peer.Closed() {
			t.Errorf("seed %d: got %q, %v; closed %v", seed, plain, err, peer.Closed())
		}
	}
}

// openFrom opens raw with a wire that has had n hellos.
func openFrom(x *netpolltest.XOR, n int, raw []byte) ([]byte, error) {
	for range n {
		if _, err := x.Open(new(netpolltest.XOR).Hello(nil)); err != nil {
			return nil, err
		}
	}
	return x.Open(raw)
}

// TestLayerPauseRead: a paused connection is read again when its backlog has drained, and nothing
// that was opened is lost.
func TestLayerPauseRead(t *testing.T) {
	o := layered(new(netpolltest.XORLayer))
	var heard []byte
	o.Handlers = handlers(&script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
		heard = append(heard, p...)
		l.Send(c, p)
		l.PauseRead(c)
	}})
	l := netpolltest.New(t, o)
	peer, wire := l.Connect(0), new(netpolltest.XOR)
	peer.SetWindow(0)
	var raw, want []byte
	for i := range 20 {
		p := bytes.Repeat([]byte{byte('a' + i)}, 100*i+1)
		raw, want = wire.Seal(raw, p), append(want, p...)
	}
	peer.WriteRaw(raw[:5000])
	l.Turn()
	was := len(heard)
	peer.WriteRaw(raw[5000:])
	l.Settle()
	if was == 0 || len(heard) != was {
		t.Errorf("%d bytes heard, and %d more of a paused connection", was, len(heard)-was)
	}
	peer.SetWindow(-1)
	l.Settle()
	if !bytes.Equal(heard, want) || !bytes.Equal(peer.Read(), want) {
		t.Errorf("%d bytes heard, want %d", len(heard), len(want))
	}
}

// TestLayerAllocatesNothing: an echo in steady state.
func TestLayerAllocatesNothing(t *testing.T) {
	o := layered(new(netpolltest.XORLayer))
	o.Handlers = handlers(echo())
	l := netpolltest.New(t, o)
	peer, wire := l.Connect(0), new(netpolltest.XOR)
	msg, raw := make([]byte, 3000), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() {
		raw = wire.Seal(raw[:0], msg)
		peer.WriteRaw(raw)
		l.Turn()
		peer.Discard()
	}); n != 0 {
		t.Errorf("%v allocations an echo", n)
	}
}

// FuzzLayer: random operations on a layered connection; what arrives and what was dropped is what
// was sent.
func FuzzLayer(f *testing.F) {
	f.Add(uint64(1), []byte("\x00\x10\x01\x20\x02\x30\x03\x40\x04\x05\x06\x07"))
	f.Add(uint64(2), []byte("abcdefghijklmnopqrstuvwxyz0123456789"))
	f.Add(uint64(0), bytes.Repeat([]byte{0, 255, 3, 1, 2, 9, 4, 200}, 20))
	f.Add(uint64(3), bytes.Repeat([]byte{5, 1, 3, 200, 7, 0, 3, 100, 4, 255, 6, 9, 5, 200, 0, 90, 1, 255}, 10))
	f.Fuzz(func(t *testing.T, seed uint64, ops []byte) {
		ops = ops[:min(len(ops), 200)]
		y := new(netpolltest.XORLayer)
		o := layered(y)
		o.Seed, o.Handlers = seed, handlers(echo())
		l := netpolltest.New(t, o)
		peer := l.Connect(0)
		var raw []byte
		sent, arrived, dropped, finished := 0, 0, 0, false
		for len(ops) >= 2 && !finished {
			c, op, arg := peer.Conn(), ops[0]%8, int(ops[1])
			ops = ops[2:]
			switch op {
			case 0: // the peer sends, and gets it back
				raw = peer.Seal(raw, make([]byte, arg*arg/8))
				sent += arg * arg / 8
			case 1: // a part of it arrives
				n := min(len(raw), arg*16)
				peer.WriteRaw(raw[:n])
				raw = raw[n:]
			case 2:
				if n := arg * arg * 4; sent+n < 1<<20 { // also more than Seal gets at once; a run stays short
					l.SendShared(c, make([]byte, n))
					sent += n
				}
			case 3:
				l.SendMessages(c, make([]byte, arg), 1, 1)
				sent += arg
			case 4:
				dropped += l.DropOldest(c, arg*8, func(_, n uint32) {})
			case 5:
				peer.SetWindow(arg * 3)
			case 6:
				if finished = arg < 4; finished {
					l.Finish(c, netpoll.ReasonLocal, time.Minute)
				} else {
					l.PauseRead(c)
				}
			case 7:
				l.Turn()
			}
			arrived += len(peer.Read())
		}
		if !finished {
			peer.WriteRaw(raw)
		}
		peer.SetWindow(-1)
		l.Settle()
		arrived += len(peer.Read())
		if !finished && sent != arrived+dropped {
			t.Fatalf("%d bytes sent, %d arrived, %d dropped", sent, arrived, dropped)
		}
		if c := peer.Conn(); c == nil || c.Pending() != 0 || l.Stats().OutboxBytes != 0 {
			t.Fatalf("%+v at the end, OutboxBytes %d", c, l.Stats().OutboxBytes)
		}
		if !peer.Finished() == finished {
			t.Fatalf("FIN sent: %v, Finish called: %v", peer.Finished(), finished)
		}
		peer.Reset()
		l.Settle()
		if !peer.Closed() || y.Len() != 0 {
			t.Fatalf("closed %v, %d states", peer.Closed(), y.Len())
		}
	})
}
