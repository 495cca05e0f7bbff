package socketio

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// emit logs a packet as a broadcast does, and returns its offset.
func emit(t testing.TB, g *recoveryLog, text string, rooms, except []string) (offset string) {
	t.Helper()
	err := g.append(0, func(o string) (*outgoing, error) {
		offset = o
		return &outgoing{text: []byte(text)}, nil
	}, rooms, except)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

// enter joins a socket, and returns the packets that it missed.
func enter(g *recoveryLog, s *Socket) (missed []string) {
	outs, _ := g.join(s, func() { s.state = socketConnected })
	for _, out := range outs {
		missed = append(missed, string(out.text))
	}
	return missed
}

// back makes a socket of a client that reconnects with a private id, and with an offset if it has
// one.
func back(g *recoveryLog, pid string, offset ...string) (*Socket, bool) {
	auth := map[string]string{"pid": pid}
	if len(offset) > 0 {
		auth["offset"] = offset[0]
	}
	p, _ := json.Marshal(auth)
	s := &Socket{id: "new"}
	return s, g.claim(s, p)
}

func newLog(o Recovery) (*recoveryLog, *Socket) {
	io := New(Options{Recovery: &o})
	g := io.root.log
	s := &Socket{nsp: io.root, id: "old", own: &clientState{rooms: []string{"r"}}, data: 17}
	enter(g, s)
	return g, s
}

func TestRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newLog(Recovery{})
		emit(t, g, "a", nil, nil)
		last := emit(t, g, "b", nil, nil)
		s.markLeft(ReasonTransportClose)
		emit(t, g, "c", nil, nil)
		emit(t, g, "to r", []string{"x", "r"}, nil)
		emit(t, g, "to x", []string{"x"}, nil)
		emit(t, g, "to old", []string{"old"}, nil)
		emit(t, g, "not to r", nil, []string{"r"})
		emit(t, g, "not to old", nil, []string{"old"})
		time.Sleep(time.Minute)
		n, ok := back(g, s.more.pid, last)
		if !ok || n.id != "old" || n.data != 17 || !n.recovered {
			t.Fatalf("%t, %+v", ok, n)
		}
		if got := fmt.Sprint(enter(g, n)); got != "[c to r to old]" {
			t.Errorf("missed %s", got)
		}
		if n.more.pid != s.more.pid {
			t.Error("another private id")
		}
		if _, again := back(g, s.more.pid, last); again {
			t.Error("a session was given twice")
		}
	})
}

func TestRecoveryRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		o      Recovery
		reason Reason
		away   time.Duration
		emit   int
		pid    string
		offset []string
		forged bool // offset is sent unchanged
		want   bool
	}{
		"in time":                        {away: time.Minute, emit: 1, offset: []string{"1"}, want: true},
		"without an offset":              {away: time.Minute, emit: 1, want: true},
		"too late":                       {away: 3 * time.Minute, offset: []string{"1"}},
		"left by itself":                 {reason: ReasonClient, offset: []string{"1"}},
		"was disconnected":               {reason: ReasonServer, offset: []string{"1"}},
		"unknown":                        {pid: "unknown", offset: []string{"1"}},
		"an offset that is none":         {offset: []string{"€"}},
		"an offset of the future":        {offset: []string{"zzz"}},
		"an offset that is too large":    {offset: []string{strings.Repeat("z", 30)}},
		"a number without a proof":       {away: time.Minute, emit: 1, offset: []string{"1"}, forged: true},
		"a proof of another number":      {away: time.Minute, emit: 1, offset: []string{"2-" + strings.Repeat("A", 11)}},
		"what it missed is not kept":     {o: Recovery{LogBytesMax: 2000}, emit: 50, offset: []string{"1"}},
		"and without an offset":          {o: Recovery{LogBytesMax: 2000}, emit: 50},
		"it missed only what is kept":    {o: Recovery{LogBytesMax: 2000}, emit: 3, offset: []string{"1"}, want: true},
		"another duration":               {o: Recovery{MaxDisconnection: time.Hour}, away: 59 * time.Minute, emit: 2, offset: []string{"1"}, want: true},
		"what was kept is too old by it": {o: Recovery{MaxDisconnection: time.Second}, away: 2 * time.Second, emit: 2, offset: []string{"1"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, s := newLog(tt.o)
				emit(t, g, "1", nil, nil)
				if tt.reason == "" {
					tt.reason = ReasonPingTimeout
				}
				s.markLeft(tt.reason)
				for range tt.emit {
					emit(t, g, "x", nil, nil)
				}
				time.Sleep(tt.away)
				if tt.pid == "" {
					tt.pid = s.more.pid
				}
				offset := slices.Clone(tt.offset)
				if len(offset) > 0 && offset[0] == "1" && !tt.forged {
					offset[0] = g.offsetOf(1)
				}
				if _, ok := back(g, tt.pid, offset...); ok != tt.want {
					t.Errorf("recovered: %t", ok)
				}
			})
		})
	}
}

