// The seconds of a run, from invented samples.

package loadgen

import (
	"math"
	"testing"
	"time"

	"c100k/loadgen/swarm"
)

// TestSecondsOfTheMeasuredPart: totals restart with the measured part, and no second is the
// difference of totals of both parts.
func TestSecondsOfTheMeasuredPart(t *testing.T) {
	r := &Run{tally: newTally(1), phase: Ramp, begun: time.Now(), rate: 100}
	r.series.begin(r)
	take := func(at time.Duration, sent uint64, begun bool) {
		t.Helper()
		if err := r.tally.take(0, swarm.Sample{At: at, Begun: begun, Sent: sent, Received: sent, Self: swarm.Self{Loops: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	take(time.Second, 80, false)
	take(1100*time.Millisecond, 0, true) // the answer to Begin
	r.series.measure(r)
	r.phase = Measure
	take(2100*time.Millisecond, 100, true)
	r.series.add(r)
	take(3100*time.Millisecond, 201, true)
	r.series.add(r)
	seconds := r.series.seconds
	if len(seconds) != 3 || seconds[0].Phase != Ramp || seconds[1].Phase != Measure {
		t.Fatalf("seconds %+v", seconds)
	}
	for i, want := range map[int]float64{1: 100, 2: 101} {
		if got := seconds[i]; math.Abs(got.Sent-want) > 1e-9 || math.Abs(got.Received-want) > 1e-9 {
			t.Errorf("second %d: sent %v, received %v a second; want %v", i, got.Sent, got.Received, want)
		}
	}
}

// TestShortMeasuredPart: if no sample came in the measured part, the load of the loops is that of
// the last sample.
func TestShortMeasuredPart(t *testing.T) {
	r := &Run{tally: newTally(1), phase: Ramp, begun: time.Now()}
	r.series.begin(r)
	for i, busy := range []time.Duration{0, 300 * time.Millisecond} {
		if err := r.tally.take(0, swarm.Sample{At: time.Duration(i+1) * time.Second, Begun: true, Self: swarm.Self{Loops: 1, Busy: busy}}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			r.series.measure(r)
			r.series.measured(r)
		}
	}
	r.series.settled(r)
	if got := busiest(r.series.ended, r.series.begun); math.Abs(got-0.3) > 1e-9 {
		t.Errorf("busy %v, want 0.3", got)
	}
}
