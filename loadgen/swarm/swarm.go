// The swarm: made, run, and the turn of its loop.

package swarm

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"c100k/frame"
	"c100k/internal/tlsconn"
	"c100k/netpoll"
)

// Swarm is the clients of one process, on one loop.
type Swarm struct {
	// immutable after New
	spec     Spec
	listens  bool // hears what others send, and not its own
	bare     bool // a frame is a message and nothing else
	request  request
	join     template
	event    string                            // name of what Socket.IO emits, as JSON
	quoted   []string                          // topics as JSON strings
	tls      *secured                          // nil: the URL is of no encrypted scheme
	handlers [netpoll.RolesMax]netpoll.Handler // without TLS
	options  frame.Options
	every    time.Duration // between two Samples
	readings chan reading
	rounds   chan uint64 // the newest count of rounds that nobody has taken yet
	spares   chan *histograms

	// the loop's, from Run on
	clients  []client
	heads    netpoll.Slab[partial]
	readers  netpoll.Slab[frame.Reader]
	streams  netpoll.Slab[stream]
	reader   frame.Reader // for connections without one of their own; idle between calls
	random   rand.PCG
	scratch  []byte
	payload  []byte
	envelope []byte
	pong     []byte // payload of the ping that is to be answered
	pinged   bool

	ready       queue    // want to connect
	retries     calendar // will, after a pause
	free        queue    // of a churn: have nothing to do
	rush        bool     // a storm: no pace
	connecting  int
	open        int
	connectAt   time.Duration // when the next may begin to connect
	connectedAt time.Duration // when all were open

	begun    time.Duration // what was due before does not count; 0: no Begin yet
	first    []uint64      // by sender: the first number that counts
	heard    []uint64      // by sender: the lowest number above all that any client has heard
	own      []uint64      // by sender: the number of our next message, where topics are the senders
	schedule schedule
	round    round
	dropping *dropping
	places   []place       // of a recovery, by client; nil in other modes
	cutNext  uint32        // the client at which the next cut begins
	backAt   time.Duration // when the dropped come back; 0: at once
	settling *settling
	ending   time.Duration // when the end must be; 0: not yet
	ended    bool

	tally       tally
	measured    *histograms
	handled     bool // the turn before this one has done something
	turnDue     time.Duration
	received    time.Duration // when this turn's reads had been made
	readTurn    time.Duration // the turn that received is of
	readingsDue readingKind   // readings to be given as soon as there is room
}

// New makes the clients of a process; Run sets them going. The error names what is wrong in the
// Spec.
func New(spec Spec) (*Swarm, error) {
	listens := spec.Mode != Echo && spec.Mode != Publish
	if spec.Nap == 0 {
		spec.Nap = NapDefault
		if listens {
			spec.Nap = min(max(NapDefault, time.Duration(spec.Conns)*napPerListener), napListening)
		}
	}
	if spec.Size == 0 {
		spec.Size = TokenBytes
	}
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	s := &Swarm{
		spec:     spec,
		listens:  listens,
		bare:     spec.Protocol == Raw && spec.Hello == "",
		options:  frame.Options{Client: true, Deflate: spec.Compress, MessageBytesMax: MessageBytesMax + envelopeBytesMax},
		every:    sampleEvery,
		readings: make(chan reading, samplesMax),
		rounds:   make(chan uint64, 1),
		spares:   make(chan *histograms, 2),
		clients:  make([]client, spec.Conns),
		random:   *rand.NewPCG(rand.Uint64(), rand.Uint64()),
		first:    make([]uint64, max(len(spec.Topics), 1)),
		heard:    make([]uint64, max(len(spec.Topics), 1)),
		own:      make([]uint64, max(len(spec.Topics), 1)),
		tally:    newTally(),
		measured: newHistograms(),
	}
	if spec.Mode == Recover {
		s.places = make([]place, spec.Conns)
	}
	for _, topic := range spec.Topics {
		s.quoted = append(s.quoted, quote(topic))
	}
	var err error
	if s.request, err = newRequest(&s.spec); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if s.join, err = newJoin(&s.spec); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	s.event = quote(cmp.Or(spec.Event, EventDefault))
	s.handlers[roleUpgrade], s.handlers[roleSocket], s.handlers[roleStream] = &upgrade{s}, &socket{s}, &eventStream{s}
	if s.tls, err = newSecured(s); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if s.schedule.rate = spec.Rate; spec.Mode == Churn && spec.Rate == 0 {
		s.schedule.rate = spec.ConnectRate
	}
	return s, nil
}