// A client whose last packet is no longer in the log has missed nothing if it was idle, and is
// recovered. A client whose connection may have been broken when a removed packet was sent is not
// recovered.
func TestRecoveryOfIdleClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := newLog(Recovery{})
		last := emit(t, g, "long ago", nil, nil)
		for range 100 {
			time.Sleep(10 * time.Minute)
			emit(t, g, "to others", []string{"x"}, nil)
		}
		if g.dropped == 0 {
			t.Fatal("the log has everything")
		}
		time.Sleep(time.Hour)
		s.markLeft(ReasonTransportClose)
		emit(t, g, "missed", nil, nil)
		n, ok := back(g, s.more.pid, last)
		if got := fmt.Sprint(enter(g, n)); !ok || got != "[missed]" {
			t.Errorf("recovered: %t, missed %s", ok, got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		g, s := newLog(Recovery{LogBytesMax: 2000})
		last := emit(t, g, "the last that arrived", nil, nil)
		for range 100 {
			emit(t, g, "in the last seconds before the end was noticed", nil, nil)
		}
		s.markLeft(ReasonPingTimeout)
		if _, ok := back(g, s.more.pid, last); ok {
			t.Error("recovered, and may have missed something")
		}
	})
}

func TestRecoveryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newLog(Recovery{LogBytesMax: 10_000, SessionsMax: 10})
		for range 1000 {
			emit(t, g, strings.Repeat("x", 100), nil, nil)
		}
		if g.bytes > 10_000 || len(g.entries) > 10_000/100 {
			t.Errorf("%d bytes in %d entries", g.bytes, len(g.entries))
		}
		for i := range 100 {
			s := &Socket{nsp: &Namespace{log: g}, id: fmt.Sprint(i)}
			enter(g, s)
			s.markLeft(ReasonTransportClose)
		}
		if len(g.sessions) != 10 || len(g.leaving) != 10 {
			t.Errorf("%d sessions, %d in the queue", len(g.sessions), len(g.leaving))
		}
		time.Sleep(time.Hour)
		s := &Socket{nsp: &Namespace{log: g}}
		enter(g, s)
		s.markLeft(ReasonTransportClose)
		emit(t, g, "x", nil, nil)
		if len(g.sessions) != 1 || len(g.entries) != 1 {
			t.Errorf("an hour later: %d sessions, %d entries", len(g.sessions), len(g.entries))
		}
	})
}

// A client cannot get packets that were sent before it joined, whatever offset it sends; nor, after
// it was recovered, packets before the offset that it sent then.
func TestRecoveryStartsAtJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newLog(Recovery{})
		early := emit(t, g, "of before", nil, nil)
		s := &Socket{nsp: &Namespace{log: g}, id: "late"}
		enter(g, s)
		seen := emit(t, g, "seen", nil, nil)
		emit(t, g, "lost on the way", nil, nil)
		s.markLeft(ReasonTransportClose)
		n, ok := back(g, s.more.pid, seen)
		if !ok {
			t.Fatal("not recovered")
		}
		n.nsp = s.nsp
		if got := fmt.Sprint(enter(g, n)); got != "[lost on the way]" {
			t.Errorf("missed %s", got)
		}
		// The connection breaks before any of that has arrived.
		n.markLeft(ReasonTransportClose)
		again, ok := back(g, n.more.pid, seen)
		if got := fmt.Sprint(enter(g, again)); !ok || got != "[lost on the way]" {
			t.Errorf("recovered: %t, missed %s", ok, got)
		}
		again.nsp = s.nsp
		again.markLeft(ReasonTransportClose)
		if _, ok := back(g, again.more.pid, early); ok {
			t.Error("recovered from a position of before it joined")
		}
	})
}

// A volatile event that ends in a string, which may be its name, has an offset too: the client
// would take the string for one.
func TestVolatileKeepsThePosition(t *testing.T) {
	io := New(Options{Loops: 1, Recovery: &Recovery{}})
	sockets := make(chan *Socket, 1)
	io.OnConnection(func(s *Socket) { sockets <- s })
	c := dial(t, mount(t, io)).join()
	s := <-sockets
	for _, err := range []error{
		io.Emit("kept"), s.Volatile().Emit("tick"), s.Volatile().Emit("n", 1), io.All().Volatile().Emit("text", "x"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	kept := c.read()
	offset := strings.TrimSuffix(strings.TrimPrefix(kept, `42["kept","`), `"]`)
	for _, want := range []string{`42["tick","` + offset + `"]`, `42["n",1]`, `42["text","x","` + offset + `"]`} {
		if got := c.read(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
