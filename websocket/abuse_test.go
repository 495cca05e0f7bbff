// Programs and clients that do what they should not.

package websocket

import (
	"fmt"
	"slices"
	"testing"

	"c100k/frame"
	"c100k/netpoll/netpolltest"
)

// What a handler does to a connection that it has closed has no effect, and OnClose is called once.
func TestMethodsAfterClose(t *testing.T) {
	var kept *Conn
	use := func(st *stage, c *Conn) {
		c.Close(1001, "twice")
		c.Terminate()
		c.SetData("after the end")
		results := []Result{c.SendText("a"), c.SendBinary([]byte("b")), c.Send(TextMessage("c")), c.SendPrepared(Prepare(TextMessage("d"))),
			c.SendFragment(Text, []byte("e"), false), c.Ping(nil), c.Pong(nil)}
		if slices.ContainsFunc(results, func(r Result) bool { return r != Dropped }) {
			t.Errorf("sends: %v", results)
		}
		c.Pause()
		c.Resume()
		if err := c.Subscribe("room"); err != ErrClosed || c.Unsubscribe("room") || c.Topics() != nil || c.Buffered() != 0 || !c.Closed() || c.Go(nil) {
			t.Errorf("a method works: Subscribe: %v", err)
		}
		if d := c.Data(); d != nil {
			t.Errorf("data is %v", d)
		}
	}
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			kept = c
			c.SetData(m.Kind)
			c.Close(4000, "once")
			use(st, c)
		})
		st.server.OnClose(func(c *Conn, code int, reason string) { st.note(fmt.Sprint(code, reason, c.Data())) })
	})
	p := st.openConn(t)
	if got := st.says(p, masked(frame.OpText, "x"), masked(frame.OpText, "y")); got != string(frame.AppendClose(nil, 4000, "once")) {
		t.Errorf("got %q", got)
	}
	p.Reset()
	st.Settle()
	use(st, kept)
	if want := []string{"4000oncetext"}; !slices.Equal(st.told, want) || st.server.Conns() != 0 {
		t.Errorf("OnClose heard %q, and there are %d connections", st.told, st.server.Conns())
	}
}

// Nothing of an answer changes when it is decided.
func TestUpgradeAfterDecision(t *testing.T) {
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnUpgrade(func(u *Upgrade) {
			u.SetData("first")
			if err := u.Accept(); err != nil {
				t.Error(err)
			}
			u.SetData("second")
			for _, err := range []error{u.Accept(), u.Refuse(403, ""), u.SetHeader("A", "b"), u.Subprotocol("")} {
				if err != errDecided {
					t.Errorf("error %v", err)
				}
			}
			u.Wait()
		})
		st.server.OnConnection(func(c *Conn, _ *Request) { st.note(c.Data().(string)) })
	})
	st.openConn(t)
	if !slices.Equal(st.told, []string{"first"}) {
		t.Errorf("data %q", st.told)
	}
}

// A handler that waits, has its answer given elsewhere at once, and panics, refuses: with -race,
// the decision has one writer at a time.
func TestUpgradePanicsWhileDecided(t *testing.T) {
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnUpgrade(func(u *Upgrade) {
			u.Wait()
			elsewhere(func() { _ = u.Accept() })
			if u.Request().Header("X") != "" {
				panic("a handler")
			}
		})
	})
	for field, want := range map[string]string{"A: b": "101", "X: y": "500"} {
		if _, head, _ := st.dial(t, field); head[len("HTTP/1.1 "):][:3] != want {
			t.Errorf("with %s the answer is %q", field, head)
		}
	}
}

