// What the process itself takes: whether its figures can be believed.

package swarm

import (
	"os"
	"time"

	"c100k/internal/procfs"
)

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

// memory is the bytes of memory that the process shares with nobody.
func (s *self) memory() int64 {
	if now := Clock(); now-s.at >= sampleEvery {
		s.at = now
		if private, err := procfs.PrivateBytes(os.Getpid()); err == nil {
			s.bytes = private
		}
	}
	return s.bytes
}
