// The modes that open and close, against a real node.

package swarm_test

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"c100k/loadgen/swarm"
)

func totalOf(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// TestPublish: the latency of a publish is that of its acknowledgement.
func TestPublish(t *testing.T) {
	for _, spec := range []swarm.Spec{{Rate: 1000}, {InFlight: 2}} {
		_, addr := node(t)
		spec.URL, spec.Protocol, spec.Mode, spec.Conns, spec.Topics, spec.Size = "ws://HOST/ws", swarm.V1, swarm.Publish, 4, []string{"a", "b"}, 64
		r := begin(t, addr, spec)
		r.open(4)
		r.begin(swarm.Begin{})
		s := r.until("some are sent", func(s swarm.Sample) bool { return s.Sent >= 500 })
		s = r.settle()
		r.end()
		// A publisher receives its own topic too; these messages are not counted.
		if got := r.count(latency); got < int64(s.Sent) || s.Expected != s.Sent || s.Missing != 0 {
			t.Errorf("%d latencies, %+v", got, s)
		}
	}
}

func TestChurn(t *testing.T) {
	for _, tt := range []struct {
		url      string
		protocol swarm.Protocol
		rate     float64
	}{
		{"ws://HOST/echo", swarm.Raw, 0}, {"ws://HOST/echo", swarm.Raw, 500}, {"ws://HOST/ws", swarm.V1, 0}, {"http://HOST/sse?topic=t", swarm.SSE, 0},
	} {
		_, addr := node(t)
		r := begin(t, addr, swarm.Spec{URL: tt.url, Protocol: tt.protocol, Mode: swarm.Churn, Conns: 10, Rate: tt.rate, Topics: []string{"t"}})
		s := r.until("many have come and gone", func(s swarm.Sample) bool { return s.Opened >= 700 })
		if len(s.Failed)+len(s.Lost) > 0 || s.Reconnected < s.Opened-10 {
			t.Errorf("%s: %+v", tt.url, s)
		}
		// The schedule goes on even on a busy machine: each connection that was due opened, or found all
		// in use.
		first := r.all[0]
		due := tt.rate * (s.At - first.At).Seconds()
		if began := float64(s.Opened + s.Unsent - first.Opened - first.Unsent); tt.rate > 0 && (began < due-100 || began > due+20) {
			t.Errorf("%v began, %v were due", began, due)
		}
		if s := r.end(); s.Open+s.Connecting > 0 {
			t.Errorf("%s: %+v", tt.url, s)
		}
	}
}

func TestStorm(t *testing.T) {
	for _, reset := range []bool{false, true} {
		s, addr := node(t)
		r := begin(t, addr, swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.Storm, Conns: 300, ConnectRate: 1000})
		first := r.open(300)
		r.begin(swarm.Begin{})
		publish(t, s, "t", 0, 0, 3, swarm.TokenBytes)
		r.until("all have heard", func(s swarm.Sample) bool { return s.Received == 900 })
		r.orders <- swarm.Order{Drop: &swarm.Drop{Reset: reset}}
		back := r.until("all are back", func(s swarm.Sample) bool { return s.Open == 300 && s.Reconnected == 300 })
		if back.ConnectedAt <= first.ConnectedAt || len(back.Lost)+len(back.Failed) > 0 {
			t.Errorf("%+v", back)
		}
		publish(t, s, "t", 0, 3, 5, swarm.TokenBytes)
		got := r.settle(5)
		if got.Expected != 1500 || got.Received != 1500 || got.Missing+got.MissedAway+got.Duplicated > 0 {
			t.Errorf("%+v", got)
		}
		r.end()
	}
}

// TestSlowReader: a client that does not read has no expected messages, and the others are not
// affected.
func TestSlowReader(t *testing.T) {
	s, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.SlowReader, Conns: 20, SlowShare: 0.25, Size: 8000})
	r.open(20)
	r.begin(swarm.Begin{})
	publish(t, s, "t", 0, 0, 600, 8000)
	got := r.settle(600)
	if want := uint64(15 * 600); got.Expected != want || got.Received != want || got.Missing+got.MissedAway > 0 {
		t.Errorf("%+v", got)
	}
	r.end()
}

// TestLostAndBack: the restart of a server loses the messages sent meanwhile, and nothing else.
func TestLostAndBack(t *testing.T) {
	s, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.Subscribe, Conns: 30, Reconnect: true})
	r.open(30)
	r.begin(swarm.Begin{})
	publish(t, s, "t", 0, 0, 10, swarm.TokenBytes)
	r.until("all have heard", func(s swarm.Sample) bool { return s.Received == 300 })
	s.Close()
	lost := r.until("all are lost", func(s swarm.Sample) bool { return s.Open == 0 && totalOf(s.Failed) >= 30 })
	if totalOf(lost.Lost) != 30 || lost.Failed["refused"] < 30 {
		t.Errorf("lost %v, failed %v", lost.Lost, lost.Failed)
	}
	s = nodeAt(t, addr)
	r.open(30)
	publish(t, s, "t", 0, 17, 20, swarm.TokenBytes)
	got := r.settle(20)
	if got.Expected != 390 || got.Received != 390 || got.MissedAway != 210 || got.Missing > 0 || got.Reconnected != 30 {
		t.Errorf("%+v", got)
	}
	r.end()
}

