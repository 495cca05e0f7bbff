// A run: the coordinator, from the first look at the target to the result.

package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"c100k/internal/procfs"
	"c100k/loadgen/swarm"
)

// ErrNobodyConnected says that the target takes TCP connections, and that no handshake succeeded.
// Wrapped in an UnreachableError.
var ErrNobodyConnected = errors.New("no connection opened")

// ErrInterrupted says that the run was interrupted before there was anything to report.
var ErrInterrupted = errors.New("interrupted before anything was measured")

// Run is one load run. The methods say who may call them; all state is the goroutine's that calls
// Do.
type Run struct {
	options  Options
	commands chan command
	progress chan Progress

	protocol  swarm.Protocol
	specs     []swarm.Spec
	processes []*process
	inbox     chan report
	over      chan struct{} // closed when nobody reads inbox any more
	ended     []bool        // by process
	troubled  []bool        // by process: it failed after the measured part
	tally     *tally
	publisher *publisher
	server    *watch
	series    series

	phase       Phase
	measureEnd  time.Time // when the measured part is to end
	begun       time.Time
	started     time.Duration // swarm.Clock when the processes were
	rate        float64       // target, of the connections
	finish      bool          // somebody wants it to end early
	interrupted bool
	done        <-chan struct{} // of the context; nil once it has been heard
	slack       waits
	lookup      lookup
	result      Result
}

// waits bound what a run waits for once it has been measured.
type waits struct {
	settle time.Duration // for processes that settle, beyond what they were given
	end    time.Duration // for processes to end
}

// command is something that somebody wants of a run that goes on; the zero value only wakes it.
type command struct {
	scale  float64 // times the rate; 0: nothing
	finish bool
}

// New completes and checks the options. The error is a *UsageError.
func New(o Options) (*Run, error) {
	if o.Protocol == "" {
		o.Protocol = swarm.Auto
	}
	if _, err := o.complete(); err != nil {
		return nil, err
	}
	if len(o.Command) == 0 {
		program, err := procfs.Program()
		if err != nil {
			return nil, err
		}
		o.Command = append([]string{program}, ProcessArguments...)
	}
	return &Run{options: o, commands: make(chan command, 16), progress: make(chan Progress, 1), over: make(chan struct{}), phase: Finding, rate: o.Rate,
		slack: waits{settle: settleSlack, end: endWithin}, lookup: net.DefaultResolver.LookupNetIP}, nil
}

// Options are the options of the run as they hold. Any goroutine.
func (r *Run) Options() Options { return r.options }

// Watch is a channel with the newest look at the run, closed when it has ended; older ones that
// nobody took are lost. Any goroutine.
func (r *Run) Watch() <-chan Progress { return r.progress }

// Scale multiplies the rate. Any goroutine; it does not block, and does nothing when the run does
// not listen.
func (r *Run) Scale(factor float64) { r.tell(command{scale: factor}) }

// Finish ends the measured part early: what is on its way is waited for, and the result is whole.
// Any goroutine.
func (r *Run) Finish() { r.tell(command{finish: true}) }

func (r *Run) tell(c command) {
	select {
	case r.commands <- c:
	default:
	}
}

// Do runs it. When the context ends the run is interrupted: it settles in a hurry, and the partial
// result has Interrupted set. The result is nil where nothing was measured. Errors are a
// *UsageError, an *UnreachableError, ErrInterrupted, or what went wrong. Called once.
func (r *Run) Do(ctx context.Context) (*Result, error) {
	defer close(r.progress)
	defer close(r.over)
	r.done = ctx.Done()
	r.begun = time.Now()
	r.result = Result{URL: r.options.URL, Mode: r.options.Mode, Publisher: r.options.PublishURL, Size: r.options.Size, Started: r.begun.UTC()}
	defer r.close()
	for _, prepare := range []func(context.Context) error{r.find, r.start} {
		err := prepare(ctx)
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		if err != nil {
			return nil, err
		}
	}
	for _, phase := range []func() error{r.ramp, r.measure} {
		if err := phase(); err != nil {
			return nil, err
		}
	}
	r.settle()
	r.end()
	return r.finishResult(), nil
}

// find resolves the target and finds out what it speaks.
func (r *Run) find(ctx context.Context) error {
	target, err := parseTarget(r.options.URL)
	if err != nil {
		return err
	}
	if r.options.Topic != "" {
		target, err = target.Parse(fill(r.options.URL, r.options.topics()[0], 0))
		if err != nil {
			return usagef("%q is refused: %v", r.options.URL, err)
		}
	}
	all, silent, err := resolveAll(ctx, target, r.lookup)
	if err != nil {
		return err
	}
	at := all[0]
	// The server is looked at before it has met any client of ours.
	if r.options.ServerPID > 0 {
		r.server = watchServer(r.options.ServerPID)
	}
	asker := probe{url: target, target: at, header: r.options.Header, trust: r.options.trust()}
	if r.protocol, err = asker.protocol(ctx, &r.options); err != nil {
		return err
	}
	if err = r.options.checkProtocol(r.protocol); err != nil {
		return err
	}
	r.specs, err = thisBox().plan(&r.options, r.protocol, all...)
	if err != nil {
		return err
	}
	if err := r.specs[0].Validate(); err != nil {
		return usagef("%v", err)
	}
	r.result.Protocol, r.result.Topics = r.protocol, len(r.options.topics())
	r.result.Addresses, r.result.Silent = addressNames(all), addressNames(silent)
	r.result.Connections.Wanted, r.result.Local = r.options.Conns, at.Addr().IsLoopback()
	return nil
}

