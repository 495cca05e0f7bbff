// Server.Handler: a server in a program's http.ServeMux. It has a node of its own, which takes
// sockets over from net/http.

package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/engineio"
	"c100k/internal/node"
	"c100k/internal/proto"
	"c100k/internal/sio"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

const (
	// maxConnsDefault is what Options.MaxConns = 0 means: connections. Most systems let a process open
	// more files than that.
	maxConnsDefault = 10_000

	// httpHeaderTimeout bounds the head of a later request on a connection that net/http handles
	// again. Without it a client that sends half a head occupies a goroutine.
	httpHeaderTimeout = 10 * time.Second

	// httpIdleTimeout bounds how long such a connection may wait for a request.
	httpIdleTimeout = 75 * time.Second

	// closeGrace is how long Close waits until connections have ended.
	closeGrace = time.Second

	// answerRetry is how long the answer of Options.Authorize waits when the mailbox of the loop is
	// full.
	answerRetry = 50 * time.Millisecond

	// closePollInterval is how often Close checks meanwhile whether all have ended.
	closePollInterval = 5 * time.Millisecond
)

// standalone is the node that Handler starts, once.
type standalone struct {
	mu      sync.Mutex // guards the fields below
	started bool
	stopped bool
	err     error
	node    *node.Node
}

// Handler serves the server's path in a http.Server or ServeMux; for other paths it answers 404.
// The first call starts the event loops; Close stops them. A client's socket is taken over from
// net/http, and then needs no goroutine, not even while a poll waits. That needs HTTP/1.1 without
// TLS: other connections get 505 or 501. The ResponseWriter must be one that can be hijacked: a
// wrapper with a writer of its own must have the method Unwrap.
//
// Handlers around this one see each HTTP request: every poll, POST, handshake and upgrade. The
// header fields that they set before they call it are sent with the answer to that request, except
// fields of framing and of the body, such as Content-Length and Content-Type. They must not read
// the body. Further requests on the connection go to the Handler of the http.Server that it came
// from; its timeouts, its Shutdown and its hook ConnState no longer apply to that connection.
// Options.Use is called for the same requests afterwards, on the event loop, and
// Options.AllowRequest for the handshakes among them.
func (io *Server) Handler() http.Handler {
	n, err := io.standalone.start(io)
	if err == nil {
		return n.Mount()
	}
	io.opt.Logger.Error("Socket.IO cannot be served", slog.Any("err", err))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case io.serveClient(w, r):
		case r.URL.EscapedPath() != io.opt.Path:
			http.NotFound(w, r)
		default:
			http.Error(w, "Socket.IO cannot be served", http.StatusServiceUnavailable)
		}
	})
}

// start starts the node, unless it has been started.
func (a *standalone) start(io *Server) (*node.Node, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.stopped:
		return nil, ErrClosed
	case !a.started:
		a.started = true
		a.node, a.err = io.startNode()
	}
	return a.node, a.err
}

// startNode makes a node from the options, and starts it.
func (io *Server) startNode() (*node.Node, error) {
	origins, err := edge.ParseOriginRules(io.opt.Origins)
	if err != nil {
		return nil, fmt.Errorf("socketio: Options.Origins: %w", err)
	}
	conns, loops := io.opt.MaxConns, io.opt.Loops
	if conns == 0 {
		conns = maxConnsDefault
	}
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	n, err := node.New(node.Config{
		Rows: []proto.Row{io.row(origins)}, Loops: loops, Admission: &edge.Admission{Max: conns},
		Shortest:          node.Shortest(io.opt.PingInterval, io.opt.PingTimeout, io.opt.ConnectTimeout),
		HTTPHeaderTimeout: httpHeaderTimeout, HTTPIdleTimeout: httpIdleTimeout, Logger: io.opt.Logger,
	})
	if err != nil {
		return nil, err
	}
	if err := n.Start(); err != nil {
		return nil, err
	}
	return n, nil
}

// row returns the server as the only protocol of a node.
func (io *Server) row(origins edge.OriginRules) proto.Row {
	var parts []*reactor
	return proto.Row{
		Name: "socketio", Transport: "socketio", CountsClients: true, Paths: []string{io.opt.Path}, Roles: 3, HTTP: io.serveClient,
		New: func(p *proto.Place) proto.Part {
			if p.Loop == 0 {
				parts = io.mount(0, p.Loops, io.opt.Outbox, p.Wake)
			}
			return io.part(parts[p.Loop], p, origins)
		},
	}
}

