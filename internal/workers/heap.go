// The heap of a process: what the garbage collector is told of it.

package workers

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// heapSpareMin is how much a process may allocate at least between two collections, in bytes. A
	// node without many connections has 5 MiB of heap, and with the percentage alone it would collect
	// every 60 TLS handshakes: an eighth of what they cost. It is given back when the node is quiet. A
	// node of many workers would have it many times.
	heapSpareMin = 16 << 20

	// heapPercent is GOGC where nothing else is said.
	heapPercent = 100
)

// LimitHeap has the garbage collector keep the process within so many bytes, unless GOMEMLIMIT says
// something else.
func LimitHeap(memory int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(memory))
	}
}

// SpareHeap has the garbage collector wait until heapSpareMin was allocated, from now on and for as
// long as the process runs, unless GOGC says something else. A heap of more is collected when it
// has doubled, as always, and the limit of LimitHeap holds all the same.
func SpareHeap() {
	if os.Getenv("GOGC") == "" {
		s := &spare{percent: heapPercent, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
		s.collected()
	}
}

// spare sets GOGC after each collection, on the goroutine of the finalizers.
type spare struct {
	percent int
	live    []metrics.Sample
}

// collected is the finalizer of an object that nobody has: so it is called after each collection.
func (s *spare) collected() {
	metrics.Read(s.live)
	// Each change stops the world.
	if want := sparePercent(s.live[0].Value.Uint64()); want < s.percent || want > s.percent+s.percent/4 {
		s.percent = want
		debug.SetGCPercent(want)
	}
	runtime.SetFinalizer(&token{s}, func(t *token) { t.spare.collected() })
}

// token is what is collected.
type token struct{ spare *spare }

// sparePercent is GOGC for a heap of which so many bytes are in use.
func sparePercent(live uint64) int {
	return max(heapPercent, int(heapSpareMin*100/max(live, 1<<20)))
}
