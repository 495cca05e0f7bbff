// The publisher of a run whose connections listen: an open schedule, over lanes that keep each
// topic's order.

package loadgen

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"c100k/loadgen/swarm"
)

// lane publishes messages one after the other, or several in one write where the lane can do that,
// over a connection of its own. One goroutine uses it.
type lane interface {
	// publish says what came of it. accepted: the server has it, or, where nobody says so, it was
	// written whole.
	publish(ctx context.Context, topic int, messages [][]byte) (fate, error)
	close()
}

// fate is what became of a publish.
type fate int

const (
	accepted fate = iota
	refused       // the server did not take it, or never had it whole: its sequence number is free again
	lost          // it is not known whether the server has it
)

// delivery is a write that is due: one message, or a burst of them.
type delivery struct {
	topic int
	due   time.Duration // swarm.Clock
}

// publisher makes messages on schedule. Its methods are the coordinator's; its goroutines are the
// schedule and one for each lane.
type publisher struct {
	run    uint32
	size   int
	burst  int // messages of a write
	topics int
	rounds *rounds // the closed loop; nil: a schedule
	lanes  []lane
	queues []chan delivery
	next   []atomic.Uint64 // by topic: its next sequence number. Only the topic's lane writes it
	rate   atomic.Uint64   // bits of a float64, messages a second
	vague  []atomic.Uint64 // by topic: messages of which it is not known whether the server has them
	due    atomic.Uint64   // messages that were due so far
	unsent atomic.Uint64   // of them, those that there was no room for
	sent   atomic.Uint64
	cancel context.CancelFunc
	ending context.CancelFunc
	wait   sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	failed map[string]uint64
	answer *hdrhistogram.Histogram // from handing a message to its lane's connection to the answer
	slip   *hdrhistogram.Histogram // how late the schedule ran
}

// newPublisher opens the lanes. It publishes nothing before start.
func newPublisher(ctx context.Context, o *Options, run uint32, processes int) (*publisher, error) {
	topics := o.topics()
	p := &publisher{run: run, size: o.Size, burst: o.PublishBurst, topics: max(1, len(topics)), failed: map[string]uint64{}, answer: newHistogram(), slip: newHistogram()}
	p.next, p.vague = make([]atomic.Uint64, p.topics), make([]atomic.Uint64, p.topics)
	if o.waits() {
		p.rounds = newRounds(o.InFlight, processes)
	} else {
		p.setRate(o.PublishRate)
	}
	target, err := url.Parse(fill(o.PublishURL, o.Topic, 0))
	if err != nil {
		return nil, usagef("--publish %q is refused: %v", o.PublishURL, err)
	}
	open := openWebLanes
	if target.Scheme == "ws" || target.Scheme == "wss" {
		open = openSocketLanes
	}
	if p.topics > 1 && target.Scheme[0] == 'h' && !strings.Contains(o.PublishURL, topicMark) {
		return nil, topicsWithoutMark(o)
	}
	if p.lanes, err = open(ctx, o, target, topics); err != nil {
		return nil, fmt.Errorf("--publish: %w", err)
	}
	return p, nil
}

// topicsWithoutMark says how the publisher gets to several topics.
func topicsWithoutMark(o *Options) error {
	return usagef("--publish publishes to one topic, and there are --topics %d: write %s where the topic belongs in its URL", o.Topics, topicMark)
}

// start begins the schedule; after a stop it begins anew.
func (p *publisher) start() {
	p.queues = nil
	for range p.lanes {
		p.queues = append(p.queues, make(chan delivery, laneQueue))
	}
	scheduled, cancel := context.WithCancel(context.Background())
	sending, ending := context.WithCancel(context.Background())
	p.cancel, p.ending = cancel, ending
	for i := range p.lanes {
		p.wait.Go(func() { p.carry(sending, i) })
	}
	pace := p.schedule
	if p.rounds != nil {
		pace = p.loop
	}
	p.wait.Go(func() { pace(scheduled) })
}

// stop ends the schedule, and waits until the lanes have sent what is due, at most for the given
// time; the rest is unsent.
func (p *publisher) stop(within time.Duration) {
	if p.cancel == nil {
		return
	}
	p.cancel()
	timer := time.AfterFunc(within, p.ending)
	p.wait.Wait()
	timer.Stop()
	p.ending()
}

