// From the first to the last receiver of one publish, over all processes.

package loadgen

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"c100k/loadgen/swarm"
)

// spreads puts together what several processes saw of the same publish.
type spreads struct {
	open      map[publication]swarm.Spread
	oldest    time.Duration           // no open one was sent before
	spread    *hdrhistogram.Histogram // last - first
	last      *hdrhistogram.Histogram // last - sent
	complete  uint64                  // publishes in the histograms
	forgotten uint64                  // publishes that there was no room for
}

// publication names a publish.
type publication struct {
	sender uint32
	seq    uint64
}

func newSpreads() *spreads {
	return &spreads{open: map[publication]swarm.Spread{}, spread: newHistogram(), last: newHistogram()}
}

// add takes what one process saw.
func (s *spreads) add(seen []swarm.Spread) {
	for _, one := range seen {
		key := publication{one.Sender, one.Seq}
		all, known := s.open[key]
		switch {
		case known:
			all.First, all.Last, all.Receivers = min(all.First, one.First), max(all.Last, one.Last), all.Receivers+one.Receivers
			s.open[key] = all
		case len(s.open) >= spreadsMax:
			s.forgotten++
		default:
			s.open[key] = one
			if len(s.open) == 1 || one.Sent < s.oldest {
				s.oldest = one.Sent
			}
		}
	}
}

// close counts the publishes that were sent before: no process will say more of them.
func (s *spreads) close(before time.Duration) {
	if s.oldest >= before {
		return
	}
	s.oldest = before
	for key, one := range s.open {
		if one.Sent < before {
			delete(s.open, key)
			record(s.spread, one.Last-one.First)
			record(s.last, one.Last-one.Sent)
			s.complete++
		}
	}
}
