// Making the result of a run out of what was counted.

package loadgen

import (
	"time"

	"c100k/loadgen/swarm"
)

// look is the run as it is now.
func (r *Run) look() Progress {
	all := r.tally.whole()
	p := Progress{URL: r.options.URL, Mode: r.options.Mode, Protocol: r.protocol, Phase: r.phase, Elapsed: time.Since(r.begun), Wanted: r.options.Conns,
		Opened: all.Opened, Failed: all.Failed, Lost: all.Lost, Sent: all.Sent, Received: all.Received, Processes: len(r.processes),
		Latency: latencies(r.tally.latency, false), Connect: latencies(r.tally.connect, false)}
	if n := len(r.series.seconds); n > 0 {
		p.Second = r.series.seconds[n-1]
	}
	switch {
	case r.publisher != nil:
		p.Late = r.publisher.late()
	case sends(r.options.Mode) && r.rate > 0:
		p.Late = latencies(r.tally.slip, false)
	}
	switch {
	case r.phase == Measure:
		p.Left = max(0, time.Until(r.measureEnd))
	case r.phase == Ramp && p.Second.Opened > 0: // at the pace of this second
		p.Left = time.Duration(float64(p.Wanted-p.Second.Open) / p.Second.Opened * float64(time.Second))
	}
	if r.publisher != nil {
		p.Sent += r.publisher.sent.Load()
	}
	if r.server != nil {
		reading := r.series.server
		p.Server = &reading
	}
	box := readBoxTime()
	p.CPUShare, r.series.box = box.busyShare(r.series.box), box
	if r.tally.spreads.forgotten > 0 {
		p.Remarks = append(p.Remarks, "more publishes than can be followed: the spread is of some of them")
	}
	return p
}

// finishResult adds everything up, judges, and holds the thresholds against it.
func (r *Run) finishResult() *Result {
	r.series.add(r)
	r.tally.spreads.close(time.Duration(1<<63 - 1))
	r.countConnections()
	r.countMessages()
	r.countRates()
	r.distribute()
	r.countCosts()
	x := &r.result
	x.Interrupted = r.interrupted
	x.Measured = Millis(r.series.endAt.Sub(r.series.beginAt))
	x.Series, x.intervals = r.series.seconds, r.series.intervals
	x.Verdict = judge(x)
	for i := range r.options.Thresholds {
		x.Bounds = append(x.Bounds, r.options.Thresholds[i].Check(x))
	}
	return x
}

func (r *Run) countConnections() {
	all, c := r.tally.whole(), &r.result.Connections
	c.Opened, c.Reconnected, c.Failed, c.Lost = all.Opened, all.Reconnected, all.Failed, all.Lost
	if rec := r.result.Recovery; rec != nil {
		sum := r.tally.sum()
		rec.Cut, rec.Recovered, rec.Reset = sum.Cut, sum.Recovered, sum.Reset
	}
	c.FailedCount, c.LostCount = Total(all.Failed), Total(all.Lost)
	if r.options.Mode == swarm.Churn {
		c.PerSecond = perSecond(r.tally.sum().Opened, r.series.endAt.Sub(r.series.beginAt))
	}
}

func (r *Run) countMessages() {
	all := r.tally.sum()
	r.result.Messages = MessageCounts{
		Sent: all.Sent, Unsent: all.Unsent, Received: all.Received, Foreign: all.Foreign, Expected: all.Expected, Lost: all.Missing,
		MissedAway: all.MissedAway, Duplicated: all.Duplicated, Reordered: all.Reordered, Corrupted: all.Corrupted, Gaps: all.Gaps,
		BytesSent: all.BytesSent, BytesReceived: all.BytesReceived,
	}
	if p := r.publisher; p != nil {
		r.result.Messages.Published = p.sent.Load()
		r.result.Messages.Unsent += p.unsent.Load()
		r.result.Messages.Refused = p.failures()
	}
}

func (r *Run) countRates() {
	all, x, over := r.tally.sum(), &r.result, r.series.endAt.Sub(r.series.beginAt)
	x.Rate = Rates{Target: r.series.asked(r.target()), Received: perSecond(all.Received, over), InFlight: r.options.InFlight}
	switch {
	case r.publisher != nil:
		x.Rate.Achieved, x.Rate.Due = perSecond(x.Messages.Published, over), float64(r.publisher.due.Load())
	case r.options.Mode == swarm.Churn:
		x.Rate.Achieved = perSecond(all.Opened, over)
	default:
		x.Rate.Achieved = perSecond(all.Sent, over)
		if x.Rate.Target > 0 && sends(r.options.Mode) {
			x.Rate.Due = x.Rate.Target * over.Seconds()
			x.Rate.Behind = max(0, x.Rate.Due-float64(all.Sent+all.Unsent))
		}
	}
}

// distribute reads the histograms.
func (r *Run) distribute() {
	x, t := &r.result, r.tally
	x.Connect = latencies(t.connect, true)
	x.Full, x.Resumed = latencies(t.full, true), latencies(t.resumed, true)
	x.CatchUp = latencies(t.catchup, true)
	latency := latencies(t.latency, true)
	switch {
	case r.options.Mode == swarm.Echo:
		x.Echo = latency
	case hears(r.options.Mode):
		x.Deliver = latency
	case r.options.Mode == swarm.Publish:
		x.Ack = latency
	}
	x.Spread, x.Last = latencies(t.spreads.spread, true), latencies(t.spreads.last, true)
	x.Generator.Slip, x.Generator.Turn = latencies(t.slip, false), latencies(t.turn, false)
	if p := r.publisher; p != nil {
		x.Ack, x.Generator.Publisher = p.answers(), p.late()
	}
}

func (r *Run) countCosts() {
	x, s, all := &r.result, &r.series, r.tally.sum()
	g := &x.Generator
	g.Processes, g.Loops, g.Memory, g.CPU = len(r.processes), all.Self.Loops, all.Self.Memory, Millis(s.settledCPU)
	g.BoxBusy = s.endBox.busyShare(s.beginBox)
	g.Busy = busiest(s.ended, s.begun)
	if all.Received > 0 {
		g.PerMessage = g.CPU / Millis(all.Received)
	}
	if r.server != nil {
		churned := r.options.Mode == swarm.Churn
		opened := r.tally.ramped()
		if churned {
			opened = all.Opened
		}
		x.Server = r.server.cost(x.Connections.Open, opened, all.Received, churned)
		x.Server.BothEnds = x.Local
	}
}
