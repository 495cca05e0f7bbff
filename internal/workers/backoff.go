// Back-off: how long the place of a worker that has died stays empty.

package workers

import "time"

// backoff counts early deaths. The zero value has seen none. One goroutine.
type backoff struct{ young int }

// after is how long to wait before the next start when the last process has lived for so long.
func (b *backoff) after(lived time.Duration) time.Duration {
	if lived >= youthTime {
		b.young = 0
	}
	delay := time.Duration(0)
	if b.young > 0 {
		delay = restartDelayMax
		if doublings := b.young - 1; doublings < 30 { // beyond, the shift would overflow
			delay = min(restartDelayFirst<<doublings, restartDelayMax)
		}
	}
	b.young++
	return delay
}
