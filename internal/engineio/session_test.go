// Tests of sessions that need more than a transcript.

package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"c100k/frame"
	"c100k/internal/prototest"
	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// What an idle client costs here, beside a connection's record of 48 bytes; one that polls has a
// second one, its anchor.
func TestRecordsAreSmall(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 80 {
		t.Errorf("a Session has %d bytes", n)
	}
	if n := unsafe.Sizeof(exchange{}); n > 96 {
		t.Errorf("an exchange has %d bytes", n)
	}
}

// open begins a session over polling and returns its id, and the connection.
func (r *rig) open(query string) (sid string, p *netpolltest.Peer) {
	r.t.Helper()
	p = r.Connect(roleHead)
	answer := r.ask(p, request("GET", "transport=polling&"+query, "", ""))
	_, rest, ok := strings.Cut(answer, `"sid":"`)
	if !ok {
		r.t.Fatalf("not opened: %q", answer)
	}
	return rest[:idChars], p
}

// openSocket begins a session over WebSocket.
func (r *rig) openSocket(query, fields string) *netpolltest.Peer {
	r.t.Helper()
	p := r.Connect(roleHead)
	answer := r.ask(p, request("GET", "transport=websocket&"+query, fields+" Connection:Upgrade Upgrade:websocket Sec-WebSocket-Version:13 Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==", ""))
	if !strings.HasPrefix(answer, "HTTP/1.1 101") {
		r.t.Fatalf("not opened: %q", answer)
	}
	return p
}

func (r *rig) ask(p *netpolltest.Peer, request []byte) string {
	p.Write(request)
	r.Settle()
	return string(p.Read())
}

func (r *rig) post(p *netpolltest.Peer, sid, body string) string {
	return r.ask(p, request("POST", "EIO=4&transport=polling&sid="+sid, fmt.Sprintf("Content-Length:%d", len(body)), body))
}

func masked(op frame.OpCode, payload string) []byte {
	return frame.AppendMasked(nil, op, true, [4]byte{1, 2, 3, 4}, []byte(payload))
}

// One client after the other: nothing is left of them.
func TestNothingIsLeft(t *testing.T) {
	for _, seed := range []uint64{0, 1, 2, 3} {
		r := newRig(t, seed, config)
		var peers []*netpolltest.Peer
		for i := range 30 {
			sid, a := r.open("EIO=4")
			b := r.Connect(roleHead)
			a.Write(request("GET", "EIO=4&transport=polling&sid="+sid, "", ""))
			r.Settle()
			w := r.Connect(roleHead)
			if i%3 == 0 {
				w.Write(r.frame("upgrade", "EIO=4&transport=websocket&sid="+sid))
				w.Write(masked(frame.OpText, "2probe"))
				r.Settle()
			}
			if i%6 == 0 {
				w.Write(masked(frame.OpText, "5"))
			}
			r.post(b, sid, "4hello")
			if i%2 == 0 {
				r.post(b, sid, "4!bye")
			}
			peers = append(peers, a, b, w, r.openSocket("EIO=4", ""))
		}
		for i, p := range peers {
			if i%2 == 0 {
				p.Reset()
			} else {
				p.CloseWrite()
			}
		}
		r.Settle()
		r.Advance(2 * time.Minute)
		if n := r.e.sessions.Len() + r.e.exchanges.Len() + r.e.queues.Len() + len(r.e.ready) + r.Len() + int(r.e.QueuedBytes()); n != 0 {
			t.Errorf("seed %d: %d sessions, %d exchanges, %d queues, %d connections are left", seed,
				r.e.sessions.Len(), r.e.exchanges.Len(), r.e.queues.Len(), r.Len())
		}
		opened, closed := 0, 0
		for _, line := range r.log {
			if strings.HasPrefix(line, "opened") {
				opened++
			} else if strings.HasPrefix(line, "closed") {
				closed++
			}
		}
		if opened != 60 || closed != opened {
			t.Errorf("seed %d: %d opened, %d closed", seed, opened, closed)
		}
	}
}