// TestSettledStays: the result of Settle is in every later Sample, and closing the connections does
// not change it.
func TestSettledStays(t *testing.T) {
	_, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/echo", Mode: swarm.Echo, Conns: 3, Rate: 300})
	r.open(3)
	r.begin(swarm.Begin{})
	r.until("some came", func(s swarm.Sample) bool { return s.Received >= 10 })
	first := r.settle()
	same := func(what string, s swarm.Sample) {
		t.Helper()
		if !s.Settled || s.Expected != first.Expected || s.Missing != first.Missing || s.MissedAway != first.MissedAway {
			t.Errorf("%s: settled %v, expected %d, missing %d, away %d; want those of %+v", what, s.Settled, s.Expected, s.Missing, s.MissedAway, first)
		}
	}
	same("the next sample", r.until("one more", func(swarm.Sample) bool { return true }))
	same("the last sample", r.end())
}

// TestNothingBack: messages that are not answered, come changed, or are under way when the server
// closes the connection are lost.
func TestNothingBack(t *testing.T) {
	echo := func(change func([]byte) []byte) func(net.Conn) {
		return func(c net.Conn) {
			for {
				m, op, err := wsutil.ReadClientData(c)
				if err != nil || wsutil.WriteServerMessage(c, op, change(m)) != nil {
					return
				}
			}
		}
	}
	for name, test := range map[string]struct {
		play      func(net.Conn)
		corrupted bool
	}{
		"never answers":   {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, false},
		"answers changed": {echo(func(m []byte) []byte { return append([]byte("echo: "), m...) }), true},
		"closes": {func(c net.Conn) {
			if _, _, err := wsutil.ReadClientData(c); err == nil {
				_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(1011, "")))
				_, _ = io.Copy(io.Discard, c)
			}
		}, false},
		"goes away": {func(c net.Conn) { _, _, _ = wsutil.ReadClientData(c) }, false},
	} {
		r := begin(t, script(t, upgraded(test.play)), swarm.Spec{URL: "ws://HOST/", Mode: swarm.Echo, Conns: 3, Rate: 300, Reconnect: true})
		r.until("all were open", func(s swarm.Sample) bool { return s.Opened >= 3 })
		r.begin(swarm.Begin{})
		r.until("some were sent", func(s swarm.Sample) bool { return s.Sent >= 5 })
		r.orders <- swarm.Order{Settle: &swarm.Settle{}}
		s := r.until("settled", func(s swarm.Sample) bool { return s.Settled })
		last := r.end()
		for _, s := range []swarm.Sample{s, last} {
			if s.Expected != s.Sent || s.Missing != s.Sent || s.MissedAway > 0 || s.Received > 0 || (s.Corrupted > 0) != (test.corrupted && s.Sent > 0) {
				t.Errorf("%s: %+v, want all lost", name, s)
			}
		}
	}
}

// TestUnsure: a message that may not have reached the server is not expected.
func TestUnsure(t *testing.T) {
	s, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.Subscribe, Conns: 3, Size: 100})
	r.open(3)
	r.begin(swarm.Begin{})
	publish(t, s, "t", 0, 0, 3, 100)
	publish(t, s, "t", 0, 4, 5, 100) // 3 never reached it
	r.orders <- swarm.Order{Settle: &swarm.Settle{Published: []uint64{5}, Unsure: []uint64{1}, Within: 10 * time.Second}}
	if got := r.until("settled", func(s swarm.Sample) bool { return s.Settled }); got.Expected != 12 || got.Received != 12 || got.Missing > 0 {
		t.Errorf("%+v", got)
	}
	r.end()
}

// TestSpreadOverAddresses: connections take the addresses of the target in turns.
func TestSpreadOverAddresses(t *testing.T) {
	var first, second atomic.Int64
	counted := func(n *atomic.Int64) func(net.Conn) {
		return upgraded(func(c net.Conn) {
			n.Add(1)
			_, _ = io.Copy(io.Discard, c)
		})
	}
	one, two := script(t, counted(&first)), script(t, counted(&second))
	r := begin(t, one, swarm.Spec{URL: "ws://HOST/", Mode: swarm.Publish, Rate: 500, Conns: 5, Others: []netip.AddrPort{netip.MustParseAddrPort(two)}})
	r.until("all were counted", func(s swarm.Sample) bool { return s.Open == 5 && first.Load()+second.Load() == 5 })
	if a, b := first.Load(), second.Load(); a != 3 || b != 2 {
		t.Errorf("%d and %d connections, want 3 and 2", a, b)
	}
	r.end()
}

