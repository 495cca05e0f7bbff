// Package socketio is a Socket.IO server on the reactor: unchanged clients of socket.io-client 4
// (protocol 5 over Engine.IO 4) and, where [Options.AllowV3] lets them in, of socket.io-client 2
// (protocol 4 over Engine.IO 3).
//
// There are only a few types:
//
//   - A [Server] has namespaces, and is mounted into a program: [Server.Handler] for a
//     http.ServeMux, or server.Config.SocketIO for a whole node.
//   - A [Namespace] is a part of the server that clients connect to by name; "/" is always there. A
//     [Dynamic] makes namespaces as clients ask for them.
//   - A [Socket] is one client in one namespace.
//   - A [Target] is a set of sockets, chosen by rooms, to broadcast to.
//   - A [Handshake] is what is known of a client when it connects, for middlewares to judge.
//   - [Args] are the arguments of an event as they came, for handlers that want to look themselves.
//   - An [Adapter] joins a namespace with those of its name on other servers. It brings requests
//     there, and calls the namespace's [Local] for the sockets of this server. A [RemoteSocket] is a
//     socket of any of the servers.
//
// # Handlers run on the event loop
//
// A handler of an event, a middleware, a connection handler, an acknowledgement: all are called on
// the event loop that the client lives on, one at a time for one client, and must not block: not
// sleep, not wait for a database, not use [Socket.EmitWithAck], which waits for a client of perhaps
// the same loop. The way out is a goroutine: every method of every type here may be called on any
// goroutine, later too, and an [Ack] as well. A middleware that has to wait is registered with
// [Namespace.UseAsync].
//
// # In which order calls take effect
//
// What one goroutine calls takes effect in the order of its calls. Joining a room and broadcasting
// to it right after reaches the one who joined; broadcasts arrive in their order, whatever rooms
// they are to; two events emitted to a socket arrive in that order, and behind the broadcasts
// before them. Broadcasts of several goroutines arrive in the same order at all clients.
//
// None of these calls waits. They are put in the queue of each loop that they concern, which
// executes it every turn. A queue is bounded; beyond its bound calls return ErrBusy and have no
// effect.
//
// # How a packet comes in, by files
//
//  1. app.go: internal/engineio calls with a text or binary message of a session.
//  2. packet.go splits a text packet; assembly.go waits for its attachments.
//  3. client.go finds the socket of the packet's namespace, or connects it.
//  4. args.go gives the handler its arguments, which handler.go decodes into the types of its
//     parameters.
//
// And out: arguments.go makes JSON and attachments of values, encode.go a packet, orders.go brings
// it to the loop. A broadcast goes from target.go to the adapter of the namespace, and from there,
// or from that of another server, to local.go. There it becomes a message of the broadcast.Hub of
// each loop on a topic made of namespace and room (room.go, cast.go), encoded once for each wire
// form.
package socketio
