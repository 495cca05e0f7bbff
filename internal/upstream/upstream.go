// Package upstream is the reverse proxy for the requests that belong to the application behind a
// node.
//
// [Proxy] is the http.Handler. It forwards a request with what trusted proxies and this node say of
// the client (forwarded.go), bounds the wait for the answer, and counts answers and latency. A
// WebSocket of the application is a [tunnel]: Proxy counts it, and Drain ends it with close frame
// 1012.
package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/edge"
	"c100k/internal/figures"
)

const (
	// dialTimeoutMax bounds the time to connect to the application.
	dialTimeoutMax = 10 * time.Second

	// idleConnsMax bounds the kept-alive connections to the application that serve no request.
	idleConnsMax = 64
)

// The outcomes of requests that have no answer of the application.
const (
	OutcomeUnreachable = "unreachable" // 502
	OutcomeTimeout     = "timeout"     // 504
	OutcomeClientLeft  = "client_left" // the client closed the connection before the answer
	OutcomeRefused     = "refused"     // the body was malformed or too slow; its edge.Conn has counted the refusal
)

// Options says what a Proxy forwards to, and whom it tells.
type Options struct {
	// URL is the application. Required.
	URL *url.URL
	// Timeout bounds the wait for the head of an answer, and for the application to take bytes of a
	// request; 0 means no limit.
	Timeout time.Duration
	// Trusted tells whether a request's RemoteAddr is that of a trusted proxy. Required.
	Trusted func(remoteAddr string) bool
	// Failed is called with each failure of the application, on any goroutine. Required.
	Failed func(outcome string, r *http.Request, err error)
	// Switched is called when a request has become a WebSocket, on any goroutine. Required.
	Switched func(r *http.Request)
	// Logger gets what the reverse proxy reports, at level debug. Required.
	Logger *slog.Logger
}

// Proxy forwards requests to the application. Any goroutine may call its methods.
type Proxy struct {
	opt       Options
	proxy     httputil.ReverseProxy
	transport *http.Transport

	mu       sync.Mutex // guards the fields below
	tunnels  map[*tunnel]struct{}
	outcomes map[string]uint64
	latency  figures.Histogram
}

// New makes a Proxy. Close ends it.
func New(opt Options) *Proxy {
	p := &Proxy{opt: opt, tunnels: map[*tunnel]struct{}{}, outcomes: map[string]uint64{}}
	p.transport = http.DefaultTransport.(*http.Transport).Clone()
	dialer := net.Dialer{Timeout: dialTimeoutMax}
	if opt.Timeout > 0 {
		dialer.Timeout = min(opt.Timeout, dialTimeoutMax)
	}
	p.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dialer.DialContext(ctx, network, addr)
		if err != nil || opt.Timeout <= 0 {
			return c, err
		}
		return &patientConn{c, opt.Timeout}, nil
	}
	p.transport.ResponseHeaderTimeout = opt.Timeout
	p.transport.DisableCompression = true // the answer goes on as it is
	p.transport.MaxIdleConnsPerHost = idleConnsMax
	p.proxy = httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      p.transport,
		FlushInterval:  -1, // a stream of events must not wait for a full buffer
		ModifyResponse: p.modify,
		ErrorHandler:   p.failed,
		ErrorLog:       slog.NewLogLogger(opt.Logger.Handler(), slog.LevelDebug),
	}
	return p
}

// patientConn bounds each write: an application that reads no more would hold a request for ever.
type patientConn struct {
	net.Conn
	timeout time.Duration
}

func (c *patientConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// ServeHTTP forwards a request and its answer.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w, p: p, r: r, begun: time.Now()}
	defer a.end()
	if r.Body != nil && r.Body != http.NoBody {
		a.body = &watchedBody{ReadCloser: r.Body}
		r = r.WithContext(r.Context())
		r.Body = a.body
	}
	p.proxy.ServeHTTP(a, r)
}

// watchedBody keeps the refusal with which a body has ended. A transport may report its own error,
// or the end of the request's context, before it.
type watchedBody struct {
	io.ReadCloser
	refusal atomic.Pointer[edge.Refusal]
}

