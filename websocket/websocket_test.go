package websocket

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"c100k/frame"
	"c100k/netpoll/netpolltest"
)

func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 48 {
		t.Errorf("a Conn has %d bytes", n)
	}
}

func TestHandlersInOrder(t *testing.T) {
	for seed := range uint64(6) {
		st := newStage(t, seed, Options{}, func(st *stage) {
			st.server.OnConnection(func(c *Conn, r *Request) {
				st.note("open " + r.Path() + " " + r.Query().Get("room") + " " + r.Cookie("who"))
				c.SetData("ann")
				c.SendText("welcome")
			})
			st.server.OnMessage(func(c *Conn, m Message) {
				st.note(fmt.Sprint(c.Data(), " ", m.Kind, " ", string(m.Data)))
				c.Send(m)
			})
			st.server.OnPing(func(_ *Conn, data []byte) { st.note("ping " + string(data)) })
			st.server.OnPong(func(_ *Conn, data []byte) { st.note("pong " + string(data)) })
			st.server.OnClose(func(c *Conn, code int, reason string) {
				st.note(fmt.Sprint("close ", c.Data(), " ", code, " ", reason))
			})
		})
		peer, head, rest := st.dial(t, "Cookie: a=b; who=ann")
		if !strings.HasPrefix(head, "HTTP/1.1 101 ") || string(rest) != text("welcome") {
			t.Fatalf("seed %d: %q %q", seed, head, rest)
		}
		got := st.says(peer, masked(frame.OpText, "one"), masked(frame.OpBinary, "two"), masked(frame.OpPing, "p"), masked(frame.OpPong, "q"))
		if want := text("one") + binaryFrame("two") + string(frame.AppendFrame(nil, frame.OpPing+1, []byte("p"))); got != want {
			t.Errorf("seed %d: got %q, want %q", seed, got, want)
		}
		if n := st.server.Conns(); n != 1 {
			t.Errorf("%d connections", n)
		}
		st.says(peer, frame.AppendMasked(nil, frame.OpClose, true, [4]byte{}, frame.AppendCloseBody(nil, 4001, "done")))
		peer.CloseWrite()
		st.Settle()
		want := []string{"open /chat a b ann", "ann text one", "ann binary two", "ping p", "pong q", "close ann 4001 done"}
		if strings.Join(st.told, "|") != strings.Join(want, "|") {
			t.Errorf("seed %d: %q", seed, st.told)
		}
		if n := st.server.Conns(); n != 0 || st.part.conns.Len() != 0 || st.part.extras.Len() != 0 {
			t.Errorf("seed %d: %d connections are left", seed, n)
		}
	}
}

