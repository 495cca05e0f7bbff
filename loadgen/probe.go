// What the target speaks: one connection before all others.

package loadgen

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"c100k/frame"
	"c100k/loadgen/swarm"
)

// probe is a question to a server: whether it is there, and what it speaks.
type probe struct {
	url      *url.URL
	target   netip.AddrPort
	header   [][2]string
	insecure bool
}

// protocol finds out what the target of the options speaks, or makes sure that it is there. Auto
// offers c100k.v1 only where its commands are needed: to subscribe to a topic that the URL does not
// name.
func (p *probe) protocol(ctx context.Context, o *Options) (swarm.Protocol, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	web := p.url.Scheme == "http" || p.url.Scheme == "https"
	commands := o.Topic != "" && !strings.Contains(o.URL, topicMark)
	switch {
	case o.Protocol == swarm.SSE && !web:
		return "", usagef("--protocol sse needs http:// or https://, not %s://", p.url.Scheme)
	case o.Protocol == swarm.SSE, o.Protocol == swarm.Auto && web && !socketIOPath(p.url):
		return swarm.SSE, p.stream(ctx)
	case o.Protocol == swarm.SocketIO, o.Protocol == swarm.Auto && socketIOPath(p.url):
		return swarm.SocketIO, p.engineIO(ctx)
	case web:
		return "", usagef("--protocol %s needs ws:// or wss://, not %s://", o.Protocol, p.url.Scheme)
	case o.Protocol == swarm.V1 && o.Topic == "" && (hears(o.Mode) || sends(o.Mode)):
		return "", usagef("c100k.v1 subscribes and publishes by command: say to which topic with --topic NAME")
	case o.Protocol == swarm.V1, o.Protocol == swarm.Auto && commands:
		welcomed, err := p.envelope(ctx)
		switch {
		case err != nil:
			return "", err
		case welcomed:
			return swarm.V1, nil
		case o.Protocol == swarm.V1:
			return "", &UnreachableError{p.url.Host, errors.New("it does not speak c100k.v1 at this path")}
		}
		return "", topicWithoutMark(o.URL)
	}
	conn, _, _, err := p.dial(ctx, nil)
	if err != nil {
		return "", err
	}
	conn.Close()
	return swarm.Raw, nil
}

// envelope offers c100k.v1 and waits for its welcome.
func (p *probe) envelope(ctx context.Context) (welcomed bool, err error) {
	conn, early, handshake, err := p.dial(ctx, []string{string(swarm.V1)})
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if handshake.Protocol != string(swarm.V1) {
		return false, nil
	}
	text, err := firstMessage(conn, early)
	if err != nil {
		return false, nil // it selected a word it does not know
	}
	var first struct{ Type string }
	return json.Unmarshal(text, &first) == nil && first.Type == "welcome", nil
}

// engineIO waits for the open packet of Engine.IO.
func (p *probe) engineIO(ctx context.Context) error {
	p.url = engineURL(p.url)
	conn, early, _, err := p.dial(ctx, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	text, err := firstMessage(conn, early)
	if err != nil || len(text) < 2 || text[0] != '0' || text[1] != '{' {
		return &UnreachableError{p.url.Host, errors.New("it does not speak Engine.IO 4 at this path")}
	}
	return nil
}

// engineURL is the address of a Socket.IO server's WebSocket.
func engineURL(u *url.URL) *url.URL {
	engine := *u
	engine.Scheme = strings.Replace(engine.Scheme, "http", "ws", 1)
	swarm.EngineTarget(&engine)
	return &engine
}

// stream asks for an event stream, and looks at the head of the answer.
func (p *probe) stream(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.String(), nil)
	if err != nil {
		return usagef("%q is refused: %v", p.url, err)
	}
	request.Header = httpHeader(p.header)
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	request.Header.Set("Accept", "text/event-stream")
	client := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: p.tls(), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.target.String())
		}},
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return &UnreachableError{p.url.Host, wordDial(err)}
	}
	defer response.Body.Close()
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")) // one that is no media type is no event stream
	switch {
	case response.StatusCode != http.StatusOK:
		return &UnreachableError{p.url.Host, fmt.Errorf("it answers HTTP %s", response.Status)}
	case kind != "text/event-stream":
		return &UnreachableError{p.url.Host, fmt.Errorf("it answers with %q, which is no event stream", response.Header.Get("Content-Type"))}
	}
	return nil
}

func (p *probe) tls() *tls.Config {
	return &tls.Config{ServerName: p.url.Hostname(), InsecureSkipVerify: p.insecure, NextProtos: []string{"http/1.1"}}
}

// dial opens a WebSocket. What came behind the handshake is in early, which may be nil.
func (p *probe) dial(ctx context.Context, protocols []string) (net.Conn, *bufio.Reader, ws.Handshake, error) {
	var refused error
	header := httpHeader(p.header)
	host := header.Get("Host")
	header.Del("Host")                                              // it has a line of its own, and two are an error
	if given := header.Get("Sec-WebSocket-Protocol"); given != "" { // it replaces ours, as every line does
		protocols = strings.FieldsFunc(given, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		header.Del("Sec-WebSocket-Protocol")
	}
	if user := p.url.User; user != nil && header.Get("Authorization") == "" {
		password, _ := user.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	dialer := ws.Dialer{Protocols: protocols, TLSConfig: p.tls(), Host: host, Header: ws.HandshakeHeaderHTTP(header),
		NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.target.String())
		},
		OnStatusError: func(status int, _ []byte, response io.Reader) { refused = statusError(status, response) }}
	conn, early, handshake, err := dialer.Dial(ctx, p.url.String())
	switch {
	case refused != nil:
		return nil, nil, handshake, &UnreachableError{p.url.Host, refused}
	case err != nil:
		return nil, nil, handshake, &UnreachableError{p.url.Host, wordDial(err)}
	}
	return conn, early, handshake, nil
}

// statusError words a refusal, with the reason where the server gives one that a person can read.
func statusError(status int, response io.Reader) error {
	err := fmt.Errorf("it answers HTTP %d %s", status, http.StatusText(status))
	r, bad := http.ReadResponse(bufio.NewReader(io.LimitReader(response, probeBytesMax)), nil)
	if bad != nil {
		return err
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(r.Body, 200)) // what came of it will do
	if line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n"); line != "" && printable(line) && line != r.Status {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}

// printable tells whether a text of a server may be shown on a terminal.
func printable(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufffd' }) < 0
}

// firstMessage is the first whole message that is no control frame.
func firstMessage(conn net.Conn, early *bufio.Reader) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(welcomeWithin)); err != nil {
		return nil, err
	}
	var source io.Reader = conn
	if early != nil {
		source = early
	}
	reader, options := frame.Reader{}, frame.Options{Client: true, MessageBytesMax: probeBytesMax}
	buffer := make([]byte, probeBytesMax)
	for {
		n, err := source.Read(buffer)
		for rest := buffer[:n]; ; {
			message, left, bad := reader.Next(&options, rest)
			if bad != nil {
				return nil, bad
			}
			if message.Complete && message.Op < frame.OpClose {
				return message.Payload, nil
			}
			if !message.Complete {
				break
			}
			rest = left
		}
		if err != nil {
			return nil, err
		}
	}
}

// httpHeader is a list of header lines as net/http has them.
func httpHeader(lines [][2]string) http.Header {
	header := http.Header{}
	for _, line := range lines {
		header.Add(line[0], line[1])
	}
	return header
}
