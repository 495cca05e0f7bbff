// Settings for tests outside the package.

package swarm

import "time"

// SampleEvery shortens the wait of a test.
func (s *Swarm) SampleEvery(d time.Duration) { s.every = d }
