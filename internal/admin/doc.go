// Package admin is a node's HTTP side: the publish API, topics, statistics, closing a connection,
// draining, health, Prometheus metrics and pprof.
//
// There are only a few types:
//
//   - Node is what the package asks of the node; package server implements it. Every method is
//     called from net/http's goroutines, never from a loop.
//   - Every figure comes from the table of package figures: the document of GET /v1/stats and the
//     metrics are made from one reading of it.
//   - Problem is the answer to a request that failed, after RFC 9457.
//   - New is the handler of the admin port; NewPublic the API as it may be mounted on the public
//     port. Both are plain http.Handlers.
//
// Who may call: on the admin port, a peer on loopback needs no key, unless the request looks like a
// browser's or a proxy's; everybody else needs the key. On the public port everybody needs the key.
// /healthz and /readyz answer any peer, because those who probe them carry no keys. See access.go.
package admin
