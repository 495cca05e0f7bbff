// Watching a node while a load runs.

package rig

import (
	"context"
	"fmt"
	"sync"
	"time"

	"c100k/internal/procfs"
)

// Reading is what a node was doing at one moment.
type Reading struct {
	At            time.Time
	Connections   int
	SlowConsumers uint64        // times that the policy for them was applied
	CPU           time.Duration // processor time of all its processes since their start
	Private       int64         // bytes that belong to its processes alone, the parent included
	Kernel        Kernel
}

// Read takes one reading. A worker that dies while it is read counts with nothing.
func (n *Node) Read() (Reading, error) {
	r := Reading{At: time.Now()}
	for _, pid := range n.processes() {
		cpu, err := procfs.CPUTime(pid)
		if err != nil && !procfs.Gone(err) {
			return r, err
		}
		private, err := procfs.PrivateBytes(pid)
		if err != nil && !procfs.Gone(err) {
			return r, err
		}
		r.CPU, r.Private = r.CPU+cpu, r.Private+private
	}
	var err error
	if r.Kernel, err = ReadKernel(); err != nil {
		return r, err
	}
	stats, err := n.Stats()
	r.Connections = stats.Connections.Total
	for _, times := range stats.SlowConsumers {
		r.SlowConsumers += times
	}
	return r, err
}

// Watch takes readings until it is stopped.
type Watch struct {
	node *Node
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	readings []Reading
	pause    time.Duration
}

// Watch begins to take readings of the node.
func (n *Node) Watch() *Watch {
	w := &Watch{node: n, stop: make(chan struct{}), pause: watchPause}
	w.done.Go(w.run)
	return w
}

func (w *Watch) run() {
	for {
		// A node that is too busy to answer is read again at the next turn; the load's own figures tell
		// that it was.
		if r, err := w.node.Read(); err == nil {
			w.keep(r)
		}
		select {
		case <-w.stop:
			return
		case <-time.After(w.pause):
		}
	}
}

func (w *Watch) keep(r Reading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.readings) == watchKept {
		kept := w.readings[:0]
		for i := 0; i < watchKept; i += 2 {
			kept = append(kept, w.readings[i])
		}
		w.readings, w.pause = kept, 2*w.pause
	}
	w.readings = append(w.readings, r)
}

// Stop ends the watch and returns its readings, the oldest first.
func (w *Watch) Stop() []Reading {
	close(w.stop)
	w.done.Wait()
	return w.Readings()
}

// Readings are those so far, the oldest first.
func (w *Watch) Readings() []Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Reading(nil), w.readings...)
}

// Await waits for a reading after the given moment with at least so many connections, and returns
// when it was taken.
func (w *Watch) Await(ctx context.Context, after time.Time, conns int) (time.Time, error) {
	for {
		for _, r := range w.Readings() {
			if r.At.After(after) && r.Connections >= conns {
				return r.At, nil
			}
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("the node was never seen with %d connections", conns)
		case <-time.After(watchPause):
		}
	}
}
