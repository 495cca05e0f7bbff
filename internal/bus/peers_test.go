// Who is there and what was missed of whom, with a clock of the test.

package bus

import (
	"testing"
	"time"
)

func TestPeerIsSilent(t *testing.T) {
	ps := peers{byID: make(map[uint64]*peer)}
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	p, changed := ps.hear(7, now)
	if !changed || !ps.isThere(7) {
		t.Error("who is heard for the first time is there")
	}
	if missed := ps.presence(p, []byte("seven"), 3); missed != 0 {
		t.Errorf("%d missed of what was sent before it was known", missed)
	}
	if ps.expire(at(PeerTimeout)) || !ps.expire(at(PeerTimeout+1)) || ps.expire(at(PeerTimeout+2)) || ps.isThere(7) {
		t.Error("it is there for PeerTimeout, and goes once")
	}
	// Its number is kept while it is silent.
	ps.expire(at(PeerMemory - 1))
	if p, changed = ps.hear(7, at(PeerMemory)); !changed || ps.presence(p, []byte("seven"), 5) != 2 {
		t.Error("it comes back, and 4 and 5 were missed")
	}
	if missed, fresh := ps.message(p, 5); missed != 0 || fresh {
		t.Error("5 is late: it was counted as missed")
	}
	if missed, fresh := ps.message(p, 8); missed != 2 || !fresh {
		t.Error("6 and 7 were missed")
	}
	// It was we who could not hear.
	ps.excuse(at(2 * PeerMemory))
	if ps.expire(at(2*PeerMemory+PeerTimeout)) || !ps.expire(at(2*PeerMemory+PeerTimeout+1)) {
		t.Error("an excuse is worth PeerTimeout")
	}
	ps.expire(at(4 * PeerMemory))
	if len(ps.byID) != 0 {
		t.Error("it is forgotten after PeerMemory")
	}
}

func TestPeersAreBounded(t *testing.T) {
	ps := peers{byID: make(map[uint64]*peer)}
	now := time.Now()
	for id := range uint64(PeersMax) {
		ps.hear(id+1, now)
	}
	if p, _ := ps.hear(PeersMax+1, now); p != nil {
		t.Error("one too many")
	}
	ps.expire(now.Add(PeerTimeout + 1))
	if p, changed := ps.hear(PeersMax+1, now.Add(PeerTimeout+2)); p == nil || !changed || len(ps.byID) > PeersMax {
		t.Error("those who are not there make room")
	}
}
