// Tests of the head role, on a loop with a faked kernel.

package edge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

const (
	headRole netpoll.Role = iota
	echoRole
)

// echoHandler is what connections become on /ws: it sends back what it gets.
type echoHandler struct{ closed []netpoll.Reason }

func (*echoHandler) OnOpen(*netpoll.Loop, *netpoll.Conn)               {}
func (*echoHandler) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) { l.SendTurn(c, p) }
func (*echoHandler) OnTimer(*netpoll.Loop, *netpoll.Conn)              {}
func (*echoHandler) OnWritable(*netpoll.Loop, *netpoll.Conn)           {}
func (e *echoHandler) OnClose(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) {
	e.closed = append(e.closed, r)
}

// node is a loop with a head role, and notes what happens on it.
type node struct {
	*netpolltest.Loop
	cfg      Config
	heads    *HeadHandler
	refused  []*Refusal
	released []string
	draining bool

	onRelease func(tag uint32) // may be nil
}

func newNode(t testing.TB, seed uint64) *node {
	n := &node{}
	n.cfg = Config{
		Fallback: NewListener(ListenerOptions{QueueMax: 1}),
		Draining: func() bool { return n.draining },
		Refused:  func(r *Refusal) { n.refused = append(n.refused, r) },
		Route:    n.route,
	}
	n.heads = NewHeadHandler(&n.cfg)
	var handlers [netpoll.RolesMax]netpoll.Handler
	handlers[headRole], handlers[echoRole] = n.heads, &echoHandler{}
	n.Loop = netpolltest.New(t, netpolltest.Options{Seed: seed, Handlers: handlers,
		OnRelease: func(tag uint32, r netpoll.Reason) {
			n.released = append(n.released, fmt.Sprintf("%d %s", tag, r))
			if n.onRelease != nil {
				n.onRelease(tag)
			}
		}})
	return n
}

// route upgrades on /ws, panics on /panic, and leaves the rest.
func (n *node) route(l *netpoll.Loop, c *netpoll.Conn, h *Head, rest []byte) Decision {
	switch string(h.Path()) {
	case "/panic":
		panic("as asked")
	case "/ws":
	default:
		return NotOurs
	}
	if refusal := CheckUpgrade(h); refusal != nil {
		n.cfg.Refuse(l, c, h, refusal)
		return Handled
	}
	l.Send(c, AppendSwitching(nil, h.Key(), "", nil))
	l.Become(c, echoRole)
	l.Redeliver(c, rest)
	return Handled
}

// wantReleased says how the node's connections ended, and that none of them left a piece of a head.
func (n *node) wantReleased(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(n.released, ", "); got != want {
		t.Errorf("released: %s, want %s", got, want)
	}
	if n.heads.partials.Len() != 0 {
		t.Errorf("%d partial heads are kept", n.heads.partials.Len())
	}
}

func TestSessionUpgrade(t *testing.T) {
	const frames = "frames right behind it"
	switching := string(AppendSwitching(nil, []byte(sampleKey), "", nil))
	for _, step := range []int{1 << 20, 50, 1} {
		for seed := range uint64(4) { // 0 is the kernel without chaos
			n := newNode(t, seed)
			p := n.Connect(headRole)
			if n.heads.partials.Len() != 0 {
				t.Error("a connection that has sent nothing owns something")
			}
			for in := offer() + frames; in != ""; {
				k := min(step, len(in))
				p.Write([]byte(in[:k]))
				in = in[k:]
				n.Turn()
			}
			n.Settle()
			if got := string(p.Read()); got != switching+frames {
				t.Errorf("in pieces of %d, seed %d: %q", step, seed, got)
			}
			n.wantReleased(t, "")
			n.Advance(2 * HandshakeTimeoutDefault)
			if p.Closed() {
				t.Error("the deadline of the head outlived it")
			}
		}
	}
}

func TestSessionRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     *Refusal
		reason   string
	}{
		{"bare LF", "GET / HTTP/1.1\n", badLineEnd, "protocol_error"},
		{"TLS", "\x16\x03\x01", badControl, "protocol_error"},
		{"no upgrade", get("/ws"), RefuseNotUpgrade, "refused"},
		{"HEAD", head("HEAD /ws HTTP/1.1", "Host: h"), wrongMethod, "refused"},
		{"bad HEAD", "HEAD /ws HTTP/1.1\r\n x", badFold, "protocol_error"},
		{"too large", sizedHead(2 * HeadBytesMax), tooLargeHead, "protocol_error"},
		{"what follows is not looked at", "GET / HTTP/1.1\n" + offer(), badLineEnd, "protocol_error"},
	} {
		for _, step := range []int{1 << 20, 1} {
			t.Run(fmt.Sprintf("%s in pieces of %d", tt.name, step), func(t *testing.T) {
				n := newNode(t, 0)
				p := n.ConnectTagged(headRole, 3)
				if tt.want == badFold {
					tt.in += "\r\n\r\n"
				}
				for in := tt.in; in != ""; {
					k := min(step, len(in))
					p.Write([]byte(in[:k]))
					in = in[k:]
					n.Turn()
				}
				n.Settle()
				method, _, _ := strings.Cut(tt.in, " ")
				res, body := answer(t, p.Read(), method)
				if res.StatusCode != tt.want.Status || method != "HEAD" && body != tt.want.Reason+"\n" {
					t.Errorf("%s %q", res.Status, body)
				}
				if !p.Finished() || p.Closed() {
					t.Error("the answer is not followed by a FIN and time to read it")
				}
				p.CloseWrite()
				n.Settle()
				n.wantReleased(t, "3 "+tt.reason)
				if len(n.refused) != 1 || n.refused[0] != tt.want {
					t.Errorf("heard of %v", n.refused)
				}
			})
		}
	}
}

