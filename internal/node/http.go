// Ordinary HTTP on the node's port, and the way of a request between net/http and the loops.

package node

import (
	"log/slog"
	"net"
	"net/http"

	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/netpoll"
)

// makeHTTP makes the net/http server that gets what belongs to no protocol.
func (n *Node) makeHTTP() {
	n.fallback = edge.NewListener(edge.ListenerOptions{
		Limits: n.cfg.HeadLimits, Hosts: n.cfg.Hosts,
		HeadTimeout: n.cfg.HTTPHeaderTimeout, BodyTimeout: n.cfg.HTTPBodyTimeout, Release: n.cfg.Admission.Release, Refused: n.refused,
	})
	n.http = &http.Server{
		Handler:           http.HandlerFunc(n.serveHTTP),
		ReadHeaderTimeout: n.cfg.HTTPHeaderTimeout,
		IdleTimeout:       n.cfg.HTTPIdleTimeout,
		MaxHeaderBytes:    max(n.cfg.HeadLimits.HeadBytes, edge.HeadBytesMax),
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
		ConnState:         n.connState,
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

// serveHTTP serves a request that net/http has parsed: one for a protocol goes back to a loop.
func (n *Node) serveHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case n.serveProtocol(w, r):
	case n.cfg.Handler != nil:
		n.cfg.Handler.ServeHTTP(w, r)
	default:
		n.Other(http.NotFoundHandler()).ServeHTTP(w, r)
	}
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
	if fd, tag, first, ok := edge.TakeRequest(w, r, n.cfg.Admission, n.refused); ok {
		n.Adopt(fd, tag, first)
	}
}

// Mount serves the node's protocols in another http.Server or ServeMux; for other paths it answers
// 404. It takes the socket over from net/http, which needs HTTP/1.1 without TLS; other connections
// get 505 or 501.
func (n *Node) Mount() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && from != n.http {
			n.foreign.Store(from)
		}
		if !n.serveProtocol(w, r) {
			http.NotFound(w, r)
		}
	})
}

// Other is who answers a request that belongs to no protocol. Mounted in another server, a node has
// connections that were that server's, and further requests on them are for its handler; a node
// with a port of its own has none of those, and own answers.
func (n *Node) Other(own http.Handler) http.Handler {
	from := n.foreign.Load()
	switch {
	case from == nil || n.Listening():
		return own
	case from.Handler == nil:
		return http.DefaultServeMux
	}
	return from.Handler
}
