// Reloads of the configuration: how many, how they went, and when the last one succeeded.

package figures

import (
	"sync"
	"time"
)

// ReloadCounts is what became of the reloads of a process.
type ReloadCounts struct {
	Succeeded, Failed uint64
	Last              time.Time // of the last one that succeeded, or of the start
}

// Reloads counts reloads. The zero value has none. Any goroutine.
type Reloads struct {
	mu     sync.Mutex // guards the field below
	counts ReloadCounts
}

// Begin notes when the first configuration was read.
func (r *Reloads) Begin(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Last = at
}

// Note counts a reload that ended at that time; err is nil if it has succeeded.
func (r *Reloads) Note(at time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.counts.Failed++
		return
	}
	r.counts.Succeeded++
	r.counts.Last = at
}

// Counts returns the counts.
func (r *Reloads) Counts() ReloadCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}