func TestCloseCodes(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(st *stage, peer *netpolltest.Peer)
		want string
		wire string
	}{
		"without a code": {
			func(st *stage, peer *netpolltest.Peer) { peer.Write(masked(frame.OpClose, "")) }, "1005 ", "\x88\x00",
		},
		"cut": {
			func(st *stage, peer *netpolltest.Peer) { peer.Reset() }, "1006 ", "",
		},
		"hung up": {
			func(st *stage, peer *netpolltest.Peer) { peer.CloseWrite() }, "1006 ", "",
		},
		"by the server": {
			func(st *stage, peer *netpolltest.Peer) { peer.Write(masked(frame.OpText, "close")) }, "4000 bye",
			string(frame.AppendClose(nil, 4000, "bye")),
		},
		"twice": {
			func(st *stage, peer *netpolltest.Peer) { peer.Write(masked(frame.OpText, "close twice")) }, "4000 bye",
			string(frame.AppendClose(nil, 4000, "bye")),
		},
		"without a code by the server": {
			func(st *stage, peer *netpolltest.Peer) { peer.Write(masked(frame.OpText, "empty")) }, "1005 ", "\x88\x00",
		},
		"terminated": {
			func(st *stage, peer *netpolltest.Peer) { peer.Write(masked(frame.OpText, "terminate")) }, "1006 ", "",
		},
		"panic": {
			func(st *stage, peer *netpolltest.Peer) { peer.Write(masked(frame.OpText, "panic")) }, "1011 internal error",
			string(frame.AppendClose(nil, 1011, "internal error")),
		},
		"from elsewhere": {
			func(st *stage, peer *netpolltest.Peer) { _ = st.server.Close(peer.ID(), 4002, "kicked") }, "4002 kicked",
			string(frame.AppendClose(nil, 4002, "kicked")),
		},
		"not UTF-8": {
			func(st *stage, peer *netpolltest.Peer) { peer.Write(masked(frame.OpText, "\xff")) }, "1007 text is not UTF-8",
			string(frame.AppendClose(nil, 1007, "text is not UTF-8")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStage(t, 0, Options{}, func(st *stage) {
				st.server.OnMessage(func(c *Conn, m Message) {
					switch string(m.Data) {
					case "close":
						c.Close(4000, "bye")
					case "close twice":
						c.Close(4000, "bye")
						c.Close(4001, "again")
						c.Terminate()
						if r := c.SendText("late"); r != Dropped || !c.Closed() {
							t.Errorf("a send after the close is %v", r)
						}
						if err := c.Subscribe("t"); !errors.Is(err, ErrClosed) {
							t.Errorf("a subscription after the close: %v", err)
						}
					case "empty":
						c.Close(0, "unheard")
					case "terminate":
						c.Terminate()
					case "panic":
						panic("on purpose")
					}
				})
				st.server.OnClose(func(_ *Conn, code int, reason string) { st.note(fmt.Sprint(code, " ", reason)) })
			})
			peer := st.openConn(t)
			test.end(st, peer)
			st.Settle()
			if got := string(peer.Read()); got != test.wire {
				t.Errorf("the client got %q, want %q", got, test.wire)
			}
			if name != "cut" {
				peer.CloseWrite()
			}
			st.Settle()
			if len(st.told) != 1 || st.told[0] != test.want {
				t.Errorf("OnClose heard %q, want %q", st.told, test.want)
			}
			if st.server.Conns() != 0 {
				t.Errorf("%d connections are left", st.server.Conns())
			}
		})
	}
}

func TestPanicsCostOneConnection(t *testing.T) {
	for _, where := range []string{"connection", "message", "close", "drain", "ping", "upgrade", "do", "each"} {
		t.Run(where, func(t *testing.T) {
			armed := false
			boom := func(at string) {
				if armed && at == where {
					armed = false
					panic("on purpose")
				}
			}
			st := newStage(t, 0, Options{}, func(st *stage) {
				st.server.OnUpgrade(func(*Upgrade) { boom("upgrade") })
				st.server.OnConnection(func(*Conn, *Request) { boom("connection") })
				st.server.OnMessage(func(c *Conn, m Message) { boom("message"); c.Send(m) })
				st.server.OnClose(func(*Conn, int, string) { boom("close") })
				st.server.OnPing(func(*Conn, []byte) { boom("ping") })
				st.server.OnDrain(func(*Conn) { boom("drain") })
			})
			witness := st.openConn(t)
			armed = true
			var peer *netpolltest.Peer
			switch where {
			case "upgrade":
				_, head, _ := st.dial(t)
				if !strings.HasPrefix(head, "HTTP/1.1 500 ") {
					t.Errorf("the answer is %q", head)
				}
			case "connection":
				peer = st.Connect(headRole)
				peer.Write([]byte(handshake("/")))
				st.Settle()
				if got := string(peer.Read()); !strings.HasSuffix(got, string(frame.AppendClose(nil, 1011, "internal error"))) {
					t.Errorf("the client got %q", got)
				}
			default:
				peer = st.openConn(t)
				switch where {
				case "message":
					peer.Write(masked(frame.OpText, "x"))
				case "close":
					peer.Write(masked(frame.OpClose, ""))
				case "ping":
					peer.Write(masked(frame.OpPing, ""))
				case "drain":
					peer.SetWindow(10)
					_ = st.server.Send(peer.ID(), TextMessage(strings.Repeat("x", 1000)))
					st.Settle()
					peer.SetWindow(-1)
				case "do":
					_ = st.server.Do(peer.ID(), func(*Conn) { boom("do") })
				case "each":
					_ = st.server.Each(func(c *Conn) {
						if c.ID() == peer.ID() {
							boom("each")
						}
					})
				}
				st.Settle()
			}
			if armed {
				t.Error("the handler was not called")
			}
			if got := st.says(witness, masked(frame.OpText, "still here")); got != text("still here") {
				t.Errorf("another connection got %q", got)
			}
			if st.part.watch.calls.Load()%2 != 0 {
				t.Error("the watch believes that a handler runs")
			}
		})
	}
}

