// A publisher's closed loop: the next message goes out when all have heard one of those before.

package loadgen

import (
	"context"
	"slices"
	"sync"
	"time"

	"c100k/loadgen/swarm"
)

// rounds counts what all processes have heard. Its methods may be called by any goroutine.
type rounds struct {
	inFlight uint64        // writes that not all need have heard
	news     chan struct{} // has one in it when a count has grown

	mu    sync.Mutex // guards the fields below
	heard []uint64   // by process: messages that all its listeners have
	given uint64     // messages that nobody will hear: the server did not take them
}

func newRounds(inFlight, processes int) *rounds {
	return &rounds{inFlight: uint64(inFlight), news: make(chan struct{}, 1), heard: make([]uint64, processes)}
}

// hear takes what one process has heard.
func (r *rounds) hear(process int, n uint64) {
	r.mu.Lock()
	r.heard[process] = n
	r.mu.Unlock()
	r.wake()
}

// giveUp is for messages that did not go out.
func (r *rounds) giveUp(n int) {
	r.mu.Lock()
	r.given += uint64(n)
	r.mu.Unlock()
	r.wake()
}

func (r *rounds) wake() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

func (r *rounds) done() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Min(r.heard) + r.given
}

// await returns when all have heard so many messages, or never will, at the latest after
// roundWithin: somebody who never hears one must not end the run.
func (r *rounds) await(ctx context.Context, messages uint64) {
	timer := time.NewTimer(roundWithin)
	defer timer.Stop()
	for r.done() < messages {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-r.news:
		}
	}
}

// heard tells the publisher that all listeners of a process have so many messages.
func (p *publisher) heard(process int, messages uint64) {
	if p != nil && p.rounds != nil {
		p.rounds.hear(process, messages)
	}
}

// loop hands a write to the lane as soon as it may be on the way.
func (p *publisher) loop(ctx context.Context) {
	defer p.closeQueues()
	for n := uint64(0); ctx.Err() == nil; n++ {
		if n >= p.rounds.inFlight {
			p.rounds.await(ctx, (n+1-p.rounds.inFlight)*uint64(p.burst))
		}
		if ctx.Err() == nil {
			now := swarm.Clock()
			p.offer(delivery{0, now}, now)
		}
	}
}
