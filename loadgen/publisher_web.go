// Publishing by HTTP: one POST a message, the body is the payload.

package loadgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"
)

// webLane posts to the addresses of its topics over one kept connection.
type webLane struct {
	client    http.Client
	transport *http.Transport
	addresses []string // by topic
	header    http.Header
}

// openWebLanes makes a lane for each topic, up to lanesMax.
func openWebLanes(ctx context.Context, o *Options, target *url.URL, topics []string) ([]lane, error) {
	at, err := resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	addresses := []string{o.PublishURL}
	if len(topics) > 0 {
		addresses = addresses[:0]
		for i, topic := range topics {
			addresses = append(addresses, fill(o.PublishURL, topic, i))
		}
	}
	header := httpHeader(o.PublishHeader)
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		if o.Binary {
			header.Set("Content-Type", "application/octet-stream")
		}
	}
	asker := probe{url: target, trust: o.trust()}
	secure, err := asker.tls()
	if err != nil {
		return nil, err
	}
	lanes := make([]lane, min(len(addresses), lanesMax))
	for i := range lanes {
		transport := &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true, TLSClientConfig: secure,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, at.String())
			}}
		lanes[i] = &webLane{transport: transport, addresses: addresses, header: header, client: http.Client{Timeout: publishTimeout, Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	}
	return lanes, nil
}

func (l *webLane) publish(ctx context.Context, topic int, messages [][]byte) (fate, error) {
	var sent delivered
	ctx = httptrace.WithClientTrace(ctx, sent.trace())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.addresses[topic], bytes.NewReader(messages[0]))
	if err != nil {
		return refused, err
	}
	request.Header = l.header
	request.Host = l.header.Get("Host")
	response, err := l.client.Do(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused, errors.New("refused")
	case errors.Is(err, context.Canceled):
		return sent.fate(), errors.New("interrupted")
	case err != nil:
		var wrapped *url.Error
		if errors.As(err, &wrapped) && wrapped.Timeout() {
			return sent.fate(), errors.New("timeout")
		}
		if !sent.began.Load() {
			return refused, errors.New("no connection")
		}
		return sent.fate(), errors.New("connection lost")
	}
	defer response.Body.Close()
	// Read to its end, or the connection is not used again.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, answerBytesMax)); err != nil {
		return lost, errors.New("connection lost")
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refused, fmt.Errorf("http %d", response.StatusCode)
	}
	return accepted, nil
}

// delivered is how far a request has come. net/http calls its trace on other goroutines.
type delivered struct {
	began atomic.Bool // a connection was there, and bytes may have gone out
	cut   atomic.Bool // writing it failed, so that the server does not have it whole
}

func (d *delivered) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { d.began.Store(true); d.cut.Store(false) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { d.cut.Store(info.Err != nil) },
	}
}

// fate is what became of a request that has no answer.
func (d *delivered) fate() fate {
	if !d.began.Load() || d.cut.Load() {
		return refused
	}
	return lost
}

func (l *webLane) close() { l.transport.CloseIdleConnections() }
