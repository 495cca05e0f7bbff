package wsconn

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unsafe"

	"c100k/broadcast"
	"c100k/frame"
	"c100k/internal/prototest"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// parrot is a protocol that echoes; "panic" makes it panic, and "fill me" is answered by 100 KiB.
type parrot struct {
	*Endpoint
	sessions netpoll.Slab[State]
}

func (p *parrot) State(c *netpoll.Conn) *State { return p.sessions.At(c.Session()) }
func (p *parrot) Free(c *netpoll.Conn)         { p.sessions.Free(c.Session()) }

func (p *parrot) open(l *netpoll.Loop, c *netpoll.Conn, window frame.Window) {
	i, _ := p.sessions.Alloc()
	c.SetSession(i)
	p.Start(l, c, window)
}

func (p *parrot) Message(l *netpoll.Loop, c *netpoll.Conn, m *frame.Message) {
	switch {
	case string(m.Payload) == "panic":
		panic("so be it")
	case bytes.HasPrefix(m.Payload, []byte("fill ")):
		n := 100 << 10
		p.Reply(l, c, frame.AppendFrame(nil, frame.OpText, bytes.Repeat([]byte("x"), n)))
	default:
		p.Reply(l, c, frame.AppendFrame(nil, m.Op, m.Payload))
	}
}

var config = Config{
	MessageBytesMax: 100, OutboxBytesMax: 2000,
	PingInterval: 30 * time.Second, PingTimeout: 10 * time.Second,
	Rate: 10, RateBurst: 20,
}

func node(t testing.TB, seed uint64, cfg Config) (*prototest.Node, *parrot) {
	p := &parrot{}
	n := prototest.NewNode(t, prototest.Options{
		Seed:     seed,
		Encoders: []broadcast.Encoder{func(dst []byte, _ *broadcast.Message) []byte { return dst }},
		Handlers: func(*prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) {
			p.Endpoint = New(cfg, p)
			hs[1] = p
			return hs
		},
	})
	return n, p
}

func open(n *prototest.Node, p *parrot, window frame.Window) *netpolltest.Peer {
	peer := n.Connect(1)
	n.Do(peer, func(l *netpoll.Loop, c *netpoll.Conn) { p.open(l, c, window) })
	return peer
}

func masked(op frame.OpCode, payload string) []byte {
	return frame.AppendMasked(nil, op, true, [4]byte{1, 2, 3, 4}, []byte(payload))
}

func TestTranscripts(t *testing.T) {
	for _, seed := range []uint64{0, 1, 2, 3, 4, 5} {
		prototest.Run(t, "testdata/*.txt", func(t *testing.T) prototest.Cast {
			n, p := node(t, seed, config)
			return prototest.Cast{
				Node: n, Role: 1,
				Open: func(l *netpoll.Loop, c *netpoll.Conn, args []string) {
					window := frame.NoWindow
					if len(args) > 0 {
						window = frame.WindowFull
					}
					p.open(l, c, window)
				},
				Do: func(word, rest string, client func(string) *netpolltest.Peer) bool {
					if word == "abort" {
						n.Do(client(rest), func(l *netpoll.Loop, c *netpoll.Conn) {
							p.End(l, c, netpoll.ReasonPanic, frame.CodeInternal, "internal error")
						})
					}
					return word == "abort"
				},
			}
		})
	}
}

func TestStateIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(State{}); n > 12 {
		t.Errorf("a State has %d bytes", n)
	}
}

