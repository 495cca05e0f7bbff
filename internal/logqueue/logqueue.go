// Package logqueue keeps a log from blocking or ending the program that writes it.
//
// There are only two types. [Writer] is an io.Writer in front of a pipe, a file or a terminal:
// Write puts a line into a bounded queue and returns at once, and a goroutine writes what is
// queued. What finds no room, or cannot be written, is dropped, counted, and said in the log when
// it can be written again. [File] is a file that may be moved away while it is written.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Writer is the queue in front of a log. Any goroutine.
type Writer struct {
	// immutable after New
	to    io.Writer
	note  func(dropped uint64) []byte
	lines chan []byte
	ended chan struct{} // closed when the goroutine has ended

	waiting atomic.Int64 // bytes in the queue
	dropped atomic.Uint64

	mu     sync.RWMutex // guards the field below, and that nothing is queued once it is set
	closed bool
}

// total counts the dropped lines of all queues.
var total atomic.Uint64

// DroppedTotal is how many lines all queues of this process have dropped. Any goroutine.
func DroppedTotal() uint64 { return total.Load() }

// New makes a queue in front of to. note makes the line that says how many lines were dropped.
func New(to io.Writer, note func(dropped uint64) []byte) *Writer {
	w := &Writer{to: to, note: note, lines: make(chan []byte, linesMax), ended: make(chan struct{})}
	go w.run()
	return w
}

// Write queues a copy of p, which is one line. It never blocks and never fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	size := int64(len(p))
	if w.closed || w.waiting.Add(size) > bytesMax {
		w.drop(size)
		return len(p), nil
	}
	select {
	case w.lines <- bytes.Clone(p):
	default:
		w.drop(size)
	}
	return len(p), nil
}

// drop counts a line that is not queued.
func (w *Writer) drop(size int64) {
	if !w.closed {
		w.waiting.Add(-size)
	}
	w.lost()
}

// lost counts a line that is not written.
func (w *Writer) lost() {
	w.dropped.Add(1)
	total.Add(1)
}

// run writes what is queued.
func (w *Writer) run() {
	defer close(w.ended)
	said := uint64(0)
	for line := range w.lines {
		if _, err := w.to.Write(line); err != nil {
			w.lost()
		} else if dropped := w.dropped.Load(); dropped != said {
			if _, err := w.to.Write(w.note(dropped - said)); err == nil {
				said = dropped
			}
		}
		w.waiting.Add(-int64(len(line)))
	}
}

// Dropped is how many lines were dropped so far.
func (w *Writer) Dropped() uint64 { return w.dropped.Load() }

// Close waits until what is queued has been written, but no longer than patience: a reader that
// does not read must not keep the program from ending. Later lines are dropped. It tells whether
// all has been written.
func (w *Writer) Close(patience time.Duration) bool {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.lines)
	}
	w.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-w.ended:
		return true
	case <-timer.C:
		return false
	}
}
