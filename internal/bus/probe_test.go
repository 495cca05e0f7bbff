// Probes on a carrier that loses them, with a clock of the test.

package bus

import (
	"testing"
	"time"
)

func TestProbes(t *testing.T) {
	var ps probes
	now := time.Now()
	at := func(d time.Duration) time.Time { return now.Add(d) }
	if ps.check(at(time.Hour)) {
		t.Error("a bus that has not begun is mended")
	}
	ps.begin(now)
	first := ps.next(now)
	if first == 0 || ps.next(at(time.Millisecond)) != 0 {
		t.Error("the first probe is due at once, and the second is not")
	}
	ps.returned(first+1, at(time.Millisecond)) // forged
	ps.returned(first, at(300*time.Microsecond))
	ps.returned(first, at(time.Second)) // twice
	counts, silent := ps.read(at(ProbeSilenceMax))
	if silent || counts.Sum != 300*time.Microsecond || counts.Counts[3] != 1 || counts.Lost != 0 {
		t.Errorf("%+v %v", counts, silent)
	}
	for i, bound := range ProbeBounds() {
		if (300*time.Microsecond <= bound) != (i >= 3) {
			t.Errorf("bucket %d ends at %v", i, bound)
		}
	}
	second := ps.next(at(ProbeInterval))
	if second == 0 {
		t.Fatal("the second probe is due")
	}
	if ps.check(at(ProbeSilenceMax)) {
		t.Error("too early to mend")
	}
	late := at(ProbeInterval + ProbeTimeout + time.Millisecond)
	if !ps.check(late) || ps.check(late) {
		t.Error("it is mended once")
	}
	ps.returned(second, late)
	if counts, silent := ps.read(late); !silent || counts.Lost != 1 || counts.Counts[3] != 1 {
		t.Errorf("%+v %v, want one that is lost", counts, silent)
	}
	if ps.check(late.Add(ProbeSilenceMax-1)) || !ps.check(late.Add(ProbeSilenceMax)) {
		t.Error("it is mended again after ProbeSilenceMax")
	}
	// A new connection has its time, and what was on its way over the old one is lost.
	third := ps.next(late.Add(ProbeSilenceMax))
	ps.begin(late.Add(ProbeSilenceMax))
	if counts, silent := ps.read(late.Add(ProbeSilenceMax)); third == 0 || silent || counts.Lost != 2 {
		t.Errorf("%+v %v", counts, silent)
	}
	// What strangers send stands before a probe, which is late; the bus is not silent.
	busy := late.Add(2 * ProbeSilenceMax)
	ps.delayed(busy)
	if counts, silent := ps.read(busy.Add(ProbeSilenceMax)); silent || counts.Lost != 2 || ps.check(busy.Add(ProbeSilenceMax)) {
		t.Errorf("%+v %v", counts, silent)
	}
	if !ps.check(busy.Add(ProbeSilenceMax + 1)) {
		t.Error("when they have ended, silence is silence")
	}
	// One that stood still blames nobody.
	fourth := ps.next(late.Add(time.Hour))
	ps.excuse(late.Add(2 * time.Hour))
	ps.returned(fourth, late.Add(2*time.Hour+10*time.Second))
	if counts, silent := ps.read(late.Add(2 * time.Hour)); silent || counts.Lost != 2 || counts.Counts[probeBounds] != 1 {
		t.Errorf("%+v %v", counts, silent)
	}
}
