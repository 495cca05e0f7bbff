// The phases of a run.

package loadgen

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"c100k/loadgen/swarm"
)

// ramp waits until all are connected. It goes on without those that do not open, once nothing has
// moved for a while.
func (r *Run) ramp() error {
	if r.options.Mode == swarm.Churn {
		return nil // they come and go all the time
	}
	within, stall := r.rampBounds()
	begin := time.Now()
	most, moved := 0, begin
	err := r.await(within, func() bool {
		all := r.tally.sum()
		if all.Open > most {
			most, moved = all.Open, time.Now()
		}
		given := r.options.NoReconnect && all.Connecting == 0 && all.Open+int(Total(all.Failed)+Total(all.Lost)) >= r.options.Conns
		return r.stopping() || given || time.Since(moved) > stall || r.tally.all(func(s *swarm.Sample) bool { return s.ConnectedAt > 0 })
	})
	all, took := r.tally.sum(), moved.Sub(begin) // of those that open at all, until the last of them did
	if r.tally.all(func(s *swarm.Sample) bool { return s.ConnectedAt > 0 }) {
		took = all.ConnectedAt - r.started // we have heard of it later
	}
	r.result.Ramp = Millis(took)
	r.result.Connections.Open = all.Open
	r.result.Connections.PerSecond = perSecond(all.Opened, took)
	switch {
	case err != nil:
		return err
	case all.Open == 0 && !r.interrupted:
		return &UnreachableError{r.options.URL, fmt.Errorf("%w: %s", ErrNobodyConnected, wordReasons(all.Failed))}
	}
	return nil
}

// rampBounds are how long the ramp may last, and for how long nothing may move.
func (r *Run) rampBounds() (within, stall time.Duration) {
	within, stall = rampSlack+time.Duration(r.options.Conns)*rampPerConn, rampStall
	if rate := r.options.ConnectRate; rate > 0 {
		pace := time.Duration(float64(time.Second) / rate)
		within += time.Duration(r.options.Conns) * pace
		stall = max(stall, 3*pace) // so slow a pace is no stall
	}
	return within, stall
}

// measure begins to count, publishes where somebody is to, and waits.
func (r *Run) measure() error {
	if r.server != nil {
		r.server.opened()
	}
	begin, err := r.warm()
	if err != nil {
		return err
	}
	if err := r.tellAll(swarm.Order{Begin: begin}); err != nil {
		return err
	}
	begun := func(s *swarm.Sample) bool { return s.Begun }
	if err := r.await(beginWithin, func() bool { return r.tally.all(begun) }); err != nil {
		return err
	}
	if !r.tally.all(begun) {
		return fmt.Errorf("the processes of the load did not begin within %v", beginWithin)
	}
	r.series.measure(r)
	r.phase = Measure
	if r.server != nil {
		r.server.begin()
	}
	if r.publisher != nil {
		r.publisher.forget() // only now: what the processes had to say before they began has been heard
		r.publisher.start()
	}
	r.measureEnd = time.Now().Add(r.options.For)
	if r.options.Mode == swarm.Storm {
		err = r.storms()
	} else if r.options.Mode == swarm.Recover {
		err = r.cuts()
	} else {
		err = r.await(r.options.For, r.stopping)
	}
	r.result.Connections.OpenAtEnd = r.tally.sum().Open
	r.series.measured(r)
	if r.server != nil {
		r.server.measured()
	}
	return err
}

// warm runs the load for a while before anything counts. Connections that send do so already.
func (r *Run) warm() (*swarm.Begin, error) {
	begin := &swarm.Begin{}
	if r.options.Warm <= 0 {
		return begin, nil
	}
	r.series.add(r) // the second that goes on is of the ramp
	r.phase = Warm
	if r.publisher != nil {
		r.publisher.start()
	}
	if err := r.await(r.options.Warm, r.stopping); err != nil {
		return nil, err
	}
	r.series.add(r)
	r.phase = Between
	if r.publisher != nil {
		r.publisher.stop(publishTimeout)
		begin.First = r.publisher.published()
	}
	return begin, nil
}

