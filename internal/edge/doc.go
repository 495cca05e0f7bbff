// Package edge handles the beginning of a connection: admission, the request head, and the decision
// which role or server gets the socket.
//
// There are only a few types:
//
//   - Admission counts connections, in total and by address. The acceptor asks it for a tag, and
//     the code that closes a connection releases the tag. Connections of Trusted proxies count for
//     the client that a PROXY header or X-Forwarded-For names; without such a name they count in
//     the total only.
//   - HeadHandler is the netpoll.Handler of the head role. It reads one request head on the loop,
//     under a deadline that further bytes do not extend. Config.Route decides about the request: it
//     gives the socket another role, sends it to net/http, or lets the request wait for a verifier
//     (wait.go).
//   - Head is one parsed request head, checked strictly by RFC 9112. A Refusal says why a request
//     is not served: a status, a reason for a person, and a label for the metrics.
//   - Listener hands connections to net/http, together with the bytes already read.
//   - Mount belongs to a request of a program's http.Server that a loop serves, and has the header
//     fields for its answer. KeptHandler keeps the connection until the next request, which is for
//     that server's handlers.
//   - Conn is a connection that net/http serves. It checks every later head with the same parser
//     before net/http sees it. TakeOver gives its socket back to a loop.
//
// Head with CheckUpgrade and SelectProtocol, OriginRules and the query functions work on bytes
// only; any goroutine may use them.
package edge
