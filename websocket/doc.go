// Package websocket is a server for plain WebSocket messages in a Go program: what ws is for Node,
// on event loops, where an idle connection costs no goroutine and no buffer.
//
//	chat := websocket.New(websocket.Options{MaxMessage: 64 << 10})
//	chat.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
//		c.SendText("welcome")
//		c.Subscribe("lobby")
//	})
//	chat.OnMessage(func(c *websocket.Conn, m websocket.Message) { chat.Publish("lobby", m) })
//	http.Handle("/chat", chat)
//
// There are only a few types. A [Server] has the handlers and the topics. A [Conn] is one
// connection for the handlers, and an [ID] its name for everybody else. A [Message] is what goes
// either way. An [Upgrade] is a handshake that OnUpgrade decides about, with its [Request].
//
// # Goroutines
//
// Handlers run on the event loop of their connection: they must not block, and they need no lock
// for what belongs to the connection. Different connections may be on different loops, so what
// handlers share needs one. What takes long runs in [Conn.Go], one function after the other for
// each connection. Any goroutine may call the methods of Server: they give an order to the loop and
// return. A handler that blocks its loop for more than 100 ms is reported to Options.Logger with
// its stack.
//
// # Writing
//
// What handlers send in one turn of the loop goes out in one write for each connection, when the
// turn ends. A published message is encoded once, and shared by all who get it. A client that takes
// its messages too slowly is bounded by Options.Outbox.
//
// # Three ways to run
//
// Mounted in a net/http server, a Server is an http.Handler. Alone, it listens by itself
// ([Server.ListenAndServe]). On a node it is an entry of server.Config.WebSockets, beside the
// topics, Server-Sent Events and Socket.IO of package server; then what is published reaches all
// workers and nodes.
//
// docs/websocket.md compares the API with that of ws and of uWebSockets name by name.
package websocket
