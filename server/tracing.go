// Traces: what goes in and out, told to those who ask for it.

package server

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/admin"
	"c100k/internal/trace"
	"c100k/netpoll"
)

// tracing knows the traces that run, for publishes: those of connections are known to the loops.
type tracing struct {
	running atomic.Pointer[[]*trace.Trace] // nil: none

	mu sync.Mutex // guards changes of running
}

// published tells of a message to a topic. Any goroutine.
func (t *tracing) published(topic string, payload []byte) {
	all := t.running.Load()
	if all == nil {
		return
	}
	at := netpoll.Monotonic()
	for _, tr := range *all {
		tr.Published(at, topic, payload)
	}
}

// add begins one; false if there are too many.
func (t *tracing) add(tr *trace.Trace) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*trace.Trace
	if now := t.running.Load(); now != nil {
		all = slices.Clone(*now)
	}
	if len(all) >= admin.TracesMax {
		return false
	}
	all = append(all, tr)
	t.running.Store(&all)
	return true
}

func (t *tracing) remove(tr *trace.Trace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(*t.running.Load()), func(other *trace.Trace) bool { return other == tr })
	if len(left) == 0 {
		t.running.Store(nil)
		return
	}
	t.running.Store(&left)
}

// tellDropped is how often a trace says how many events are missing in it.
const tellDropped = time.Second

// Trace tells out what q selects.
func (n adminNode) Trace(ctx context.Context, q *trace.Query, out func(*admin.TraceEvent) error) error {
	t := trace.New(*q)
	if !n.tracing.add(t) {
		return admin.ErrTraces
	}
	defer n.tracing.remove(t)
	began := make(chan struct{}, n.node.Loops())
	stop, ok := n.node.Trace(t, func() { began <- struct{}{} })
	if !ok {
		return errLoopBusy
	}
	defer stop()
	for range n.node.Loops() {
		select {
		case <-began:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.stopped:
			return errDraining
		}
	}
	if err := out(&admin.TraceEvent{Type: "begin"}); err != nil {
		return err
	}
	return n.tellTrace(ctx, t, out)
}

// tellTrace passes the events of a trace on until ctx ends, or the node.
func (n adminNode) tellTrace(ctx context.Context, t *trace.Trace, out func(*admin.TraceEvent) error) error {
	tick := time.NewTicker(tellDropped)
	defer tick.Stop()
	for {
		var next *admin.TraceEvent
		select {
		case e := <-t.Events():
			next = admin.NewTraceEvent(&e, time.Now().Add(e.At-netpoll.Monotonic()))
		case <-tick.C:
			dropped := t.Dropped()
			if dropped == 0 {
				continue
			}
			next = &admin.TraceEvent{Type: "dropped", Dropped: dropped}
		case <-ctx.Done():
			return nil
		case <-n.stopped:
			return nil
		}
		if err := out(next); err != nil {
			return err
		}
	}
}