// Run opens the connections and does what the Spec says and orders ask for, until an Order to End,
// which the end of orders is too. Each Sample goes to samples, on Run's own goroutine; the last one
// has Last set. When ctx ends, so does the run, at once. Run is called once.
func (s *Swarm) Run(ctx context.Context, orders <-chan Order, samples func(Sample)) error {
	opt := netpoll.Options{
		IO: netpoll.IOMode(s.spec.IO), Handlers: s.handlers, OnTurn: s.turn, Nap: s.spec.Nap, Clock: Clock, Logger: slog.Default(),
	}
	if s.tls != nil {
		opt.Layer = tlsconn.New(&s.tls.common)
	}
	loop, err := netpoll.NewLoop(opt)
	if err != nil {
		return err
	}
	defer loop.Stop()
	if err := loop.Start(); err != nil {
		return err
	}
	remote := loop.Remote()
	remote.Post(s.start)
	every := time.NewTicker(s.every)
	defer every.Stop()
	taken, stop := s.takeSamples()
	defer stop()
	done := ctx.Done()
	for {
		select {
		case order, more := <-orders:
			if !more {
				order, orders = Order{End: true}, nil
			}
			remote.Post(func(l *netpoll.Loop) { s.obey(l, order) })
		case <-every.C:
			remote.Post(func(*netpoll.Loop) { s.readingsDue |= readingPeriodic })
		case <-done:
			done = nil
			remote.Post(func(l *netpoll.Loop) { s.end(l, 0) })
		case n := <-s.rounds:
			samples(Sample{Process: s.spec.Process, Rounds: n})
		case sample := <-taken:
			samples(sample)
			if sample.Last {
				return ctx.Err()
			}
		}
	}
}

// start makes all clients want to connect.
func (s *Swarm) start(l *netpoll.Loop) {
	s.connectAt = l.Now()
	for i := range s.clients {
		if s.spec.Mode == Churn {
			s.free.push(s.clients, uint32(i)) // they come in turns
			continue
		}
		s.clients[i].state = waiting
		s.ready.push(s.clients, uint32(i))
	}
}

// turn is the part of the loop's turn that no connection has asked for. It says when it has
// something to do again.
func (s *Swarm) turn(l *netpoll.Loop) time.Duration {
	now := l.Now()
	s.watch(l, now)
	s.retries.due(s.clients, now, &s.ready)
	s.drop(l)
	s.connect(l, now)
	s.send(l, now)
	s.countRounds()
	s.settle(now)
	s.finishEnd(l, now)
	s.report(l, now)
	s.turnDue = s.next(now)
	return s.turnDue
}

// watch is how well the loop keeps its own time.
func (s *Swarm) watch(l *netpoll.Loop, now time.Duration) {
	if s.turnDue > 0 && now >= s.turnDue {
		record(s.measured.slip, now-s.turnDue)
	}
	if s.handled {
		s.handled = false
		record(s.measured.turn, l.LastTurn())
	}
}

// next is when the turn has something to do, whether or not anything comes in; negative: it does
// not know of anything.
func (s *Swarm) next(now time.Duration) time.Duration {
	at := s.retries.next()
	sooner := func(t time.Duration) {
		if at < 0 || t < at {
			at = t
		}
	}
	if !s.ready.empty() && s.connecting < connectingMax {
		sooner(s.connectAt)
	}
	if t, on := s.nextSend(); on {
		sooner(max(t, now+s.spec.Nap)) // what is due sooner goes out together
	}
	if s.dropping != nil {
		sooner(now)
	}
	if s.settling != nil {
		sooner(now + settleLook)
	}
	if s.ending > 0 {
		sooner(min(s.ending, now+settleLook))
	}
	if s.readingsDue != 0 && len(s.readings) == cap(s.readings) {
		sooner(now + settleLook)
	}
	return at
}

// at is when what this turn's reads brought had been received: read once a turn, behind the reads.
func (s *Swarm) at(l *netpoll.Loop) time.Duration {
	if now := l.Now(); s.readTurn != now {
		s.readTurn, s.received = now, Clock()
	}
	return s.received
}

// giveBack returns a set of histograms to the loop.
func (s *Swarm) giveBack(h *histograms) {
	h.reset()
	select {
	case s.spares <- h:
	default:
	}
}

// mask is the next masking key. RFC 6455, 5.3 wants one that cannot be guessed, for the sake of
// proxies between the two; here it only costs the server what masks cost.
func (s *Swarm) mask() (key [4]byte) {
	r := s.random.Uint64()
	return [4]byte{byte(r), byte(r >> 8), byte(r >> 16), byte(r >> 24)}
}