// part returns the server's part on one loop of its node.
func (io *Server) part(r *reactor, p *proto.Place, origins edge.OriginRules) proto.Part {
	e := r.Attach(engineio.Config{
		Roles:     engineio.Roles{Head: node.RoleHead, Polling: p.Role, Socket: p.Role + 1, Session: p.Role + 2},
		Loop:      uint8(p.Loop),
		Move:      p.Move,
		Keep:      p.Keep,
		NoPolling: io.opt.NoPolling, NoWebSocket: io.opt.NoWebSocket, NoUpgrades: io.opt.NoUpgrades,
		PingInterval: io.opt.PingInterval, PingTimeout: io.opt.PingTimeout, UpgradeTimeout: io.opt.UpgradeTimeout,
		PayloadBytesMax: io.opt.MaxPayload, OutboxBytesMax: io.opt.Outbox,
		Compress: io.opt.Compress, Origins: origins, CORS: io.opt.CORS, Cookie: io.opt.Cookie,
		CookieAttributes: io.opt.CookieAttributes, AllowOrigin: io.opt.AllowOrigin,
		Address: p.Edge.ClientAddr, Edge: p.Edge,
		Counters: &wsconn.Counters{},
		Seed:     uint64(p.Loop),
	}, sio.Watch{})
	serve := func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, _ *auth.Principal) edge.Decision {
		if io.opt.Authorize != nil && engineio.OpensSession(h) {
			return edge.Wait // for authorize
		}
		e.Serve(l, c, h, rest)
		return edge.Handled
	}
	resume := func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, value any) edge.Decision {
		if refused, _ := value.(error); refused != nil {
			e.Forbid(l, c, h, rest, refused.Error())
		} else {
			e.Serve(l, c, h, rest)
		}
		return edge.Handled
	}
	ask := func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, t edge.Ticket) {
		ctx, cancel := context.WithTimeout(io.running, io.opt.ConnectTimeout)
		q := plainRequest(ctx, h, p.Edge.ClientAddr(l, c, h))
		go func() {
			defer cancel()
			err := io.authorize(q)
			for !t.Answer(err) && ctx.Err() == nil { // the mailbox of the loop is full
				select {
				case <-ctx.Done():
				case <-time.After(answerRetry):
				}
			}
		}()
	}
	return proto.Part{
		Protocols: e.Protocols(nil), Serve: serve, Ask: ask, Resume: resume, Made: r.Run, Deliver: r.Deliver,
	}
}

// plainRequest copies a request for Options.Authorize.
func plainRequest(ctx context.Context, h *edge.Head, address netip.Addr) *http.Request {
	q := (&http.Request{Method: string(h.Method()), Host: string(h.Host()), RequestURI: string(h.Target()), Header: http.Header{}, Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	q.URL, _ = url.ParseRequestURI(q.RequestURI)
	if q.URL == nil {
		q.URL = &url.URL{} // the target is checked by the endpoint
	}
	if address.IsValid() {
		q.RemoteAddr = netip.AddrPortFrom(address, 0).String()
	}
	for i := range h.Fields() {
		name, value := h.Field(i)
		q.Header.Add(string(name), string(value))
	}
	return q
}

// authorize calls Options.Authorize. A panic refuses the handshake.
func (io *Server) authorize(q *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			io.panicked(v)
			err = errors.New("Forbidden")
		}
	}()
	return io.opt.Authorize(q)
}

// serveClient answers requests for the client's script below the server's path.
func (io *Server) serveClient(w http.ResponseWriter, r *http.Request) bool {
	return !io.opt.NoClient && strings.HasPrefix(r.URL.EscapedPath(), io.opt.Path) &&
		ServeClient(w, r, strings.TrimPrefix(r.URL.Path, io.opt.Path))
}

// stop stops the node, if it was started.
func (a *standalone) stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.started && !a.stopped && a.err == nil {
		a.waitForClients()
		a.node.Close()
	}
	a.stopped = true
	return nil
}

// waitForClients waits until all connections have ended, at most closeGrace.
func (a *standalone) waitForClients() {
	over, look := time.NewTimer(closeGrace), time.NewTicker(closePollInterval)
	defer over.Stop()
	defer look.Stop()
	for a.node.Connections() > 0 {
		select {
		case <-over.C:
			return
		case <-look.C:
		}
	}
}
