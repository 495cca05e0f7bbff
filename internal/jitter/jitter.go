// Package jitter draws random durations, so that what thousands of connections do on a schedule is
// not done at one moment.
package jitter

import (
	"math/rand/v2"
	"time"
)

// Source draws durations; its seed makes them repeatable. The zero Source works. One goroutine at a
// time.
type Source struct{ random rand.PCG }

// New returns a source.
func New(seed uint64) Source {
	var s Source
	s.random.Seed(seed, 0)
	return s
}

// Under returns a duration from 0 up to, and without, d; 0 if d is not positive.
func (s *Source) Under(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.random.Uint64() % uint64(d))
}

// Reconnect returns how long to wait before a connection that was lost is made again, after so many
// attempts, from 1 on. The wait grows by a tenth of longest with each; it is spread over the upper
// half of that, so that nodes that have lost the same server do not come back at one moment. Any
// goroutine.
func Reconnect(attempts int, longest time.Duration) time.Duration {
	most := min(longest/10*time.Duration(max(attempts, 1)), longest)
	return most/2 + rand.N(most/2)
}