func TestTopics(t *testing.T) {
	for seed := range uint64(4) {
		st := newStage(t, seed, Options{Compress: seed%2 == 1}, func(st *stage) {
			st.server.OnMessage(func(c *Conn, m Message) {
				verb, topic, _ := strings.Cut(string(m.Data), " ")
				switch verb {
				case "join":
					if err := c.Subscribe(topic); err != nil {
						c.SendText(err.Error())
					}
				case "leave":
					st.note(fmt.Sprint(c.Unsubscribe(topic)))
				case "topics":
					c.SendText(strings.Join(c.Topics(), " "))
				case "others":
					_, _ = c.Publish(topic, TextMessage("from another"))
				case "all":
					_, _ = st.server.Publish(topic, TextMessage("for all"))
				case "everybody":
					_, _ = st.server.Broadcast(BinaryMessage([]byte("hear")))
				}
			})
		})
		a, b, c := st.openConn(t), st.openConn(t), st.openConn(t)
		say := func(p *netpolltest.Peer, s string) string { return st.says(p, masked(frame.OpText, s)) }
		expect := func(what string, wantA, wantB, wantC string) {
			t.Helper()
			st.Settle()
			if ga, gb, gc := string(a.Read()), string(b.Read()), string(c.Read()); ga != wantA || gb != wantB || gc != wantC {
				t.Errorf("seed %d, %s: %q, %q and %q", seed, what, ga, gb, gc)
			}
		}
		say(a, "join lobby")
		say(b, "join lobby")
		if got := say(b, "topics"); got != text("lobby") {
			t.Errorf("topics: %q", got)
		}
		a.Write(masked(frame.OpText, "others lobby"))
		expect("all but the sender", "", text("from another"), "")
		a.Write(masked(frame.OpText, "all lobby"))
		expect("all", text("for all"), text("for all"), "")
		c.Write(masked(frame.OpText, "others lobby"))
		expect("from outside", text("from another"), text("from another"), "")
		a.Write(masked(frame.OpText, "everybody"))
		expect("everybody", binaryFrame("hear"), binaryFrame("hear"), binaryFrame("hear"))
		say(b, "leave lobby")
		say(b, "leave lobby")
		if strings.Join(st.told, " ") != "true false" {
			t.Errorf("leaving: %q", st.told)
		}
		a.Write(masked(frame.OpText, "all lobby"))
		expect("after leaving", text("for all"), "", "")
		if got := say(a, "join "); got != text("topic is empty") {
			t.Errorf("an empty topic: %q", got)
		}
		if got := say(a, "join "+strings.Repeat("x", 254)); got != text("topic is longer than 255 bytes") {
			t.Errorf("a long topic: %q", got)
		}
	}
}

func TestTopicsHaveABound(t *testing.T) {
	st := newStage(t, 0, Options{TopicsPerConn: 2}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			if err := c.Subscribe(string(m.Data)); err != nil {
				c.SendText(err.Error())
			}
		})
	})
	p := st.openConn(t)
	if got := st.says(p, masked(frame.OpText, "a"), masked(frame.OpText, "b"), masked(frame.OpText, "c")); got != text("too many topics for one connection") {
		t.Errorf("got %q", got)
	}
}

func TestFragments(t *testing.T) {
	for seed := range uint64(4) {
		st := newStage(t, seed, Options{}, func(st *stage) {
			st.server.OnMessage(func(c *Conn, m Message) {
				switch string(m.Data) {
				case "begin":
					c.SendFragment(Text, []byte("one "), false)
					if r := c.SendText("between"); r != Dropped {
						t.Errorf("a message between fragments is %v", r)
					}
				case "more":
					c.SendFragment(Text, []byte("two "), false)
				case "end":
					c.SendFragment(Text, []byte("three"), true)
					c.SendText("behind")
				}
			})
		})
		p := st.openConn(t)
		got := st.says(p, masked(frame.OpText, "begin"))
		_, _ = st.server.Broadcast(TextMessage("published"))
		got += st.says(p, masked(frame.OpText, "more"))
		got += st.says(p, masked(frame.OpText, "end"))
		want := "\x01\x04one \x00\x04two \x80\x05three" + text("published") + text("behind")
		if got != want {
			t.Errorf("seed %d: got %q, want %q", seed, got, want)
		}
		if st.part.extras.Len() != 0 {
			t.Error("an extra is left")
		}
	}
}

