// A run in a test: a swarm, its orders, and the sum of its Samples.

package swarm_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/loadgen/swarm"
	"c100k/server"
)

const testRun = 0xc100c

// node is a c100k server that allows everything.
func node(t testing.TB) (s *server.Server, addr string) {
	t.Helper()
	ln := listen(t, "127.0.0.1:0")
	return serve(t, ln), ln.Addr().String()
}

// nodeAt is node at an address that another has left.
func nodeAt(t testing.TB, addr string) *server.Server { return serve(t, listen(t, addr)) }

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func serve(t testing.TB, ln net.Listener) *server.Server {
	t.Helper()
	return serveAs(t, ln, server.Config{Dev: true, Loops: 1, Drain: server.Off})
}

func serveAs(t testing.TB, ln net.Listener, config server.Config) *server.Server {
	t.Helper()
	s, err := server.New(config)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return s
}

// run is a swarm that runs.
type run struct {
	t       testing.TB
	orders  chan swarm.Order
	samples chan swarm.Sample
	latest  swarm.Sample
	all     []swarm.Sample
	done    chan error
	cancel  context.CancelFunc
}

// begin starts a swarm at addr; the spec needs only the fields of interest to the test.
func begin(t testing.TB, addr string, spec swarm.Spec) *run {
	t.Helper()
	spec.Target = netip.MustParseAddrPort(addr)
	spec.URL = strings.ReplaceAll(spec.URL, "HOST", addr)
	spec.Run, spec.AllConns = testRun, max(spec.AllConns, spec.Conns)
	if spec.Protocol == "" {
		spec.Protocol = swarm.Raw
	}
	if spec.Timeout == 0 {
		spec.Timeout = 10 * time.Second
	}
	s, err := swarm.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	s.SampleEvery(50 * time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{t: t, orders: make(chan swarm.Order), samples: make(chan swarm.Sample, 1000), done: make(chan error, 1), cancel: cancel}
	go func() {
		r.done <- s.Run(ctx, r.orders, func(s swarm.Sample) { r.samples <- s })
		close(r.samples)
	}()
	t.Cleanup(func() {
		cancel()
		for range r.samples {
		}
	})
	return r
}

// until waits for a Sample that satisfies a condition.
func (r *run) until(what string, ok func(swarm.Sample) bool) swarm.Sample {
	r.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case s, more := <-r.samples:
			if !more {
				r.t.Fatalf("%s: the run is over: %v", what, <-r.done)
			}
			if r.all = append(r.all, s); ok(s) {
				r.latest = s
				return s
			}
		case <-deadline:
			r.t.Fatalf("not within 30 s: %s; the last sample: %+v", what, r.all[len(r.all)-1])
		}
	}
}

func (r *run) open(n int) swarm.Sample {
	r.t.Helper()
	return r.until(fmt.Sprintf("%d are open", n), func(s swarm.Sample) bool { return s.Open == n })
}

func (r *run) begin(b swarm.Begin) swarm.Sample {
	r.t.Helper()
	r.orders <- swarm.Order{Begin: &b}
	return r.until("begun", func(s swarm.Sample) bool { return s.Begun })
}

func (r *run) settle(published ...uint64) swarm.Sample {
	r.t.Helper()
	r.orders <- swarm.Order{Settle: &swarm.Settle{Published: published, Within: 10 * time.Second}}
	return r.until("settled", func(s swarm.Sample) bool { return s.Settled })
}

func (r *run) end() swarm.Sample {
	r.t.Helper()
	r.orders <- swarm.Order{End: true}
	s := r.until("the end", func(s swarm.Sample) bool { return s.Last })
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	r.done <- nil
	return s
}

// count is how many values the histograms of all Samples so far hold.
func (r *run) count(of func(swarm.Sample) swarm.Histogram) (n int64) {
	r.t.Helper()
	for _, s := range r.all {
		if h := of(s); len(h) > 0 {
			decoded, err := h.Unpack()
			if err != nil {
				r.t.Fatal(err)
			}
			n += decoded.TotalCount()
		}
	}
	return n
}

func latency(s swarm.Sample) swarm.Histogram { return s.Latency }

