// Edge-triggered reads: an event that is spent must not leave bytes or a FIN
// behind.

package netpoll_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

const readMax = 64 << 10 // readBytesMax, what one read takes at most

// TestEdgeReadsAll: the one event of a burst brings all of it and the FIN behind
// it, whether or not its size is a multiple of what one read takes.
func TestEdgeReadsAll(t *testing.T) {
	for _, size := range []int{0, 1, readMax - 1, readMax, readMax + 1, 3 * readMax, 5*readMax + 7} {
		var got int
		var reason netpoll.Reason
		l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(&script{
			data:   func(_ *netpoll.Loop, _ *netpoll.Conn, p []byte) { got += len(p) },
			closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { reason = r },
		})})
		p := l.Connect(0)
		p.Write(make([]byte, size))
		p.CloseWrite()
		l.Settle()
		if got != size || reason != netpoll.ReasonPeer {
			t.Errorf("of %d bytes %d came, reason %v", size, got, reason)
		}
	}
}

// TestEdgeReset: an error that arrives together with bytes ends the connection.
func TestEdgeReset(t *testing.T) {
	var reason netpoll.Reason
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(&script{
		closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { reason = r },
	})})
	p := l.Connect(0)
	p.Write([]byte("x"))
	p.Reset()
	l.Settle()
	if reason != netpoll.ReasonReset {
		t.Errorf("reason %v", reason)
	}
}

// TestHoldReads: a loop that holds its reads sleeps on nothing that has arrived meanwhile, and
// loses nothing of it: neither bytes nor the FIN behind them.
func TestHoldReads(t *testing.T) {
	var got int
	var reason netpoll.Reason
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(&script{
		data:   func(_ *netpoll.Loop, _ *netpoll.Conn, p []byte) { got += len(p) },
		closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { reason = r },
	})})
	p := l.Connect(0)
	l.HoldReads(true)
	p.Write(make([]byte, readMax+1))
	p.CloseWrite()
	for range 5 {
		l.Turn()
	}
	if got != 0 || reason != netpoll.ReasonNone {
		t.Fatalf("%d bytes came, reason %v", got, reason)
	}
	l.HoldReads(false)
	l.Settle()
	if got != readMax+1 || reason != netpoll.ReasonPeer {
		t.Errorf("%d bytes came, reason %v", got, reason)
	}
}

// TestEdgeStopRead: a handler that stops reading in the middle of a burst loses
// nothing of it, and gets nothing of it until it starts again.
func TestEdgeStopRead(t *testing.T) {
	var got int
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(&script{
		data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
			got += len(p)
			l.StopRead(c)
		},
	})})
	p := l.Connect(0)
	p.Write(make([]byte, 2*readMax+1))
	for _, want := range []int{readMax, 2 * readMax, 2*readMax + 1} {
		l.Settle()
		if got != want {
			t.Fatalf("%d bytes came, want %d", got, want)
		}
		l.StartRead(p.Conn())
	}
}

// TestEdgeFirehoses: more connections with endless input than a turn may read
// from share the turns evenly, and those who send little are not forgotten.
func TestEdgeFirehoses(t *testing.T) {
	const firehoses, turns = 1200, 60
	reads := make(map[uint32]int)
	l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(&script{
		data: func(_ *netpoll.Loop, c *netpoll.Conn, _ []byte) { reads[c.Slot()]++ },
	}, echo())})
	var hoses []*netpolltest.Peer
	for range firehoses {
		hoses = append(hoses, l.Connect(0))
	}
	little := l.Connect(1)
	pour := func() {
		for _, p := range hoses {
			p.Write(make([]byte, 20<<10))
		}
	}
	pour()
	for turn := range turns {
		if turn%10 == 0 {
			pour()
		}
		little.Write([]byte("x"))
		for range 4 {
			l.Turn()
		}
		if got := string(little.Read()); got != "x" {
			t.Fatalf("turn %d: the echo is %q", turn, got)
		}
	}
	least, most := turns*10, 0
	for _, p := range hoses {
		n := reads[p.ID().Slot()]
		least, most = min(least, n), max(most, n)
	}
	if least < 8 || most > 3*least {
		t.Errorf("firehoses were read between %d and %d times", least, most)
	}
}

// TestRealBurstThenFIN writes at once what takes several reads, and closes:
// nothing more will ever arrive to tell of it.
func TestRealBurstThenFIN(t *testing.T) {
	onBothKernels(t, func(t *testing.T, mode netpoll.IOMode) {
		var got atomic.Int64
		ends := make(chan netpoll.Reason, 64)
		l := startLoop(t, netpoll.Options{IO: mode, Handlers: handlers(&script{
			data:   func(_ *netpoll.Loop, _ *netpoll.Conn, p []byte) { got.Add(int64(len(p))) },
			closed: func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) { ends <- r },
		})})
		addr := serve(t, l)
		var want int64
		for i := range cap(ends) {
			size := i * 5003
			want += int64(size)
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = c.Write(make([]byte, size))
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, c)
				c.Close()
			}()
		}
		for range cap(ends) {
			select {
			case r := <-ends:
				if r != netpoll.ReasonPeer {
					t.Errorf("reason %v", r)
				}
			case <-time.After(30 * time.Second):
				t.Fatal("a FIN was not noticed")
			}
		}
		if got.Load() != want {
			t.Errorf("%d bytes came, want %d", got.Load(), want)
		}
	})
}
