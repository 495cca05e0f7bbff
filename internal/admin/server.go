// The HTTP server of an admin port, with a bound on all that a slow or greedy client could stretch.

package admin

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// Server is a server for a handler of this package. The caller gives it a listener. It keeps at
// most ConnsMax connections: one more closes the oldest of those that have not sent a request that
// was let in.
func Server(h http.Handler) *http.Server {
	c := &conns{max: ConnsMax, known: make(map[net.Conn]*connState)}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: HeaderTimeout,
		ReadTimeout:       ReadTimeout,
		WriteTimeout:      WriteTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    HeaderBytesMax,
		ConnState:         c.changed,
		ConnContext:       c.context,
	}
}

// Close ends the server of an admin port. Answers that are on their way, that of the drain which
// ends the node for example, have closeGrace; then the connections are cut. Any goroutine.
func Close(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close()
	}
}

// conns are the connections of one server. Any goroutine.
type conns struct {
	max int

	mu    sync.Mutex // guards the fields below, and connState
	known map[net.Conn]*connState
	count uint64 // connections so far
}

// connState is what is known of a connection.
type connState struct {
	all      *conns
	number   uint64
	admitted bool // it has sent a request that was let in
}

// connKey is the key of a connState in a request's context.
type connKey struct{}

// context lets the handler find the connection. net/http calls it before it tells of the
// connection's state.
func (c *conns) context(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	s := &connState{all: c, number: c.count}
	c.known[conn] = s
	return context.WithValue(ctx, connKey{}, s)
}

// changed hears of a connection's states. When there is one connection too many, it closes one.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if victim := c.surplus(conn); victim != nil {
			victim.Close()
		}
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		delete(c.known, conn)
		c.mu.Unlock()
	}
}

// surplus is the connection that has to go, nil if there is room: the oldest one that was never let
// in, or the new one.
func (c *conns) surplus(fresh net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) <= c.max {
		return nil
	}
	victim, oldest := fresh, c.count+1
	for conn, s := range c.known {
		if conn != fresh && !s.admitted && s.number < oldest {
			victim, oldest = conn, s.number
		}
	}
	delete(c.known, victim)
	return victim
}

// admit notes that a request was let in: its connection is none of those that go first.
func admit(r *http.Request) {
	if s, ok := r.Context().Value(connKey{}).(*connState); ok {
		s.all.mu.Lock()
		s.admitted = true
		s.all.mu.Unlock()
	}
}
