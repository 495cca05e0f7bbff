// What is noted of connections: all kinds of addresses, slots that are used again, and the size.

package node

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"
)

func TestNotes(t *testing.T) {
	var s notes
	four, wide := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	for _, c := range []struct {
		name       string
		slot       uint32
		addr, want netip.Addr
		now, began time.Duration
	}{
		{"IPv4", 0, four, four, 90 * time.Second, 90 * time.Second},
		{"in the first second", 1, four, four, 0, time.Second},
		{"IPv6", 5 * noteChunk, wide, wide, time.Hour, time.Hour},
		{"IPv4 in IPv6", 2, netip.MustParseAddr("::ffff:192.0.2.7"), four, time.Second, time.Second},
		{"with a zone", 3, netip.MustParseAddr("fe80::1%lo"), netip.MustParseAddr("fe80::1"), time.Second, time.Second},
		{"not known", 4, netip.Addr{}, netip.Addr{}, time.Second, time.Second},
		{"the lowest addresses", 6, netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("0.0.0.0"), time.Second, time.Second},
		{"the lowest addresses", 7, netip.MustParseAddr("::"), netip.MustParseAddr("::"), time.Second, time.Second},
		{"the highest address", 8, netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("255.255.255.255"), time.Second, time.Second},
		{"the same slot, IPv4 after IPv6", 5 * noteChunk, four, four, 2 * time.Hour, 2 * time.Hour},
		{"the same slot, IPv6 after IPv4", 0, wide, wide, 2 * time.Hour, 2 * time.Hour},
		{"a clock of a hundred years", 9, four, four, 100 * 365 * 24 * time.Hour, time.Duration(noteSince) * time.Second},
	} {
		s.put(c.slot, c.addr, c.now)
		if addr, began := s.at(c.slot); addr != c.want || began != c.began {
			t.Errorf("%s: %v since %v, want %v since %v", c.name, addr, began, c.want, c.began)
		}
	}
	for _, slot := range []uint32{10, noteChunk, 100 * noteChunk} {
		if addr, began := s.at(slot); addr.IsValid() || began != 0 {
			t.Errorf("slot %d, of which nothing was noted: %v since %v", slot, addr, began)
		}
	}
}

// TestNotesWide: a slot that is used again and again by IPv6 clients keeps one address.
func TestNotesWide(t *testing.T) {
	var s notes
	addr := netip.MustParseAddr("2001:db8::1")
	for range 1000 {
		addr = addr.Next()
		s.put(3, addr, time.Second)
	}
	if got, _ := s.at(3); got != addr || s.wide.Len() != 1 {
		t.Errorf("address %v, want %v; %d kept, want 1", got, addr, s.wide.Len())
	}
	s.put(3, netip.Addr{}, time.Second)
	if s.wide.Len() != 0 {
		t.Errorf("%d addresses kept of a client whose address is not known", s.wide.Len())
	}
}

// TestNoteSize: every connection has a note, so its size is part of what an idle one costs.
func TestNoteSize(t *testing.T) {
	if n := unsafe.Sizeof(note{}); n != 8 {
		t.Errorf("a note has %d bytes, want 8", n)
	}
}