// What other goroutines want of a loop that does not get to it is bounded in bytes, and goes on
// when the loop has caught up.
func TestOrdersHaveABound(t *testing.T) {
	var c *Conn
	st := newStage(t, 0, Options{SlowConsumer: "drop-newest"}, func(st *stage) {
		st.server.OnConnection(func(conn *Conn, _ *Request) { c = conn })
	})
	p := st.openConn(t)
	id, big := c.ID(), BinaryMessage(make([]byte, 1<<20))
	given := 0
	for st.server.Send(id, big) == nil {
		if given++; given > orderBytesMax>>20 {
			t.Fatalf("%d MiB wait", given)
		}
	}
	for what, err := range map[string]error{
		"Send": st.server.Send(id, big), "Do": st.server.Do(id, func(*Conn) {}), "Close": st.server.Close(id, 1000, ""), "Each": st.server.Each(func(*Conn) {}),
	} {
		// Room for a small order may be left behind the large ones.
		if err != nil && err != ErrBusy || what == "Send" && err == nil {
			t.Errorf("%s beyond the bound: %v", what, err)
		}
	}
	if given < orderBytesMax>>21 {
		t.Errorf("only %d MiB may wait", given)
	}
	st.Settle()
	p.Discard()
	other := st.openConn(t)
	if err := st.server.Send(c.ID(), TextMessage("goes on")); err != nil {
		t.Error(err)
	}
	if got := st.says(other); got != text("goes on") {
		t.Errorf("got %q", got)
	}
	if q := &st.part.orders; cap(q.spareData) > orderDataKept || cap(q.spareQueue) > ordersKept || q.bytes != 0 {
		t.Errorf("the flood is kept: room for %d orders and %d bytes", cap(q.spareQueue), cap(q.spareData))
	}
}

// Bytes of a client, cut anywhere, neither stop the loop nor leave a connection behind: after them
// another client is served, and each OnConnection has its OnClose.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		string(masked(frame.OpText, "hello")), string(masked(frame.OpBinary, "\x00\xff")), string(masked(frame.OpText, "\xff")),
		string(masked(frame.OpPing, "p")) + string(masked(frame.OpClose, "\x03\xe8bye")),
		string(frame.AppendMasked(nil, frame.OpText, false, [4]byte{9, 9, 9, 9}, []byte("a"))) + string(masked(frame.OpContinuation, "b")),
		"\xc1\x85\x00\x00\x00\x00hello", "\x81\x05hello", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		string(masked(frame.OpText, "close")) + string(masked(frame.OpText, "after")), string(masked(frame.OpText, "panic")), string(masked(frame.OpText, "fragment")) + string(masked(frame.OpText, "room")),
	} {
		f.Add(handshake("/chat"), []byte(seed), uint16(3))
	}
	f.Add("GET / HTTP/1.1\r\n\r\n", []byte("x"), uint16(0))
	f.Fuzz(func(t *testing.T, head string, sent []byte, cut uint16) {
		open := 0
		st := newStage(t, 0, Options{MaxMessage: 1 << 10, Outbox: 4 << 10, Compress: true}, func(st *stage) {
			st.server.OnConnection(func(c *Conn, _ *Request) { open++; _ = c.Subscribe("room") })
			st.server.OnClose(func(*Conn, int, string) { open-- })
			st.server.OnPing(func(c *Conn, data []byte) { c.Ping(data) })
			st.server.OnMessage(func(c *Conn, m Message) {
				switch string(m.Data) {
				case "close":
					c.Close(len(m.Data), string(m.Data))
				case "panic":
					panic("a handler")
				case "fragment":
					c.SendFragment(m.Kind, m.Data, false)
				case "room":
					_, _ = st.server.Publish("room", m)
					c.SendFragment(m.Kind, nil, true)
				default:
					c.Send(m)
				}
			})
		})
		// Its goroutine would keep the loop for seconds: those of thousands of runs at a time.
		st.part.watch.watched.Store(true)
		all := append([]byte(head), sent...)
		at := min(int(cut), len(all))
		p := st.Connect(headRole)
		for _, part := range [][]byte{all[:at], all[at:]} {
			p.Write(part)
			st.Settle()
			p.Read()
		}
		other := st.openConn(t)
		if got := st.says(other, masked(frame.OpText, "still there")); got != text("still there") {
			t.Fatalf("the other client got %q", got)
		}
		for _, peer := range []*netpolltest.Peer{p, other} {
			peer.Reset()
		}
		st.Settle()
		if open != 0 || st.server.Conns() != 0 {
			t.Fatalf("%d connections without OnClose, %d counted", open, st.server.Conns())
		}
	})
}