func addressNames(addresses []netip.AddrPort) (names []string) {
	for _, address := range addresses {
		names = append(names, address.String())
	}
	return names
}

// start launches the processes, which begin to connect.
func (r *Run) start(ctx context.Context) error {
	if r.options.PublishURL != "" {
		var err error
		if r.publisher, err = newPublisher(ctx, &r.options, r.specs[0].Run, len(r.specs)); err != nil {
			return err
		}
	}
	r.tally, r.inbox, r.troubled = newTally(len(r.specs)), make(chan report, inboxSamples), make([]bool, len(r.specs))
	r.ended = make([]bool, len(r.specs))
	r.phase = Ramp
	r.series.begin(r)
	r.started = swarm.Clock()
	for _, spec := range r.specs {
		p, err := start(r.options.Command, spec, r.inbox, r.over)
		if p != nil {
			r.processes = append(r.processes, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// close ends everything that still runs.
func (r *Run) close() {
	if r.publisher != nil {
		r.publisher.stop(0)
		r.publisher.close()
	}
	within, cancel := context.WithTimeout(context.Background(), interruptedSettle)
	defer cancel()
	// A process that still writes samples must not wait for a reader.
	go func() {
		for {
			select {
			case <-r.inbox:
			case <-r.over:
				return
			}
		}
	}()
	for _, p := range r.processes {
		p.stop(within)
	}
}

// stopping tells whether the run is to come to its end before its time.
func (r *Run) stopping() bool { return r.finish || r.interrupted }

// await handles what comes until done says so, or the time is over, which is no error.
func (r *Run) await(within time.Duration, done func() bool) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for !done() {
		select {
		case <-deadline.C:
			return nil
		case got := <-r.inbox:
			if err := r.take(got); err != nil {
				return err
			}
		case <-look.C:
		case c := <-r.commands:
			if err := r.obey(c); err != nil {
				return err
			}
		case <-r.done:
			r.interrupted, r.done = true, nil
		}
		if r.series.due(r.tally) {
			if err := r.second(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Run) take(got report) error {
	if got.ended {
		r.ended[got.process] = true
		if got.err != nil {
			return r.trouble(got.process, got.err)
		}
		if r.phase != Ending {
			return r.trouble(got.process, fmt.Errorf("process %d of the load ended too early", got.process))
		}
		return nil
	}
	if got.sample.Rounds > 0 {
		r.publisher.heard(got.process, got.sample.Rounds)
		return nil
	}
	if err := r.tally.take(got.process, got.sample); err != nil {
		return r.trouble(got.process, err)
	}
	return nil
}

// trouble handles a process that failed. Until the measured part is over its error ends the run.
// From then on the run goes on with what it has, and the result says what is missing: the first
// trouble of each process.
func (r *Run) trouble(process int, err error) error {
	if r.phase != Settling && r.phase != Ending {
		return err
	}
	if !r.troubled[process] {
		r.troubled[process] = true
		first := r.specs[process].FirstConn
		r.result.Missing = append(r.result.Missing, fmt.Sprintf("%v: what connections %d to %d lost is not known, and their other counts are those of the last sample",
			err, first, first+r.specs[process].Conns-1))
	}
	return nil
}

// allBut tells whether something holds for every process that has no trouble.
func (r *Run) allBut(holds func(process int) bool) bool {
	for i := range r.processes {
		if !r.troubled[i] && !holds(i) {
			return false
		}
	}
	return true
}

// second closes a second of the series and publishes the progress.
func (r *Run) second() error {
	for _, silent := range r.tally.silent() {
		if err := r.trouble(silent, fmt.Errorf("process %d of the load has said nothing for %v", silent, silenceMax)); err != nil {
			return err
		}
	}
	r.tally.spreads.close(swarm.Clock() - spreadPatience)
	r.series.add(r)
	p := r.look()
	select {
	case <-r.progress: // nobody took the last one
	default:
	}
	r.progress <- p
	return nil
}

func (r *Run) obey(c command) error {
	r.finish = r.finish || c.finish
	if c.scale == 0 {
		return nil
	}
	if r.publisher != nil {
		r.publisher.setRate(scaled(r.publisher.rateNow(), c.scale))
	}
	if r.rate == 0 {
		return nil
	}
	r.rate = scaled(r.rate, c.scale)
	for i, p := range r.processes {
		rate := share(r.rate, r.specs[i].Conns, r.options.Conns)
		if err := p.order(swarm.Order{Rate: &rate}); err != nil {
			return r.trouble(i, err)
		}
	}
	return nil
}

// scaled is a rate times a factor, as far as it may go: a key that is held down comes to any bound.
func scaled(rate, factor float64) float64 { return min(max(rate*factor, RateMin), RateMax) }

// tellAll gives the same order to every process.
func (r *Run) tellAll(o swarm.Order) error {
	for i, p := range r.processes {
		if r.troubled[i] {
			continue
		}
		if err := p.order(o); err != nil {
			if err := r.trouble(i, err); err != nil {
				return err
			}
		}
	}
	return nil
}
