// What posting costs when many do it.

package netpoll

import (
	"runtime"
	"sync"
	"testing"
)

// BenchmarkMailboxContended is one post from GOMAXPROCS goroutines at once, while a consumer
// empties the mailbox as a loop does: what publishers on different goroutines pay for sharing one
// loop. BenchmarkMailboxPost is the same without anybody else.
func BenchmarkMailboxContended(b *testing.B) {
	r := &Remote{wake: func() {}}
	f := func(*Loop) {}
	stop := make(chan struct{})
	var consumer sync.WaitGroup
	consumer.Go(func() {
		for {
			for t := r.take(); t != nil; t = t.next {
				r.depth.Add(-1)
			}
			select {
			case <-stop:
				return
			default:
				runtime.Gosched()
			}
		}
	})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			for !r.Post(f) { // full
				runtime.Gosched()
			}
		}
	})
	close(stop)
	consumer.Wait()
}
