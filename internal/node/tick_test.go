// The resolution of deadlines.

package node

import (
	"testing"
	"time"

	"c100k/netpoll"
)

func TestTickFor(t *testing.T) {
	for shortest, want := range map[time.Duration]time.Duration{
		0: netpoll.TickDefault, time.Hour: netpoll.TickDefault, 10 * time.Second: netpoll.TickDefault,
		time.Second: 20 * time.Millisecond, 200 * time.Millisecond: netpoll.TickMin, time.Millisecond: netpoll.TickMin,
	} {
		if got := tickFor(shortest); got != want {
			t.Errorf("%v: %v, want %v", shortest, got, want)
		}
	}
	if d := Shortest(-1, 0, time.Minute, time.Second, time.Hour); d != time.Second {
		t.Errorf("the shortest is %v", d)
	}
	if d := Shortest(-1, 0); d != 0 {
		t.Errorf("the shortest of none is %v", d)
	}
}