// A parser is kept only while a message is incomplete, and a budget only until it is full again.
func TestIdleConnectionsOwnNothing(t *testing.T) {
	n, p := node(t, 0, config)
	peer := open(n, p, frame.NoWindow)
	message := masked(frame.OpText, "hello")
	for i := range message {
		peer.Write(message[i : i+1])
		n.Settle()
		if want := min(1, len(message)-1-i); p.partials.Len() != want {
			t.Fatalf("after byte %d there are %d parsers, want %d", i, p.partials.Len(), want)
		}
	}
	if got := peer.Read(); string(got) != "\x81\x05hello" {
		t.Errorf("got %q", got)
	}
	if p.budgets.Len() != 1 {
		t.Errorf("%d budgets, want one", p.budgets.Len())
	}
	n.Advance(31 * time.Second)
	if p.budgets.Len() != 0 {
		t.Error("the budget was kept")
	}
	peer.Write(message[:3])
	n.Settle()
	peer.Reset()
	n.Settle()
	if p.partials.Len() != 0 || p.sessions.Len() != 0 {
		t.Errorf("%d parsers and %d sessions are left", p.partials.Len(), p.sessions.Len())
	}
}

// A panic in one connection's message must not show in another's.
func TestPanic(t *testing.T) {
	n, p := node(t, 0, config)
	a, b := open(n, p, frame.NoWindow), open(n, p, frame.NoWindow)
	a.Write(append(masked(frame.OpText, "panic"), 0x81, 0x85, 1))
	b.Write(masked(frame.OpText, "fine"))
	n.Settle()
	if got := b.Read(); string(got) != "\x81\x04fine" {
		t.Errorf("got %q", got)
	}
	if !a.Closed() || b.Closed() || n.Reasons[0] != netpoll.ReasonPanic {
		t.Errorf("closed: %v, %v; reasons %v", a.Closed(), b.Closed(), n.Reasons)
	}
	if p.partials.Len() != 0 || p.sessions.Len() != 1 {
		t.Errorf("%d parsers and %d sessions are left", p.partials.Len(), p.sessions.Len())
	}
}

// A client that sends requests and does not read the answers is not read any more, its pending
// output is bounded, and it is read again as soon as it reads.
func TestBackPressure(t *testing.T) {
	cfg := config
	cfg.Rate = 0
	n, p := node(t, 0, cfg)
	peer := open(n, p, frame.NoWindow)
	peer.SetWindow(0)
	most := 0
	for range 50 {
		peer.Write(masked(frame.OpText, strings.Repeat("x", 90)))
		peer.Write(masked(frame.OpText, strings.Repeat("x", 90)))
		n.Turn()
		most = max(most, peer.Conn().Pending())
	}
	if most < cfg.OutboxBytesMax*5/4 || most > cfg.OutboxBytesMax*5/4+200 {
		t.Errorf("it was owed %d bytes at most", most)
	}
	peer.SetWindow(-1)
	n.Settle()
	if got := peer.Read(); len(got) != 100*92 {
		t.Errorf("it got %d bytes of echo, want %d", len(got), 100*92)
	}
}

// Replies to one read that exceed the outbox end the connection.
func TestRepliesThatAreTooMuch(t *testing.T) {
	cfg := config
	cfg.Rate = 0
	n, p := node(t, 0, cfg)
	peer := open(n, p, frame.NoWindow)
	peer.Write(bytes.Repeat(masked(frame.OpText, "fill me"), 100))
	n.Settle()
	got := peer.Read()
	want := frame.AppendClose(nil, frame.CodeTryLater, "slow consumer")
	if !bytes.HasSuffix(got, want) || len(got) < RepliesBytesMin || len(got) > RepliesBytesMin+200<<10 {
		t.Errorf("got %d bytes that end in %q", len(got), got[max(0, len(got)-20):])
	}
}

// A peer that reads its backlog, however slowly, is alive, even if its pongs are not read; one that
// stops is not.
func TestHeartbeatUnderBackPressure(t *testing.T) {
	n, p := node(t, 0, config)
	peer := open(n, p, frame.NoWindow)
	peer.SetWindow(0)
	for range 15 {
		peer.Write(masked(frame.OpText, strings.Repeat("x", 90)))
		n.Turn()
	}
	for range 20 {
		n.Advance(5 * time.Second)
		peer.SetWindow(10)
	}
	if peer.Conn() == nil || peer.Conn().Closing() {
		t.Fatalf("it was given up: %v", n.Reasons)
	}
	n.Advance(60 * time.Second)
	if c := peer.Conn(); c != nil && !c.Closing() {
		t.Error("it was kept for a minute without taking a byte")
	}
}