func TestSessionDeadline(t *testing.T) {
	n := newNode(t, 0)
	silent, trickling := n.Connect(headRole), n.Connect(headRole)
	for range 40 { // 4 s, a byte each 100 ms
		trickling.Write([]byte("G"))
		n.Advance(100 * time.Millisecond)
	}
	if silent.Finished() || trickling.Finished() {
		t.Error("too early")
	}
	n.Advance(1100 * time.Millisecond)
	for _, p := range []*netpolltest.Peer{silent, trickling} {
		if res, body := answer(t, p.Read(), "GET"); res.StatusCode != 408 || body != RefuseTimeout.Reason+"\n" {
			t.Errorf("%s %q", res.Status, body)
		}
	}
	n.Advance(2 * refusalLinger)
	n.wantReleased(t, "0 timeout, 0 timeout")
}

func TestSessionPeerGoes(t *testing.T) {
	n := newNode(t, 0)
	p, q := n.Connect(headRole), n.Connect(headRole)
	p.Write([]byte("GET / HT"))
	q.Write([]byte("GET / HT"))
	n.Turn()
	if n.heads.partials.Len() != 2 {
		t.Errorf("%d partial heads", n.heads.partials.Len())
	}
	p.CloseWrite()
	q.Reset()
	n.Settle()
	n.wantReleased(t, "0 peer, 0 reset")
}

func TestSessionDetaches(t *testing.T) {
	for _, step := range []int{1 << 20, 1} {
		n := newNode(t, 0)
		p := n.ConnectTagged(headRole, 7)
		// The last byte of the head and what follows come in one piece.
		in, last := get("/other"), "\nand more"
		in = in[:len(in)-1]
		for in != "" {
			k := min(step, len(in))
			p.Write([]byte(in[:k]))
			in = in[k:]
			n.Turn()
		}
		p.Write([]byte(last))
		n.Settle()
		d := <-n.cfg.Fallback.queue
		n.cfg.Fallback.waiting.Add(-1)
		if string(d.first) != get("/other")+"and more" || d.tag != 7 {
			t.Errorf("tag %d, %q", d.tag, d.first)
		}
		if p.Conn() != nil || p.Closed() || len(p.Read()) > 0 {
			t.Error("the connection did not leave the loop alive and in silence")
		}
		n.wantReleased(t, "")
	}
}

func TestSessionFallbackIsFull(t *testing.T) {
	n := newNode(t, 0)
	a, b := n.Connect(headRole), n.Connect(headRole)
	a.Write([]byte(get("/")))
	n.Turn()
	b.Write([]byte(get("/")))
	n.Turn()
	res, body := answer(t, b.Read(), "GET")
	if res.StatusCode != 503 || body != RefuseOverCapacity.Reason+"\n" || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s %q", res.Status, body)
	}
}

func TestSessionDraining(t *testing.T) {
	n := newNode(t, 0)
	n.draining = true
	a, b := n.Connect(headRole), n.Connect(headRole)
	a.Write([]byte(offer()))
	b.Write([]byte(get("/healthz")))
	n.Settle()
	if res, body := answer(t, a.Read(), "GET"); res.StatusCode != 503 || body != RefuseDraining.Reason+"\n" || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s %q", res.Status, body)
	}
	if b.Conn() != nil || len(n.cfg.Fallback.queue) != 1 {
		t.Error("ordinary requests are not served while draining")
	}
}

// TestSessionOverLimit: who may not stay hears it, but not before it has spoken or waited.
func TestSessionOverLimit(t *testing.T) {
	for _, tt := range []struct {
		tag    uint32
		status int
	}{{tagOverCapacity, 503}, {tagPerAddr, 429}} {
		n := newNode(t, 0)
		speaks, asks, waits := n.ConnectTagged(headRole, tt.tag), n.ConnectTagged(headRole, tt.tag), n.ConnectTagged(headRole, tt.tag)
		n.Settle()
		if len(speaks.Read()) > 0 {
			t.Error("an answer before the request is noise to a client")
		}
		speaks.Write([]byte(get("/")))
		asks.Write([]byte(head("HEAD / HTTP/1.1", "Host: h")))
		n.Settle()
		for p, method := range map[*netpolltest.Peer]string{speaks: "GET", asks: "HEAD"} {
			if res, _ := answer(t, p.Read(), method); res.StatusCode != tt.status || res.Header.Get("Retry-After") == "" {
				t.Errorf("%s", res.Status)
			}
		}
		n.Advance(refusalWait + 100*time.Millisecond)
		if res, _ := answer(t, waits.Read(), "GET"); res.StatusCode != tt.status {
			t.Errorf("%s", res.Status)
		}
		n.Advance(2 * refusalLinger)
		n.wantReleased(t, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%d refused, ", tt.tag), 3), ", "))
		if len(n.refused) > 0 {
			t.Errorf("counted twice: %v", n.refused)
		}
	}
}

func TestSessionPanicEndsOneConnection(t *testing.T) {
	n := newNode(t, 0)
	a, b := n.Connect(headRole), n.Connect(headRole)
	a.Write([]byte(get("/panic")))
	b.Write([]byte(offer()))
	n.Settle()
	if !a.Closed() || b.Closed() || !strings.HasPrefix(string(b.Read()), "HTTP/1.1 101 ") {
		t.Error("not just the one")
	}
	n.wantReleased(t, "0 panic")
}

// BenchmarkSessionUpgrade is an upgrade on a loop with a faked kernel, which has most of the cost.
func BenchmarkSessionUpgrade(b *testing.B) {
	n := newNode(b, 0)
	in := []byte(offer())
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		p := n.Connect(headRole)
		p.Write(in)
		n.Turn()
		p.Reset()
		n.Turn()
	}
}
