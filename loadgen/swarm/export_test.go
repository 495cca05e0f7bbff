// What tests outside the package may set.

package swarm

import "time"

// SampleEvery lets a test wait less.
func (s *Swarm) SampleEvery(d time.Duration) { s.every = d }
