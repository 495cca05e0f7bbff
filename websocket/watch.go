// Blocked loops: a handler that keeps its loop for too long is reported, with its stack.

package websocket

import (
	"bytes"
	"log/slog"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// watch says whether a loop is inside a handler. The loop counts, a goroutine looks: it runs only
// while there are calls, so that an idle server uses no processor.
type watch struct {
	calls     atomic.Uint64 // odd: a handler runs
	watched   atomic.Bool   // the goroutine runs
	goroutine atomic.Uint64 // the loop's; 0: it has not called a handler yet
	depth     int           // of handlers that call others, as Close calls OnClose. Loop only
}

// enter says that a handler is about to be called. Loop.
func (p *part) enter() {
	w := &p.watch
	w.depth++
	if w.depth > 1 {
		return
	}
	w.calls.Store(w.calls.Load() + 1)
	if !w.watched.Load() {
		w.watched.Store(true)
		if w.goroutine.Load() == 0 {
			w.goroutine.Store(goroutineID())
		}
		go p.look()
	}
}

// exit says that the handler has returned. Loop.
func (p *part) exit() {
	w := &p.watch
	w.depth--
	if w.depth == 0 {
		w.calls.Store(w.calls.Load() + 1)
	}
}

// abandon is exit for a handler that has panicked.
func (p *part) abandon() {
	if w := &p.watch; w.depth > 0 {
		w.depth = 0
		w.calls.Store(w.calls.Load() + 1)
	}
}

// lookEvery is how often the goroutine looks.
const lookEvery = blockedAfter / 2

// quietLooks is after how many looks without a call it ends.
const quietLooks = 20

// look reports handlers that block, until none has been called for a while.
func (p *part) look() {
	w := &p.watch
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	seen, since, quiet, reported := w.calls.Load(), time.Now(), 0, uint64(0)
	for quiet < quietLooks {
		now := <-tick.C
		calls := w.calls.Load()
		switch {
		case calls != seen:
			seen, since, quiet = calls, now, 0
		case calls%2 == 0:
			quiet++
		case now.Sub(since) >= blockedAfter && calls != reported:
			reported = calls
			p.server.opt.Logger.Warn("a handler blocks its event loop: see Conn.Go",
				slog.Int("loop", p.index), slog.Duration("for", now.Sub(since)), slog.String("stack", string(stackOf(w.goroutine.Load()))))
		}
	}
	w.watched.Store(false)
}

// stackBytesMax bounds the stacks that are searched for a loop's, in bytes.
const stackBytesMax = 4 << 20

// stackOf is the stack of one goroutine; empty if it is not found.
func stackOf(id uint64) []byte {
	all := make([]byte, 64<<10)
	for {
		n := runtime.Stack(all, true)
		if n < len(all) || len(all) >= stackBytesMax {
			all = all[:n]
			break
		}
		all = make([]byte, 4*len(all))
	}
	head := []byte("goroutine " + strconv.FormatUint(id, 10) + " [")
	at := bytes.Index(all, head)
	if at < 0 {
		return nil
	}
	one, _, _ := bytes.Cut(all[at:], []byte("\n\n"))
	return one
}

// goroutineID is the number of the calling goroutine, as stacks name it.
func goroutineID() uint64 {
	var room [64]byte
	head := bytes.TrimPrefix(room[:runtime.Stack(room[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(head, []byte(" "))
	id, _ := strconv.ParseUint(string(number), 10, 64)
	return id
}
