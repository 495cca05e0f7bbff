// Tests of the limits on connections.

package edge

import (
	"bytes"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"c100k/internal/quota"

	"golang.org/x/sys/unix"
)

// A process that is short of memory admits neither connections nor sessions, and says why.
func TestAdmissionShortOfMemory(t *testing.T) {
	short := true
	a := &Admission{Short: func() bool { return short }}
	addr := netip.MustParseAddr("192.0.2.1")
	tag, ok := a.Admit(addr)
	if !ok || tagRefusal(tag) != RefuseMemory || !bytes.Contains(DismissalOf(tag), []byte("503 ")) || a.Open() != 0 {
		t.Errorf("tag %x, told %v, %d open: %s", tag, ok, a.Open(), DismissalOf(tag))
	}
	if h, refusal := a.AdmitSession(addr); h != nil || refusal != RefuseMemory {
		t.Errorf("a session got %v", refusal)
	}
	if memory := a.Refused().Memory; memory != 2 {
		t.Errorf("%d refusals are counted, want 2", memory)
	}
	a.Release(tag)
	short = false
	if tag, ok := a.Admit(addr); !ok || tagRefusal(tag) != nil {
		t.Errorf("afterwards: tag %x", tag)
	}
}

func TestAdmissionTotal(t *testing.T) {
	var refused []*Refusal
	a := Admission{Max: 2, RefusalsMax: 1, OnRefused: func(r *Refusal, _ netip.Addr) { refused = append(refused, r) }}
	addr := netip.MustParseAddr("192.0.2.1")
	for range 2 {
		if tag, ok := a.Admit(addr); !ok || tag != 0 {
			t.Fatalf("tag %d, %t", tag, ok)
		}
	}
	told, ok := a.Admit(addr)
	if !ok || tagRefusal(told) != RefuseOverCapacity {
		t.Fatalf("tag %x, %t", told, ok)
	}
	if _, ok := a.Admit(addr); ok {
		t.Error("more are told than may be")
	}
	a.Release(told)
	if told, ok = a.Admit(addr); !ok || tagRefusal(told) != RefuseOverCapacity {
		t.Errorf("tag %x, %t: room to be told came back, but no room", told, ok)
	}
	a.Release(0)
	if tag, ok := a.Admit(addr); !ok || tagRefusal(tag) != nil {
		t.Errorf("tag %x, %t: room came back", tag, ok)
	}
	want := []*Refusal{RefuseOverCapacity, RefuseOverCapacity, RefuseOverCapacity}
	if a.Open() != 2 || !slices.Equal(refused, want) {
		t.Errorf("open %d, refused %v", a.Open(), refused)
	}
}

func TestAdmissionPerAddr(t *testing.T) {
	a := Admission{MaxPerAddr: 1}
	admit := func(addr string, want *Refusal) uint32 {
		t.Helper()
		tag, ok := a.Admit(netip.MustParseAddr(addr))
		if got := tagRefusal(tag); !ok || got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
		return tag
	}
	one := admit("192.0.2.1", nil)
	admit("192.0.2.1", RefusePerAddr)
	admit("::ffff:192.0.2.1", RefusePerAddr)
	two := admit("192.0.2.2", nil)
	six := admit("2001:db8:0:1::1", nil)
	admit("2001:db8:0:1:ffff::2", RefusePerAddr)
	admit("2001:db8:0:2::1", nil)
	admit("::", nil)
	if one == 0 || one == two || two == six {
		t.Errorf("tags %d, %d, %d", one, two, six)
	}
	a.Release(one)
	again := admit("192.0.2.1", nil)
	if again != one {
		t.Errorf("the record of an address that left was not used again: %d, %d", one, again)
	}
	a.Release(two)
	a.Release(six)
	if held := a.addresses().Held(); held != 3 {
		t.Errorf("%d addresses are known, 3 are connected", held)
	}
}

func TestAdmissionFromManyGoroutines(t *testing.T) {
	a := Admission{Max: 8, MaxPerAddr: 4}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 3)})
			for range 500 {
				if tag, ok := a.Admit(addr); ok {
					a.Release(tag)
				}
			}
		})
	}
	wg.Wait()
	if a.Open() != 0 || a.told.Load() != 0 || a.addresses().Held() != 0 {
		t.Errorf("open %d, told %d, addresses %d", a.Open(), a.told.Load(), a.addresses().Held())
	}
}

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
		if to.Open() != 0 || to.addresses() != nil && to.addresses().Held() != 0 {
			t.Errorf("%s: open %d", test.name, to.Open())
		}
	}
}

