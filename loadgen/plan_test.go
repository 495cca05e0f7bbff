// How a run is split.

package loadgen

import (
	"net/netip"
	"strings"
	"testing"

	"c100k/loadgen/swarm"
)

func TestPlan(t *testing.T) {
	b := box{files: 20000, ports: 28232}
	loopback, elsewhere := netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddrPort("192.0.2.1:80")
	for _, test := range []struct {
		name               string
		conns, perProcess  int
		mode               swarm.Mode
		target             netip.AddrPort
		processes, sources int // sources of each process
		refused            string
	}{
		{"few", 100, 0, swarm.Echo, loopback, 1, 0, ""},
		{"as many as fit", 19744, 0, swarm.Idle, loopback, 1, 2, ""},
		{"one more", 19745, 0, swarm.Idle, loopback, 2, 1, ""},
		{"two for each", 30000, 0, swarm.Idle, loopback, 2, 2, ""},
		{"as many as one address has", 13551, 0, swarm.Idle, loopback, 1, 0, ""},
		{"100,000", 100000, 0, swarm.Subscribe, loopback, 6, 2, ""},
		{"split by hand", 100, 30, swarm.Echo, loopback, 4, 0, ""},
		{"storm", 19000, 0, swarm.Storm, loopback, 1, 3, ""},
		{"churn", 100, 0, swarm.Churn, loopback, 1, 9, ""},
		{"far away", 20000, 0, swarm.Idle, elsewhere, 2, 0, ""},
		{"too many for far away", 30000, 0, swarm.Idle, elsewhere, 0, 0, "only for a target in 127.0.0.0/8"},
		{"too many processes", 100000, 1, swarm.Idle, loopback, 0, 0, "processes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := DefaultOptions()
			o.URL, o.Conns, o.ConnsPerProcess, o.Mode, o.Rate, o.ConnectRate = "ws://a/", test.conns, test.perProcess, test.mode, 0, 1000
			specs, err := b.plan(&o, swarm.Raw, test.target)
			if test.refused != "" {
				if err == nil || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("%v, want %q", err, test.refused)
				}
				return
			}
			if err != nil || len(specs) != test.processes {
				t.Fatalf("%d processes, %v; want %d", len(specs), err, test.processes)
			}
			conns, rate, seen := 0, 0.0, map[netip.Addr]bool{}
			for i, s := range specs {
				if s.Process != i || s.FirstConn != conns || s.AllConns != test.conns || len(s.Sources) != test.sources {
					t.Errorf("process %d: %+v", i, s)
				}
				for _, source := range s.Sources {
					if seen[source] || !source.IsLoopback() {
						t.Errorf("%v twice, or not loopback", source)
					}
					seen[source] = true
				}
				conns, rate = conns+s.Conns, rate+s.ConnectRate
			}
			if conns != test.conns || rate < 999.9 || rate > 1000.1 {
				t.Errorf("%d connections at %v/s", conns, rate)
			}
		})
	}
}
