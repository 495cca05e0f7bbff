// What the log says of nodes that come and go, with a clock of the test.

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
