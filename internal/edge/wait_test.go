// Tests of requests that wait for a verifier.

package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// verified is a node on which requests with the query "wait" wait for a verifier.
type verified struct {
	*node
	asked     []Ticket
	values    []any
	abandoned []Ticket
}

func newVerified(t testing.TB, seed uint64) *verified {
	v := &verified{node: newNode(t, seed)}
	v.cfg.Route = func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte) Decision {
		if string(h.Query()) == "wait" {
			return Wait
		}
		return v.route(l, c, h, rest)
	}
	v.cfg.Ask = func(_ *netpoll.Loop, _ *netpoll.Conn, _ *Head, t Ticket) { v.asked = append(v.asked, t) }
	v.cfg.Resume = func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte, value any) Decision {
		v.values = append(v.values, value)
		if value == "once more" {
			return Wait
		}
		return v.route(l, c, h, rest)
	}
	v.cfg.Abandoned = func(_ *netpoll.Loop, t Ticket) { v.abandoned = append(v.abandoned, t) }
	return v
}

// elsewhere runs f on another goroutine, as a verifier would.
func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// answer answers a question from another goroutine, and lets the loop go on.
func (v *verified) answer(t *testing.T, ticket Ticket, value any) {
	t.Helper()
	elsewhere(func() {
		if !ticket.Answer(value) {
			t.Error("the answer was not taken")
		}
	})
	v.Settle()
}

// wantNothing checks that no memory of a request is left.
func (v *verified) wantNothing(t *testing.T) {
	t.Helper()
	if v.heads.partials.Len() != 0 || v.heads.Waiting() != 0 || v.heads.HeldBytes() != 0 {
		t.Errorf("%d partials, %d requests wait, %d bytes are held", v.heads.partials.Len(), v.heads.Waiting(), v.heads.HeldBytes())
	}
}

func waitingOffer() string { return offer("/ws", "/ws?wait") }

var switched = string(AppendSwitching(nil, []byte(sampleKey), "", nil))

func TestWaitThenUpgrade(t *testing.T) {
	const before, after = "frames behind the head", " and more of them"
	for _, step := range []int{1 << 20, 50, 1} {
		for seed := range uint64(4) {
			v := newVerified(t, seed)
			p := v.Connect(headRole)
			for in := waitingOffer() + before; in != ""; {
				k := min(step, len(in))
				p.Write([]byte(in[:k]))
				in = in[k:]
				v.Turn()
			}
			v.Settle()
			if len(v.asked) != 1 || len(p.Read()) > 0 || v.heads.Waiting() != 1 {
				t.Fatalf("asked %d times, %d wait", len(v.asked), v.heads.Waiting())
			}
			p.Write([]byte(after)) // its first frames while it waits
			v.Settle()
			v.answer(t, v.asked[0], "go on")
			if got := string(p.Read()); got != switched+before+after {
				t.Errorf("in pieces of %d, seed %d: %q", step, seed, got)
			}
			if len(v.values) != 1 || v.values[0] != "go on" || len(v.abandoned) != 0 {
				t.Errorf("resumed with %v, %d abandoned", v.values, len(v.abandoned))
			}
			v.wantNothing(t)
			v.Advance(2 * HandshakeTimeoutDefault)
			if p.Closed() {
				t.Error("the deadline of the wait outlived it")
			}
		}
	}
}

func TestWaitTwice(t *testing.T) {
	v := newVerified(t, 0)
	p := v.Connect(headRole)
	p.Write([]byte(waitingOffer()))
	v.Settle()
	v.answer(t, v.asked[0], "once more")
	v.answer(t, v.asked[0], "go on") // this one has been used
	if len(v.asked) != 2 || len(p.Read()) > 0 {
		t.Fatalf("asked %d times", len(v.asked))
	}
	v.answer(t, v.asked[1], "go on")
	if got := string(p.Read()); got != switched {
		t.Errorf("%q", got)
	}
	v.wantNothing(t)
}

func TestWaitRefused(t *testing.T) {
	v := newVerified(t, 0)
	p := v.Connect(headRole)
	p.Write([]byte(waitingOffer()))
	v.Settle()
	elsewhere(func() { v.asked[0].Refuse(RefuseOrigin) })
	v.Settle()
	if res, body := answer(t, p.Read(), "GET"); res.StatusCode != 403 || body != RefuseOrigin.Reason+"\n" {
		t.Errorf("%s %q", res.Status, body)
	}
	v.answer(t, v.asked[0], "go on") // it answers twice
	if len(v.values) != 0 || len(v.refused) != 1 {
		t.Errorf("resumed with %v, refused %v", v.values, v.refused)
	}
	v.wantNothing(t)
}

