// What a run looks like while it goes on.

package loadgen

import (
	"time"

	"c100k/loadgen/swarm"
)

// Phase is a part of a run.
type Phase string

// The phases, in order.
const (
	Finding  Phase = "find"    // where the target is, and what it speaks
	Ramp     Phase = "connect" // until all are connected
	Warm     Phase = "warm-up" // the same load, which does not count
	Between  Phase = "between" // warm-up and measured part: nothing is published, and counts begin anew
	Measure  Phase = "measure"
	Settling Phase = "settle" // for what is on its way
	Ending   Phase = "end"
)

// Progress is one look at a run, once a second. It is a value: a receiver may keep it.
type Progress struct {
	URL      string
	Mode     swarm.Mode
	Protocol swarm.Protocol
	Phase    Phase
	Elapsed  time.Duration // since the start
	Left     time.Duration // of the phase, as far as it is known; 0: not known

	Wanted    int
	Second    Second // of this second
	Opened    uint64 // since the start
	Failed    map[string]uint64
	Lost      map[string]uint64
	Sent      uint64 // of the measured part
	Received  uint64
	Latency   *Latencies // of the measured part so far
	Connect   *Latencies
	Late      *Latencies     // how late messages leave; nil where nobody sends on a schedule
	Server    *ServerReading // nil: not watched
	CPUShare  float64        // of the machine
	Processes int
	Remarks   []string
}

// shareOfTime is d as a part of a time of so many clocks.
func shareOfTime(d, over time.Duration, clocks int) float64 {
	if over <= 0 || clocks < 1 {
		return 0
	}
	return float64(d) / float64(over) / float64(clocks)
}

// perSecond is a count as a rate.
func perSecond(n uint64, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	return float64(n) / over.Seconds()
}

// since is how much a count has grown; one that started anew has grown from nothing.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}
