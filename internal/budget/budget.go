// Package budget counts the memory that a process holds for its clients, and says when that is too
// much.
//
// There is only one type. [Budget] has one limit and one sum. Loops add what they hold at the end
// of each turn (Add); what is cheap to read and has bounds of its own is read once a second
// (Watch, Poll). While the budget is short (Short), loops do not read, close their largest holders,
// and no new connection is admitted: package internal/node does that.
//
// Any goroutine may call all methods. The methods of a nil *Budget do nothing, and it is never
// short.
package budget

import (
	"sync"
	"sync/atomic"
)

// Budget is what a process may hold for its clients.
type Budget struct {
	// immutable after New
	max  int64
	wake func()

	loops   atomic.Int64 // what loops hold
	watched atomic.Int64 // what sources held at the last Poll
	short   atomic.Bool
	began   atomic.Uint64 // how often it became short
	rounds  atomic.Uint64 // calls of Poll

	mu      sync.Mutex // guards the field below
	sources []func() int64
}

// New makes a budget of max bytes. wake is called when it becomes short and when it no longer is;
// it must not block.
func New(max int64, wake func()) *Budget { return &Budget{max: max, wake: wake} }

// Add adds to what is held; n is negative when less is.
func (b *Budget) Add(n int64) {
	if b != nil && n != 0 {
		b.loops.Add(n)
		b.judge()
	}
}

// Watch adds a source: held is called by Poll, on its goroutine, and must not block.
func (b *Budget) Watch(held func() int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources = append(b.sources, held)
}

// Poll reads all sources.
func (b *Budget) Poll() {
	if b == nil {
		return
	}
	b.mu.Lock()
	sum := int64(0)
	for _, held := range b.sources {
		sum += held()
	}
	b.mu.Unlock()
	b.watched.Store(sum)
	b.rounds.Add(1)
	b.judge()
	if b.Short() {
		b.wake() // loops that found nothing to close look again
	}
}

// judge makes the budget short at its limit, and ends that when shortEnd of it is held.
func (b *Budget) judge() {
	held := b.Held()
	switch was := b.short.Load(); {
	case !was && held >= b.max:
		if b.short.CompareAndSwap(false, true) {
			b.began.Add(1)
			b.wake()
		}
	case was && held < b.Low():
		if b.short.CompareAndSwap(true, false) {
			b.wake()
		}
	}
}

// Short tells whether too much is held: from Max on, until less than Low is held.
func (b *Budget) Short() bool { return b != nil && b.short.Load() }

// Shortages is how often the budget has become short.
func (b *Budget) Shortages() uint64 {
	if b == nil {
		return 0
	}
	return b.began.Load()
}

// Rounds counts the calls of Poll.
func (b *Budget) Rounds() uint64 { return b.rounds.Load() }

// Held is what is held, in bytes.
func (b *Budget) Held() int64 {
	if b == nil {
		return 0
	}
	return b.loops.Load() + b.watched.Load()
}

// Max is the limit, in bytes; 0 without one.
func (b *Budget) Max() int64 {
	if b == nil {
		return 0
	}
	return b.max
}

// Low is where a shortage ends, in bytes: three quarters of the limit. One that ended at the limit
// would begin again with the next byte.
func (b *Budget) Low() int64 { return b.max - b.max/4 }

// ToFree is how many of its bytes a loop is to free that can free so many: the same part of them as
// what is above Low is of all.
func (b *Budget) ToFree(part int64) int64 {
	held := b.Held()
	over := held - b.Low()
	if over <= 0 || part <= 0 {
		return 0
	}
	// Rounded up; in floating point, for the product may exceed 63 bits.
	return min(int64(float64(over)*float64(part)/float64(held))+1, part)
}
