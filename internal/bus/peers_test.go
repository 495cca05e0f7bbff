// Nodes that come and go, what was missed of them, and what the log says, with a clock of the test.

package bus

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPeerNews(t *testing.T) {
	ps := peers{byID: map[uint64]*peer{}}
	now := time.Now()
	beat := func(id uint64, name string) func() {
		return func() {
			if p, _ := ps.hear(id, now); name != "" {
				ps.presence(p, []byte(name), 0)
			}
		}
	}
	for _, step := range []struct {
		name string
		wait time.Duration
		do   []func()
		want string
	}{
		{"nobody is there", 0, nil, ""},
		{"one without a name is not said yet", 0, []func(){beat(1, "")}, ""},
		{"two have come", time.Second, []func(){beat(1, "a/1"), beat(2, "b/2")}, "a/1 a node has joined the bus 0s; b/2 a node has joined the bus 0s"},
		{"they are there", time.Second, []func(){beat(1, "a/1"), beat(2, "b/2")}, ""},
		{"one is silent", PeerTimeout, []func(){beat(1, "a/1")}, ""},
		{"for too long", time.Second, []func(){beat(1, "a/1")}, "b/2 a node is silent on the bus 4s"},
		{"it is said once", time.Second, []func(){beat(1, "a/1")}, ""},
		{"it is back", 5 * time.Second, []func(){beat(1, "a/1"), beat(2, "b/2")}, "b/2 a node is back on the bus 10s"},
		{"a process has died", 0, []func(){func() { ps.gone("a/1") }}, "a/1 a node on the bus has died 0s"},
		{"a node leaves", 0, []func(){func() { ps.bye(2) }}, "b/2 a node has left the bus 0s"},
		{"another of its name comes", 0, []func(){beat(3, "b/2")}, "b/2 a node has joined the bus 0s"},
		{"it comes and goes between two looks", 0, []func(){beat(4, "c/4"), func() { ps.bye(4) }}, ""},
	} {
		now = now.Add(step.wait)
		for _, do := range step.do {
			do()
		}
		ps.expire(now)
		var got []string
		for _, n := range ps.news(now) {
			got = append(got, fmt.Sprintf("%s %s %v", n.name, n.what, n.silent))
		}
		if all := strings.Join(got, "; "); all != step.want {
			t.Errorf("%s: %q, want %q", step.name, all, step.want)
		}
	}
}

func TestPeerIsSilent(t *testing.T) {
	ps := peers{byID: map[uint64]*peer{}}
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
	ps := peers{byID: map[uint64]*peer{}}
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