// The loop is stopped with sessions in all states.
func TestStop(t *testing.T) {
	r := newRig(t, 0, config)
	sid, a := r.open("EIO=4")
	a.Write(request("GET", "EIO=4&transport=polling&sid="+sid, "", ""))
	w := r.Connect(roleHead)
	w.Write(r.frame("upgrade", "EIO=4&transport=websocket&sid="+sid))
	w.Write(masked(frame.OpText, "2probe"))
	r.Settle()
	upgraded, _ := r.open("EIO=4")
	v := r.Connect(roleHead)
	v.Write(r.frame("upgrade", "EIO=4&transport=websocket&sid="+upgraded))
	v.Write(masked(frame.OpText, "5"))
	r.Settle()
	r.openSocket("EIO=4", "")
	r.Loop.Stop()
	if n := r.e.sessions.Len() + r.e.exchanges.Len() + r.e.queues.Len(); n != 0 {
		t.Errorf("%d records are left", n)
	}
	if got := strings.Count(strings.Join(r.log, "\n"), "closed"); got != 3 {
		t.Errorf("heard %q", r.log)
	}
}

// A POST of a million separators is a million packets that are none: the first ends the session.
func TestFloodOfSeparators(t *testing.T) {
	cfg := config
	cfg.PayloadBytesMax = 1 << 20
	for _, body := range []string{
		strings.Repeat("\x1e", 1_000_000),
		strings.Repeat("6\x1e", 500_000),
		"4!mute" + strings.Repeat("\x1e4!mute", 100_000),
	} {
		r := newRig(t, 0, cfg)
		sid, _ := r.open("EIO=4")
		p := r.Connect(roleHead)
		got := r.post(p, sid, body)
		r.Advance(2 * OvertakenTimeout)
		if got += string(p.Read()); !strings.HasSuffix(got, "ok") {
			t.Errorf("answered %q", got)
		}
		if last := r.log[len(r.log)-1]; body[0] != '4' && last != "closed parse error" {
			t.Errorf("heard %q", last)
		}
		if n := r.e.queues.Len(); n > 1 {
			t.Errorf("%d queues", n)
		}
	}
}

// Numbers of clients that ask for more than they fetch.
func TestOwedTooMuch(t *testing.T) {
	cfg := config
	cfg.PayloadBytesMax, cfg.OutboxBytesMax = 300<<10, 1000
	r := newRig(t, 0, cfg)
	sid, p := r.open("EIO=4")
	for range 10 {
		r.post(p, sid, "4"+strings.Repeat("x", 200<<10))
	}
	if last := r.log[len(r.log)-1]; last != "closed transport error" {
		t.Errorf("heard %.60q", last)
	}
	if r.e.queues.Len() != 0 {
		t.Error("what it was owed is kept")
	}
}

// TestOvertakenIsForgotten: whatever becomes of a POST that waits for the GET that it has
// overtaken, nothing of its session is left.
func TestOvertakenIsForgotten(t *testing.T) {
	for name, end := range map[string]func(r *rig, sid string, post *netpolltest.Peer){
		"no GET comes":       func(r *rig, _ string, _ *netpolltest.Peer) { r.Advance(2 * OvertakenTimeout) },
		"the POST hangs up":  func(_ *rig, _ string, post *netpolltest.Peer) { post.Reset() },
		"the node goes down": func(r *rig, _ string, _ *netpolltest.Peer) { r.Loop.Stop() },
		"a GET comes": func(r *rig, sid string, _ *netpolltest.Peer) {
			r.ask(r.Connect(roleHead), request("GET", "EIO=4&transport=polling&sid="+sid, "", ""))
		},
		"a WebSocket probes": func(r *rig, sid string, _ *netpolltest.Peer) {
			r.ask(r.Connect(roleHead), r.frame("upgrade", "EIO=4&transport=websocket&sid="+sid))
			r.Advance(2 * OvertakenTimeout)
		},
		"it did before, too": func(r *rig, _ string, _ *netpolltest.Peer) { r.Advance(time.Minute) },
	} {
		r := newRig(t, 0, config)
		sid, _ := r.open("EIO=4")
		if name == "it did before, too" {
			w := r.Connect(roleHead)
			w.Write(r.frame("upgrade", "EIO=4&transport=websocket&sid="+sid))
			w.Write(masked(frame.OpText, "2probe"))
			r.Settle()
		}
		post := r.Connect(roleHead)
		r.post(post, sid, "1")
		if last := r.log[len(r.log)-1]; last != "closed transport close" {
			t.Errorf("%s: heard %q", name, last)
		}
		end(r, sid, post)
		r.Settle()
		if n := r.e.sessions.Len() + r.e.exchanges.Len() + r.e.queues.Len(); n != 0 {
			t.Errorf("%s: %d records are left", name, n)
		}
		if got := strings.Count(strings.Join(r.log, "\n"), "closed"); got != 1 {
			t.Errorf("%s: heard %q", name, r.log)
		}
	}
}