// TestNotAllInTime: a swarm that misses messages when the time to settle is over reports them.
func TestNotAllInTime(t *testing.T) {
	s, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/ws?topic=t", Mode: swarm.Subscribe, Conns: 3, Size: 100})
	r.open(3)
	r.begin(swarm.Begin{})
	publish(t, s, "t", 0, 0, 3, 100)
	publish(t, s, "t", 0, 2, 3, 100)
	publish(t, s, "t", 0, 5, 6, 100)
	publish(t, s, "t", 0, 4, 5, 100)
	publish(t, s, "t", 0, 6, 7, 99) // not what it should be
	if _, err := s.Publish("t", 0, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	r.until("what comes has come", func(s swarm.Sample) bool { return s.Received == 18 && s.Corrupted == 3 && s.Foreign == 3 })
	r.orders <- swarm.Order{Settle: &swarm.Settle{Published: []uint64{8}, Within: 100 * time.Millisecond}}
	got := r.until("settled", func(s swarm.Sample) bool { return s.Settled })
	want := swarm.Sample{Expected: 24, Missing: 9, Received: 18, Duplicated: 3, Reordered: 3, Corrupted: 3, Foreign: 3}
	if got.Expected != want.Expected || got.Missing != want.Missing || got.Received != want.Received || got.Duplicated != want.Duplicated ||
		got.Reordered != want.Reordered || got.Corrupted != want.Corrupted || got.Foreign != want.Foreign {
		t.Errorf("%+v", got)
	}
	r.end()
}

// TestAbort: the end of the context ends the run, which still makes a last Sample.
func TestAbort(t *testing.T) {
	_, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/echo", Mode: swarm.Echo, Conns: 3, InFlight: 1})
	r.open(3)
	r.cancel()
	r.until("the last", func(s swarm.Sample) bool { return s.Last })
	if err := <-r.done; err == nil {
		t.Error("Run does not say that its context has ended")
	}
}

// TestRate: a new rate counts from the time of the order.
func TestRate(t *testing.T) {
	_, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/echo", Mode: swarm.Echo, Conns: 10})
	r.open(10)
	r.begin(swarm.Begin{})
	rate := 3000.0
	r.orders <- swarm.Order{Rate: &rate}
	r.until("it sends", func(s swarm.Sample) bool { return s.Received > 1000 })
	rate2 := 0.0
	r.orders <- swarm.Order{Rate: &rate2}
	r.settle()
	if s := r.end(); s.Missing+s.Unsent > 0 {
		t.Errorf("%+v", s)
	}
}

// TestDeafAfterReturn: messages sent while a client was away are not lost; messages that others
// receive after its return are expected.
func TestDeafAfterReturn(t *testing.T) {
	for _, tt := range []struct{ after, missing uint64 }{{0, 0}, {1, 0}, {5, 5}} {
		ready := make(chan net.Conn, 3)
		addr := script(t, upgraded(func(c net.Conn) {
			ready <- c
			gone(c)
		}))
		r := begin(t, addr, swarm.Spec{URL: "ws://HOST/x", Mode: swarm.Subscribe, Conns: 2, Reconnect: true})
		stays, goes := <-ready, <-ready
		r.open(2)
		r.begin(swarm.Begin{})
		seq := uint64(0)
		say := func(n uint64, to ...net.Conn) {
			for range n {
				for _, c := range to {
					text(c, token(seq))
				}
				seq++
			}
		}
		say(3, stays, goes)
		r.until("both have heard", func(s swarm.Sample) bool { return s.Received == 6 })
		goes.Close()
		r.until("one is lost", func(s swarm.Sample) bool { return s.Lost["eof"] == 1 })
		say(4, stays)
		r.until("one has heard", func(s swarm.Sample) bool { return s.Received == 10 })
		<-ready // and nobody tells it anything
		r.until("it is back", func(s swarm.Sample) bool { return s.Reconnected == 1 })
		say(tt.after, stays)
		r.until("the other has heard", func(s swarm.Sample) bool { return s.Received == 10+tt.after })
		r.orders <- swarm.Order{Settle: &swarm.Settle{Published: []uint64{seq}, Within: 300 * time.Millisecond}}
		s := r.until("settled", func(s swarm.Sample) bool { return s.Settled })
		if away := 4 + tt.after - tt.missing; s.Missing != tt.missing || s.MissedAway != away {
			t.Errorf("%d after its return: missing %d, missed while away %d; want %d and %d", tt.after, s.Missing, s.MissedAway, tt.missing, away)
		}
		r.end()
	}
}

// TestBeginAgain: counts restart with the second Begin, and sending goes on.
func TestBeginAgain(t *testing.T) {
	_, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/echo", Mode: swarm.Echo, Conns: 4, Rate: 1000})
	r.open(4)
	for range 2 {
		r.begin(swarm.Begin{})
		r.until("some came back", func(s swarm.Sample) bool { return !s.Settled && s.Received >= 200 })
		if s := r.settle(); s.Missing > 0 || s.Expected != s.Sent || s.Received != s.Sent || s.Duplicated+s.Reordered > 0 {
			t.Errorf("%+v", s)
		}
	}
	r.end()
}