// TestWaitAnsweredTwice: the second answer reaches neither the role that the connection has now nor
// another connection on the same record.
func TestWaitAnsweredTwice(t *testing.T) {
	v := newVerified(t, 0)
	p := v.Connect(headRole)
	p.Write([]byte(waitingOffer()))
	v.Settle()
	v.answer(t, v.asked[0], "go on")
	v.answer(t, v.asked[0], "go on")
	elsewhere(func() { v.asked[0].Refuse(RefuseOrigin) })
	v.Settle()
	if got := string(p.Read()); got != switched || p.Finished() {
		t.Errorf("%q", got)
	}
	p.Reset()
	v.Settle()
	q := v.Connect(headRole)
	q.Write([]byte(waitingOffer()))
	v.Settle()
	v.answer(t, v.asked[0], "go on")
	if len(q.Read()) > 0 || len(v.values) != 1 {
		t.Error("an answer has reached a later connection")
	}
}

func TestWaitPeerLeaves(t *testing.T) {
	v := newVerified(t, 0)
	p, q := v.Connect(headRole), v.Connect(headRole)
	p.Write([]byte(waitingOffer()))
	q.Write([]byte(waitingOffer()))
	v.Settle()
	p.CloseWrite()
	q.Reset()
	v.Turn()
	v.Turn()
	v.wantNothing(t)
	v.wantReleased(t, "0 peer, 0 reset")
	if len(v.abandoned) != 2 || v.abandoned[0] != v.asked[0] || v.abandoned[1] != v.asked[1] {
		t.Errorf("%d of 2 tickets were abandoned", len(v.abandoned))
	}
	v.answer(t, v.asked[0], "go on")
	if len(v.values) != 0 {
		t.Error("the request of a client that has left went on")
	}
}

// TestWaitDeadline: neither the wait nor the client's bytes extend the handshake's deadline.
func TestWaitDeadline(t *testing.T) {
	v := newVerified(t, 0)
	p := v.Connect(headRole)
	v.Advance(3 * time.Second)
	p.Write([]byte(waitingOffer()))
	v.Settle()
	for range 15 {
		p.Write([]byte("x"))
		v.Advance(100 * time.Millisecond)
	}
	if p.Finished() {
		t.Error("too early")
	}
	v.Advance(600 * time.Millisecond)
	res, body := answer(t, p.Read(), "GET")
	if res.StatusCode != 503 || body != RefuseUnanswered.Reason+"\n" || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s %q", res.Status, body)
	}
	if len(v.abandoned) != 1 {
		t.Error("the verifier does not hear of it")
	}
	v.answer(t, v.asked[0], "go on")
	if len(v.values) != 0 || len(p.Read()) > 0 {
		t.Error("an answer after the deadline was taken")
	}
	v.wantNothing(t)
}

// TestWaitBound: the wait has a bound of its own where the handshake has a long deadline.
func TestWaitBound(t *testing.T) {
	v := newVerified(t, 0)
	v.cfg.Timeout = time.Hour
	p := v.Connect(headRole)
	p.Write([]byte(waitingOffer()))
	v.Settle()
	v.Advance(WaitTimeoutDefault - 200*time.Millisecond)
	if p.Finished() {
		t.Error("too early")
	}
	v.Advance(400 * time.Millisecond)
	if res, _ := answer(t, p.Read(), "GET"); res.StatusCode != 503 {
		t.Error(res.Status)
	}
	v.wantNothing(t)
}

func TestWaitThousand(t *testing.T) {
	v := newVerified(t, 7)
	const clients = 1000
	peers := make([]*netpolltest.Peer, clients)
	for i := range peers {
		peers[i] = v.Connect(headRole)
		peers[i].Write([]byte(waitingOffer()))
	}
	v.Settle()
	if v.heads.Waiting() != clients {
		t.Fatalf("%d wait", v.heads.Waiting())
	}
	elsewhere(func() {
		for i := clients - 1; i >= 0; i-- {
			v.asked[i].Answer(i)
		}
	})
	v.Settle()
	for i, p := range peers {
		if got := string(p.Read()); got != switched {
			t.Fatalf("client %d: %q", i, got)
		}
	}
	v.wantNothing(t)
}

func TestWaitTooMany(t *testing.T) {
	v := newVerified(t, 0)
	v.heads.waiting.Store(WaitingMax)
	p := v.Connect(headRole)
	p.Write([]byte(waitingOffer()))
	v.Settle()
	if res, body := answer(t, p.Read(), "GET"); res.StatusCode != 503 || body != RefuseWaiting.Reason+"\n" {
		t.Errorf("%s %q", res.Status, body)
	}
	v.heads.waiting.Store(0)
	v.heads.held.Store(WaitingBytesMax)
	q := v.Connect(headRole)
	q.Write([]byte(waitingOffer()))
	v.Settle()
	if res, _ := answer(t, q.Read(), "GET"); res.StatusCode != 503 || len(v.asked) != 0 {
		t.Errorf("%s, asked %d times", res.Status, len(v.asked))
	}
	v.heads.held.Store(0)
	v.wantNothing(t)
}

