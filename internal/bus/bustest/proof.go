// What every bus with a broker must do when that takes messages and delivers none.

package bustest

import (
	"testing"
	"time"

	"c100k/internal/bus"
)

// Proof tests that a bus notices a broker that says yes to everything and delivers nothing, and
// that it comes back by itself. mute makes the broker do so, or end it; it may be one that is
// written for the test.
func Proof(t *testing.T, join func() bus.Bus, mute func(yes bool)) {
	a := run(t, join(), "a")
	b := run(t, join(), "b")
	a.reach(b)
	until(t, "a probe comes back", func(h bus.Health) bool {
		n := uint64(0)
		for _, c := range h.Probes.Counts {
			n += c
		}
		return h.Connected && n > 0 && h.Probes.Sum > 0
	}, a)
	lost := a.bus.Health().Probes.Lost // of a machine that stood still
	mute(true)
	until(t, "it is noticed", func(h bus.Health) bool { return !h.Connected && h.Reason != "" }, a)
	until(t, "a lost probe is counted", func(h bus.Health) bool { return h.Probes.Lost > lost }, a)
	mute(false)
	until(t, "it comes back", func(h bus.Health) bool { return h.Connected && h.Reason == "" }, a, b)
	a.reach(b)
	b.reach(a)
}

// until waits until ok holds for the health of all nodes.
func until(t *testing.T, what string, ok func(bus.Health) bool, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		for giveUp := time.Now().Add(patience); !ok(n.bus.Health()); time.Sleep(time.Millisecond) {
			if time.Now().After(giveUp) {
				t.Fatalf("%s: not after %v: %s: %+v", n.name, patience, what, n.bus.Health())
			}
		}
	}
}