// The heartbeats of connections that come at one moment, and speak at one moment, are spread.
func TestHeartbeatsAreSpread(t *testing.T) {
	const peers = 100
	n, p := node(t, 0, config)
	var all []*netpolltest.Peer
	for range peers {
		all = append(all, open(n, p, frame.NoWindow))
	}
	pinged := func(d time.Duration) (n2 int) {
		n.Advance(d)
		for _, peer := range all {
			if got := peer.Read(); len(got) > 0 {
				if string(got) != string(pingFrame) {
					t.Fatalf("got %q", got)
				}
				n2++
				peer.Write(masked(frame.OpPong, ""))
			}
		}
		n.Settle()
		return n2
	}
	if early := pinged(14 * time.Second); early != 0 {
		t.Errorf("%d pings in the first 14 s", early)
	}
	var slices []int
	for range 8 {
		slices = append(slices, pinged(2100*time.Millisecond))
	}
	for _, k := range slices[:7] {
		if k > peers/3 {
			t.Errorf("pings come in bursts: %v", slices)
		}
	}
	total := 0
	for _, k := range slices {
		total += k
	}
	if total != peers {
		t.Errorf("%d of %d were pinged in the first interval: %v", total, peers, slices)
	}

	for _, peer := range all {
		peer.Write(masked(frame.OpPong, ""))
	}
	n.Settle()
	if k := pinged(26 * time.Second); k != 0 {
		t.Errorf("%d pings to connections that spoke 26 s ago", k)
	}
	if k := pinged(2 * time.Second); k < peers/4 || k > peers*3/4 {
		t.Errorf("%d of %d pings come in the first half of the spread", k, peers)
	}
}

func TestBudget(t *testing.T) {
	a := messageAllowance(10, 5)
	var full time.Duration
	now := time.Hour
	spend := func() (n int) {
		for a.spend(&full, now, 100) {
			n++
		}
		return n
	}
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{0, 5}, {0, 0}, {99 * time.Millisecond, 0}, {time.Millisecond, 1}, {250 * time.Millisecond, 2}, {50 * time.Millisecond, 1}, {time.Hour, 5}} {
		now += step.wait
		if got := spend(); got != step.want {
			t.Errorf("%v later there are %d tokens, want %d", step.wait, got, step.want)
		}
	}
}

// Bytes come back at their rate; a second of them may come at once, or the largest message.
func TestByteBudget(t *testing.T) {
	for _, tt := range []struct {
		rate, largest int
		step          time.Duration
		n             int
		want          bool
	}{
		{1000, 100, 0, 1000, true}, {1000, 100, 0, 1001, false}, {1000, 5000, 0, 5000, true}, {1000, 5000, 0, 5001, false},
		{1000, 100, 100 * time.Millisecond, 100, true}, {1000, 100, 100 * time.Millisecond, 101, false},
		{1 << 40, 1 << 30, 0, 1 << 30, true}, {3, 1, time.Second / 3, 1, true}, {0, 100, 0, 1 << 30, true},
	} {
		a := byteAllowance(tt.rate, tt.largest)
		full, now := time.Duration(0), time.Hour
		if tt.step > 0 && !a.spend(&full, now, max(tt.rate, tt.largest)) {
			t.Fatal("the burst is refused")
		}
		if got := a.spend(&full, now+tt.step, tt.n); got != tt.want {
			t.Errorf("%d/s, %d bytes, %v after the burst: %v", tt.rate, tt.n, tt.step, got)
		}
	}
}

