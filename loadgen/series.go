// The series of a run, a reading a second, and what is summed up over its measured part.

package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"c100k/loadgen/swarm"
)

// series collects the seconds. The coordinator owns it.
type series struct {
	seconds   []Second
	intervals []Interval

	// of the reading before
	at     time.Time
	last   []reading // by process
	before swarm.Sample
	sent   uint64 // by the publisher
	server ServerReading
	box    boxTime

	// at the turns of the measured part
	beginAt, endAt   time.Time
	beginBox, endBox boxTime
	begun            []reading
	ended            []reading
	settledCPU       time.Duration
	targetArea       float64 // target rate summed over the seconds of the measured part
	targetSeconds    float64
}

// reading is how a process itself did, by its own clock.
type reading struct {
	at, busy, cpu time.Duration
	loops         int
}

// busyShare is which part of the time between two readings the loops of a process worked.
func (x reading) busyShare(before reading) float64 {
	return min(1, shareOfTime(x.busy-before.busy, x.at-before.at, x.loops))
}

func readings(t *tally) []reading {
	all := make([]reading, len(t.latest))
	for i := range t.latest {
		self := &t.latest[i].Self
		all[i] = reading{at: t.latest[i].At, busy: self.Busy, cpu: self.CPU, loops: self.Loops}
	}
	return all
}

// Bounds of a second of the series: one is closed when every process has spoken anew, so that each
// is counted once in it.
const (
	secondLeast = 500 * time.Millisecond  // a sample out of turn closes none
	secondMost  = 1700 * time.Millisecond // one that is late is not waited for
)

// due tells whether a second is over.
func (s *series) due(t *tally) bool {
	if over := time.Since(s.at); over < secondLeast || over > secondMost {
		return over > secondMost
	}
	for i := range t.latest {
		if t.latest[i].At-s.last[i].at < secondLeast {
			return false
		}
	}
	return true
}

func (s *series) begin(r *Run) {
	s.at, s.box, s.last = time.Now(), readBoxTime(), readings(r.tally)
	if r.server != nil {
		s.server = r.server.now()
	}
}

// target is the rate that is asked for now.
func (r *Run) target() float64 {
	if r.publisher != nil {
		return r.publisher.rateNow()
	}
	return r.rate
}

// add closes a second.
func (s *series) add(r *Run) {
	now, fresh := time.Now(), readings(r.tally)
	wall, over := now.Sub(s.at), s.between(fresh, now)
	all := r.tally.whole()
	x := Second{At: Millis(now.Sub(r.begun)), Phase: r.phase, Open: all.Open, Connecting: all.Connecting, Busy: busiest(fresh, s.last),
		Opened: perSecond(since(all.Opened, s.before.Opened), over), Failed: perSecond(since(Total(all.Failed), Total(s.before.Failed)), over),
		Sent: perSecond(since(all.Sent, s.before.Sent), over), Received: perSecond(since(all.Received, s.before.Received), over),
		Connect: brief(r.tally.now.connect), Latency: brief(r.tally.now.latency)}
	if r.phase == Measure {
		x.Target = r.target()
		s.targetArea += x.Target * wall.Seconds()
		s.targetSeconds += wall.Seconds()
	}
	if r.publisher != nil {
		sent := r.publisher.sent.Load()
		x.Sent += perSecond(since(sent, s.sent), wall)
		s.sent = sent
	}
	if r.server != nil {
		reading := r.server.now()
		x.Cores, s.server = shareOfTime(reading.CPU-s.server.CPU, wall, 1), reading
	}
	s.keepIntervals(r, now)
	s.at, s.last, s.before = now, fresh, all
	r.tally.now.connect.Reset()
	r.tally.now.latency.Reset()
	if len(s.seconds) < secondsMax && r.phase != Ending {
		s.seconds = append(s.seconds, x)
	}
}

// between is the time that the counts of a second are from: by the clocks of the processes, where
// they have spoken.
func (s *series) between(fresh []reading, now time.Time) time.Duration {
	var sum time.Duration
	for i := range fresh {
		if d := fresh[i].at - s.last[i].at; s.last[i].at > 0 && d > 0 {
			sum += d
			continue
		}
		sum += now.Sub(s.at)
	}
	return sum / time.Duration(len(fresh))
}

// busiest is the busy share of the loops of the busiest process.
func busiest(now, before []reading) (most float64) {
	for i := range now {
		most = max(most, now[i].busyShare(before[i]))
	}
	return most
}

func (s *series) keepIntervals(r *Run, now time.Time) {
	for _, kind := range []struct {
		tag string
		h   *hdrhistogram.Histogram
	}{{"connect", r.tally.now.connect}, {"latency", r.tally.now.latency}} {
		if kind.h.TotalCount() == 0 || len(s.intervals) >= 2*secondsMax {
			continue
		}
		s.intervals = append(s.intervals, Interval{Tag: kind.tag, Start: s.at, End: now, Packed: swarm.Pack(kind.h)})
	}
}

func brief(h *hdrhistogram.Histogram) *Brief {
	if h.TotalCount() == 0 {
		return nil
	}
	at := h.ValueAtPercentilesSlice([]float64{50, 90, 99})
	return &Brief{Count: h.TotalCount(), P50: told(at[0]), P90: told(at[1]), P99: told(at[2]), Max: told(h.Max())}
}

// measure, measured and settled take what is summed up from one turn of the run to another. The
// totals of the processes have begun anew when measure is called: a second that went on over it
// would be the difference of two things.
func (s *series) measure(r *Run) {
	s.add(r)
	s.beginAt, s.beginBox, s.begun = time.Now(), readBoxTime(), readings(r.tally)
}

func (s *series) measured(r *Run) {
	s.endAt, s.endBox, s.ended = time.Now(), readBoxTime(), readings(r.tally)
}

func (s *series) settled(r *Run) {
	for i, x := range readings(r.tally) {
		s.settledCPU += x.cpu - s.begun[i].cpu
		if s.ended[i].at == s.begun[i].at {
			s.ended[i] = x // the measured part was too short for a sample within it
		}
	}
}

// asked is the rate that was asked for on average over the measured part; now where that was too
// short to tell.
func (s *series) asked(now float64) float64 {
	if s.targetSeconds < 1 {
		return now
	}
	return s.targetArea / s.targetSeconds
}
