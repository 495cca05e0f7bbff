// Ordinary HTTP on the node's port, and the way of a request between net/http and the loops.

package node

import (
	"context"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"

	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// makeHTTP makes the net/http server that gets what belongs to no protocol.
func (n *Node) makeHTTP() {
	n.fallback = edge.NewListener(edge.ListenerOptions{
		Limits: n.cfg.HeadLimits, Hosts: n.cfg.Hosts,
		Layered:     n.cfg.LayeredConn,
		HeadTimeout: n.cfg.HTTPHeaderTimeout, BodyTimeout: n.cfg.HTTPBodyTimeout, Release: n.cfg.Admission.Release, Refused: n.refused,
	})
	n.http = &http.Server{
		Handler:           http.HandlerFunc(n.serveHTTP),
		ReadHeaderTimeout: n.cfg.HTTPHeaderTimeout,
		IdleTimeout:       n.cfg.HTTPIdleTimeout,
		MaxHeaderBytes:    max(n.cfg.HeadLimits.HeadBytes, edge.HeadBytesMax),
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
		ConnState:         n.connState,
		ConnContext:       n.connContext,
	}
}

// connState counts the connections that net/http has.
func (n *Node) connState(c net.Conn, state http.ConnState) {
	edge.ConnState(c, state)
	count := n.Count(TransportHTTP)
	switch state {
	case http.StateNew:
		count.Opened()
	case http.StateHijacked:
		count.Closed(netpoll.ReasonDetached)
	case http.StateClosed:
		count.Closed(netpoll.ReasonPeer) // net/http does not say which side closed
	}
}

// connContext makes the context of a connection that came from a program's http.Server as that
// server makes it: its handlers get the further requests.
func (n *Node) connContext(ctx context.Context, c net.Conn) context.Context {
	ctx = edge.ConnContext(ctx, c)
	conn, ok := edge.ConnOf(c)
	if !ok || conn.From() == nil {
		return ctx
	}
	from := conn.From()
	if from.BaseContext != nil {
		ctx = from.BaseContext(&listenerAt{n.fallback, conn.LocalAddr()})
	}
	ctx = context.WithValue(ctx, http.ServerContextKey, from)
	if from.ConnContext != nil {
		ctx = from.ConnContext(ctx, conn.Conn) // the plain socket, as the program's server has it
	}
	return ctx
}

// listenerAt is the listener that a program's BaseContext sees.
type listenerAt struct {
	net.Listener
	addr net.Addr
}

// Addr is the address that the connection came to.
func (l *listenerAt) Addr() net.Addr { return l.addr }

// serverOf is the http.Server that a request belongs to, nil if it is unknown.
func serverOf(r *http.Request) *http.Server {
	s, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return s
}

// serveHTTP serves a request that net/http has parsed. One for a protocol goes back to a loop; on a
// connection of a program's http.Server each request is for its handlers.
func (n *Node) serveHTTP(w http.ResponseWriter, r *http.Request) {
	switch from := serverOf(r); {
	case from != nil && from != n.http:
		serveBy(from, w, r)
	case n.serveProtocol(w, r):
	case n.cfg.Handler != nil:
		n.cfg.Handler.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// serveBy has a program's http.Server handle a request. What its handlers panic with is logged
// where that server logs it.
func serveBy(from *http.Server, w http.ResponseWriter, r *http.Request) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v != http.ErrAbortHandler {
			logf := log.Printf
			if from.ErrorLog != nil {
				logf = from.ErrorLog.Printf
			}
			logf("http: panic serving %v: %v\n%s", r.RemoteAddr, v, debug.Stack())
		}
		panic(http.ErrAbortHandler) // net/http closes the connection and logs nothing
	}()
	if from.Handler != nil {
		from.Handler.ServeHTTP(w, r)
		return
	}
	http.DefaultServeMux.ServeHTTP(w, r)
}

// serveProtocol serves a request that belongs to a protocol; false if it belongs to none. The path
// is compared as reactor.partOf does, otherwise each would hand the request to the other without
// end.
func (n *Node) serveProtocol(w http.ResponseWriter, r *http.Request) bool {
	if row, ours := n.table.ByPath(r.URL.EscapedPath(), func() bool { return edge.UpgradeRequested(r) }); ours {
		if f := n.table.Row(row).HTTP; f != nil && f(w, r) {
			return true
		}
		n.takeOver(n.table.Row(row), w, r)
		return true
	}
	for row := range n.table.Rows() {
		if f := n.table.Row(row).HTTP; f != nil && f(w, r) {
			return true
		}
	}
	return false
}

// takeOver moves a request's connection to a loop, with its head as if it had just arrived.
func (n *Node) takeOver(row *proto.Row, w http.ResponseWriter, r *http.Request) {
	if row.Judge != nil {
		if refusal := row.Judge(r); refusal != nil {
			n.refused(refusal)
			refusal.ServeHTTP(w, r)
			return
		}
	}
	from := serverOf(r)
	if from == n.http {
		if taken, ok := edge.TakeRequest(w, r, n.cfg.Admission, n.refused); ok {
			n.Adopt(Arrival{taken.FD, taken.Tag, taken.Moved, taken.First})
		}
		return
	}
	m, refusal := edge.NewMount(from, w.Header())
	if refusal != nil {
		n.refused(refusal)
		clear(w.Header())
		refusal.ServeHTTP(w, r)
		return
	}
	if taken, ok := edge.TakeRequest(w, r, n.cfg.Admission, n.refused); ok {
		n.adoptMounted(n.least(), taken.FD, taken.Tag, m, taken.First)
	}
}

// Mount serves the node's protocols in another http.Server or ServeMux; for other paths it answers
// 404. It takes the socket over from net/http, which needs HTTP/1.1 without TLS; other connections
// get 505 or 501. A loop serves the one request that Mount got; the next one on the connection goes
// to the handler of the http.Server that it came from, so that each passes the program's handlers.
// Header fields that they have set before they call Mount's handler are sent with the answer.
func (n *Node) Mount() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !n.serveProtocol(w, r) {
			http.NotFound(w, r)
		}
	})
}
