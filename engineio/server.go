// The server: its handlers, and its node.

package engineio

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/engineio"
	"c100k/internal/node"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// Errors of a server and its clients.
var (
	// ErrClosed: the client has left, or the server is closed.
	ErrClosed = errors.New("engineio: connection is closed")
	// ErrBusy: the queue of the client's event loop is full. The call has had no effect.
	ErrBusy = errors.New("engineio: event loop is overloaded")
	// ErrText: a text message is not UTF-8, or has the character U+001E, which separates messages over
	// polling.
	ErrText = errors.New("engineio: text must be UTF-8 without U+001E")
)

// Server is an Engine.IO server. Make one with New. The methods that set a handler must be called
// before Handler; all others may be called on any goroutine.
type Server struct {
	// Immutable after Handler.
	opt          Options
	onConnection func(c *Conn, r *Request)
	onMessage    func(c *Conn, m Message)
	onUpgrade    func(c *Conn)
	onClose      func(c *Conn, reason string)

	// Any goroutine.
	open atomic.Int64

	mu      sync.Mutex // guards the fields below
	node    *node.Node
	err     error
	stopped bool
	parts   []*part
}

// New returns a server. It does nothing until Handler is called.
func New(o Options) *Server {
	o.withDefaults()
	return &Server{opt: o}
}

// OnConnection sets the function that is called when a client has connected. r is valid during the
// call.
func (s *Server) OnConnection(f func(c *Conn, r *Request)) { s.onConnection = f }

// OnMessage sets the function that is called for each message of a client. m.Data is valid during
// the call.
func (s *Server) OnMessage(f func(c *Conn, m Message)) { s.onMessage = f }

// OnUpgrade sets the function that is called when a client has changed from polling to WebSocket.
func (s *Server) OnUpgrade(f func(c *Conn)) { s.onUpgrade = f }

// OnClose sets the function that is called when a client has left. The reason is one of Node's
// engine: "transport close", "transport error", "ping timeout", "parse error", "forced close",
// "server shutting down".
func (s *Server) OnClose(f func(c *Conn, reason string)) { s.onClose = f }

// Clients returns the number of connected clients.
func (s *Server) Clients() int { return int(s.open.Load()) }

// Handler serves Options.Path in a http.Server or ServeMux, over HTTP/1.1 without TLS. The first
// call starts the event loops; Close stops them. What the documentation of socketio.Server.Handler
// says of handlers around it is true here too.
func (s *Server) Handler() http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node == nil && s.err == nil && !s.stopped {
		if s.node, s.err = s.start(); s.err != nil {
			s.opt.Logger.Error("Engine.IO cannot be served", slog.Any("err", s.err))
		}
	}
	if s.node == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Engine.IO cannot be served", http.StatusServiceUnavailable)
		})
	}
	return s.node.Mount()
}

// start makes a node with the server as its only protocol.
func (s *Server) start() (*node.Node, error) {
	origins, err := edge.ParseOriginRules(s.opt.Origins)
	if err != nil {
		return nil, fmt.Errorf("engineio: Options.Origins: %w", err)
	}
	loops := s.opt.Loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	row := proto.Row{
		Name: "engineio", Transport: "engineio", CountsClients: true, Paths: []string{s.opt.Path}, Roles: 3,
		New: func(p *proto.Place) proto.Part { return s.part(p, origins) },
	}
	n, err := node.New(node.Config{
		Rows: []proto.Row{row}, Loops: loops, Admission: &edge.Admission{Max: s.opt.MaxConns},
		Shortest:          node.Shortest(s.opt.PingInterval, s.opt.PingTimeout, s.opt.UpgradeTimeout),
		HTTPHeaderTimeout: httpHeaderTimeout, HTTPIdleTimeout: httpIdleTimeout, Logger: s.opt.Logger,
	})
	if err != nil {
		return nil, err
	}
	if err := n.Start(); err != nil {
		return nil, err
	}
	return n, nil
}

// part is the server on one loop.
func (s *Server) part(place *proto.Place, origins edge.OriginRules) proto.Part {
	o := &s.opt
	p := &part{server: s}
	s.parts = append(s.parts, p)
	cfg := engineio.Config{
		App:   p,
		Roles: engineio.Roles{Head: node.RoleHead, Polling: place.Role, Socket: place.Role + 1, Session: place.Role + 2},
		Loop:  uint8(place.Loop), Move: place.Move, Keep: place.Keep,
		AllowV3: o.AllowV3, NoPolling: o.NoPolling, NoWebSocket: o.NoWebSocket, NoUpgrades: o.NoUpgrades,
		PingInterval: o.PingInterval, PingTimeout: o.PingTimeout, UpgradeTimeout: o.UpgradeTimeout,
		PayloadBytesMax: o.MaxPayload, OutboxBytesMax: o.Outbox, Compress: o.Compress,
		Origins: origins, CORS: o.CORS, Cookie: o.Cookie, CookieAttributes: o.CookieAttributes,
		Use: o.Use, Allow: o.AllowRequest, Address: place.Edge.ClientAddr, Edge: place.Edge, Seed: uint64(place.Loop),
	}
	if failed := o.OnConnectionError; failed != nil {
		cfg.Failed = func(r *Request, code engineio.Code, message string) { failed(r, int(code), message) }
	}
	p.engine = engineio.New(cfg)
	return proto.Part{
		Protocols: p.engine.Protocols(nil),
		Serve: func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, _ *auth.Principal) edge.Decision {
			p.engine.Serve(l, c, h, rest)
			return edge.Handled
		},
		Made: func(l *netpoll.Loop) { p.remote.Store(l.Remote()) },
		Deliver: func(l *netpoll.Loop, _ int) bool {
			p.engine.Flush(l)
			return false
		},
	}
}

// Close disconnects all clients with the reason "server shutting down" and stops the event loops.
// It waits at most a second for clients. It must not be called on an event loop.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node != nil && !s.stopped {
		for _, p := range s.parts {
			if remote := p.remote.Load(); remote != nil {
				remote.Post(p.shutDown)
			}
		}
		end := time.NewTimer(closeGrace)
		defer end.Stop()
		look := time.NewTicker(closePollInterval)
		defer look.Stop()
		for waiting := true; waiting && s.node.Connections() > 0; {
			select {
			case <-end.C:
				waiting = false
			case <-look.C:
			}
		}
		s.node.Close()
	}
	s.stopped = true
	return nil
}
