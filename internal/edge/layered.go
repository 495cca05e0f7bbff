// Connections with a layer, such as TLS, between the loops and net/http.

package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"c100k/netpoll"
)

// Layered is a net.Conn over the layer of a connection that has left its loop.
type Layered interface {
	net.Conn

	// CloseWrite closes the sending half: the layer's, and the socket's.
	CloseWrite() error

	// ConnectionState is what is known of the connection from its handshake.
	ConnectionState() tls.ConnectionState

	// Leave ends the Layered, but not the connection: plain is what was read and not delivered, and
	// moved what a loop needs to continue. No Read or Write may be under way.
	Leave() (socket net.Conn, plain []byte, moved *netpoll.Moved, err error)
}

// layeredConn is a Conn with a layer. net/http takes Request.TLS from its ConnectionState, a method
// that a plain Conn must not have.
type layeredConn struct{ *Conn }

// ConnectionState is Layered.ConnectionState.
func (c *layeredConn) ConnectionState() tls.ConnectionState { return c.layered.ConnectionState() }

// ConnOf is the Conn of a connection that a Listener has accepted; ok is false for others.
func ConnOf(c net.Conn) (conn *Conn, ok bool) {
	switch c := c.(type) {
	case *Conn:
		return c, true
	case *layeredConn:
		return c.Conn, true
	}
	return nil, false
}

// layeredKey is the key of a context value: the connection can be taken over although it has TLS.
type layeredKey struct{}

// ConnContext must be the ConnContext hook of an http.Server with a Listener, or be called by that
// hook.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if conn, ok := ConnOf(c); ok && conn.layered != nil {
		return context.WithValue(ctx, layeredKey{}, true)
	}
	return ctx
}

// takesOver tells whether the socket of a request can be taken over: not if another server than a
// node's encrypts its bytes.
func takesOver(r *http.Request) bool {
	return r.TLS == nil || r.Context().Value(layeredKey{}) != nil
}

// RefusePlainHTTP is the answer to a request in plain HTTP on a port that speaks TLS.
var RefusePlainHTTP = &Refusal{Status: 400, Label: "plain_http",
	Reason: "this port speaks TLS: the address must begin with https: or wss:, and the request came in plain HTTP"}

// BeforeTLS tells how many bytes p begins with belong in front of TLS: the PROXY header of a
// trusted proxy. whole is false while more bytes are needed to tell. Loop only.
func BeforeTLS(c *netpoll.Conn, p []byte) (n int, whole bool) {
	if c.Tag() != tagProxy {
		return 0, true
	}
	_, n, complete, refusal := parseProxy(p)
	if refusal != nil {
		return len(p), true // the head role refuses it
	}
	return n, complete
}
