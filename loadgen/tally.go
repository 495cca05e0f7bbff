// Adding up the samples of the processes.

package loadgen

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"c100k/loadgen/swarm"
)

// tally is the sum over all processes. The coordinator owns it.
type tally struct {
	latest []swarm.Sample // the newest of each process
	heard  []time.Time    // when that was
	// ramp are the newest totals of each process from before Begin: those start anew there, and what
	// failed or opened in the ramp is part of the result.
	ramp []swarm.Sample

	connect *hdrhistogram.Histogram // of the whole run, as the two below
	full    *hdrhistogram.Histogram
	resumed *hdrhistogram.Histogram
	latency *hdrhistogram.Histogram // of the measured part, as the three below
	catchup *hdrhistogram.Histogram
	slip    *hdrhistogram.Histogram
	turn    *hdrhistogram.Histogram
	spreads *spreads

	// now are the histograms of the second that is going on.
	now struct{ connect, latency *hdrhistogram.Histogram }
}

func newTally(processes int) *tally {
	t := &tally{latest: make([]swarm.Sample, processes), heard: make([]time.Time, processes), ramp: make([]swarm.Sample, processes),
		connect: newHistogram(), full: newHistogram(), resumed: newHistogram(), latency: newHistogram(), catchup: newHistogram(), slip: newHistogram(), turn: newHistogram(), spreads: newSpreads()}
	t.now.connect, t.now.latency = newHistogram(), newHistogram()
	for i := range t.heard {
		t.heard[i] = time.Now()
	}
	return t
}

// take adds one sample.
func (t *tally) take(process int, s swarm.Sample) error {
	if !s.Begun {
		t.ramp[process] = s
	}
	t.latest[process], t.heard[process] = s, time.Now()
	err := errors.Join(mergePacked(s.Connect, t.connect, t.now.connect), mergePacked(s.Full, t.full), mergePacked(s.Resumed, t.resumed))
	if err == nil && s.Begun {
		err = t.takeMeasured(s)
	}
	if err == nil && s.Error != "" {
		err = fmt.Errorf("process %d of the load: %s", process, s.Error)
	}
	return err
}

func (t *tally) takeMeasured(s swarm.Sample) error {
	t.spreads.add(s.Spreads)
	if err := mergePacked(s.Latency, t.latency, t.now.latency); err != nil {
		return err
	}
	if err := mergePacked(s.CatchUp, t.catchup); err != nil {
		return err
	}
	if err := mergePacked(s.Self.Turn, t.turn); err != nil {
		return err
	}
	return mergePacked(s.Self.Slip, t.slip)
}

// silent are the processes that have said nothing for silenceMax.
func (t *tally) silent() (processes []int) {
	for i, heard := range t.heard {
		if !t.latest[i].Last && time.Since(heard) > silenceMax {
			processes = append(processes, i)
		}
	}
	return processes
}

// all tells whether something holds for the newest sample of every process.
func (t *tally) all(holds func(*swarm.Sample) bool) bool {
	for i := range t.latest {
		if !holds(&t.latest[i]) {
			return false
		}
	}
	return true
}

// sum is the newest of all processes as one: totals since Begin where it has begun, connections as
// they are.
func (t *tally) sum() (all swarm.Sample) {
	for i := range t.latest {
		add(&all, &t.latest[i])
	}
	return all
}

// whole is sum with what happened to connections in the ramp.
func (t *tally) whole() swarm.Sample {
	all := t.sum()
	for i := range t.ramp {
		if t.latest[i].Begun {
			r := &t.ramp[i]
			all.Opened += r.Opened
			all.Reconnected += r.Reconnected
			all.Failed, all.Lost = addCounts(all.Failed, r.Failed), addCounts(all.Lost, r.Lost)
		}
	}
	return all
}

// ramped is how many connections opened before the measured part.
func (t *tally) ramped() (n uint64) {
	for i := range t.ramp {
		n += t.ramp[i].Opened
	}
	return n
}

// add adds the counts of one sample to another.
func add(to, s *swarm.Sample) {
	to.Open += s.Open
	to.Connecting += s.Connecting
	to.Down += s.Down
	to.Failed, to.Lost = addCounts(to.Failed, s.Failed), addCounts(to.Lost, s.Lost)
	to.ConnectedAt = max(to.ConnectedAt, s.ConnectedAt)
	for _, c := range []struct {
		to *uint64
		n  uint64
	}{
		{&to.Opened, s.Opened}, {&to.Reconnected, s.Reconnected}, {&to.Sent, s.Sent}, {&to.Received, s.Received}, {&to.Foreign, s.Foreign},
		{&to.BytesSent, s.BytesSent}, {&to.BytesReceived, s.BytesReceived}, {&to.Expected, s.Expected}, {&to.Missing, s.Missing},
		{&to.MissedAway, s.MissedAway}, {&to.Duplicated, s.Duplicated}, {&to.Reordered, s.Reordered}, {&to.Corrupted, s.Corrupted},
		{&to.Gaps, s.Gaps}, {&to.Unsent, s.Unsent}, {&to.Cut, s.Cut}, {&to.Recovered, s.Recovered}, {&to.Reset, s.Reset},
	} {
		*c.to += c.n
	}
	to.Self.CPU += s.Self.CPU
	to.Self.Busy += s.Self.Busy
	to.Self.Loops += s.Self.Loops
	to.Self.Memory += s.Self.Memory
}

// addCounts adds counts by reason into a map that is made when there is something to put into it.
func addCounts(to, from map[string]uint64) map[string]uint64 {
	if len(from) > 0 {
		to = maps.Clone(to)
		if to == nil {
			to = map[string]uint64{}
		}
		for reason, n := range from {
			to[reason] += n
		}
	}
	return to
}