func TestRateOverPolling(t *testing.T) {
	cfg := config
	cfg.Rate, cfg.RateBurst = 1, 3
	r := newRig(t, 0, cfg)
	sid, p := r.open("EIO=4")
	r.post(p, sid, "4a\x1e4b\x1e4c\x1e4d\x1e4e")
	if got := strings.Join(r.log, "|"); got != "opened 4 polling|text a|text b|text c|closed transport error" {
		t.Errorf("heard %s", got)
	}
	r.Advance(2 * OvertakenTimeout)
	if n := r.e.sessions.Len() + r.e.exchanges.Len(); n != 0 {
		t.Errorf("%d records are left", n)
	}
}

func TestHooks(t *testing.T) {
	cfg := config
	var labels []string
	draining := false
	cfg.Refused = func(label string) { labels = append(labels, label) }
	cfg.Draining = func() bool { return draining }
	cfg.Use = func(r *Request) error {
		if r.Header("x-bad") != "" {
			return errors.New("no")
		}
		return nil
	}
	cfg.Allow = func(r *Request) error {
		if r.Query("token") != "a b" {
			return fmt.Errorf("token %q of %s?", r.Query("token"), r.Host())
		}
		names := ""
		r.EachHeader(func(name, value []byte) { names += string(name) + "=" + string(value) + ";" })
		if names != "Host=node;X-Forwarded-Proto=https;" || !r.Secure() || r.CrossOrigin() {
			t.Errorf("header %q, secure %v, cross origin %v", names, r.Secure(), r.CrossOrigin())
		}
		if r.URL() != "/socket.io/?EIO=4&transport=polling&token=a+b" || r.Method() != "GET" || r.Version != 4 || !r.Handshake {
			t.Errorf("%+v %s %s", r, r.URL(), r.Method())
		}
		return nil
	}
	r := newRig(t, 0, cfg)
	p := r.Connect(roleHead)
	for _, tt := range []struct{ query, fields, want string }{
		{"EIO=4&transport=polling&token=a+b", "X-Forwarded-Proto:https", `"upgrades"`},
		{"EIO=4&transport=polling&token=%22", "", `{"code":4,"message":"token \"\\\"\" of node?"}`},
		{"EIO=4&transport=polling&token=a+b", "X-Bad:1", `{"code":3,"message":"Bad request"}`},
		{"EIO=4&transport=polling&token=%", "", `{"code":3,"message":"Bad request"}`},
	} {
		if got := r.ask(p, request("GET", tt.query, tt.fields, "")); !strings.Contains(got, tt.want) {
			t.Errorf("%s %s: %q", tt.query, tt.fields, got)
		}
	}
	draining = true
	if got := r.ask(p, request("GET", "EIO=4&transport=polling&token=a+b", "", "")); !strings.HasPrefix(got, "HTTP/1.1 503") {
		t.Errorf("while draining: %q", got)
	}
	if got := strings.Join(labels, " "); got != "forbidden bad_handshake bad_handshake draining" {
		t.Errorf("refused: %s", got)
	}
}

func TestCompression(t *testing.T) {
	cfg := config
	cfg.Compress = true
	r := newRig(t, 0, cfg)
	r.openSocket("EIO=4", "Sec-WebSocket-Extensions:permessage-deflate")
	if r.last.Form() != FormV4Deflated {
		t.Errorf("form %d", r.last.Form())
	}
	r.openSocket("EIO=4", "Sec-WebSocket-Extensions:permessage-deflate;server_max_window_bits=10")
	if r.last.Form() != FormV4Narrow {
		t.Errorf("form %d for a smaller window", r.last.Form())
	}
	p := r.openSocket("EIO=4", "Sec-WebSocket-Extensions:permessage-deflate")
	text := "4" + strings.Repeat("again ", 200)
	p.Write(masked(frame.OpText, text))
	r.Settle()
	got := p.Read()
	var reader frame.Reader
	m, rest, err := reader.Next(&frame.Options{Client: true, Deflate: true}, got)
	if err != nil || string(m.Payload) != text || !m.Compressed || len(rest) != 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	// One that began with polling stays with plain frames: they are what it queues.
	sid, _ := r.open("EIO=4")
	w := r.Connect(roleHead)
	w.Write(r.frame("upgrade", "EIO=4&transport=websocket&sid="+sid+" Sec-WebSocket-Extensions:permessage-deflate"))
	w.Write(masked(frame.OpText, "5"))
	w.Write(masked(frame.OpText, text))
	r.Settle()
	if got := w.Read(); !bytes.HasSuffix(got, frame.AppendFrame(nil, frame.OpText, []byte(text))) {
		t.Errorf("got %d bytes", len(got))
	}
}

