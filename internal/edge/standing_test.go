// Tests of connections that another process has admitted.

package edge

import (
	"net/netip"
	"testing"
)

func TestStandingIsTakenAlong(t *testing.T) {
	trusted := Networks{netip.MustParsePrefix("10.0.0.0/8")}
	for _, test := range []struct {
		name, addr string
		from       *Admission
		want       Standing
	}{
		{"no limit by address", "192.0.2.1", &Admission{}, Standing{}},
		{"an address", "192.0.2.1", &Admission{MaxPerAddr: 1}, Standing{Client: netip.MustParseAddr("192.0.2.1")}},
		{"a network of IPv6", "2001:db8:0:1::7", &Admission{MaxPerAddr: 1}, Standing{Client: netip.MustParseAddr("2001:db8:0:1::")}},
		{"a proxy", "10.0.0.1", &Admission{MaxPerAddr: 1, Trusted: trusted}, Standing{Forwarded: true}},
	} {
		addr := netip.MustParseAddr(test.addr)
		tag, _ := test.from.AdmitRequest(addr)
		got := test.from.Standing(tag)
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
		to := Admission{Max: 3, MaxPerAddr: test.from.MaxPerAddr, Trusted: test.from.Trusted}
		first, ok := to.Readmit(got)
		if !ok || tagRefusal(first) != nil || to.Standing(first) != test.want {
			t.Errorf("%s: readmitted as %x, %t: %+v", test.name, first, ok, to.Standing(first))
		}
		second, ok := to.Admit(addr)
		if limited := test.want.Client.IsValid(); !ok || (tagRefusal(second) == RefusePerAddr) != limited {
			t.Errorf("%s: another from there got tag %x, %t", test.name, second, ok)
		}
		to.Release(first)
		to.Release(second)
		if to.Open() != 0 || len(to.index) != 0 {
			t.Errorf("%s: open %d, records %v", test.name, to.Open(), to.index)
		}
	}
}

func TestReadmitHasLimits(t *testing.T) {
	one := netip.MustParseAddr("192.0.2.1")
	a := Admission{Max: 2, MaxPerAddr: 1, RefusalsMax: 2}
	for _, test := range []struct {
		name string
		s    Standing
		want *Refusal
		ok   bool
	}{
		{"the first", Standing{Client: one}, nil, true},
		{"one too many of an address", Standing{Client: one}, RefusePerAddr, true},
		{"a proxy's", Standing{Forwarded: true}, nil, true},
		{"one too many", Standing{}, RefuseOverCapacity, true},
		{"more than may be told", Standing{}, nil, false},
	} {
		if tag, ok := a.Readmit(test.s); ok != test.ok || tagRefusal(tag) != test.want {
			t.Errorf("%s: tag %x, %t; want %v, %t", test.name, tag, ok, test.want, test.ok)
		}
	}
	if a.Open() != 2 {
		t.Errorf("open %d", a.Open())
	}
}
