package socketio

import (
	"slices"
	"testing"

	"c100k/netpoll"
)

func TestMembers(t *testing.T) {
	var m members
	one, two := &Namespace{}, &Namespace{}
	if m.find(one, 1) != nil {
		t.Error("found in an empty table")
	}
	m.remove(&Socket{})
	const n = 1000
	var all []*Socket
	for i := range n {
		for _, nsp := range []*Namespace{one, two} {
			s := &Socket{nsp: nsp, session: netpoll.ID(uint64(i)<<32 | 7)}
			all = append(all, s)
			m.add(s)
		}
		for _, s := range all[max(0, len(all)-9):] {
			if m.find(s.nsp, s.session) != s {
				t.Fatalf("of %d sockets one is not found", len(all))
			}
		}
	}
	if m.count != 2*n || len(m.chains) != n {
		t.Errorf("%d sockets in %d chains", m.count, len(m.chains))
	}
	longest := 0
	for _, s := range m.chains {
		length := 0
		for ; s != nil; s = s.next {
			length++
		}
		longest = max(longest, length)
	}
	if longest > 20 {
		t.Errorf("a chain has %d sockets", longest)
	}
	if got := m.appendAll(nil, one); len(got) != n {
		t.Errorf("%d sockets in one namespace", len(got))
	}
	for i, s := range all {
		if m.remove(s); m.find(s.nsp, s.session) != nil {
			t.Fatalf("socket %d is found after it was removed", i)
		}
		m.remove(s)
	}
	if m.count != 0 || slices.ContainsFunc(m.chains, func(s *Socket) bool { return s != nil }) {
		t.Errorf("%d sockets are left", m.count)
	}
}
