// Shares: what each process gets of the machine.

package workers

import (
	"runtime"

	"c100k/server"
)

// MemoryRatio is the part of the memory limit that each process of a node of so many workers takes
// for its heap. The parent, with the bus in it, counts as one of them.
func MemoryRatio(workers int) float64 {
	if workers <= 1 {
		return memoryPercent / 100.
	}
	return memoryPercent / 100. / float64(workers+1)
}

// procs is GOMAXPROCS of a worker: one processor more than loops, so that the acceptor, HTTP and
// the collector need not wait for a loop, and its part of the cores where that is more.
func procs(c *server.Config) int {
	cores := runtime.GOMAXPROCS(0)
	return max(c.Loops+1, (cores+c.Workers-1)/c.Workers)
}