func TestSlowConsumers(t *testing.T) {
	big := strings.Repeat("x", 400)
	for policy, want := range map[string]struct {
		results []Result
		closed  bool
	}{
		"disconnect":  {[]Result{Sent, Queued, Queued, Dropped, Dropped}, true},
		"drop-newest": {[]Result{Sent, Queued, Queued, Dropped, Dropped}, false},
		"drop-oldest": {[]Result{Sent, Queued, Queued, Dropped, Dropped}, false}, // nothing was published that could make room
	} {
		t.Run(policy, func(t *testing.T) {
			var results []Result
			drained := 0
			st := newStage(t, 0, Options{Outbox: 1300, SlowConsumer: policy}, func(st *stage) {
				st.server.OnMessage(func(c *Conn, m Message) {
					results = append(results, c.SendText(big))
				})
				st.server.OnDrain(func(c *Conn) {
					drained++
					if c.Buffered() != 0 {
						t.Errorf("%d bytes wait at OnDrain", c.Buffered())
					}
				})
			})
			p := st.openConn(t)
			p.SetWindow(100)
			for range len(want.results) {
				st.says(p, masked(frame.OpText, "x"))
				p.SetWindow(0)
			}
			if fmt.Sprint(results) != fmt.Sprint(want.results[:len(results)]) {
				t.Errorf("results %v, want %v", results, want.results)
			}
			p.SetWindow(-1)
			st.Settle()
			if want.closed {
				if !p.Finished() {
					t.Error("the connection is still there")
				}
				return
			}
			if len(results) != len(want.results) || st.server.Dropped() != 2 {
				t.Errorf("%d results, %d dropped", len(results), st.server.Dropped())
			}
			if drained != 1 {
				t.Errorf("OnDrain was called %d times", drained)
			}
		})
	}
}

func TestDropOldestMakesRoomForReplies(t *testing.T) {
	st := newStage(t, 0, Options{Outbox: 1000, SlowConsumer: "drop-oldest"}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) { st.note(c.SendText(strings.Repeat("r", 500)).String()) })
	})
	p := st.openConn(t)
	p.SetWindow(0)
	for range 3 {
		_, _ = st.server.Broadcast(TextMessage(strings.Repeat("b", 300)))
		st.Settle()
	}
	st.says(p, masked(frame.OpText, "x"))
	if len(st.told) != 1 || st.told[0] != "queued" || st.server.Dropped() == 0 {
		t.Errorf("%q, %d dropped", st.told, st.server.Dropped())
	}
}

func TestUpgradeDecisions(t *testing.T) {
	for name, test := range map[string]struct {
		decide func(u *Upgrade)
		fields []string
		want   []string // parts of the answer
	}{
		"default":     {func(*Upgrade) {}, nil, []string{"HTTP/1.1 101 "}},
		"accepted":    {func(u *Upgrade) { _ = u.Accept() }, nil, []string{"HTTP/1.1 101 "}},
		"refused":     {func(u *Upgrade) { _ = u.Refuse(403, "not you") }, nil, []string{"HTTP/1.1 403 Forbidden\r\n", "\r\n\r\nnot you"}},
		"bad status":  {func(u *Upgrade) { _ = u.Refuse(200, "fine") }, nil, []string{"HTTP/1.1 101 "}},
		"both":        {func(u *Upgrade) { _ = u.Accept(); _ = u.Refuse(403, "") }, nil, []string{"HTTP/1.1 101 "}},
		"header":      {func(u *Upgrade) { _ = u.SetHeader("Set-Cookie", "a=b") }, nil, []string{"HTTP/1.1 101 ", "\r\nSet-Cookie: a=b\r\n"}},
		"subprotocol": {func(u *Upgrade) { _ = u.Subprotocol("two") }, []string{"Sec-WebSocket-Protocol: one, two"}, []string{"\r\nSec-WebSocket-Protocol: two\r\n"}},
		"not offered": {func(u *Upgrade) {
			if u.Subprotocol("three") == nil {
				panic("it was not offered")
			}
		}, []string{"Sec-WebSocket-Protocol: one, two"}, []string{"\r\nSec-WebSocket-Protocol: one\r\n"}},
		"injection": {func(u *Upgrade) {
			if u.SetHeader("X", "a\r\nY: b") == nil || u.SetHeader("X Y", "a") == nil || u.SetHeader("Connection", "close") == nil {
				panic("it was taken")
			}
		}, nil, []string{"HTTP/1.1 101 "}},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStage(t, 0, Options{Subprotocols: []string{"one"}}, func(st *stage) { st.server.OnUpgrade(test.decide) })
			p := st.Connect(headRole)
			p.Write([]byte(handshake("/", test.fields...)))
			st.Settle()
			got := string(p.Read())
			for _, part := range test.want {
				if !strings.Contains(got, part) {
					t.Errorf("the answer is %q, want %q in it", got, part)
				}
			}
		})
	}
}

