// Phase 5: deadlines, and the hook for what is finer than a tick.

package netpoll

import (
	"time"
)

// Arm sets c's one deadline: OnTimer is called d from now, never early, and
// late by at most Options.Tick and what the turns under way take. It replaces an
// earlier deadline. A d of more than a year is a year; with a finer tick than
// TickDefault, the longest is 1<<30 ticks.
func (l *Loop) Arm(c *Conn, d time.Duration) {
	if !c.Closing() {
		l.arm(c, d)
	}
}

func (l *Loop) arm(c *Conn, d time.Duration) {
	// tick t begins at t*Options.Tick and fires then; rounding up keeps the
	// promise "never early".
	length := l.opt.Tick
	l.wheel.Arm(c, l.tickOf(l.now+min(max(d, 0), armMax, armTicksMax*length)+length-1))
}

// Left is the time until c's deadline, rounded to the wheel's ticks; ok is false if it has none.
func (l *Loop) Left(c *Conn) (d time.Duration, ok bool) {
	if c.flags&flagArmed == 0 {
		return 0, false
	}
	return l.until(c.deadline), true
}

// tickOf is the tick that the time d of the loop's clock lies in.
func (l *Loop) tickOf(d time.Duration) tick { return tick(d / l.opt.Tick) }

// Disarm removes c's deadline.
func (l *Loop) Disarm(c *Conn) {
	if !c.Closing() {
		l.wheel.Disarm(c)
	}
}

// until is how long from now the tick t begins; negative when it has begun.
func (l *Loop) until(t tick) time.Duration {
	return time.Duration(int32(t-l.tick))*l.opt.Tick - l.now%l.opt.Tick
}

// fireTimers is phase 5. A panic cuts a round short; the next one goes on, with
// what is left of the turn's limit.
func (l *Loop) fireTimers() {
	limit := l.stats.Timers + timersPerTurnMax
	for l.serveTimers(int(limit - l.stats.Timers)) {
	}
}

// serveTimers fires what is due; true means that a panic cut it short.
func (l *Loop) serveTimers(limit int) (cut bool) {
	cut = true
	defer l.contain()
	more := l.wheel.Advance(l.tick, limit, l.fire)
	l.again = l.again || more
	return false
}

func (l *Loop) fire(c *Conn) {
	l.stats.Timers++
	if c.flags&flagFinish != 0 { // the linger is over
		l.Close(c, c.reason)
		return
	}
	l.current = c
	l.opt.Handlers[c.role].OnTimer(l, c)
	l.current = nil
}

// onTurn is what Options.OnTurn adds to phase 5.
func (l *Loop) onTurn() {
	if l.opt.OnTurn == nil {
		return
	}
	defer l.contain()
	l.turnAt = -1
	l.turnAt = l.opt.OnTurn(l)
}
