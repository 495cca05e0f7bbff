// The watchdog: it finds a loop that is stuck in a call, and reports it.

package node

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/budget"
	"c100k/netpoll"
)

const (
	// aliveEvery is how often the watchdog looks at the loops, unless Config.AliveEvery says
	// otherwise.
	aliveEvery = time.Second

	// stuckLooks is how many looks a loop may spend in one turn before it counts as stuck: five
	// seconds. A turn of a loaded loop takes two at most.
	stuckLooks = 5

	// stackBytesMax bounds the dump of all goroutines in which the stack of a stuck loop is looked
	// for, in bytes. Loops start early, so their stacks come first.
	stackBytesMax = 1 << 20
)

// watchdog looks at all loops at a steady pace. A loop is alive if it sleeps, or has ended a turn
// since the last look. Looks are counted instead of time, so that a process which was stopped as a
// whole does not report its loops when it goes on.
type watchdog struct {
	// immutable after newWatchdog
	log   *slog.Logger
	alive func() // called at each look that finds all loops alive
	stop  chan struct{}

	budget *budget.Budget // may be nil
	ended  chan struct{}

	mu    sync.Mutex // guards turns and looks of the loops
	loops []watchedLoop
}

// watchedLoop is what the watchdog knows of one loop.
type watchedLoop struct {
	loop      *netpoll.Loop
	goroutine atomic.Pointer[string] // "goroutine 7 ", nil until the loop has stored it
	turns     uint64                 // at the last look
	looks     int                    // in a row that have found the loop in the same turn
}

// newWatchdog makes a watchdog for loops that run.
func newWatchdog(loops []*netpoll.Loop, log *slog.Logger, alive func()) *watchdog {
	w := &watchdog{log: log, alive: alive, stop: make(chan struct{}), ended: make(chan struct{})}
	w.loops = make([]watchedLoop, len(loops))
	for i, l := range loops {
		w.loops[i].loop = l
		l.Remote().Post(func(*netpoll.Loop) {
			name := ownGoroutine()
			w.loops[i].goroutine.Store(&name)
		})
	}
	return w
}

// startWatchdog starts the watchdog of a node whose loops run. The caller holds n.mu.
func (n *Node) startWatchdog() {
	loops := make([]*netpoll.Loop, len(n.reactors))
	for i, r := range n.reactors {
		loops[i] = r.loop
	}
	every, alive := n.cfg.AliveEvery, n.cfg.Alive
	if every <= 0 {
		every = aliveEvery
	}
	if alive == nil {
		alive = func() {}
	}
	n.watchdog = newWatchdog(loops, n.log, alive)
	n.watchdog.budget = n.cfg.Budget
	go n.watchdog.run(every)
}

// Stuck is nil while all loops run, or names those that are stuck in a call. Any goroutine.
func (n *Node) Stuck() error {
	n.mu.Lock()
	w := n.watchdog
	n.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.stuck()
}

// run looks every so often until end is called.
func (w *watchdog) run(every time.Duration) {
	defer close(w.ended)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.budget.Poll()
			if w.look() {
				w.alive()
			}
		case <-w.stop:
			return
		}
	}
}

// end stops the watchdog and waits for its end. It is called before the loops are stopped.
func (w *watchdog) end() {
	close(w.stop)
	<-w.ended
}

// look looks at all loops once, and tells whether all are alive.
func (w *watchdog) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := true
	for i := range w.loops {
		l := &w.loops[i]
		turns := l.loop.Stats().Turns
		if turns != l.turns || l.loop.Remote().Asleep() {
			if l.looks >= stuckLooks {
				w.log.Warn("loop runs again", "loop", l.loop.Index())
			}
			l.turns, l.looks = turns, 0
			continue
		}
		all = false
		l.looks++
		if l.looks == stuckLooks {
			w.log.Error("loop is stuck: one call on it does not return", "loop", l.loop.Index(), "looks", stuckLooks,
				"stack", stackOf(l.goroutine.Load()))
		}
	}
	return all
}

// stuck is nil, or names the loops that are stuck.
func (w *watchdog) stuck() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for i := range w.loops {
		if l := &w.loops[i]; l.looks >= stuckLooks {
			names = append(names, fmt.Sprintf("loop %d is stuck in a call", l.loop.Index()))
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("%s; its connections are not served", strings.Join(names, ", "))
}

// ownGoroutine is how a dump names the goroutine that calls it.
func ownGoroutine() string {
	var buf [64]byte
	name, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte("["))
	return string(name)
}

// stackOf is the stack of a goroutine, cut out of a dump of all.
func stackOf(goroutine *string) string {
	if goroutine == nil {
		return "unknown: the loop has never run"
	}
	dump := make([]byte, stackBytesMax)
	dump = dump[:runtime.Stack(dump, true)]
	for stack := range bytes.SplitSeq(dump, []byte("\n\n")) {
		if bytes.HasPrefix(stack, []byte(*goroutine)) {
			return string(stack)
		}
	}
	return "not in the first MiB of stacks"
}