func TestUpgradeThatWaits(t *testing.T) {
	for _, answer := range []string{"accept", "refuse", "never", "late", "gone"} {
		t.Run(answer, func(t *testing.T) {
			var waiting *Upgrade
			st := newStage(t, 0, Options{}, func(st *stage) {
				st.server.OnUpgrade(func(u *Upgrade) { u.Wait(); waiting = u })
				st.server.OnConnection(func(c *Conn, r *Request) {
					c.SendText(fmt.Sprint("room ", r.Query().Get("room"), " ", c.Data()))
				})
				st.server.OnMessage(func(c *Conn, m Message) { c.Send(m) })
			})
			p := st.Connect(headRole)
			p.Write([]byte(handshake("/chat?room=1")))
			st.Settle()
			p.Write(masked(frame.OpText, "early"))
			st.Settle()
			if got := p.Read(); len(got) > 0 {
				t.Fatalf("answered %q already", got)
			}
			if waiting.Request().Path() != "/chat" {
				t.Error("the request is not kept")
			}
			switch answer {
			case "accept":
				elsewhere(func() { waiting.SetData("ann"); _ = waiting.Accept() })
				st.Settle()
				if got := string(p.Read()); !strings.HasSuffix(got, text("room 1 ann")+text("early")) {
					t.Errorf("got %q", got)
				}
			case "refuse":
				elsewhere(func() { _ = waiting.Refuse(401, "who are you?") })
				st.Settle()
				if got := string(p.Read()); !strings.HasPrefix(got, "HTTP/1.1 401 ") {
					t.Errorf("got %q", got)
				}
			case "never", "late":
				st.Advance(time.Minute)
				if got := string(p.Read()); !strings.HasPrefix(got, "HTTP/1.1 408 ") && !strings.HasPrefix(got, "HTTP/1.1 503 ") {
					t.Errorf("got %q", got)
				}
				if answer == "late" {
					elsewhere(func() { _ = waiting.Accept() })
					st.Settle()
				}
			case "gone":
				p.Reset()
				st.Settle()
				elsewhere(func() { _ = waiting.Accept() })
				st.Settle()
				if st.server.Conns() != 0 {
					t.Error("there is a connection")
				}
			}
		})
	}
}

func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// settleUntil lets the loop go on until ok, for what other goroutines bring.
func (st *stage) settleUntil(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
		st.Settle()
	}
}

func TestGo(t *testing.T) {
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			s := string(m.Data)
			c.Go(func(ctx context.Context, a *Async) {
				if s == "panic" {
					panic("on purpose")
				}
				_ = a.SendText("re: " + s)
			})
		})
	})
	p := st.openConn(t)
	want, got := "", ""
	for i := range 200 {
		s := fmt.Sprint("message ", i)
		p.Write(masked(frame.OpText, s))
		want += text("re: " + s)
	}
	st.settleUntil(t, func() bool { got += string(p.Read()); return len(got) >= len(want) })
	if got != want {
		t.Error("the answers are not in order")
	}
	st.Advance(31 * time.Second) // a heartbeat
	p.Discard()
	got = ""
	p.Write(masked(frame.OpText, "panic"))
	end := string(frame.AppendClose(nil, 1011, "internal error"))
	st.settleUntil(t, func() bool { got += string(p.Read()); return strings.HasSuffix(got, end) })
}

