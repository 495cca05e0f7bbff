// Package server is a c100k node: configuration, wiring and life cycle. Here, and only here, the
// reactor (netpoll), the frames (frame), the topics (broadcast) and the protocols meet.
//
// There are only a few types. [Config] says how a node runs. [Server] is the node: make it with
// [New], run it with [Server.ListenAndServe] or [Server.Serve], end it with [Server.Shutdown] or
// [Server.Close], publish with [Server.Publish], or mount its streams in another server with
// [Server.Handler]. Inside, a reactor is one loop with its protocols, and a sink is where that
// loop's topics meet its connections.
//
// What a connection goes through: the acceptor admits it and deals it to a loop; there it is a
// request head (role head) until the head is whole; then it becomes a stream on the same socket
// (roles topics, echo, broadcast, sse), or leaves the loop for the stock net/http server on the
// same port, which can give it back (takeover.go).
//
// Any goroutine may call the methods of Server. Nothing here may be called from a loop but what
// takes a *netpoll.Loop.
package server
