// The URL that is told what happens.

package hooks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"c100k/internal/spans"
)

// EventsOptions are what Events is made of.
type EventsOptions struct {
	URL     string // http or https
	Backend *Backend

	// Source names this process in each batch: the numbers of batches and the order of events are
	// those of a source. A source of another process must have another name.
	Source string

	// Dir is the directory of the queue, for this process alone; it is made. Empty: the queue is in
	// memory, and what is in it is lost when the process ends.
	Dir string

	// Spans traces batches. Nil: nothing is traced.
	Spans *spans.Tracer

	// Failed hears of each batch that was not taken, and of errors of the queue on disk. Nil:
	// nobody does.
	Failed func(err error)
}

// Events tells a backend what happens: in batches, in the order of Add, and each batch again until
// the backend has answered with a status of 200 to 299. Any goroutine may call Add; the figures
// may be read by any.
type Events struct {
	opt   EventsOptions
	inbox chan *Event
	queue queue

	sent, failed, lost atomic.Uint64
	length, bytes      atomic.Int64

	closing chan struct{}
	ended   chan struct{}
	closed  sync.Once
}

// NewEvents opens the queue and starts the goroutine that sends it. It must be closed, before its
// Backend. The error is that of the queue on disk.
func NewEvents(opt EventsOptions) (*Events, error) {
	if opt.Dir == "" {
		return newEventsOn(opt, new(memory)), nil
	}
	s, err := openSpool(opt.Dir)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return newEventsOn(opt, s), nil
}

func newEventsOn(opt EventsOptions, q queue) *Events {
	e := &Events{opt: opt, inbox: make(chan *Event, InboxMax), queue: q, closing: make(chan struct{}), ended: make(chan struct{})}
	e.measure()
	go e.run()
	return e
}

// Add queues an event. It never blocks: without room the event is dropped and counted, and the next
// batch says so.
func (e *Events) Add(event *Event) {
	select {
	case e.inbox <- event:
	default:
		e.lost.Add(1)
	}
}

// batch is what is sent until it is taken: each time the same, so that a backend that gets it twice
// knows it by its number.
type batch struct {
	body  []byte
	lines int
	lost  uint64 // Events.lost when it was made
}

// run moves events into the queue, and sends one batch after the other.
func (e *Events) run() {
	defer close(e.ended)
	var (
		outcome = make(chan error, 1)
		current *batch // made and not taken
		busy    bool   // it is on its way, or the pause after it has failed goes on
		number  uint64
		told    uint64
		pause   time.Duration
		retry   <-chan time.Time
		closing = e.closing
		late    <-chan time.Time
	)
	for {
		if !busy {
			e.report(e.queue.flush())
			if current == nil {
				if current = e.batch(number+1, told); current != nil {
					number++
				}
			}
			if current != nil {
				busy = true
				e.submit(current.body, outcome)
			}
		}
		e.measure()
		if closing == nil && !busy {
			e.finish()
			return
		}
		select {
		case event := <-e.inbox:
			e.take(event)
		case err := <-outcome:
			busy = false
			if err == nil {
				e.sent.Add(uint64(current.lines))
				told, pause = current.lost, 0
				e.report(e.queue.pop(current.lines))
				current = nil
				break
			}
			e.failed.Add(1)
			e.report(err)
			if closing == nil {
				e.finish()
				return
			}
			pause = min(max(2*pause, retryFirst), retryMax)
			retry, busy = time.After(pause/2+rand.N(pause/2)), true
		case <-retry:
			retry, busy = nil, false
		case <-closing:
			closing, late = nil, time.After(closeMax)
			if retry != nil {
				retry, busy = nil, false
			}
			e.drain()
		case <-late:
			e.finish()
			return
		}
	}
}

// batch makes the next one; nil if there is nothing to send.
func (e *Events) batch(number, told uint64) *batch {
	lost := e.lost.Load()
	lines, err := e.queue.peek(nil)
	e.report(err)
	if err != nil || len(lines) == 0 {
		return nil
	}
	return &batch{body: appendBatch(nil, e.opt.Source, number, lost-told, lines), lines: len(lines), lost: lost}
}

// take puts one event into the queue, and all that wait behind it.
func (e *Events) take(event *Event) {
	for n := 0; ; n++ {
		if !e.queue.push(event.line()) {
			e.lost.Add(1)
		}
		if n == InboxMax {
			return // the batch that is due must not wait for a stream without end
		}
		select {
		case event = <-e.inbox:
		default:
			return
		}
	}
}

// drain takes what Add has queued.
func (e *Events) drain() {
	select {
	case event := <-e.inbox:
		e.take(event)
	default:
	}
}

// submit sends a batch when a slot is free. outcome, which has room, gets what came of it.
func (e *Events) submit(body []byte, outcome chan<- error) {
	b := e.opt.Backend
	b.submit(&job{body: body, fail: func(err error) { outcome <- err }, run: func() {
		span := e.opt.Spans.Begin("hook events", trace.SpanKindClient, trace.SpanContext{})
		status, _, err := b.post(e.opt.URL, body, span)
		if status != 0 && (status < 200 || status > 299) {
			err = statusError(status)
		}
		outcome <- err
	}})
}

// finish keeps what was not sent, on disk, or counts it as lost.
func (e *Events) finish() {
	e.drain()
	if e.opt.Dir == "" {
		e.lost.Add(uint64(e.queue.len()))
	}
	e.report(e.queue.close())
	e.measure()
}

func (e *Events) report(err error) {
	if err != nil && !errors.Is(err, context.Canceled) && e.opt.Failed != nil {
		e.opt.Failed(err)
	}
}

func (e *Events) measure() {
	e.length.Store(int64(e.queue.len()))
	e.bytes.Store(e.queue.bytes())
}

// EventFigures is what Events counts.
type EventFigures struct {
	Sent, Failed, Lost uint64 // events that were taken; batches that were not; events that were dropped
	Queued, Bytes      int64  // in the queue
}

// Figures reads them.
func (e *Events) Figures() EventFigures {
	return EventFigures{Sent: e.sent.Load(), Failed: e.failed.Load(), Lost: e.lost.Load(),
		Queued: e.length.Load() + int64(len(e.inbox)), Bytes: e.bytes.Load()}
}

// Close sends what is queued until a batch fails or closeMax has passed, and ends. What is left
// stays on disk, or is lost. Close the Backend after it.
func (e *Events) Close() {
	e.closed.Do(func() { close(e.closing) })
	<-e.ended
}
