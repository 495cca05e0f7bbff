// A panic costs one connection, wherever it happens.

package netpoll_test

import (
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// TestPanics: a panic in any callback closes one connection, with ReasonPanic,
// and the others notice nothing.
func TestPanics(t *testing.T) {
	for _, where := range []string{"open", "data", "timer", "writable", "close", "task", "become", "adopt", "detach", "lastword"} {
		t.Run(where, func(t *testing.T) {
			victim := &script{}
			boom := func() { panic("boom in " + where) }
			reason := netpoll.ReasonNone
			closes := 0
			victim.closed = func(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) {
				reason = r
				closes++
				if where == "close" || where == "detach" {
					boom()
				}
			}
			victim.open = func(l *netpoll.Loop, c *netpoll.Conn) {
				if where == "open" {
					boom()
				}
				l.Arm(c, 50*time.Millisecond)
			}
			victim.data = func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
				switch where {
				case "data", "adopt", "lastword":
					boom()
				case "become":
					l.Become(c, 2)
				case "detach":
					l.Detach(c)
				default:
					l.Send(c, p)
				}
			}
			victim.timer = func(*netpoll.Loop, *netpoll.Conn) {
				if where == "timer" {
					boom()
				}
			}
			victim.writable = func(*netpoll.Loop, *netpoll.Conn) { boom() }
			bad := &script{open: func(*netpoll.Loop, *netpoll.Conn) { boom() }, closed: victim.closed}
			onPanic := func(l *netpoll.Loop, c *netpoll.Conn) {
				if where == "lastword" {
					boom()
				}
			}
			l := netpolltest.New(t, netpolltest.Options{Handlers: handlers(echo(), victim, bad), OnPanic: onPanic})
			before := l.Connect(0)
			v := l.Connect(1)
			after := l.Connect(0)
			for _, p := range []*netpolltest.Peer{before, v, after} {
				p.Write([]byte("12345678"))
			}
			if where == "writable" {
				v.SetWindow(3)
			}
			l.Turn()
			v.SetWindow(-1)
			if c := v.Conn(); where == "task" && c != nil {
				l.Remote().PostTo(c.ID(), func(*netpoll.Loop, *netpoll.Conn) { boom() })
			}
			if where == "close" {
				v.CloseWrite()
			}
			l.Advance(200 * time.Millisecond)
			want := netpoll.ReasonPanic
			switch where {
			case "close":
				want = netpoll.ReasonPeer
			case "detach":
				want = netpoll.ReasonDetached
			}
			if v.Conn() != nil || reason != want || closes != 1 {
				t.Errorf("gone %v, reason %v, %d closes; want %v, 1", v.Conn() == nil, reason, closes, want)
			}
			for _, p := range []*netpolltest.Peer{before, after} {
				if got := p.Read(); string(got) != "12345678" {
					t.Errorf("a bystander got %q", got)
				}
			}
			if s := l.Stats(); s.Panics != 1 || s.Connections != 2 {
				t.Errorf("%d panics, %d connections", s.Panics, s.Connections)
			}
		})
	}
}

func TestPanicsOfTheLoopItself(t *testing.T) {
	calls := 0
	l := netpolltest.New(t, netpolltest.Options{
		Handlers:   handlers(echo()),
		Deliver:    func(*netpoll.Loop, int) bool { calls++; panic("deliver") },
		AfterFlush: func(*netpoll.Loop) { panic("after flush") },
		OnRelease:  func(uint32, netpoll.Reason) { panic("release") },
	})
	p := l.Connect(0)
	p.Write([]byte("still"))
	l.Remote().Post(func(*netpoll.Loop) { panic("task") })
	ran := false
	l.Remote().Post(func(*netpoll.Loop) { ran = true })
	l.Turn()
	l.Turn()
	if got := p.Read(); string(got) != "still" || !ran || calls == 0 {
		t.Errorf("got %q, next task %v, %d deliveries", got, ran, calls)
	}
	p.CloseWrite()
	l.Turn()
	if l.Len() != 0 || !p.Closed() {
		t.Errorf("%d connections left", l.Len())
	}
}