// What the layer above may ask and do, from its own callbacks.
func TestSessionsAsTheAppSeesThem(t *testing.T) {
	r := newRig(t, 0, config)
	sid, p := r.open("EIO=4")
	s := r.last
	id := s.ID()
	r.on(func(l *netpoll.Loop) {
		if r.e.Lookup(l, id) != s || r.e.SID(s) != sid || s.Version() != 4 || s.Transport() != TransportPolling || s.Form() != FormV4 {
			t.Errorf("%+v is not what was opened", s)
		}
		s.SetValue(7)
		if r.e.Writable(l, s) {
			t.Error("writable without a poll")
		}
		r.e.SendText(l, s, []byte("one"))
		r.e.SendShared(l, s, AppendMessage(nil, FormV4, []byte("two"), []byte{2}))
		r.e.SendShared(l, s, AppendBinary(nil, s.Form(), []byte{3}))
		if n := r.e.Pending(l, s); n != 6+6+3+3 {
			t.Errorf("%d bytes are pending", n)
		}
	})
	if got := r.ask(p, request("GET", "EIO=4&transport=polling&sid="+sid, "", "")); !strings.HasSuffix(got, "\r\n4one\x1e4two\x1ebAg==\x1ebAw==") {
		t.Errorf("got %q", got)
	}
	p.Write(request("GET", "EIO=4&transport=polling&sid="+sid, "", ""))
	r.Settle()
	w := r.openSocket("EIO=4", "")
	r.on(func(l *netpoll.Loop) {
		if !r.e.Writable(l, s) || !r.e.Writable(l, r.last) {
			t.Error("not writable")
		}
		seen := 0
		r.e.Each(l, func(s *Session) bool { seen++; return true })
		if seen != 2 || s.Value() != 7 {
			t.Errorf("%d sessions, value %d", seen, s.Value())
		}
		w.SetWindow(0)
		r.e.SendText(l, r.last, []byte("stuck"))
	})
	r.on(func(l *netpoll.Loop) {
		if r.e.Writable(l, r.last) || r.e.Pending(l, r.last) != 2+6 {
			t.Error("a WebSocket that takes nothing is writable")
		}
		r.e.PauseRead(l, r.last)
		r.e.Close(l, s, ReasonForcedClose, 0, "")
		r.e.Close(l, s, ReasonForcedClose, 0, "")
		r.e.SendText(l, s, []byte("late"))
		if r.e.Lookup(l, id) != nil || r.e.Writable(l, s) {
			t.Error("it is still there")
		}
	})
	if got := string(p.Read()); !strings.HasSuffix(got, "\r\n1") {
		t.Errorf("got %q", got)
	}
}

// on runs f on the loop and settles.
func (r *rig) on(f func(l *netpoll.Loop)) {
	r.Remote().Post(f)
	r.Settle()
}

// A client that takes what it is owed, however slowly, is alive: the ping is behind that.
func TestHeartbeatBehindABacklog(t *testing.T) {
	r := newRig(t, 0, config)
	p := r.openSocket("EIO=4", "")
	p.SetWindow(10)
	r.on(func(l *netpoll.Loop) { r.e.SendText(l, r.last, bytes.Repeat([]byte("x"), 1000)) })
	for range 12 {
		r.Advance(10 * time.Second)
		p.SetWindow(10)
		r.Settle()
	}
	if p.Conn() == nil {
		t.Fatalf("closed: %q", r.log)
	}
	r.Advance(25 * time.Second)
	if last := r.log[len(r.log)-1]; last != "closed ping timeout" {
		t.Errorf("heard %q", last)
	}
}

// A panic of the layer above costs the session that it was called for.
func TestPanic(t *testing.T) {
	r := newRig(t, 0, config)
	sid, p := r.open("EIO=4")
	other, q := r.open("EIO=4")
	r.post(p, sid, "4!panic")
	if !p.Closed() || r.log[len(r.log)-1] != "closed transport error" {
		t.Errorf("heard %q", r.log)
	}
	if got := r.post(q, other, "4fine"); !strings.HasSuffix(got, "ok") {
		t.Errorf("the other got %q", got)
	}
	w := r.openSocket("EIO=4", "")
	w.Write(masked(frame.OpText, "4!panic"))
	r.Settle()
	if !w.Closed() || r.log[len(r.log)-1] != "closed transport error" {
		t.Errorf("heard %q", r.log)
	}
}

