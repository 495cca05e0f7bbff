// A server that is asked: at most so many requests at one time, and the others wait.

package hooks

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"c100k/internal/spans"
)

// BackendOptions say how a server is asked.
type BackendOptions struct {
	// Concurrency is how many requests run at one time; the others wait. Required.
	Concurrency int
	// Timeout bounds how long a request waits, and then how long it may take. Required.
	Timeout time.Duration
	// Secret signs the requests. Nil: they are not signed.
	Secret []byte
	// UserAgent names the node. Required.
	UserAgent string
	// Transport sends the requests. Nil: one of its own, whose connections are at most Concurrency.
	Transport http.RoundTripper
}

// Backend is a server that is asked. All hooks whose URLs have the same host share one, so that
// Concurrency is what that server sees. Any goroutine.
type Backend struct {
	opt    BackendOptions
	client http.Client

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	busy   int        // requests that run
	queue  list.List  // of *job
	bytes  int        // of their bodies
	closed bool
}

// job is one request that waits or runs.
type job struct {
	body []byte
	run  func()      // on a goroutine of its own, with a slot
	fail func(error) // instead of run: errLate, errFull, errClosed

	late *time.Timer
	at   *list.Element // nil once it does not wait
}

// Why a request was not sent.
var (
	errLate   = errors.New("no slot was free within the timeout")
	errFull   = errors.New("too many requests wait")
	errClosed = errors.New("the node shuts down")
)

// NewBackend makes a server that is asked. It must be closed.
func NewBackend(opt BackendOptions) *Backend {
	b := &Backend{opt: opt}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if b.opt.Transport == nil {
		b.opt.Transport = &http.Transport{
			DialContext:     (&net.Dialer{Timeout: dialTimeout}).DialContext,
			MaxConnsPerHost: opt.Concurrency, MaxIdleConnsPerHost: opt.Concurrency, IdleConnTimeout: idleTimeout,
			MaxResponseHeaderBytes: answerHeaderBytesMax,
			DisableCompression:     true, // an answer is small, and one that grows when it is read is not bounded by its length
		}
	}
	b.client = http.Client{
		Transport: b.opt.Transport,
		// A redirect is a failure: the request would be sent, signed, to a place nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b
}

// submit runs j when a slot is free, or fails it. Either is called once, on another goroutine; fail
// perhaps before submit returns.
func (b *Backend) submit(j *job) {
	b.mu.Lock()
	err := b.place(j)
	b.mu.Unlock()
	if err != nil {
		j.fail(err)
	}
}

// place starts j, or lets it wait. The caller holds mu.
func (b *Backend) place(j *job) error {
	switch {
	case b.closed:
		return errClosed
	case b.busy < b.opt.Concurrency:
		b.busy++
		b.running.Add(1)
		go b.work(j)
		return nil
	case b.queue.Len() >= WaitingMax || b.bytes+len(j.body) > waitingBytesMax:
		return errFull
	}
	j.at = b.queue.PushBack(j)
	b.bytes += len(j.body)
	j.late = time.AfterFunc(b.opt.Timeout, func() {
		if b.take(j) {
			j.fail(errLate)
		}
	})
	return nil
}

// take takes j out of the queue, if it still waits.
func (b *Backend) take(j *job) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if j.at == nil {
		return false
	}
	b.remove(j)
	return true
}

// remove takes a job that waits out of the queue. The caller holds mu.
func (b *Backend) remove(j *job) {
	b.queue.Remove(j.at)
	b.bytes -= len(j.body)
	j.at = nil
	j.late.Stop()
}

// work runs one job after the other, as long as any waits.
func (b *Backend) work(j *job) {
	defer b.running.Done()
	for ; j != nil; j = b.next() {
		j.run()
	}
}

// next is the job that has waited longest; nil gives the slot back.
func (b *Backend) next() *job {
	b.mu.Lock()
	defer b.mu.Unlock()
	front := b.queue.Front()
	if front == nil {
		b.busy--
		return nil
	}
	j := front.Value.(*job)
	b.remove(j)
	return j
}

// Waiting is how many requests wait for a slot.
func (b *Backend) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.Len()
}

// Close fails the requests that wait, ends those that run, and waits for them.
func (b *Backend) Close() {
	b.mu.Lock()
	b.closed = true
	var waiting []*job
	for front := b.queue.Front(); front != nil; front = b.queue.Front() {
		j := front.Value.(*job)
		b.remove(j)
		waiting = append(waiting, j)
	}
	b.mu.Unlock()
	for _, j := range waiting {
		j.fail(errClosed)
	}
	b.cancel()
	b.running.Wait()
	b.client.CloseIdleConnections()
}

// statusError is an answer with another status than the one that counts.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// errLong is an answer of more than AnswerBytesMax.
var errLong = fmt.Errorf("an answer of more than %d bytes", AnswerBytesMax)

// post sends a request, and returns the status and the body of the answer. It ends span.
func (b *Backend) post(to string, body []byte, span *spans.Span) (status int, answer []byte, err error) {
	defer func() {
		switch {
		case status != 0 && (status < 200 || status > 299):
			span.Fail(ResultStatus)
		case err != nil:
			span.Fail(resultOf(err))
		}
		if span.Traced() {
			span.End(attribute.String("http.request.method", http.MethodPost), attribute.Int("http.response.status_code", status))
		}
	}()
	ctx, cancel := context.WithTimeout(b.ctx, b.opt.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", b.opt.UserAgent)
	span.Header(r.Header)
	if b.opt.Secret != nil {
		r.Header.Set(SignatureHeader, sign(b.opt.Secret, time.Now(), body))
	}
	response, err := b.client.Do(r)
	if err != nil {
		var withURL *url.Error // the query of the URL may hold a secret
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, AnswerBytesMax+1))
	if err == nil && len(answer) > AnswerBytesMax {
		err = errLong
	}
	return response.StatusCode, answer, err
}
