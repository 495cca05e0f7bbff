// Package wsconn is what every WebSocket protocol of c100k does alike once a connection is
// upgraded: it takes frames apart, answers pings, keeps the heartbeat, holds the rate limit and the
// back-pressure, and ends connections with a close handshake.
//
// There are only a few types. An [Endpoint] serves one role of one loop and is the
// [netpoll.Handler] of it; a protocol embeds one and gives itself as the [Protocol] that gets whole
// messages. A [State] is the endpoint's part of a session record, 12 bytes: the protocol embeds it
// in its own. Everything bigger (the parser with its buffers, the rate budget) is in slabs of the
// endpoint, and a connection has an entry there only while it needs one.
//
// Invariant: State.partial is 0 if and only if the connection stands at a frame boundary with
// nothing buffered.
//
// Everything here is loop only.
package wsconn
