// What the process itself takes: whether its figures can be believed.

package swarm

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// self reads the process's own figures. Its memory is read once a sampleEvery at most: the system walks all pages for it.
type self struct {
	at    time.Duration
	bytes int64
}

func newSelf() *self { return &self{at: -sampleEvery} }

// cpu is the processor time that the process has used since its start.
func (*self) cpu() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// memory is the bytes of memory that the process shares with nobody.
func (s *self) memory() int64 {
	if now := Clock(); now-s.at >= sampleEvery {
		s.at, s.bytes = now, privateBytes()
	}
	return s.bytes
}

func privateBytes() (sum int64) {
	text, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte("Private_"))
		if !ok {
			continue
		}
		if fields := bytes.Fields(rest); len(fields) == 3 {
			if n, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
				sum += n << 10
			}
		}
	}
	return sum
}
