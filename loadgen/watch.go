// What the server costs, over the phases of a run.

package loadgen

import (
	"time"
)

// watch looks at the server's processes at the turns of a run. The coordinator uses it; a look
// takes some milliseconds.
type watch struct {
	tree    *tree
	trouble string

	idle, open, end       ServerReading // memory and processor time: before, with all connected, at the end
	start, stop, finished ServerReading // processor time: measured part begins, ends; all has settled
	startAt, stopAt       time.Time
	kernelIdle            int64
	kernelOpen            int64
}

// watchServer takes the reading before the first connection.
func watchServer(pid int) *watch {
	w := &watch{tree: newTree(pid), kernelIdle: kernelMemory()}
	w.idle = w.read(w.tree.memory)
	return w
}

// read takes a reading, and remembers the first trouble.
func (w *watch) read(from func() (ServerReading, error)) ServerReading {
	r, err := from()
	if err != nil && w.trouble == "" {
		w.trouble = err.Error()
	}
	return r
}

func (w *watch) opened() {
	w.open, w.kernelOpen = w.read(w.tree.memory), kernelMemory()
}

func (w *watch) begin() { w.start, w.startAt = w.read(w.tree.cpu), time.Now() }

func (w *watch) measured() { w.stop, w.stopAt = w.read(w.tree.cpu), time.Now() }

func (w *watch) settled() {
	w.finished = w.read(w.tree.cpu)
	w.end = w.read(w.tree.memory)
}

// now is a reading in between.
func (w *watch) now() ServerReading { return w.read(w.tree.cpu) }

// cost sums up. open is how many connections were open, opened how many the ramp opened, received
// how many messages came.
func (w *watch) cost(open int, opened, received uint64, churned bool) *ServerCost {
	c := &ServerCost{PID: w.tree.root, Processes: w.end.Processes, Trouble: w.trouble,
		MemoryIdle: w.idle.Memory, MemoryOpen: w.open.Memory, MemoryEnd: w.end.Memory}
	c.CPU = Millis(w.finished.CPU - w.start.CPU)
	c.Cores = shareOfTime(w.stop.CPU-w.start.CPU, w.stopAt.Sub(w.startAt), 1)
	if received > 0 {
		c.PerMessage = c.CPU / Millis(received)
	}
	connecting := Millis(w.open.CPU - w.idle.CPU)
	if churned {
		connecting = c.CPU
	}
	if opened > 0 {
		c.PerConnection = connecting / Millis(opened)
	}
	if open > 0 {
		c.PerConn = float64(w.open.Memory-w.idle.Memory) / float64(open)
		c.KernelPerConn = float64(w.kernelOpen-w.kernelIdle) / float64(open)
	}
	return c
}
