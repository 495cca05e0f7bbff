// What a swarm counts between two Begins, and how many publishes all of its listeners have heard.

package swarm

import (
	"runtime"
)

// tally has the totals of a Sample. The loop's.
type tally struct {
	opened, reconnected uint64
	failed, lost        reasons

	sent, received, foreign uint64
	missedAway              uint64
	broken                  uint64 // own messages that were under way when the server or the network ended the connection: lost
	duplicated, reordered   uint64
	corrupted, gaps, unsent uint64
	cut, recovered, reset   uint64 // of a recovery: connections that were dropped; that went on where they were; that did not
	heard                   uint64 // of those expected: received, and not twice

	bytesSent, bytesReceived uint64 // of the loop, when this tally began
}

// reasons counts by reason, of which it tells reasonsMax apart.
type reasons map[string]uint64

func (r reasons) add(reason string) {
	if _, known := r[reason]; !known && len(r) >= reasonsMax {
		reason = "other"
	}
	r[reason]++
}

func newTally() tally { return tally{failed: reasons{}, lost: reasons{}} }

// round is what a swarm has heard, in publishes. The loop's.
type round struct {
	listeners uint64 // connections that read; counted at Begin, and before it when all are open
	told      uint64
}

// countRounds tells how many publishes have come to all who listen, if those are more than were
// told. It divides: who counts each publish apart would find the same as long as a publisher waits
// for the one before.
func (s *Swarm) countRounds() {
	if !s.spec.Rounds {
		return
	}
	if s.round.listeners == 0 {
		if s.connectedAt == 0 {
			return
		}
		s.round.listeners = max(s.listeners(), 1)
	}
	n := s.tally.heard / s.round.listeners
	if n <= s.round.told {
		return
	}
	s.round.told = n
	select {
	case <-s.rounds: // an older one that nobody took
	default:
	}
	s.rounds <- n // only the loop puts one in: there is room
	// A loop that naps keeps its processor. Where that is the only one, the goroutine that hands the
	// count on would wait for the scheduler's next tick, 10 ms, and the server with it.
	runtime.Gosched()
}

// listeners are the connections that hear what is published.
func (s *Swarm) listeners() (n uint64) {
	for i := range s.clients {
		if s.clients[i].state == open && !s.slow(uint32(i)) {
			n++
		}
	}
	return n
}
