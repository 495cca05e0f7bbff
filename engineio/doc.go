// Package engineio is an Engine.IO server without Socket.IO on top: messages of text and bytes,
// over WebSocket and long polling, for clients of engine.io-client (protocol 4, and with
// Options.AllowV3 protocol 3).
//
// There are two types. A [Server] is mounted into a program's http.ServeMux by [Server.Handler]. A
// [Conn] is one client, whatever transport it is on.
//
// Handlers run on the event loop of the client, one at a time for one client, and must not block.
// All methods of a Conn may be called on any goroutine, and never block. What one goroutine sends
// to a client arrives in the order of its calls.
package engineio
