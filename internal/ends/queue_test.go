// A queue of ends: bounds, order, and ends from several loops at once.

package ends

import (
	"runtime"
	"sync"
	"testing"

	"c100k/netpoll"
)

func TestQueue(t *testing.T) {
	q := NewQueue()
	q.All(func(*End) { t.Error("an empty queue had an end") })
	for i := range QueueMax {
		if !q.Put(&End{ID: netpoll.ID(i)}) {
			t.Fatalf("no room for end %d of %d", i, QueueMax)
		}
	}
	if q.Put(&End{}) {
		t.Fatal("an end more than QueueMax was taken")
	}
	<-q.Ready
	next := netpoll.ID(0)
	q.All(func(e *End) {
		if e.ID != next {
			t.Fatalf("end %d at the place of %d", e.ID, next)
		}
		next++
	})
	if next != QueueMax {
		t.Fatalf("%d ends of %d came", next, QueueMax)
	}
	if !q.Put(&End{ID: 7}) {
		t.Fatal("no room after all were taken")
	}
}

// TestQueueFromLoops: ends from several goroutines all come, those of one in their order, and the
// reader is woken for the last.
func TestQueueFromLoops(t *testing.T) {
	const loops, each = 4, 2000
	q := NewQueue()
	var all sync.WaitGroup
	for loop := range loops {
		all.Go(func() {
			for i := range each {
				if !q.Put(&End{ID: netpoll.ID(loop), Owed: i}) {
					t.Error("no room")
				}
			}
		})
	}
	var next [loops]int
	for got := 0; got < loops*each; {
		<-q.Ready
		q.All(func(e *End) {
			if e.Owed != next[e.ID] {
				t.Errorf("loop %d: end %d at the place of %d", e.ID, e.Owed, next[e.ID])
			}
			next[e.ID]++
			got++
		})
	}
	all.Wait()
}

// TestQueueAtRest: a queue that nothing waits in has no memory for what could.
func TestQueueAtRest(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	q := NewQueue()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<10 {
		t.Errorf("a new queue takes %d bytes", n)
	}
	runtime.KeepAlive(q)
}