// TestWaitEarlyBytes: a client that sends without end while it waits is not read any further; none
// of it is lost.
func TestWaitEarlyBytes(t *testing.T) {
	v := newVerified(t, 0)
	p := v.Connect(headRole)
	p.Write([]byte(waitingOffer()))
	v.Settle()
	frames := strings.Repeat("0123456789abcdef", 16<<10) // 256 KiB
	for in := frames; in != ""; in = in[8<<10:] {
		p.Write([]byte(in[:8<<10]))
		v.Turn()
	}
	v.Settle()
	if held := v.heads.HeldBytes(); held > 128<<10 {
		t.Errorf("%d bytes are held", held)
	}
	v.answer(t, v.asked[0], "go on")
	if got := string(p.Read()); got != switched+frames {
		t.Errorf("%d bytes came back, want %d", len(got), len(switched+frames))
	}
	v.wantNothing(t)
}

func TestWaitDraining(t *testing.T) {
	v := newVerified(t, 0)
	waits, asksLater, plain := v.Connect(headRole), v.Connect(headRole), v.Connect(headRole)
	for _, p := range []*netpolltest.Peer{waits, asksLater} {
		p.Write([]byte(waitingOffer()))
	}
	plain.Write([]byte(get("/other?wait")))
	v.Settle()
	v.draining = true
	v.Each(func(c *netpoll.Conn) bool {
		if c.ID() != asksLater.ID() {
			v.heads.Drain(v.Loop.Loop, c)
		}
		return true
	})
	v.Settle()
	v.answer(t, v.asked[1], "go on")
	for _, p := range []*netpolltest.Peer{waits, asksLater} {
		if res, body := answer(t, p.Read(), "GET"); res.StatusCode != 503 || body != RefuseDraining.Reason+"\n" {
			t.Errorf("%s %q", res.Status, body)
		}
	}
	if len(v.abandoned) != 1 || v.abandoned[0] != v.asked[0] {
		t.Errorf("%d abandoned", len(v.abandoned))
	}
	v.answer(t, v.asked[2], "go on")
	if plain.Conn() != nil || len(v.cfg.Fallback.queue) != 1 {
		t.Error("an ordinary request is not served during a drain")
	}
	v.wantNothing(t)
}

// TestWaitThenNetHTTP: a request may go to net/http after it has waited, with what came behind it.
func TestWaitThenNetHTTP(t *testing.T) {
	v := newVerified(t, 0)
	p := v.ConnectTagged(headRole, 7)
	p.Write([]byte(get("/other?wait")))
	v.Settle()
	p.Write([]byte(get("/next")))
	v.Settle()
	v.answer(t, v.asked[0], "go on")
	d := <-v.cfg.Fallback.queue
	v.cfg.Fallback.waiting.Add(-1)
	if string(d.first) != get("/other?wait")+get("/next") || d.tag != 7 {
		t.Errorf("tag %d, %q", d.tag, d.first)
	}
	v.wantNothing(t)
}

// TestWaitAfterTakeRequest: a request that comes back from net/http ends in the head role, and
// waits there like any other.
func TestWaitAfterTakeRequest(t *testing.T) {
	asked := make(chan Ticket, 1)
	cfg := Config{
		Route: func(*netpoll.Loop, *netpoll.Conn, *Head, []byte) Decision { return Wait },
		Ask:   func(_ *netpoll.Loop, _ *netpoll.Conn, _ *Head, t Ticket) { asked <- t },
		Resume: func(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte, value any) Decision {
			l.Send(c, AppendSwitching(nil, h.Key(), value.(string), nil))
			l.Become(c, echoRole)
			l.Redeliver(c, rest)
			return Handled
		},
	}
	opt := netpoll.Options{}
	opt.Handlers[headRole], opt.Handlers[echoRole] = NewHeadHandler(&cfg), &echoHandler{}
	loop, err := netpoll.NewLoop(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := loop.Start(); err != nil {
		t.Fatal(err)
	}
	defer loop.Stop()
	s := newSite(t, ListenerOptions{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if taken, ok := TakeRequest(w, r, nil, nil); ok {
			loop.Remote().Post(func(l *netpoll.Loop) { l.Adopt(taken.FD, headRole, taken.Tag, taken.First) })
		}
	}))
	c := s.connect(offer()+"first frames", 1)
	ticket := <-asked
	c.send(" and more")
	ticket.Answer("sub")
	c.want(101, "")
	want := "first frames and more"
	p := make([]byte, len(want))
	if _, err := io.ReadFull(c.r, p); err != nil || string(p) != want {
		t.Errorf("%q, %v", p, err)
	}
}

// TestWaitPanics: a panic in Resume costs the one connection.
func TestWaitPanics(t *testing.T) {
	v := newVerified(t, 0)
	p := v.Connect(headRole)
	p.Write([]byte(get("/panic?wait")))
	v.Settle()
	v.answer(t, v.asked[0], "go on")
	if !p.Closed() {
		t.Error("the connection is open")
	}
	v.wantNothing(t)
	v.wantReleased(t, fmt.Sprint("0 ", netpoll.ReasonPanic))
}
