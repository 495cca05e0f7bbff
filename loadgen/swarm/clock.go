// The clock that all processes of a box have in common.

package swarm

import (
	"time"

	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

// Clock is CLOCK_MONOTONIC: the same in all processes of a box. Any goroutine.
func Clock() time.Duration { return clockOffset + netpoll.Monotonic() }

// clockOffset is from where on netpoll.Monotonic counts. Go's own reading of the same clock costs
// no system call.
var clockOffset = func() time.Duration {
	var t unix.Timespec
	best, offset := time.Hour, time.Duration(0)
	for range 8 { // of several readings the one that was least disturbed
		before := netpoll.Monotonic()
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
			return 0
		}
		after := netpoll.Monotonic()
		if after-before < best {
			best, offset = after-before, time.Duration(t.Nano())-before-(after-before)/2
		}
	}
	return offset
}()
