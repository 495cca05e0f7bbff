// Package server is a c100k node: configuration, wiring and life cycle. It puts the protocols on a
// node of internal/node, and adds what is not a protocol: topics' rights, the bus, the admin API.
//
// There are only a few types. [Config] says how a node runs. [Server] is the node: make it with
// [New], run it with [Server.ListenAndServe] or [Server.Serve], end it with [Server.Shutdown] or
// [Server.Close], publish with [Server.Publish], or mount its streams in another server with
// [Server.Handler].
//
// What a connection goes through: the acceptor admits it and gives it to a loop. There it is a
// request head until the head is complete. Then the protocol of its path goes on with the same
// socket, in a role of its own: topics (/ws), sse (/sse), echo and broadcast where they are
// switched on, one for each WebSocket server of the program (Config.WebSockets), and three for
// Socket.IO: its HTTP connections, its WebSockets, and the records of clients that poll. A request
// for any other path leaves the loop for the net/http server on the same port, which can give its
// connection back. The rows in protocols.go and sio.go are all that there are; internal/proto
// numbers the roles in their order.
//
// Any goroutine may call the methods of Server. What takes a *netpoll.Loop is for that loop only.
package server
