// Sleeping between two looks, for loops that are clients.

package netpoll

import "time"

// nap is how long phase 1 sleeps before it looks; negative means that it waits
// for readiness instead.
func (l *Loop) nap() time.Duration {
	most, left := napMax, napUntilTurn
	if l.opt.Nap > 0 {
		most = l.opt.Nap
	}
	if l.turnAt >= 0 {
		left = max(l.turnAt-l.ended, 0)
	}
	switch {
	case l.opt.Nap > 0 && l.ended-l.lastBusy < napCalm:
		if !l.few {
			return 0
		}
	case left >= napUntilTurn:
		return -1
	}
	return min(most, left)
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
