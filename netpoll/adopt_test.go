package netpoll_test

import (
	"testing"
	"time"

	"c100k/netpoll"
	"c100k/netpoll/netpolltest"
)

// A record without a socket has an ID, a deadline and an end like others.
func TestReserve(t *testing.T) {
	h := &recorder{}
	var opt netpolltest.Options
	opt.Handlers[1] = h
	released := 0
	opt.OnRelease = func(uint32, netpoll.Reason) { released++ }
	l := netpolltest.New(t, opt)
	c := l.Reserve(1)
	id := c.ID()
	if l.Lookup(id) != c || l.Len() != 1 || h.opened != 1 {
		t.Fatalf("found %v, %d connections, opened %d times", l.Lookup(id), l.Len(), h.opened)
	}
	l.Arm(c, time.Second)
	l.Advance(2 * time.Second)
	if h.fired != 1 {
		t.Errorf("the deadline fired %d times", h.fired)
	}
	if fd := l.Detach(c); fd != -1 {
		t.Errorf("Detach gave descriptor %d", fd)
	}
	l.Close(c, netpoll.ReasonLocal)
	l.Settle()
	if l.Lookup(id) != nil || l.Len() != 0 || h.closed != netpoll.ReasonLocal || released != 0 {
		t.Errorf("after Close: %v, %d connections, reason %v, released %d times", l.Lookup(id), l.Len(), h.closed, released)
	}
}

// Finish and sends have nothing to wait for.
func TestReservedRecordsTakeNothing(t *testing.T) {
	h := &recorder{}
	var opt netpolltest.Options
	opt.Handlers[1] = h
	l := netpolltest.New(t, opt)
	l.Finish(l.Reserve(1), netpoll.ReasonLocal, time.Hour)
	l.Settle()
	if h.closed != netpoll.ReasonLocal {
		t.Errorf("Finish: closed with %v", h.closed)
	}
	l.Send(l.Reserve(1), []byte("x"))
	l.Settle()
	if h.closed != netpoll.ReasonReset || l.Len() != 0 {
		t.Errorf("Send: closed with %v, %d connections left", h.closed, l.Len())
	}
}

// recorder counts its calls.
type recorder struct {
	opened, fired int
	closed        netpoll.Reason
}

func (h *recorder) OnOpen(*netpoll.Loop, *netpoll.Conn)         { h.opened++ }
func (h *recorder) OnData(*netpoll.Loop, *netpoll.Conn, []byte) {}
func (h *recorder) OnTimer(*netpoll.Loop, *netpoll.Conn)        { h.fired++ }
func (h *recorder) OnWritable(*netpoll.Loop, *netpoll.Conn)     {}
func (h *recorder) OnClose(_ *netpoll.Loop, _ *netpoll.Conn, r netpoll.Reason) {
	h.closed = r
}