func TestMessageAllowance(t *testing.T) {
	for _, tt := range []struct {
		rate       float64
		burst      int
		each, full time.Duration
	}{
		{0, 0, 0, 0},
		{10, 5, 100 * time.Millisecond, 500 * time.Millisecond},
		{0.5, 1, 2 * time.Second, 2 * time.Second},
		{1e9, 1, 1, 1},
		{1e-9, 1 << 24, 1000 * time.Hour, 2000 * time.Hour},
	} {
		if a := messageAllowance(tt.rate, tt.burst); a.Cost(7) != tt.each || a.Full != tt.full {
			t.Errorf("%v/s, %d: %v and %v, want %v and %v", tt.rate, tt.burst, a.Cost(7), a.Full, tt.each, tt.full)
		}
	}
}

func TestAppendDeflated(t *testing.T) {
	for _, tt := range []struct {
		payload    string
		window     frame.Window
		compressed bool
	}{
		{"", frame.WindowFull, false},
		{strings.Repeat("x", DeflateBytesMin-1), frame.WindowFull, false},
		{strings.Repeat("x", DeflateBytesMin), frame.WindowFull, true},
		{strings.Repeat("x", DeflateBytesMin), frame.WindowNarrow, true},
		{strings.Repeat("x", DeflateBytesMin), frame.NoWindow, false},
		{strings.Repeat("hello ", 20000), frame.WindowFull, true},
		{strings.Repeat("hello ", 20000), frame.WindowNarrow, true},
	} {
		got := AppendDeflated([]byte("before"), frame.OpBinary, []byte(tt.payload), tt.window)
		var r frame.Reader
		m, rest, err := r.Next(&frame.Options{Client: true, Deflate: true, MessageBytesMax: 1 << 20}, got[len("before"):])
		if err != nil || len(rest) > 0 || string(m.Payload) != tt.payload || m.Compressed != tt.compressed || m.Op != frame.OpBinary {
			t.Errorf("%d bytes, window %d: they came back as %d, compressed %v (%v)", len(tt.payload), tt.window, len(m.Payload), m.Compressed, err)
		}
	}
}

func TestCounters(t *testing.T) {
	cfg := config
	cfg.Counters = &Counters{}
	n, p := node(t, 0, cfg)
	peer := open(n, p, frame.NoWindow)
	peer.Write(append(masked(frame.OpText, "hello"), masked(frame.OpPing, "x")...))
	n.Settle()
	if want := (Counters{MessagesReceived: 1, BytesReceived: 5, MessagesSent: 1}); *cfg.Counters != want {
		t.Errorf("%+v, want %+v", *cfg.Counters, want)
	}
}

// A message that lies whole in what was read costs no allocation between the reactor and the reply.
func TestMessagesDoNotAllocate(t *testing.T) {
	cfg := config
	cfg.Rate = 1 << 30
	p := &quiet{}
	p.Endpoint = New(cfg, p)
	n := prototest.NewNode(t, prototest.Options{
		Encoders: []broadcast.Encoder{func(dst []byte, _ *broadcast.Message) []byte { return dst }},
		Handlers: func(*prototest.Node) (hs [netpoll.RolesMax]netpoll.Handler) { hs[1] = p; return hs },
	})
	peer := n.Connect(1)
	n.Do(peer, func(l *netpoll.Loop, c *netpoll.Conn) {
		p.sessions.Alloc()
		c.SetSession(1)
		p.Start(l, c, frame.NoWindow)
		message := append(masked(frame.OpText, "hello"), masked(frame.OpBinary, "world")...)
		buf := make([]byte, len(message))
		run := func() { p.OnData(l, c, buf[:copy(buf, message)]) }
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
	if p.messages < 200 {
		t.Errorf("%d messages", p.messages)
	}
}

// quiet is a protocol that counts.
type quiet struct {
	*Endpoint
	sessions netpoll.Slab[State]
	messages int
}

func (q *quiet) State(c *netpoll.Conn) *State                               { return q.sessions.At(c.Session()) }
func (q *quiet) Free(c *netpoll.Conn)                                       {}
func (q *quiet) Message(_ *netpoll.Loop, _ *netpoll.Conn, _ *frame.Message) { q.messages++ }
