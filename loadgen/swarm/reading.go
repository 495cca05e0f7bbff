// Taking a Sample: on the loop as little as possible, the rest elsewhere; and what the process
// itself uses.

package swarm

import (
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"c100k/internal/procfs"
	"c100k/netpoll"
)

// readingKind is why a reading is taken; a set.
type readingKind uint8

const (
	readingPeriodic readingKind = 1 << iota
	readingLast
)

// reading is what the loop hands over for one Sample. Its histograms are the receiver's until
// giveBack.
type reading struct {
	Sample
	measured *histograms
}

// report hands a reading over if one is due and there is room for it.
func (s *Swarm) report(l *netpoll.Loop, now time.Duration) {
	if s.readingsDue == 0 || len(s.readings) == cap(s.readings) {
		return
	}
	// Only the loop puts readings in: there is room.
	s.readings <- s.read(l, now)
	s.readingsDue = 0
}

func (s *Swarm) read(l *netpoll.Loop, now time.Duration) reading {
	stats, t := l.Stats(), &s.tally
	r := reading{measured: s.measured, Sample: Sample{
		Process: s.spec.Process, At: now, Begun: s.begun > 0,
		Last: s.readingsDue&readingLast != 0,
		Open: s.open, Connecting: s.connecting, Down: len(s.clients) - s.open - s.connecting, ConnectedAt: s.connectedAt,
		Opened: t.opened, Reconnected: t.reconnected, Failed: maps.Clone(t.failed), Lost: maps.Clone(t.lost),
		Sent: t.sent, Received: t.received, Foreign: t.foreign,
		BytesSent: stats.BytesSent - t.bytesSent, BytesReceived: stats.BytesReceived - t.bytesReceived,
		MissedAway: t.missedAway, Duplicated: t.duplicated, Reordered: t.reordered, Corrupted: t.corrupted, Gaps: t.gaps, Unsent: t.unsent,
		Cut: t.cut, Recovered: t.recovered, Reset: t.reset,
		Self: Self{Busy: stats.Busy, Loops: 1},
	}}
	if d := s.settling; d != nil && d.done {
		// Every later Sample repeats it: the coordinator looks at the newest of each process, and
		// processes settle at different times.
		r.Settled, r.Expected, r.Missing, r.MissedAway = true, d.outcome.expected, d.outcome.missing, d.outcome.away
	}
	select {
	case s.measured = <-s.spares:
	default:
		s.measured = newHistograms()
	}
	return r
}

// takeSamples makes Samples of readings until stop is called. That takes a millisecond, once a
// second: a loop that has to wait for it measures its own lateness. So it has a thread of its own,
// which gives way to the loop's where both have one processor.
func (s *Swarm) takeSamples() (samples <-chan Sample, stop func()) {
	all, over := make(chan Sample), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		// Where it is refused, samples are taken at the loop's own priority.
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, samplingNice)
		self, trimmed := newSelf(), time.Duration(0)
		for {
			var r reading
			select {
			case r = <-s.readings:
			case <-over:
				return
			}
			sample := r.sample(self)
			s.giveBack(r.measured)
			select {
			case all <- sample:
			case <-over:
				return
			}
			if sample.ConnectedAt > trimmed { // what connecting has left behind would stay for minutes
				trimmed = sample.ConnectedAt
				debug.FreeOSMemory()
			}
		}
	}()
	return all, func() { close(over) }
}

// sample is the Sample of a reading. Not for the loop: it reads /proc and goes through all buckets.
func (r *reading) sample(self *self) Sample {
	s, h := r.Sample, r.measured
	s.Self.CPU, s.Self.Memory = self.cpu(), self.memory()
	s.Spreads = h.spreads.all()
	s.Connect, s.Latency, s.Self.Slip, s.Self.Turn = Pack(h.connect), Pack(h.latency), Pack(h.slip), Pack(h.turn)
	s.Full, s.Resumed, s.CatchUp = Pack(h.full), Pack(h.resumed), Pack(h.catchup)
	return s
}

// self reads the process's own figures; what cannot be read counts as nothing. Its memory is read
// once a sampleEvery at most: the system walks all pages for it.
type self struct {
	at    time.Duration
	bytes int64
}

func newSelf() *self { return &self{at: -sampleEvery} }

// cpu is the processor time that the process has used since its start.
func (*self) cpu() time.Duration {
	used, err := procfs.CPUTime(os.Getpid())
	if err != nil {
		return 0
	}
	return used
}

// memory is the private memory of the process, in bytes.
func (s *self) memory() int64 {
	if now := Clock(); now-s.at >= sampleEvery {
		s.at = now
		if private, err := procfs.PrivateBytes(os.Getpid()); err == nil {
			s.bytes = private
		}
	}
	return s.bytes
}
