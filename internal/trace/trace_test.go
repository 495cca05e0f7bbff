package trace

import (
	"net/netip"
	"testing"
	"time"

	"c100k/internal/auth"
	"c100k/netpoll/netpolltest"
)

func TestSelects(t *testing.T) {
	e := Event{Conn: 7, Sub: "u1", Topic: "a", Addr: netip.MustParseAddr("10.0.0.1")}
	for _, c := range []struct {
		q    Query
		want bool
	}{
		{Query{Conn: 7}, true}, {Query{Conn: 8}, false},
		{Query{Sub: "u1"}, true}, {Query{Sub: "u"}, false},
		{Query{Topic: "a"}, true}, {Query{Topic: "b"}, false},
		{Query{Addrs: netip.MustParsePrefix("10.0.0.0/8")}, true}, {Query{Addrs: netip.MustParsePrefix("10.0.0.2/32")}, false},
		{Query{}, false},
	} {
		if got := c.q.selects(&e); got != c.want {
			t.Errorf("%+v: %v", c.q, got)
		}
	}
}

// A trace that nobody reads is bounded, and says how much is missing.
func TestTraceIsBounded(t *testing.T) {
	var tap Tap
	if tap.On() || (*Tap)(nil).On() {
		t.Error("somebody listens")
	}
	tr := New(Query{Sub: "u1", Payload: true})
	tap.Add(tr)
	l := netpolltest.New(t, netpolltest.Options{}).Loop
	who := &auth.Principal{Subject: "u1"}
	for range 3 * eventsPerSecond {
		tap.Tell(l, &Event{Kind: Open, Conn: 1}, who)
	}
	if got := len(tr.Events()); got != eventsQueued {
		t.Errorf("%d events wait", got)
	}
	if got := tr.Dropped(); got != 3*eventsPerSecond-eventsQueued {
		t.Errorf("%d dropped", got)
	}
	if e := <-tr.Events(); e.Sub != "u1" || e.Kind != Open {
		t.Errorf("%+v", e)
	}
	tap.Remove(tr)
	if tap.On() {
		t.Error("somebody still listens")
	}
}

func TestPublished(t *testing.T) {
	with, without := New(Query{Topic: "a", Payload: true}), New(Query{Topic: "a"})
	payload := make([]byte, 2*PayloadBytesMax)
	for _, tr := range []*Trace{with, without} {
		tr.Published(time.Second, "a", payload)
		tr.Published(time.Second, "b", payload)
		if len(tr.Events()) != 1 {
			t.Errorf("%d events", len(tr.Events()))
		}
	}
	payload[0] = 'x' // the event has a copy
	if e := <-with.Events(); len(e.Payload) != PayloadBytesMax || e.Payload[0] != 0 || e.Bytes != 2*PayloadBytesMax {
		t.Errorf("%d bytes of %d", len(e.Payload), e.Bytes)
	}
	if e := <-without.Events(); e.Payload != nil {
		t.Error("a payload without payload=1")
	}
}
