// The test binary as one process of a run: what the coordinator's tests start instead of real
// clients.

package loadgen

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"c100k/loadgen/swarm"
)

// fakeVariable names the behaviour of a process that is started from this binary.
const fakeVariable = "LOADGEN_TEST_PROCESS"

func TestMain(m *testing.M) {
	if what := os.Getenv(fakeVariable); what != "" {
		os.Exit(fakeProcess(what))
	}
	goleak.VerifyTestMain(m)
}

// fakeProcess follows orders like a swarm, with invented figures, or fails in the way that its name
// says.
func fakeProcess(what string) int {
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	var spec swarm.Spec
	if in.Decode(&spec) != nil {
		return 1
	}
	say := func(s swarm.Sample) {
		s.Process, s.At, s.Self.Loops = spec.Process, swarm.Clock(), 1
		if out.Encode(s) != nil {
			os.Exit(1) // the coordinator has gone
		}
	}
	switch what {
	case "dies":
		fmt.Fprintln(os.Stderr, "the reason why")
		return 7
	case "garbage":
		fmt.Println("hello")
	case "fails":
		say(swarm.Sample{Error: "no loop to be had", Last: true})
		return 0
	}
	open := swarm.Sample{Open: spec.Conns, Opened: uint64(spec.Conns), ConnectedAt: swarm.Clock(), Failed: map[string]uint64{"refused": 2}}
	say(open)
	var begun swarm.Sample
	for {
		var order swarm.Order
		if in.Decode(&order) != nil {
			return 0
		}
		switch {
		case order.Begin != nil:
			begun = swarm.Sample{Begun: true, Open: spec.Conns, ConnectedAt: open.ConnectedAt, Lost: map[string]uint64{"reset": 1}}
			if what == "quits" {
				return 0
			}
			if what == "hangs" { // says nothing any more, and does not end
				say(begun)
				_, _ = io.Copy(io.Discard, os.Stdin)
				return 0
			}
		case order.Drop != nil:
			begun.ConnectedAt = swarm.Clock()
			begun.Opened += uint64(spec.Conns)
			begun.Reconnected += uint64(spec.Conns)
		case order.Settle != nil && what == "crashes" && spec.Process == 1:
			return 3
		case order.Settle != nil && what == "unsettled" && spec.Process == 1:
		case order.Settle != nil:
			begun.Settled, begun.Sent, begun.Received, begun.Expected = true, 10, 9, 10
			begun.Missing, begun.Duplicated, begun.Reordered = 1, 2, 3
		case order.End:
			begun.Last = true
			say(begun)
			return 0
		}
		say(begun)
	}
}
