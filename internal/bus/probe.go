// Probes: messages of this node to itself, which prove that the broker delivers.

package bus

import (
	"math/bits"
	"sync"
	"time"
)

// The buckets of probes: 64 µs, then each twice the one before, up to 2.1 s; one more for all
// beyond.
const (
	probeBounds = 16
	probeFirst  = 64 * time.Microsecond
)

// Probes is what became of the probes of a node.
type Probes struct {
	Counts [probeBounds + 1]uint64 // those that came back, by ProbeBounds; not cumulative
	Sum    time.Duration           // that they took
	Lost   uint64                  // that did not come back within ProbeTimeout
}

// ProbeBounds are the inclusive upper bounds of Probes.Counts, all but the last.
func ProbeBounds() []time.Duration {
	bounds := make([]time.Duration, probeBounds)
	for i := range bounds {
		bounds[i] = probeFirst << i
	}
	return bounds
}

// probes are those of one node. Any goroutine.
type probes struct {
	mu     sync.Mutex // guards the fields below
	counts Probes
	number uint64    // of the latest one
	last   time.Time // when the latest one was sent
	sentAt time.Time // the same; zero when it has come back or is lost
	back   time.Time // when the last one came back, or the connection was made
	mended time.Time // when a new connection was last asked for
	began  bool
}

// begin gives a new connection its time.
func (ps *probes) begin(now time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.back, ps.began = now, true
	if !ps.sentAt.IsZero() { // its connection is gone
		ps.sentAt = time.Time{}
		ps.counts.Lost++
	}
}

// next returns the number of a probe to send, or 0 while none is due or one is on its way.
func (ps *probes) next(now time.Time) uint64 {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !ps.sentAt.IsZero() || now.Sub(ps.last) < ProbeInterval {
		return 0
	}
	ps.number++
	ps.last, ps.sentAt = now, now
	return ps.number
}

// returned notes that a probe has come back.
func (ps *probes) returned(number uint64, now time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if number != ps.number || ps.sentAt.IsZero() {
		return // late, twice, or not of ours
	}
	took := max(now.Sub(ps.sentAt), 0)
	ps.sentAt, ps.back = time.Time{}, now
	bucket := 0
	if took > probeFirst {
		bucket = min(bits.Len64(uint64((took-1)/probeFirst)), probeBounds)
	}
	ps.counts.Counts[bucket]++
	ps.counts.Sum += took
}

// check counts a probe that is lost, and tells whether a new connection must be made.
func (ps *probes) check(now time.Time) (mend bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !ps.sentAt.IsZero() && now.Sub(ps.sentAt) > ProbeTimeout {
		ps.sentAt = time.Time{}
		ps.counts.Lost++
	}
	if !ps.silent(now) || now.Sub(ps.mended) < ProbeSilenceMax {
		return false
	}
	ps.mended = now
	return true
}

// excuse gives the latest probe new time: the node itself stood still.
func (ps *probes) excuse(now time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.back = now
	if !ps.sentAt.IsZero() {
		ps.sentAt = now
	}
}

// delayed says that the broker delivers, and that what it delivers stands before the latest probe.
// That one is still lost when it takes longer than ProbeTimeout.
func (ps *probes) delayed(now time.Time) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.began {
		ps.back = now
	}
}

func (ps *probes) silent(now time.Time) bool { return ps.began && now.Sub(ps.back) > ProbeSilenceMax }

// read returns the counts, and whether nothing has come back for too long.
func (ps *probes) read(now time.Time) (counts Probes, silent bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.counts, ps.silent(now)
}