func TestGoHasABound(t *testing.T) {
	release := make(chan struct{})
	refused, ran := 0, 0
	st := newStage(t, 0, Options{AsyncMax: 8}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			if !c.Go(func(context.Context, *Async) { <-release }) {
				refused++
			} else {
				ran++
			}
		})
	})
	p := st.openConn(t)
	var burst []byte
	for range 20 {
		burst = append(burst, masked(frame.OpText, "x")...)
	}
	p.Write(burst) // one read
	st.Settle()
	if ran != 8 || refused != 12 {
		t.Errorf("%d run, %d refused", ran, refused)
	}
	p.Write(masked(frame.OpText, "not read yet"))
	st.Settle()
	if ran+refused != 20 {
		t.Error("the connection is read although a quarter of the bound waits")
	}
	close(release)
	st.settleUntil(t, func() bool { return ran == 9 })
}

func TestGoEndsWithItsConnection(t *testing.T) {
	ended := make(chan struct{})
	begun := make(chan struct{})
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			c.Go(func(ctx context.Context, a *Async) {
				close(begun)
				<-ctx.Done()
				close(ended)
			})
			c.Go(func(context.Context, *Async) { t.Error("it ran after the end") })
		})
	})
	p := st.openConn(t)
	p.Write(masked(frame.OpText, "x"))
	st.Settle()
	<-begun
	p.Reset()
	st.Settle()
	<-ended
}

// runtime.Goexit, which t.FailNow calls too, ends a function and nothing else.
func TestGoSurvivesGoexit(t *testing.T) {
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			s := string(m.Data)
			c.Go(func(_ context.Context, a *Async) {
				if s == "exit" {
					runtime.Goexit()
				}
				_ = a.SendText(s)
			})
		})
	})
	p, other := st.openConn(t), st.openConn(t)
	for _, s := range []string{"1", "exit", "2", "exit", "exit", "3"} {
		p.Write(masked(frame.OpText, s))
	}
	other.Write(masked(frame.OpText, "other"))
	want, got, heard := text("1")+text("2")+text("3"), "", ""
	st.settleUntil(t, func() bool {
		got += string(p.Read())
		heard += string(other.Read())
		return len(got) >= len(want) && heard != ""
	})
	if got != want || heard != text("other") {
		t.Errorf("got %q, the other connection %q", got, heard)
	}
}

// Functions that block, as many as there are connections, hold up nobody else's.
func TestGoBlocksNobody(t *testing.T) {
	release := make(chan struct{})
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			s := string(m.Data)
			c.Go(func(_ context.Context, a *Async) {
				if s == "block" {
					<-release
				}
				_ = a.SendText(s)
			})
		})
	})
	var blocked []*netpolltest.Peer
	for range 50 {
		p := st.openConn(t)
		p.Write(masked(frame.OpText, "block"))
		blocked = append(blocked, p)
	}
	free := st.openConn(t)
	free.Write(masked(frame.OpText, "free"))
	got := ""
	st.settleUntil(t, func() bool { got += string(free.Read()); return got == text("free") })
	close(release)
	for _, p := range blocked {
		got := ""
		st.settleUntil(t, func() bool { got += string(p.Read()); return got == text("block") })
	}
}

// What waits takes no more memory than what waits at once: lanes that come and go for long.
func TestCrewKeepsNoMemory(t *testing.T) {
	w := &crew{coming: true} // and the worker is this test
	pop := func() {
		w.lanes[w.first] = nil
		w.first++
	}
	for i := range 100_000 {
		w.push(&lane{})
		if i >= 10 {
			pop()
		}
	}
	if cap(w.lanes) > 100 {
		t.Errorf("room for %d lanes, where 10 wait", cap(w.lanes))
	}
	for w.first < len(w.lanes) {
		pop()
	}
	w.lanes = append(make([]*lane, 0, 2*lanesKept), w.lanes...)
	w.work()
	if w.coming || w.first != 0 || w.lanes != nil {
		t.Errorf("left: coming %v, first %d, room for %d", w.coming, w.first, cap(w.lanes))
	}
}

