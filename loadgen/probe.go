// What the target speaks: one connection before all others.

package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"c100k/frame"
	"c100k/loadgen/swarm"
)

// probe finds out whether a server is there, and which protocol it speaks.
type probe struct {
	url    *url.URL
	target netip.AddrPort
	header [][2]string
	trust  swarm.Trust
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
	conn, _, err := p.dial(ctx, swarm.Raw)
	if err != nil {
		return "", err
	}
	conn.Close()
	return swarm.Raw, nil
}

// envelope offers c100k.v1 and waits for its welcome.
func (p *probe) envelope(ctx context.Context) (welcomed bool, err error) {
	conn, answer, refusal, err := p.ask(ctx, swarm.V1)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	if answer.Protocol != string(swarm.V1) {
		return false, nil
	}
	if refusal != "" {
		return false, p.refused(answer, conn, refusal)
	}
	text, err := firstMessage(conn, answer.Early)
	if err != nil {
		return false, nil // it selected a word it does not know
	}
	var first struct{ Type string }
	return json.Unmarshal(text, &first) == nil && first.Type == "welcome", nil
}

// engineIO waits for the open packet of Engine.IO.
func (p *probe) engineIO(ctx context.Context) error {
	p.url = engineURL(p.url)
	conn, early, err := p.dial(ctx, swarm.SocketIO)
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
	conn, _, err := p.dial(ctx, swarm.SSE)
	if err != nil {
		return err
	}
	conn.Close()
	return nil
}

// trust is what all clients of a run have been told.
func (o *Options) trust() swarm.Trust {
	return swarm.Trust{Insecure: o.Insecure, CA: o.CA, Cert: o.Cert, Key: o.Key}
}

func (p *probe) tls() (*tls.Config, error) {
	c, err := p.trust.Config(p.url.Hostname())
	if err != nil {
		return nil, usagef("%v", err)
	}
	return c, nil
}

// dial opens a connection that a client of a run would take. What came behind the head of the
// answer is in early. The connection has no deadline.
func (p *probe) dial(ctx context.Context, protocol swarm.Protocol) (conn net.Conn, early []byte, err error) {
	conn, answer, refusal, err := p.ask(ctx, protocol)
	if err != nil {
		return nil, nil, err
	}
	if refusal != "" {
		defer conn.Close()
		return nil, nil, p.refused(answer, conn, refusal)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		conn.Close()
		return nil, nil, &UnreachableError{p.url.Host, err}
	}
	return conn, answer.Early, nil
}

// ask connects and sends the request that opens a connection of a run. The connection has the
// deadline of ctx.
func (p *probe) ask(ctx context.Context, protocol swarm.Protocol) (conn net.Conn, a swarm.Answer, refusal string, err error) {
	config, err := p.tls()
	if err != nil {
		return nil, a, "", err
	}
	conn, err = new(net.Dialer).DialContext(ctx, "tcp", p.target.String())
	if err != nil {
		return nil, a, "", &UnreachableError{p.url.Host, wordDial(err)}
	}
	deadline, _ := ctx.Deadline() // probeTimeout at most, by every caller
	err = conn.SetDeadline(deadline)
	plain := conn
	stop := context.AfterFunc(ctx, func() { plain.Close() })
	defer stop()
	if err == nil && (p.url.Scheme == "wss" || p.url.Scheme == "https") {
		secure := tls.Client(conn, config)
		conn, err = secure, secure.HandshakeContext(ctx)
	}
	if err == nil {
		spec := swarm.Spec{URL: p.url.String(), Protocol: protocol, Header: p.header}
		a, refusal, err = swarm.Ask(conn, &spec)
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			err = context.DeadlineExceeded
		}
		return nil, a, "", &UnreachableError{p.url.Host, wordDial(err)}
	}
	return conn, a, refusal, nil
}

// refused words why a client of a run would not take an answer.
func (p *probe) refused(a swarm.Answer, conn net.Conn, refusal string) error {
	switch {
	case strings.HasPrefix(refusal, "http "):
		return &UnreachableError{p.url.Host, statusError(a.Status, io.MultiReader(bytes.NewReader(a.Raw), conn))}
	case refusal == "not an event stream":
		return &UnreachableError{p.url.Host, fmt.Errorf("it answers with %q, which is no event stream", a.ContentType)}
	}
	return &UnreachableError{p.url.Host, errors.New("its answer does not open a WebSocket (RFC 6455, 4.1): " + refusal)}
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
func firstMessage(conn net.Conn, early []byte) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(welcomeWithin)); err != nil {
		return nil, err
	}
	source := io.MultiReader(bytes.NewReader(early), conn)
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