func TestEchoOpenSchedule(t *testing.T) {
	_, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/echo", Mode: swarm.Echo, Conns: 50, FirstConn: 7, AllConns: 60, Rate: 2000, Size: 100})
	if s := r.open(50); s.Opened != 50 || s.ConnectedAt == 0 || len(s.Failed)+len(s.Lost) > 0 {
		t.Errorf("%+v", s)
	}
	r.begin(swarm.Begin{})
	r.until("a thousand came back", func(s swarm.Sample) bool { return s.Received >= 1000 })
	s := r.settle()
	if s.Sent < 1000 || s.Received != s.Sent || s.Expected != s.Sent || s.Missing+s.Duplicated+s.Reordered+s.Corrupted+s.Unsent+s.Foreign+s.MissedAway > 0 {
		t.Errorf("%+v", s)
	}
	if s.Self.CPU <= 0 || s.Self.Memory <= 0 || s.Self.Busy <= 0 {
		t.Errorf("%+v", s.Self)
	}
	last := r.end()
	if last.Open != 0 || len(last.Lost) > 0 {
		t.Errorf("%+v", last)
	}
	if r.count(func(s swarm.Sample) swarm.Histogram { return s.Connect }) != 50 {
		t.Error("not every connect was measured")
	}
}

func TestEchoClosedLoop(t *testing.T) {
	_, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/echo", Mode: swarm.Echo, Conns: 20, InFlight: 3, Size: 1000, Binary: true})
	r.open(20)
	r.begin(swarm.Begin{})
	r.until("many came back", func(s swarm.Sample) bool { return s.Received >= 5000 })
	s := r.settle()
	if s.Missing > 0 || s.Received < 5000 || s.Expected != s.Sent || s.Duplicated+s.Corrupted+s.Foreign > 0 {
		t.Errorf("%+v", s)
	}
	r.end()
}

// TestBroadcast: a client follows only its own messages among those of all.
func TestBroadcast(t *testing.T) {
	_, addr := node(t)
	r := begin(t, addr, swarm.Spec{URL: "ws://HOST/broadcast", Mode: swarm.Echo, Conns: 5, Rate: 200})
	r.open(5)
	r.begin(swarm.Begin{})
	r.until("some came", func(s swarm.Sample) bool { return s.Received >= 50 })
	s := r.settle()
	if s.Missing > 0 || s.Received > s.Sent || s.Foreign < 3*s.Received {
		t.Errorf("%+v", s)
	}
	r.end()
}

// publish sends the messages from to to-1 of a sender.
func publish(t testing.TB, s *server.Server, topic string, sender uint32, from, to uint64, size int) {
	t.Helper()
	for seq := from; seq < to; seq++ {
		token := swarm.Token{Run: testRun, Sender: sender, Seq: seq, Sent: swarm.Clock()}
		if _, err := s.Publish(topic, broadcast.Text, swarm.AppendMessage(nil, token, size)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSubscribe(t *testing.T) {
	for _, tt := range []struct {
		protocol swarm.Protocol
		url      string
	}{
		{swarm.Raw, "ws://HOST/ws?topic={topic}"},
		{swarm.V1, "ws://HOST/ws"},
		{swarm.SSE, "http://HOST/sse?topic={topic}"},
	} {
		t.Run(string(tt.protocol), func(t *testing.T) {
			s, addr := node(t)
			topics := []string{"a b/c", "d\"é"}
			r := begin(t, addr, swarm.Spec{URL: tt.url, Protocol: tt.protocol, Mode: swarm.Subscribe, Conns: 9, Size: 300, Topics: topics})
			r.open(9)
			publish(t, s, topics[0], 0, 0, 5, 300)
			r.begin(swarm.Begin{First: []uint64{5, 0}})
			publish(t, s, topics[0], 0, 5, 25, 300)
			publish(t, s, topics[1], 1, 0, 30, 300)
			got := r.settle(25, 30)
			if want := uint64(5*20 + 4*30); got.Expected != want || got.Received != want {
				t.Errorf("expected %d, received %d, want %d", got.Expected, got.Received, want)
			}
			if got.Missing+got.Duplicated+got.Reordered+got.Corrupted+got.MissedAway > 0 {
				t.Errorf("%+v", got)
			}
			receivers := map[string]uint64{}
			for _, s := range r.all {
				for _, p := range s.Spreads {
					receivers[fmt.Sprint(p.Sender, "/", p.Seq)] += p.Receivers
					if p.First > p.Last || p.Sent > p.First {
						t.Errorf("%+v", p)
					}
				}
			}
			for seq := range uint64(30) {
				if a, b := receivers[fmt.Sprint("0/", seq)], receivers[fmt.Sprint("1/", seq)]; b != 4 || seq >= 5 && seq < 25 && a != 5 {
					t.Errorf("number %d: %d and %d receivers, want 5 and 4", seq, a, b)
				}
			}
			if got := r.count(latency); got < 220 {
				t.Errorf("%d latencies", got)
			}
			r.end()
		})
	}
}
