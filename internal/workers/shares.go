// Shares: what each process gets of the machine.

package workers

import (
	"os"
	"runtime"
	"runtime/debug"

	"c100k/server"
)

// ParentMemory is the memory of the process that runs the node of c: all where it is the only one,
// and the share of one worker for the parent of several, with the bus in it.
func ParentMemory(c *server.Config) int {
	if c.Workers > 1 {
		return c.Share().Memory
	}
	return c.Memory
}

// LimitHeap has the garbage collector keep the process within so many bytes, unless GOMEMLIMIT says
// something else.
func LimitHeap(memory int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(memory))
	}
}

// procs is GOMAXPROCS of a worker: one processor more than loops, so that the acceptor, HTTP and
// the collector need not wait for a loop, and its part of the cores where that is more.
func procs(c *server.Config) int {
	cores := runtime.GOMAXPROCS(0)
	return max(c.Loops+1, (cores+c.Workers-1)/c.Workers)
}
