// Sleeping between two looks, for loops that are clients.

package netpoll

import (
	"math"
	"time"
)

// nap is how long phase 1 sleeps before it looks; negative means that it waits
// for readiness instead.
func (l *Loop) nap() time.Duration {
	nap, left := l.opt.Nap, time.Duration(math.MaxInt64)
	if nap == 0 {
		nap = napMax
	}
	if l.turnAt >= 0 {
		left = max(l.turnAt-l.ended, 0)
	}
	switch busy := l.opt.Nap > 0 && l.ended-l.lastBusy < napCalm; {
	case busy && !l.few:
		return 0
	case busy, left < napUntilTurn:
		return min(nap, left)
	}
	return -1
}

// doze is phase 1 of a loop that naps. Who posts to it meanwhile need not wake
// it: it does not sleep for long.
func (l *Loop) doze(nap time.Duration) int {
	if nap > 0 && !l.remote.wanted.Load() && l.remote.tasks.Load() == nil {
		l.kernel.Nap(nap)
	}
	return l.kernel.Wait(l.events[:], 0)
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
