// Names of connections, the slabs, and the reasons.

package netpoll

import (
	"testing"
	"unsafe"
)

func TestID(t *testing.T) {
	for _, v := range []struct {
		loop      uint8
		slot, gen uint32
		text      string
	}{
		{0, 0, 1, "0000000000000001"},
		{255, slotsMax - 1, ^uint32(0), "ffffffffffffffff"},
		{3, 0x00abcdef, 7, "03abcdef00000007"},
	} {
		id := makeID(v.loop, v.slot, v.gen)
		if id.Loop() != int(v.loop) || id.Slot() != v.slot || id.Generation() != v.gen {
			t.Errorf("%v: %d %d %d", v, id.Loop(), id.Slot(), id.Generation())
		}
		if id.String() != v.text {
			t.Errorf("%v: %s", v, id)
		}
		if back, err := ParseID(v.text); err != nil || back != id {
			t.Errorf("ParseID(%q) = %v, %v", v.text, back, err)
		}
	}
	for _, bad := range []string{"", "1", "000000000000001", "00000000000000001", "+000000000000001", "0x00000000000001", "000000000000000g", "0000_00000000001"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("ParseID(%q) took it", bad)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("03abcdef00000007")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		if back, err := ParseID(id.String()); err != nil || back != id {
			t.Errorf("%q: %v, %v", s, back, err)
		}
	})
}

func TestConnSize(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); size != 48 {
		t.Errorf("a record is %d bytes, want 48", size)
	}
}

// TestConnSlabBegins: a loop of a later process does not begin with the IDs of an earlier one.
func TestConnSlabBegins(t *testing.T) {
	for unused, want := range map[uint32]uint32{0: 1, 41: 42, ^uint32(0): 1} {
		s := connSlab{unused: unused}
		for range 2 * connChunk {
			if c := s.alloc(); c.gen != want {
				t.Fatalf("records that begin at %d: generation %d of slot %d, want %d", unused, c.gen, c.Slot(), want)
			}
		}
	}
}

func TestConnSlabGenerations(t *testing.T) {
	s := connSlab{loop: 9}
	seen := map[ID]bool{}
	var held []*Conn
	for i := range 5000 {
		c := s.alloc()
		if c.gen == 0 || c.ID().Loop() != 9 || seen[c.ID()] {
			t.Fatalf("id %s again, or of generation 0", c.ID())
		}
		seen[c.ID()] = true
		held = append(held, c)
		if i%3 == 0 {
			s.release(held[0])
			held = held[1:]
		}
	}
	live := 0
	s.each(func(*Conn) bool { live++; return true })
	if live != len(held) || s.live != live {
		t.Errorf("%d live, %d counted, %d held", live, s.live, len(held))
	}
	if s.get(1<<23) != nil {
		t.Error("a slot that never existed is found")
	}
	c := held[0]
	slot := c.Slot()
	c.gen = ^uint32(0) // the last of its kind
	s.release(c)
	if c = s.alloc(); c.Slot() != slot || c.gen != 1 {
		t.Errorf("after the last generation: slot %d generation %d", c.Slot(), c.gen)
	}
}

func TestSlab(t *testing.T) {
	var s Slab[[3]int]
	index := map[uint32]*[3]int{}
	for n := range 1000 {
		i, v := s.Alloc()
		if i == 0 || index[i] != nil || *v != [3]int{} {
			t.Fatalf("index %d is none, in use, or not zero: %v", i, *v)
		}
		v[0] = n + 1
		index[i] = v
		if n%2 == 1 {
			s.Free(i)
			delete(index, i)
		}
	}
	if s.Len() != len(index) {
		t.Errorf("Len %d, want %d", s.Len(), len(index))
	}
	for i, v := range index {
		if s.At(i) != v {
			t.Errorf("%d has moved", i)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(ReasonCount) {
		if s := r.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("reason %d: %q", r, s)
		} else {
			seen[s] = true
		}
	}
	if Reason(200).String() != "unknown" {
		t.Error("a reason that is none has a name")
	}
}
