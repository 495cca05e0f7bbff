// What a swarm counts between two Begins.

package swarm

// tally has the totals of a Sample. The loop's.
type tally struct {
	opened, reconnected uint64
	failed, lost        reasons

	sent, received, foreign uint64
	missedAway              uint64
	broken                  uint64 // own messages that were under way when the server or the network ended the connection: lost
	duplicated, reordered   uint64
	corrupted, gaps, unsent uint64
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
