// Keys from a URL: fetched, kept, and fetched again.

package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"golang.org/x/time/rate"
)

// remote is a set of keys at a URL. The set that was fetched last is kept where a later one cannot
// be had or holds no key. Any goroutine.
type remote struct {
	*jwkset.MemoryJWKSet // what jwkset fetches is put here
	keys                 atomic.Pointer[[]key]
	fetcher              keyfunc.Keyfunc // fetches when it is asked for a key that is not there
	stop                 context.CancelFunc

	mu     sync.Mutex // guards the field below
	flight chan struct{}
}

// newRemote fetches the set once, and then every jwksRefreshEvery until close. A first fetch that
// fails is told to failed like any other: tokens are then refused until one succeeds.
func newRemote(url string, client *http.Client, failed func(error)) (*remote, error) {
	ctx, stop := context.WithCancel(context.Background())
	r := &remote{MemoryJWKSet: jwkset.NewMemoryStorage(), stop: stop}
	tell := func(_ context.Context, err error) {
		if ctx.Err() == nil {
			failed(err)
		}
	}
	store, err := jwkset.NewStorageFromHTTP(url, jwkset.HTTPClientStorageOptions{
		Client: bounded(client), Ctx: ctx, HTTPTimeout: jwksTimeout, NoErrorReturnFirstHTTPReq: true,
		RefreshErrorHandler: tell, RefreshInterval: jwksRefreshEvery, Storage: r,
	})
	if err == nil {
		store, err = jwkset.NewHTTPClient(jwkset.HTTPClientOptions{
			HTTPURLs: map[string]jwkset.Storage{url: store}, RateLimitWaitMax: jwksTimeout,
			RefreshUnknownKID: rate.NewLimiter(rate.Every(jwksUnknownEvery), 1),
		})
	}
	if err == nil {
		r.fetcher, err = keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: store})
	}
	if err != nil {
		stop()
		return nil, err
	}
	return r, nil
}

// KeyReplaceAll implements jwkset.Storage: a set without a key is an error, and the last one stays.
func (r *remote) KeyReplaceAll(ctx context.Context, given []jwkset.JWK) error {
	keys, err := usable(given, false)
	if err != nil {
		return err
	}
	r.keys.Store(&keys)
	return r.MemoryJWKSet.KeyReplaceAll(ctx, given)
}

// known are the keys of the last set.
func (r *remote) known() []key {
	if keys := r.keys.Load(); keys != nil {
		return *keys
	}
	return nil
}

// fetch has the set fetched because a key is missing, unless that was done within
// jwksUnknownEvery. All who miss a key meanwhile wait for the same fetch.
func (r *remote) fetch(ctx context.Context, kid string) {
	r.mu.Lock()
	flight := r.flight
	if flight == nil {
		flight = make(chan struct{})
		r.flight = flight
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), jwksTimeout)
			defer cancel()
			// The limiter answers at once where the wait would be longer than ctx. What was fetched
			// is in r.keys; an error was told already.
			_, _ = r.fetcher.Storage().KeyRead(ctx, kid)
			r.mu.Lock()
			r.flight = nil
			r.mu.Unlock()
			close(flight)
		}()
	}
	r.mu.Unlock()
	select {
	case <-flight:
	case <-ctx.Done():
	}
}

func (r *remote) close() { r.stop() }

// bounded is a client that reads at most jwksBytesMax bytes, and does not follow a redirect away
// from TLS.
func bounded(client *http.Client) *http.Client {
	if client == nil {
		client = &http.Client{}
	}
	c := *client
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	c.Transport = limitedTransport{next}
	c.CheckRedirect = func(to *http.Request, via []*http.Request) error {
		if len(via) > 3 || via[0].URL.Scheme == "https" && to.URL.Scheme != "https" {
			return fmt.Errorf("a redirect to %s is not followed", to.URL.Redacted())
		}
		return nil
	}
	return &c
}

type limitedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t limitedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err == nil {
		answer.Body = &limitedBody{ReadCloser: answer.Body, left: jwksBytesMax}
	}
	return answer, err
}

type limitedBody struct {
	io.ReadCloser
	left int
}

var errSetTooLarge = errors.New("the set of keys has more than 256 KiB")

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errSetTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
