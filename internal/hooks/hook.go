// One URL that decides.

package hooks

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/figures"
	"c100k/internal/spans"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/trace"
)

// Options are what a Hook is made of.
type Options struct {
	Kind    Kind
	URL     string // http or https
	Backend *Backend

	// FailOpen allows what the backend does not decide about. Default: it is refused.
	FailOpen bool

	// Spans traces requests. Nil: nothing is traced.
	Spans *spans.Tracer

	// Failed hears of each request that has failed, with one of the results below. Any goroutine.
	// Nil: nobody does.
	Failed func(kind Kind, result string, err error)
}

// Verdict is what comes of a request.
type Verdict struct {
	Allow  bool
	Failed bool    // the backend has not decided; Allow is that of Options.FailOpen
	Answer *Answer // what it has decided; nil if Failed
}

// The results of requests, as they are counted.
const (
	ResultAllowed     = "allowed"
	ResultDenied      = "denied"
	ResultCached      = "cached"
	ResultTimeout     = "timeout"     // no whole answer within the timeout
	ResultUnreachable = "unreachable" // no answer
	ResultStatus      = "status"      // another status than 200
	ResultBadAnswer   = "bad_answer"  // too long, or not as documented
	ResultBreaker     = "breaker"     // not sent: too many before it had failed
	ResultLate        = "late"        // not sent: no slot was free within the timeout
	ResultFull        = "full"        // not sent: too many wait
	ResultClosed      = "closed"      // not sent: the node shuts down
)

var results = []string{ResultAllowed, ResultDenied, ResultCached, ResultTimeout, ResultUnreachable, ResultStatus,
	ResultBadAnswer, ResultBreaker, ResultLate, ResultFull, ResultClosed}

// Hook asks one URL. Any goroutine.
type Hook struct {
	opt     Options
	asked   chan ask
	breaker *gobreaker.CircuitBreaker[*Answer]
	cache   cache
	counts  map[string]*atomic.Uint64 // by result; the map itself does not change
	ended   chan struct{}

	mu    sync.Mutex // guards the field below, which has one writer at a time
	times figures.Histogram
}

type ask struct {
	request *Request
	done    func(Verdict)
}

// New makes a hook, and starts its goroutine, which ends when the Backend is closed.
func New(opt Options) *Hook {
	h := &Hook{opt: opt, asked: make(chan ask, AskedMax), counts: make(map[string]*atomic.Uint64, len(results)), ended: make(chan struct{})}
	for _, result := range results {
		h.counts[result] = new(atomic.Uint64)
	}
	h.breaker = gobreaker.NewCircuitBreaker[*Answer](gobreaker.Settings{
		Name: string(opt.Kind), MaxRequests: breakerProbes, Interval: breakerWindow, Timeout: breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= breakerRow || c.Requests >= breakerMin && 2*c.TotalFailures >= c.Requests
		},
	})
	go h.run()
	return h
}

// Ask finds out what may be done about r. It does not block. done is called once: on another
// goroutine, or before Ask returns if too many requests wait. It must not block. After Close, done
// may not be called.
func (h *Hook) Ask(r *Request, done func(Verdict)) {
	select {
	case h.asked <- ask{r, done}:
	default:
		done(h.failed(errFull))
	}
}

// run looks at each request: what the cache or the breaker answer needs no slot.
func (h *Hook) run() {
	defer close(h.ended)
	for {
		select {
		case a := <-h.asked:
			h.look(a)
		case <-h.opt.Backend.ctx.Done():
			return
		}
	}
}

func (h *Hook) look(a ask) {
	body, k, err := encode(h.opt.Kind, a.request)
	if err != nil {
		a.done(h.failed(err))
		return
	}
	if answer := h.cache.get(k, time.Now()); answer != nil {
		h.counts[ResultCached].Add(1)
		a.done(Verdict{Allow: answer.Allow, Answer: answer})
		return
	}
	if h.breaker.State() == gobreaker.StateOpen {
		a.done(h.failed(gobreaker.ErrOpenState))
		return
	}
	h.opt.Backend.submit(&job{
		body: body,
		run:  func() { a.done(h.decide(body, k)) },
		fail: func(err error) { a.done(h.failed(err)) },
	})
}

// decide asks the backend. It has a slot.
func (h *Hook) decide(body []byte, k key) Verdict {
	answer, err := h.breaker.Execute(func() (*Answer, error) { return h.request(body) })
	if err != nil {
		return h.failed(err)
	}
	if answer.Cache > 0 {
		h.cache.put(k, answer, time.Now())
	}
	if answer.Allow {
		h.counts[ResultAllowed].Add(1)
	} else {
		h.counts[ResultDenied].Add(1)
	}
	return Verdict{Allow: answer.Allow, Answer: answer}
}

// request sends one request and reads its answer.
func (h *Hook) request(body []byte) (*Answer, error) {
	from := time.Now()
	span := h.opt.Spans.Begin("hook "+string(h.opt.Kind), trace.SpanKindClient, trace.SpanContext{})
	status, text, err := h.opt.Backend.post(h.opt.URL, body, span)
	h.mu.Lock()
	h.times.Observe(time.Since(from))
	h.mu.Unlock()
	switch {
	case status != 0 && status != http.StatusOK:
		return nil, statusError(status)
	case err != nil:
		return nil, err
	}
	answer, err := parseAnswer(text)
	if err != nil {
		return nil, badAnswer{err}
	}
	return answer, nil
}

// badAnswer is an answer that is not as documented.
type badAnswer struct{ error }

// failed counts a request that has failed, and is its verdict.
func (h *Hook) failed(err error) Verdict {
	result := resultOf(err)
	h.counts[result].Add(1)
	if h.opt.Failed != nil {
		h.opt.Failed(h.opt.Kind, result, err)
	}
	return Verdict{Allow: h.opt.FailOpen, Failed: true}
}

// resultOf is the label of a failure.
func resultOf(err error) string {
	var status statusError
	var bad badAnswer
	switch {
	case errors.As(err, &status):
		return ResultStatus
	case errors.As(err, &bad), errors.Is(err, errLong):
		return ResultBadAnswer
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return ResultBreaker
	case errors.Is(err, errLate):
		return ResultLate
	case errors.Is(err, errFull):
		return ResultFull
	case errors.Is(err, errClosed), errors.Is(err, context.Canceled):
		return ResultClosed
	case errors.Is(err, context.DeadlineExceeded):
		return ResultTimeout
	}
	return ResultUnreachable
}

// Close waits for the goroutine, which ends when the Backend is closed; call it after that.
func (h *Hook) Close() { <-h.ended }

// Counts is how many requests had which result.
func (h *Hook) Counts() map[string]uint64 {
	counts := make(map[string]uint64, len(h.counts))
	for result, n := range h.counts {
		counts[result] = n.Load()
	}
	return counts
}

// Times are how long the backend took for the requests that were sent.
func (h *Hook) Times() figures.HistogramSnapshot { return h.times.Snapshot() }

// Waiting is how many requests nobody has looked at.
func (h *Hook) Waiting() int { return len(h.asked) }

// Cached is how many answers are remembered.
func (h *Hook) Cached() int { return h.cache.size() }
