// The ways to run a server: in a net/http server, as a process of its own, or on a node.

package websocket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/node"
	"c100k/internal/proto"
	"c100k/internal/wsapp"
	"c100k/internal/wsconn"
	"c100k/netpoll"
)

// ErrServerClosed is what Serve and ListenAndServe return after Shutdown or Stop.
var ErrServerClosed = http.ErrServerClosed

// errMounted is returned where a server that runs already is to run in another way.
var errMounted = errors.New("websocket: the server is mounted already")

// standalone is the node of a server that is mounted in a net/http server or runs by itself.
type standalone struct {
	mu      sync.Mutex // guards the fields below
	node    *node.Node
	http    http.Handler // takes connections over from net/http
	onNode  bool         // package server runs it
	stopped bool
	ended   chan struct{} // closed when it was stopped; nil before start
}

// row describes the server to a process. Without paths it serves all that no other row does.
func (s *Server) row(name string, paths ...string) proto.Row {
	return proto.Row{
		Name: name, Transport: "websocket", Paths: paths, AnyPath: len(paths) == 0, Encoders: encoders(), New: s.place,
	}
}

func init() {
	wsapp.Mount = func(server any, h wsapp.Host) (proto.Row, error) { return server.(*Server).mount(h) }
}

// mount puts the server on a node.
func (s *Server) mount(h wsapp.Host) (proto.Row, error) {
	s.standalone.mu.Lock()
	defer s.standalone.mu.Unlock()
	if s.standalone.onNode || s.standalone.node != nil {
		return proto.Row{}, errMounted
	}
	s.standalone.onNode, s.forms, s.counters, s.identify, s.begin = true, h.Forms, h.Counters, h.Identify, h.Begin
	s.prefix = "$websocket" + h.Path + " "
	if len(s.opt.Origins) == 0 {
		s.origins = h.Origins
	}
	if room := broadcast.TopicBytesMax - len(s.prefix) - len(topicPrefix); room < topicBytesMin {
		return proto.Row{}, fmt.Errorf("websocket: path %q is too long for the names of topics", h.Path)
	}
	row := s.row("websocket "+h.Path, h.Path)
	if h.Forms != "" {
		row.Encoders = nil
	}
	s.host.Store(&host{base: h.LoopBase, publish: h.Publish})
	return row, nil
}

// place makes the server's part on one loop.
func (s *Server) place(at *proto.Place) proto.Part {
	counters := &wsconn.Counters{}
	if s.counters != nil {
		counters = s.counters(at.Loop)
	}
	if s.forms != "" {
		at.Form, _ = at.Table.Form(s.forms) // a row before this one
	}
	p := newPart(s, at.Loop, seat{role: at.Role, shard: at.Shard, sink: at.Sink, form: at.Form, counters: counters, principals: at.Principals, seed: uint64(at.Loop), farewell: at.Farewell, tap: at.Tap})
	p.edge = at.Edge
	s.parts = append(s.parts, p)
	part := proto.Part{Serve: p.serve, Ask: p.ask, Resume: p.resume}
	if s.identify != nil {
		part = p.identified(s.identify(at, p.serve))
	}
	part.Protocols, part.Made = []proto.Protocol{p}, p.run
	return part
}

// identified joins the routes that identify a client with those of a handshake that waits for the
// program.
func (p *part) identified(by proto.Part) proto.Part {
	return proto.Part{
		Serve: func(l *netpoll.Loop, n *netpoll.Conn, h *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
			p.asked = nil // a request that could not be parked is not asked about
			return by.Serve(l, n, h, rest, who)
		},
		Ask: func(l *netpoll.Loop, n *netpoll.Conn, h *edge.Head, t edge.Ticket) {
			if p.asked != nil {
				p.ask(l, n, h, t)
			} else {
				by.Ask(l, n, h, t)
			}
		},
		Resume: func(l *netpoll.Loop, n *netpoll.Conn, h *edge.Head, rest []byte, value any) edge.Decision {
			p.asked = nil
			if _, decided := value.(*Upgrade); decided {
				return p.resume(l, n, h, rest, value)
			}
			return by.Resume(l, n, h, rest, value)
		},
	}
}