// storms drops all connections at once, waits until they are back, and again.
func (r *Run) storms() error {
	begin := time.Now()
	for n := range r.options.Storms {
		// The first has a second of calm before it; the next come at their time, or when all are back.
		calm := time.Until(begin.Add(time.Second + time.Duration(n)*r.options.StormEvery))
		if err := r.await(max(calm, 0), r.stopping); err != nil || r.stopping() {
			return err
		}
		s := Storm{At: Millis(time.Since(begin)), Dropped: r.tally.sum().Open}
		at := swarm.Clock()
		if err := r.tellAll(swarm.Order{Drop: &swarm.Drop{Reset: true}}); err != nil {
			return err
		}
		back := func() bool { return r.tally.all(func(p *swarm.Sample) bool { return p.ConnectedAt > at }) }
		if err := r.await(stormBack, func() bool { return r.stopping() || back() }); err != nil {
			return err
		}
		all := r.tally.sum()
		s.Back, s.All, s.After = all.Open, back(), Millis(swarm.Clock()-at)
		if s.All {
			s.After = Millis(all.ConnectedAt - at)
		}
		r.result.Storms = append(r.result.Storms, s)
	}
	return r.await(time.Until(begin.Add(r.options.For)), r.stopping)
}

// cuts drops a share of the connections again and again, and waits each time until they are back.
// The last cut leaves a second after its end.
func (r *Run) cuts() error {
	o, begin := &r.options, time.Now()
	recovery := &Recovery{}
	r.result.Recovery = recovery
	last := begin.Add(o.For - o.CutAway - time.Second)
	for due := begin.Add(time.Second); !due.After(last); due = due.Add(o.CutEvery) {
		if err := r.await(max(time.Until(due), 0), r.stopping); err != nil || r.stopping() {
			return err
		}
		s := Storm{At: Millis(time.Since(begin))}
		at, before := swarm.Clock(), r.tally.sum().Cut
		if err := r.tellAll(swarm.Order{Drop: &swarm.Drop{Reset: true, Share: o.Cut, Away: o.CutAway}}); err != nil {
			return err
		}
		back := func() bool { return r.tally.all(func(p *swarm.Sample) bool { return p.ConnectedAt > at }) }
		if err := r.await(stormBack, func() bool { return r.stopping() || back() }); err != nil {
			return err
		}
		all := r.tally.sum()
		s.Dropped, s.Back, s.All = int(all.Cut-before), all.Open, back()
		s.After = Millis(swarm.Clock() - at)
		if s.All {
			s.After = Millis(all.ConnectedAt - at)
		}
		recovery.Cuts = append(recovery.Cuts, s)
	}
	return r.await(time.Until(begin.Add(o.For)), r.stopping)
}

// settle stops the sending and waits for what is on its way. Whatever happens here the run goes on:
// see trouble.
func (r *Run) settle() {
	r.phase = Settling
	begin := time.Now()
	within := r.options.Settle
	if r.interrupted {
		within = min(within, interruptedSettle)
	}
	settle := &swarm.Settle{Within: within}
	if r.publisher != nil {
		r.stopPublisher(within)
		settle.Published, settle.Unsure = r.publisher.published(), r.publisher.unsure()
	}
	// After the measured part tellAll and await return no error.
	_ = r.tellAll(swarm.Order{Settle: settle})
	settled := func(process int) bool { return r.tally.latest[process].Settled }
	_ = r.await(within+r.slack.settle, func() bool { return r.allBut(settled) })
	for i := range r.processes {
		if !settled(i) {
			_ = r.trouble(i, fmt.Errorf("process %d of the load did not settle within %v", i, within+r.slack.settle))
		}
	}
	r.result.Settled = Millis(time.Since(begin))
	r.series.settled(r)
	if r.server != nil {
		r.server.settled()
	}
}

// stopPublisher has the publisher send what is due. Meanwhile the run listens, so that neither
// samples nor an interruption wait for a server that takes its time over a publish.
func (r *Run) stopPublisher(within time.Duration) {
	var stopped atomic.Bool
	go func() {
		r.publisher.stop(within)
		stopped.Store(true)
		r.tell(command{}) // await looks
	}()
	_ = r.await(within+r.slack.settle, func() bool { // in this phase it returns no error
		if r.interrupted {
			r.publisher.abandon()
		}
		return stopped.Load()
	})
}

// end has the processes close their connections and give their last samples.
func (r *Run) end() {
	r.phase = Ending
	// After the measured part tellAll and await return no error.
	_ = r.tellAll(swarm.Order{End: true})
	_ = r.await(r.slack.end, func() bool { return !slices.Contains(r.ended, false) })
	for i, ended := range r.ended {
		if !ended {
			_ = r.trouble(i, fmt.Errorf("process %d of the load did not end within %v", i, r.slack.end))
		}
	}
}
