// Package edge is the first second of a connection: admission, the request head, and what becomes of the socket.
//
// There are only a few types:
//
//   - Admission counts connections, in all and by address. The acceptor asks it, whoever ends a connection tells it.
//     The connections of its Trusted proxies count for the client that a PROXY header or X-Forwarded-For names; until
//     then, and where nobody is named, they have a tag without a record and count in the total only.
//   - HeadHandler is the netpoll.Handler of the head role. It reads one request head on the loop, under a deadline that
//     trickling does not extend, and has Config.Route decide: another role on the same socket, or over to net/http.
//   - Head is one parsed request head, judged by RFC 9112 strictly. A Refusal is why one was not let through: a status
//     and a reason that a person can read.
//   - Listener feeds net/http with the connections that are not ours, together with the bytes already read.
//   - Conn is such a connection. It judges every later head on it by the same parser before net/http sees it, and gives
//     the socket back to a loop when a handler hijacks it (TakeOver).
//
// Head with CheckUpgrade and SelectProtocol, OriginRules and the query functions are pure: they work on bytes, know no
// connection, and may be used by any goroutine.
package edge