// forget makes a stopped publisher one that has not counted anything. Its numbers go on.
func (p *publisher) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.due.Store(0)
	p.unsent.Store(0)
	p.sent.Store(0)
	for i := range p.vague {
		p.vague[i].Store(0)
	}
	p.answer.Reset()
	p.slip.Reset()
	clear(p.failed)
	if p.rounds != nil {
		p.rounds = newRounds(int(p.rounds.inFlight), len(p.rounds.heard))
	}
}

// abandon ends it at once: what is on its way is given up. Only between start and close.
func (p *publisher) abandon() {
	p.cancel()
	p.ending()
}

func (p *publisher) close() {
	for _, l := range p.lanes {
		l.close()
	}
}

func (p *publisher) setRate(perSecond float64) { p.rate.Store(math.Float64bits(perSecond)) }
func (p *publisher) rateNow() float64          { return math.Float64frombits(p.rate.Load()) }

// late is how late the schedule ran.
func (p *publisher) late() *Latencies {
	p.mu.Lock()
	defer p.mu.Unlock()
	return latencies(p.slip, false)
}

// answers is how long publishes took to be answered.
func (p *publisher) answers() *Latencies {
	p.mu.Lock()
	defer p.mu.Unlock()
	return latencies(p.answer, true)
}

// failures are the publishes that failed, by reason.
func (p *publisher) failures() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.failed)
}

// published is how many messages of each sender went out.
func (p *publisher) published() []uint64 { return loads(p.next) }

// unsure is how many of them, by sender, the server may never have had: the publisher's connection
// failed before an answer came. Listeners are not expected to have them, so that a failure of the
// publisher does not count as a loss of the server.
func (p *publisher) unsure() []uint64 { return loads(p.vague) }

func loads(counters []atomic.Uint64) []uint64 {
	counts := make([]uint64, len(counters))
	for i := range counts {
		counts[i] = counters[i].Load()
	}
	return counts
}

// Bounds of the schedule's sleep: the shorter makes batches of what is due very fast, the longer
// lets a new rate take effect.
const (
	scheduleNapMin = 200 * time.Microsecond
	scheduleNapMax = 50 * time.Millisecond
)

// schedule hands each message to its lane when it is due, topics in turn.
func (p *publisher) schedule(ctx context.Context) {
	defer p.closeQueues()
	timer := time.NewTimer(0)
	defer timer.Stop()
	due, topic := swarm.Clock(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := swarm.Clock()
		interval := time.Duration(float64(time.Second) * float64(p.burst) / p.rateNow())
		for n := 0; due <= now && n < offersMax; n++ {
			p.offer(delivery{topic, due}, now)
			due += interval
			topic = (topic + 1) % p.topics
		}
		timer.Reset(min(max(due-swarm.Clock(), scheduleNapMin), scheduleNapMax))
	}
}

func (p *publisher) closeQueues() {
	for _, q := range p.queues {
		close(q)
	}
}

func (p *publisher) offer(d delivery, now time.Duration) {
	p.due.Add(uint64(p.burst))
	p.mu.Lock()
	record(p.slip, now-d.due)
	p.mu.Unlock()
	select {
	case p.queues[d.topic%len(p.lanes)] <- d:
	default:
		p.unsent.Add(uint64(p.burst))
	}
}

// carry publishes what comes for one lane.
func (p *publisher) carry(ctx context.Context, number int) {
	l := p.lanes[number]
	messages := make([][]byte, p.burst)
	for d := range p.queues[number] {
		if ctx.Err() != nil {
			p.unsent.Add(uint64(p.burst))
			continue
		}
		seq := p.next[d.topic].Load()
		for i := range messages {
			token := swarm.Token{Run: p.run, Sender: uint32(d.topic), Seq: seq + uint64(i), Sent: d.due}
			messages[i] = swarm.AppendMessage(messages[i][:0], token, p.size)
		}
		begin := swarm.Clock()
		outcome, err := l.publish(ctx, d.topic, messages)
		p.note(d.topic, outcome, err, swarm.Clock()-begin)
		if outcome == lost {
			pauseUnless(ctx, publishRetry)
		}
	}
}

func (p *publisher) note(topic int, outcome fate, err error, took time.Duration) {
	if outcome != refused {
		p.next[topic].Add(uint64(p.burst))
	}
	if outcome == lost {
		p.vague[topic].Add(uint64(p.burst))
	}
	if outcome != accepted && p.rounds != nil {
		p.rounds.giveUp(p.burst)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failed[err.Error()] += uint64(p.burst)
		return
	}
	p.sent.Add(uint64(p.burst))
	record(p.answer, took)
}

func pauseUnless(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