// start makes and starts a process of the server's own, unless it has one. The lock is held.
func (a *standalone) start(s *Server) error {
	switch {
	case a.stopped:
		return ErrServerClosed
	case a.onNode:
		return errMounted
	case a.node != nil:
		return nil
	}
	o := &s.opt
	loops := o.Loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	n, err := node.New(node.Config{
		Rows:  []proto.Row{s.row("websocket")},
		Loops: loops,
		Topics: &broadcast.Options{
			Policy: s.policy, OutboxBytesMax: o.Outbox, TopicsPerMemberMax: o.TopicsPerConn + 1, // and that of everybody
		},
		Admission: &edge.Admission{Max: o.MaxConns}, HeadTimeout: o.UpgradeTimeout,
		Shortest: node.Shortest(o.PingInterval, o.PingTimeout, o.IdleTimeout, o.UpgradeTimeout),
		Handler:  edge.RefuseNotUpgrade, // what net/http gets is no handshake
		Logger:   o.Logger,
	})
	if err != nil {
		return err
	}
	s.host.Store(&host{publish: n.Hub().PublishPost})
	if err := n.Start(); err != nil {
		return err
	}
	a.node, a.http, a.ended = n, n.Mount(), make(chan struct{})
	return nil
}

// ServeHTTP takes over a handshake that a net/http server has received, at whatever path the
// program has mounted the server; what is no handshake is answered 426. The socket leaves net/http,
// and the connection costs no goroutine from then on. That needs HTTP/1.1 without TLS: other
// connections get 505 or 501. Header fields that handlers in front have set are sent with the
// answer. The first call starts the event loops.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.standalone.mu.Lock()
	err := s.standalone.start(s)
	handler := s.standalone.http
	s.standalone.mu.Unlock()
	if err != nil {
		s.opt.Logger.Error("WebSockets cannot be served", slog.Any("err", err))
		http.Error(w, "WebSockets cannot be served", http.StatusServiceUnavailable)
		return
	}
	// RFC 9110, 7.8: Upgrade is a list. What is wrong with a handshake is said on the loop.
	if r.Header.Get("Upgrade") == "" {
		edge.RefuseNotUpgrade.ServeHTTP(w, r)
		return
	}
	handler.ServeHTTP(w, r)
}

// ListenAndServe serves WebSockets at a TCP address, on every path, until Shutdown or Stop; then it
// returns ErrServerClosed. For ordinary HTTP beside them use a net/http server and ServeHTTP.
func (s *Server) ListenAndServe(addr string) error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // a multipath socket costs more
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(ln)
}

// Serve is ListenAndServe for a listener, which must be of TCP without Multipath TCP
// (net.ListenConfig.SetMultipathTCP), and is closed at the end.
func (s *Server) Serve(ln net.Listener) error {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		ln.Close()
		return fmt.Errorf("websocket: the listener is a %T: want a *net.TCPListener", ln)
	}
	s.standalone.mu.Lock()
	err := s.standalone.start(s)
	if err == nil {
		err = s.standalone.node.Listen(tcp, 0)
	}
	ended := s.standalone.ended
	s.standalone.mu.Unlock()
	if err != nil {
		ln.Close()
		return err
	}
	<-ended
	return ErrServerClosed
}

// Addr returns the address that Serve listens at, nil before.
func (s *Server) Addr() net.Addr {
	s.standalone.mu.Lock()
	defer s.standalone.mu.Unlock()
	if s.standalone.node == nil {
		return nil
	}
	return s.standalone.node.Addr()
}

// Shutdown refuses new connections, closes those there are with 1012 (service restart), waits until
// they have ended, and stops the event loops. When ctx ends first, what is left is cut and the
// error is ctx's. It is for a server that is mounted or runs by itself; a node shuts its own
// servers down.
func (s *Server) Shutdown(ctx context.Context) error {
	s.standalone.mu.Lock()
	n := s.standalone.node
	s.standalone.mu.Unlock()
	if n == nil {
		s.Stop()
		return nil
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		n.Drain(0)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.Stop()
	return err
}

// Stop cuts all connections and stops the event loops. It is for a server that is mounted or runs
// by itself. It waits for the end, so a handler must not call it, nor Shutdown: both would wait for
// the loop that the handler runs on.
func (s *Server) Stop() {
	s.standalone.mu.Lock()
	first := !s.standalone.stopped && s.standalone.node != nil
	s.standalone.stopped = true
	n, ended := s.standalone.node, s.standalone.ended
	s.standalone.mu.Unlock()
	if n != nil {
		n.Close()
	}
	if first {
		close(ended)
	}
}

var (
	_ proto.Protocol  = (*part)(nil)
	_ proto.Members   = (*part)(nil)
	_ proto.LastWord  = (*part)(nil)
	_ netpoll.Handler = (*part)(nil)
)