// A request of another loop's session goes there as it came, but not before the answer in front of
// it is out.
func TestMove(t *testing.T) {
	cfg := config
	cfg.Loop, cfg.Process = 1, 2
	var moved []string
	cfg.Move = func(l *netpoll.Loop, c *netpoll.Conn, process, loop uint8, first []byte) bool {
		if process != 2 || loop != 3 {
			return false
		}
		if c.Pending() > 0 {
			t.Error("moved before the answer in front of it was out")
		}
		moved = append(moved, string(first))
		l.Close(c, netpoll.ReasonLocal)
		return true
	}
	r := newRig(t, 0, cfg)
	id := func(process, loop uint8) string {
		return string(appendID(nil, &place{process: process, loop: loop, slot: 1}))
	}
	unknown := request("GET", "EIO=4&transport=polling&sid="+id(2, 4), "", "")
	foreign := request("POST", "EIO=4&transport=polling&sid="+id(2, 3), "Content-Length:5", "4he")
	p := r.Connect(roleHead)
	if got := r.ask(p, unknown); !strings.Contains(got, `"code":1`) {
		t.Errorf("nobody's session: %q", got)
	}
	p.Write(append(bytes.Clone(unknown), foreign...))
	r.Advance(100 * time.Millisecond)
	if got := string(p.Read()); !strings.Contains(got, `"code":1`) {
		t.Errorf("the answer in front: %q", got)
	}
	q := r.Connect(roleHead)
	q.Write(append(append(bytes.Clone(unknown), unknown...), foreign...))
	r.Advance(200 * time.Millisecond)
	if got := string(q.Read()); strings.Count(got, `"code":1`) != 2 {
		t.Errorf("the answers in front: %q", got)
	}
	if len(moved) != 2 || moved[0] != string(foreign) || moved[1] != string(foreign) {
		t.Errorf("moved %q", moved)
	}
}

// Handshakes without anything behind them are bounded, and forgotten.
func TestSessionsMax(t *testing.T) {
	cfg := config
	cfg.SessionsMax = 2
	r := newRig(t, 0, cfg)
	r.open("EIO=4")
	r.open("EIO=4")
	p := r.Connect(roleHead)
	if got := r.ask(p, request("GET", "EIO=4&transport=polling", "", "")); !strings.HasPrefix(got, "HTTP/1.1 503") {
		t.Errorf("beyond the bound: %q", got)
	}
	r.Advance(50 * time.Second)
	r.open("EIO=4")
}

// TestShortTimeouts: a ping timeout of 200 ms is kept to within 5 ms on a loop whose ticks are that
// fine, and so are pings.
func TestShortTimeouts(t *testing.T) {
	cfg := config
	cfg.PingInterval, cfg.PingTimeout = 300*time.Millisecond, 200*time.Millisecond
	for _, transport := range []string{"websocket", "polling"} {
		r := newRig(t, 0, cfg, func(o *prototest.Options) { o.Tick = netpoll.TickMin })
		var p *netpolltest.Peer
		if transport == "websocket" {
			p = r.openSocket("EIO=4", "")
		} else {
			var sid string
			sid, p = r.open("EIO=4")
			p.Write(request("GET", "EIO=4&transport=polling&sid="+sid, "", ""))
			r.Settle()
		}
		// until advances millisecond by millisecond to an event.
		until := func(f func() bool) (d time.Duration) {
			for ; !f() && d < time.Second; d += time.Millisecond {
				r.Advance(time.Millisecond)
			}
			return d
		}
		pinged := until(func() bool { return strings.Contains(string(p.Read()), "2") })
		if least := cfg.PingInterval - cfg.PingInterval/HeartbeatSpread; pinged < least || pinged > cfg.PingInterval+5*time.Millisecond {
			t.Errorf("%s: pinged after %v", transport, pinged)
		}
		closed := until(func() bool { return r.log[len(r.log)-1] == "closed ping timeout" })
		if closed < cfg.PingTimeout || closed > cfg.PingTimeout+5*time.Millisecond {
			t.Errorf("%s: given up %v after the ping", transport, closed)
		}
	}
}
