// Package echo has two WebSocket endpoints for tests and demonstrations: /echo, where a message
// comes back to its sender, and /broadcast, where it goes to everybody who is connected there.
//
// There are only two types, [Echo] and [Broadcast]: each the [netpoll.Handler] of one role of one
// loop, around a [wsconn.Endpoint].
package echo
