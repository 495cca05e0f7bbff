// What a handler's panic costs: one connection, and one line in the log.

package netpoll

import (
	"fmt"
	"runtime"
)

// contain, deferred by each function that calls handlers, recovers a panic: the
// connection it was called for is closed. Who defers it returns by a named
// result where everybody else's work goes on.
func (l *Loop) contain() {
	v := recover()
	if v == nil {
		return
	}
	buf := make([]byte, panicStackBytesMax)
	buf = buf[:runtime.Stack(buf, false)]
	c := l.current
	l.current = nil
	l.stats.Panics++
	if c == nil {
		l.opt.Logger.Error("panic in a task of the loop", "loop", l.opt.Index, "panic", fmt.Sprint(v), "stack", string(buf))
		return
	}
	l.opt.Logger.Error("panic in a handler; its connection is closed", "conn", c.ID().String(), "panic", fmt.Sprint(v), "stack", string(buf))
	if c.flags&flagLive == 0 || c.flags&flagDead != 0 {
		return
	}
	l.lastWord(c)
	if c.flags&flagFinish == 0 {
		l.Close(c, ReasonPanic)
	}
}

// lastWord lets OnPanic say goodbye; should it panic too, that is that.
func (l *Loop) lastWord(c *Conn) {
	if l.opt.OnPanic == nil || c.Closing() {
		return
	}
	defer func() { _ = recover() }()
	l.opt.OnPanic(l, c)
}
