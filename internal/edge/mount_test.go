// Tests of what a program's handlers say for an answer, and of connections between two requests.

package edge

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// What a program's handlers have set is sent as net/http would send it, and cannot break the
// answer.
func TestMountLines(t *testing.T) {
	from := &http.Server{}
	m, refusal := NewMount(from, http.Header{
		"X-A": {"1", "2\r\nX-Evil: \x00 \n"}, "Bad Name": {"x"}, "X:": {"x"}, "": {"x"},
		"Content-Length": {"7"}, "Connection": {"close"}, "Upgrade": {"h2c"}, "Date": {"never"}, "Trailer": {"x"},
		"access-control-allow-origin": {"*"},
	})
	if refusal != nil {
		t.Fatal(refusal)
	}
	want := "X-A: 1\r\nX-A: 2  X-Evil:\r\naccess-control-allow-origin: *\r\n"
	if got := string(m.Lines()); got != want || !m.SetsCORS() || !m.Keeps() {
		t.Errorf("%q, want %q", got, want)
	}
	if got := string(m.Insert([]byte("xHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody"), 1)); got != "xHTTP/1.1 200 OK\r\n"+want+"A: b\r\n\r\nbody" {
		t.Errorf("%q", got)
	}
	// The bound is on all of it.
	for n, ok := range map[int]bool{MountBytesMax - len("X: \r\n"): true, MountBytesMax: false} {
		if _, refusal := NewMount(nil, http.Header{"X": {strings.Repeat("a", n)}}); (refusal == nil) != ok {
			t.Errorf("%d bytes: %v", n, refusal)
		}
	}
	// A connection whose server is unknown ends with the answer.
	if m, _ = NewMount(nil, nil); m.Keeps() || m.SetsCORS() {
		t.Error("kept for handlers of no server")
	}
	var none *Mount
	if got := string(none.Insert([]byte("x"), 0)); got != "x" || none.Lines() != nil || !none.Keeps() || none.SetsCORS() {
		t.Errorf("without a Mount: %q", got)
	}
}

const keptRole netpoll.Role = 2

// newKept makes a node whose requests all have a Mount and are answered 204.
func newKept(t *testing.T, seed uint64) (*node, *KeptHandler) {
	n := &node{}
	n.cfg = Config{
		Fallback: NewListener(ListenerOptions{QueueMax: 1}),
		Draining: func() bool { return n.draining },
		Refused:  func(r *Refusal) { n.refused = append(n.refused, r) },
	}
	n.heads = NewHeadHandler(&n.cfg)
	k := NewKeptHandler(&n.cfg, keptRole)
	from := &http.Server{}
	n.cfg.Route = func(l *netpoll.Loop, c *netpoll.Conn, _ *Head, rest []byte) Decision {
		m, _ := NewMount(from, http.Header{"X-A": {"1"}})
		l.Send(c, m.Insert([]byte("HTTP/1.1 204 No Content\r\n\r\n"), 0))
		k.Keep(l, c, m, rest)
		return Handled
	}
	var handlers [netpoll.RolesMax]netpoll.Handler
	handlers[headRole], handlers[keptRole] = n.heads, k
	n.Loop = netpolltest.New(t, netpolltest.Options{Seed: seed, Handlers: handlers})
	return n, k
}

const keptAnswer = "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"

// wantDelivered takes the one connection in the queue to net/http.
func (n *node) wantDelivered(t *testing.T, first string) {
	t.Helper()
	select {
	case d := <-n.cfg.Fallback.queue:
		n.cfg.Fallback.waiting.Add(-1)
		if string(d.first) != first || d.mount == nil || d.mount.from == nil {
			t.Errorf("delivered %q, %+v; want %q", d.first, d.mount, first)
		}
	default:
		t.Error("no connection is delivered")
	}
}

// Between two requests a connection waits on the loop, and the next one is for net/http.
func TestKept(t *testing.T) {
	for seed := range uint64(4) {
		n, k := newKept(t, seed)
		idle, p, q := n.Connect(headRole), n.Connect(headRole), n.Connect(headRole)
		for _, peer := range []*netpolltest.Peer{idle, p, q} {
			peer.Write([]byte(get("/first")))
			n.Settle()
			if got := string(peer.Read()); got != keptAnswer {
				t.Fatalf("%q", got)
			}
		}
		p.Write([]byte(get("/second")))
		n.Settle()
		q.Write([]byte(get("/third"))) // the queue is full, as it is when many poll at the same time
		n.Settle()
		n.Advance(time.Second)
		n.wantDelivered(t, get("/second"))
		n.Advance(time.Second)
		n.wantDelivered(t, get("/third"))
		n.Advance(KeptTimeout)
		if !idle.Closed() || k.kept.Len() != 0 {
			t.Errorf("closed %v, %d records", idle.Closed(), k.kept.Len())
		}
		n.wantReleased(t, "")
	}
}

// A pipelined request waits for the answer in front of it; a client that does not take that is
// closed.
func TestKeptPipelined(t *testing.T) {
	n, k := newKept(t, 0)
	p, stalled := n.Connect(headRole), n.Connect(headRole)
	for _, peer := range []*netpolltest.Peer{p, stalled} {
		peer.SetWindow(0)
		peer.Write([]byte(get("/first") + get("/second")))
		peer.Write([]byte(get("/third")))
	}
	n.Settle()
	n.Advance(time.Second)
	if len(n.cfg.Fallback.queue) != 0 {
		t.Fatal("delivered before the answer is out")
	}
	p.SetWindow(1 << 20)
	n.Settle()
	n.Advance(time.Second)
	if got := string(p.Read()); got != keptAnswer {
		t.Errorf("%q", got)
	}
	n.wantDelivered(t, get("/second")+get("/third"))
	n.Advance(2 * time.Minute)
	if !stalled.Closed() || k.kept.Len() != 0 {
		t.Errorf("closed %v, %d records", stalled.Closed(), k.kept.Len())
	}
}

// A node that goes down takes no further request, and the refusal has no field of an earlier one.
func TestKeptDraining(t *testing.T) {
	n, _ := newKept(t, 0)
	p := n.Connect(headRole)
	p.Write([]byte(get("/first")))
	n.Settle()
	p.Read()
	n.draining = true
	p.Write([]byte(get("/second")))
	n.Settle()
	res, body := answer(t, p.Read(), "GET")
	if res.StatusCode != 503 || body != RefuseDraining.Reason+"\n" || res.Header.Get("X-A") != "" {
		t.Errorf("%s %q %v", res.Status, body, res.Header)
	}
}