func TestEach(t *testing.T) {
	st := newStage(t, 0, Options{}, nil)
	var peers []*netpolltest.Peer
	for range 2*eachSlice + 10 {
		peers = append(peers, st.openConn(t))
	}
	peers[3].Reset()
	st.Settle()
	if err := st.server.Each(func(c *Conn) {
		if c.ID() != peers[5].ID() {
			c.SendText("each")
		}
	}); err != nil {
		t.Fatal(err)
	}
	st.Settle()
	for i, p := range peers {
		want := text("each")
		if i == 3 || i == 5 {
			want = ""
		}
		if got := string(p.Read()); got != want {
			t.Errorf("connection %d got %q", i, got)
		}
	}
}

func TestPauseAndResume(t *testing.T) {
	var paused *Conn
	st := newStage(t, 0, Options{}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			st.note(string(m.Data))
			if string(m.Data) == "pause" {
				c.Pause()
				paused = c
			}
		})
	})
	p := st.openConn(t)
	st.says(p, masked(frame.OpText, "pause"))
	st.says(p, masked(frame.OpText, "later"))
	if len(st.told) != 1 {
		t.Errorf("%q was read", st.told)
	}
	_ = st.server.Do(paused.ID(), func(c *Conn) { c.Resume() })
	st.Settle()
	if len(st.told) != 2 {
		t.Errorf("%q was read", st.told)
	}
}

func TestIdleTimeout(t *testing.T) {
	st := newStage(t, 0, Options{PingInterval: Off, IdleTimeout: 10 * time.Second}, nil)
	p := st.openConn(t)
	st.Advance(8 * time.Second)
	st.says(p, masked(frame.OpText, "x"))
	st.Advance(8 * time.Second)
	if p.Finished() {
		t.Fatal("closed although it spoke")
	}
	st.Advance(8 * time.Second)
	if got := string(p.Read()); got != string(frame.AppendClose(nil, 1001, "idle timeout")) {
		t.Errorf("got %q", got)
	}
}

func TestCompression(t *testing.T) {
	long := strings.Repeat("compress me ", 100)
	st := newStage(t, 0, Options{Compress: true}, func(st *stage) {
		st.server.OnMessage(func(c *Conn, m Message) {
			switch string(m.Data) {
			case "plain":
				c.Send(Message{Data: []byte(long), NoCompress: true})
			case "packed":
				c.SendText(long)
			case "prepared":
				c.SendPrepared(Prepare(TextMessage(long)))
			case "published":
				_, _ = st.server.Broadcast(TextMessage(long))
			case "published plain":
				_, _ = st.server.Broadcast(Message{Data: []byte(long), NoCompress: true})
			}
		})
	})
	p, head, _ := st.dial(t, "Sec-WebSocket-Extensions: permessage-deflate")
	if !strings.Contains(head, "permessage-deflate") {
		t.Fatalf("%q", head)
	}
	for verb, packed := range map[string]bool{"plain": false, "packed": true, "prepared": true, "published": true, "published plain": false} {
		p.Write(masked(frame.OpText, verb))
		st.Settle()
		got := p.Read()
		if (got[0]&0x40 != 0) != packed {
			t.Errorf("%s: first byte %#x", verb, got[0])
		}
		var r frame.Reader
		m, rest, err := r.Next(&frame.Options{Client: true, Deflate: true}, got)
		if err != nil || string(m.Payload) != long || len(rest) > 0 {
			t.Errorf("%s: %d bytes, %v", verb, len(m.Payload), err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, rate := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1), 1e10} {
		if _, err := (Options{Rate: rate}).withDefaults(); err == nil || !strings.Contains(err.Error(), "Options.Rate") {
			t.Errorf("a rate of %v: %v", rate, err)
		}
	}
	for field, o := range map[string]Options{
		"MaxMessage": {MaxMessage: -1}, "Outbox": {Outbox: -1}, "SlowConsumer": {SlowConsumer: "give up"},
		"PingInterval": {PingInterval: -2}, "PingTimeout": {PingTimeout: -1}, "IdleTimeout": {IdleTimeout: time.Second},
		"UpgradeTimeout": {UpgradeTimeout: -1}, "RateBurst": {RateBurst: 5}, "Origins": {Origins: []string{"http://"}}, "AsyncMax": {AsyncMax: 1},
	} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, field) {
					t.Errorf("%s: %q", field, v)
				}
			}()
			New(o)
		}()
	}
}
