// Phase 6: a bounded slice of the fan-out.

package netpoll

import (
	"math"
)

// deliver is phase 6. The slice is small while reads come in too: they wait for
// this turn's flush, and the next for the next one's.
func (l *Loop) deliver(events int) {
	// What was queued before a Wake that is forgotten here is delivered below. So what a handler or a
	// task of this turn has published costs no turn of its own.
	l.remote.wanted.Store(false)
	if l.opt.Deliver == nil {
		return
	}
	defer l.contain()
	if events > 0 {
		l.eventBefore, l.lastEvent = l.lastEvent, l.now
		if events > 1 {
			l.eventBefore = l.now
		}
	}
	members := deliverMembersQuiet
	if l.now-l.eventBefore < deliverCalm {
		members = deliverMembersBusy
	}
	if withoutSlices {
		members = math.MaxInt32
	}
	if l.opt.Deliver(l, members) {
		l.again = true
	}
}
