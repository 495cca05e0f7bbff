// Tests of the admission of sessions.

package edge

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Sessions are admitted by the limits of connections, and what was given back may be given again.
func TestAdmitSession(t *testing.T) {
	var reported []*Refusal
	a := &Admission{Max: 6, MaxPerAddr: 4, OnRefused: func(r *Refusal, _ netip.Addr) { reported = append(reported, r) }}
	one, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
	var held []*SessionHolder
	for range 250_000 {
		h, refusal := a.AdmitSession(one)
		switch {
		case refusal == nil:
			held = append(held, h)
		case refusal != RefusePerAddr || h != nil:
			t.Fatalf("refused with %v", refusal)
		}
	}
	if len(held) != 4 || a.Sessions() != 4 || len(reported) != 249_996 {
		t.Fatalf("%d admitted, %d counted, %d refused", len(held), a.Sessions(), len(reported))
	}
	if _, refusal := a.AdmitSession(netip.MustParseAddr("2001:db8::2")); refusal != RefusePerAddr {
		t.Errorf("an address of the same network: %v", refusal)
	}
	for range 2 { // an address that is not known counts in the total only
		h, refusal := a.AdmitSession(netip.Addr{})
		if refusal != nil {
			t.Fatal(refusal)
		}
		held = append(held, h)
	}
	if _, refusal := a.AdmitSession(other); refusal != RefuseOverCapacity {
		t.Errorf("beyond the total: %v", refusal)
	}
	if r := a.Refused(); r != (Refusals{OverCapacity: 1, PerAddr: 249_997}) {
		t.Errorf("%+v", r)
	}
	for _, h := range held {
		a.ReleaseSession(h)
	}
	if a.Sessions() != 0 || len(a.sessions.holders) != 0 || a.Open() != 0 {
		t.Errorf("%d sessions, %d records, %d connections are left", a.Sessions(), len(a.sessions.holders), a.Open())
	}
	if _, refusal := a.AdmitSession(one); refusal != nil {
		t.Error(refusal)
	}
}

// The sessions of one address spend from one budget; those of another, or of none, do not.
func TestSessionsShareABudget(t *testing.T) {
	a := &Admission{}
	admit := func(addr string) *SessionHolder {
		h, refusal := a.AdmitSession(netip.MustParseAddr(addr))
		if refusal != nil {
			t.Fatal(refusal)
		}
		return h
	}
	const period, full = 10 * time.Millisecond, 100 * time.Millisecond // ten at once, a hundred a second
	spend := func(h *SessionHolder, now time.Duration) (n int) {
		for range 50 {
			if h.SpendMessage(now, period, full) && h.SpendBytes(now, period/2, full) {
				n++
			}
		}
		return n
	}
	first, second, other := admit("192.0.2.1"), admit("192.0.2.1"), admit("192.0.2.2")
	if n := spend(first, time.Second); n != 10 {
		t.Errorf("the first session spent %d", n)
	}
	if n := spend(second, time.Second); n != 0 {
		t.Errorf("the second session spent %d", n)
	}
	if n := spend(second, time.Second+3*period); n != 3 {
		t.Errorf("%d have come back", n)
	}
	if n := spend(other, time.Second); n != 10 {
		t.Errorf("the other address spent %d", n)
	}
	unknown, refusal := a.AdmitSession(netip.Addr{})
	if refusal != nil || spend(unknown, 0) != 50 {
		t.Errorf("without an address: %v", refusal)
	}
}

// All loops admit and spend at once.
func TestSessionsOfManyLoops(t *testing.T) {
	a := &Admission{Max: 3, MaxPerAddr: 2}
	var loops sync.WaitGroup
	for range 4 {
		loops.Go(func() {
			for i := range 1000 {
				h, refusal := a.AdmitSession(netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 3)}))
				if refusal != nil {
					continue
				}
				h.SpendMessage(time.Duration(i), 1, 11)
				a.ReleaseSession(h)
			}
		})
	}
	loops.Wait()
	if a.Sessions() != 0 || len(a.sessions.holders) != 0 {
		t.Errorf("%d sessions, %d records are left", a.Sessions(), len(a.sessions.holders))
	}
}
