// Something that happens once several loops have come to it.

package socketio

import (
	"sync/atomic"

	"c100k/netpoll"
)

// meet calls f when all of the loops have done what was ordered before, on the one that is last.
func meet(loops []*Reactor, f func()) error {
	var left atomic.Int32
	left.Store(int32(len(loops)))
	arrive := func(*netpoll.Loop) {
		if left.Add(-1) == 0 {
			f()
		}
	}
	var failed error
	for _, r := range loops {
		if err := r.do(order{run: arrive, meets: true}); err != nil {
			failed = err
			arrive(nil) // that loop has stopped, or has too much to do: the others must not wait for it
		}
	}
	return failed
}