func (b *watchedBody) Read(p []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(p)
	var refusal *edge.Refusal
	var socket net.Error
	switch {
	case err == nil, err == io.EOF:
	case errors.As(err, &refusal):
		b.refusal.Store(refusal)
	case !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, &socket):
		b.refusal.Store(edge.RefuseBody) // net/http has an error of its own for a trailer section
	}
	return n, err
}

// answer is the ResponseWriter of one request: it counts, and makes a tunnel of an upgrade.
type answer struct {
	http.ResponseWriter
	p       *Proxy
	r       *http.Request
	begun   time.Time
	status  int
	outcome string // instead of the status; "": the status counts
	tunnel  *tunnel
	body    *watchedBody // nil without one
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader forwards an interim answer only to a client that knows those.
func (a *answer) WriteHeader(status int) {
	if status < 200 && status != http.StatusSwitchingProtocols {
		// RFC 9110, 15.2: a server MUST NOT send a 1xx response to an HTTP/1.0 client.
		if a.r.ProtoAtLeast(1, 1) {
			a.ResponseWriter.WriteHeader(status)
		}
		return
	}
	a.note(status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.note(http.StatusOK)
	return a.ResponseWriter.Write(b)
}

// note counts the answer once, when its head is there.
func (a *answer) note(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	outcome := a.outcome
	if outcome == "" {
		outcome = strconv.Itoa(status/100) + "xx"
	}
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	a.p.outcomes[outcome]++
	a.p.latency.Observe(time.Since(a.begun))
}

// Hijack makes the connection of an upgrade a tunnel.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	a.note(http.StatusSwitchingProtocols)
	a.tunnel = &tunnel{Conn: conn}
	a.p.mu.Lock()
	a.p.tunnels[a.tunnel] = struct{}{}
	a.p.mu.Unlock()
	a.p.opt.Switched(a.r)
	return a.tunnel, rw, nil
}

func (a *answer) end() {
	if a.tunnel != nil {
		a.p.mu.Lock()
		delete(a.p.tunnels, a.tunnel)
		a.p.mu.Unlock()
	}
}

// modify adds Via to an answer: RFC 9110, 7.6.3.
func (p *Proxy) modify(res *http.Response) error {
	res.Header.Add("Via", strconv.Itoa(res.ProtoMajor)+"."+strconv.Itoa(res.ProtoMinor)+" "+viaName)
	return nil
}

// failed answers a request that has got no answer.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	a := w.(*answer) // ReverseProxy passes on what ServeHTTP gave it
	var refusal *edge.Refusal
	var late net.Error
	if a.body != nil {
		refusal = a.body.refusal.Load()
	}
	switch {
	case refusal != nil || errors.As(err, &refusal):
		a.outcome = OutcomeRefused
		refusal.ServeHTTP(w, r)
	case r.Context().Err() != nil:
		a.outcome = OutcomeClientLeft
		w.WriteHeader(http.StatusBadGateway) // which nobody reads
	case errors.As(err, &late) && late.Timeout():
		a.outcome = OutcomeTimeout
		p.opt.Failed(a.outcome, r, err)
		http.Error(w, "the upstream server did not answer in time (--upstream-timeout)", http.StatusGatewayTimeout)
	default:
		a.outcome = OutcomeUnreachable
		p.opt.Failed(a.outcome, r, err)
		http.Error(w, "the upstream server cannot be reached", http.StatusBadGateway)
	}
}

// Answers are how many requests ended so, by the class of the status ("2xx") or by outcome.
func (p *Proxy) Answers() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	read := make(map[string]uint64, len(p.outcomes))
	for k, n := range p.outcomes {
		read[k] = n
	}
	return read
}

// Latency is the time from a request's head to the head of its answer.
func (p *Proxy) Latency() figures.HistogramSnapshot { return p.latency.Snapshot() }

// Tunnels is how many WebSockets of the application are open.
func (p *Proxy) Tunnels() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.tunnels)
}