func TestReadmitHasLimits(t *testing.T) {
	one := netip.MustParseAddr("192.0.2.1")
	a := Admission{Max: 3, MaxPerAddr: 1, RefusalsMax: 1}
	for _, test := range []struct {
		name string
		s    Standing
		want *Refusal
		ok   bool
	}{
		{"the first", Standing{Client: one}, nil, true},
		{"another of its address: it counts where it comes from, too", Standing{Client: one}, nil, true},
		{"a proxy's", Standing{Forwarded: true}, nil, true},
		{"one too many", Standing{}, RefuseOverCapacity, true},
		{"more than may be told", Standing{}, RefuseOverCapacity, false},
	} {
		if tag, ok := a.Readmit(test.s); ok != test.ok || tagRefusal(tag) != test.want {
			t.Errorf("%s: tag %x, %t; want %v, %t", test.name, tag, ok, test.want, test.ok)
		}
	}
	if a.Open() != 3 {
		t.Errorf("open %d", a.Open())
	}
}

// TestAdmissionDismissal: who is closed at once hears the true reason, too.
func TestAdmissionDismissal(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	a := Admission{Max: 100, MaxPerAddr: 1, RefusalsMax: 1}
	for range 2 {
		a.Admit(addr)
	}
	tag, ok := a.Admit(addr)
	if ok || !strings.HasPrefix(string(DismissalOf(tag)), "HTTP/1.1 429 ") {
		t.Errorf("%t, %q", ok, DismissalOf(tag))
	}
	full := Admission{Max: 1, RefusalsMax: 1}
	for range 2 {
		full.Admit(addr)
	}
	if tag, ok = full.Admit(addr); ok || !strings.HasPrefix(string(DismissalOf(tag)), "HTTP/1.1 503 ") {
		t.Errorf("%t, %q", ok, DismissalOf(tag))
	}
}

// TestAdmissionLocal: peers on Unix sockets have no address that a limit could hold for.
func TestAdmissionLocal(t *testing.T) {
	a := Admission{MaxPerAddr: 1}
	for range 3 {
		if tag, ok := a.Admit(netip.Addr{}); !ok || tag != 0 {
			t.Errorf("tag %x, %t", tag, ok)
		}
	}
	a.TrustLocal = true
	if tag, ok := a.Admit(netip.Addr{}); !ok || tag != tagProxy {
		t.Errorf("tag %x, %t: a peer on a Unix socket is not believed", tag, ok)
	}
}

// TestConnRate: an address opens so many connections a second, whether it keeps them or not, and
// hears which limit refuses more. Others are not in its way.
func TestConnRate(t *testing.T) {
	a := Admission{RatePerAddr: 5, RefusalsMax: 1}
	greedy, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	// At least so many are within the first moment; the rest of a second has one each 200 ms.
	admitted := 0
	for range 100 {
		tag, ok := a.Admit(greedy)
		if ok && tagRefusal(tag) == nil {
			admitted++
			a.Release(tag)
			continue
		}
		if !ok && !strings.HasPrefix(string(DismissalOf(tag)), "HTTP/1.1 429 ") || ok && tagRefusal(tag) != RefuseConnRate {
			t.Fatalf("tag %x, %t", tag, ok)
		}
	}
	if admitted < 5 || admitted > 50 {
		t.Errorf("%d of 100 were admitted", admitted)
	}
	if r := a.Refused(); r.ConnRate != uint64(100-admitted) || r.PerAddr != 0 {
		t.Errorf("%+v", r)
	}
	if tag, ok := a.Admit(other); !ok || tagRefusal(tag) != nil {
		t.Errorf("another address: tag %x, %t", tag, ok)
	}
}

// TestProcessesShareALimit: two processes with one table admit no more than one would.
func TestProcessesShareALimit(t *testing.T) {
	table, err := quota.NewShared(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer table.File().Close()
	var all [2]*Admission
	for i := range all {
		fd, err := unix.FcntlInt(table.File().Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		own, err := quota.Open(os.NewFile(uintptr(fd), "quota"), i)
		if err != nil {
			t.Fatal(err)
		}
		defer own.File().Close()
		all[i] = &Admission{MaxPerAddr: 3, Addresses: own}
	}
	addr := netip.MustParseAddr("192.0.2.1")
	var tags [2]uint32
	for i := range 6 {
		tag, _ := all[i%2].Admit(addr)
		if refused := tagRefusal(tag) == RefusePerAddr; refused != (i >= 3) {
			t.Errorf("connection %d: tag %x", i, tag)
		} else if !refused {
			tags[i%2] = tag
		}
		_, refusal := all[i%2].AdmitSession(addr)
		if (refusal == RefusePerAddr) != (i >= 3) {
			t.Errorf("session %d: %v", i, refusal)
		}
	}
	all[0].Release(tags[0])
	if tag, _ := all[1].Admit(addr); tagRefusal(tag) != nil {
		t.Errorf("the other process has given one back: tag %x", tag)
	}
}
