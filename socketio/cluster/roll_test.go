// Which subscribers are taken for servers, and which for programs that only listen.

package cluster

import (
	"testing"
)

// counted is a request that so many subscribers got, and so many servers have answered.
func counted(receivers, answers int) *request {
	return &request{sent: true, receivers: countable(receivers), unnamed: answers}
}

func TestRoll(t *testing.T) {
	for _, test := range []struct {
		name    string
		before  [][2]int // subscribers with this server, and answers, of requests before the first probe
		probes  [][2]int // the same of each probe
		over    [][2]int // and of requests after the last
		request [2]int   // one that is judged
		missing int
	}{
		{name: "nobody else", probes: [][2]int{{1, 0}}, request: [2]int{1, 0}},
		{name: "all answer", probes: [][2]int{{3, 2}}, request: [2]int{3, 2}},
		{name: "one is silent", probes: [][2]int{{3, 2}, {3, 1}}, request: [2]int{3, 1}, missing: 1},
		{name: "one listens only", probes: [][2]int{{3, 1}, {3, 1}}, request: [2]int{3, 1}},
		// Redis has failed over. The probe was published before anybody had subscribed again.
		{name: "nobody has subscribed yet", probes: [][2]int{{3, 2}, {0, 0}, {3, 2}}, request: [2]int{3, 2}},
		{name: "nobody has, in the first probe", probes: [][2]int{{0, 0}}, request: [2]int{3, 2}},
		// A busy machine. The server answers later than probeTimeout, but it answers, and then it hangs.
		{name: "late in the first probe", before: [][2]int{{3, 2}}, probes: [][2]int{{3, 1}}, request: [2]int{3, 1}, missing: 1},
		{name: "late in the first probe, before", probes: [][2]int{{3, 1}}, over: [][2]int{{3, 2}}, request: [2]int{3, 1}, missing: 1},
		{name: "late twice", before: [][2]int{{3, 1}}, probes: [][2]int{{3, 1}, {3, 2}}, request: [2]int{3, 1}, missing: 1},
	} {
		var o roll
		for _, p := range test.before {
			o.answered(counted(p[0], p[1]))
		}
		for _, p := range test.probes {
			o.take(counted(p[0], p[1]))
		}
		for _, p := range test.over {
			o.answered(counted(p[0], p[1]))
		}
		if n := o.missing(counted(test.request[0], test.request[1])); n != test.missing {
			t.Errorf("%s: %d are missing, want %d", test.name, n, test.missing)
		}
	}
}
