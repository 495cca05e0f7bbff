// Package wsconn is the part that all WebSocket protocols of c100k share: it parses frames, answers
// pings, runs the heartbeat, enforces the rate limit and the back-pressure, and ends connections
// with a close handshake.
//
// There are only a few types. An [Endpoint] serves one role of one loop and is the
// [netpoll.Handler] of it; a protocol embeds one and implements [Protocol], which gets whole
// messages. A [State] is the endpoint's part of a session record, 12 bytes: the protocol embeds it
// in its own. Larger state (the parser with its buffers, the rate budget) is in slabs of the
// endpoint; a connection has an entry there only while it needs one.
//
// Invariant: State.partial is 0 if and only if the connection stands at a frame boundary with
// nothing buffered.
//
// Everything here is loop only.
package wsconn
