// Package socketio is a Socket.IO server on the reactor: unchanged clients of socket.io-client 4
// (protocol 5 over Engine.IO 4) and, where [Options.AllowV3] lets them in, of socket.io-client 2
// (protocol 4 over Engine.IO 3).
//
// There are only a few types:
//
//   - A [Server] has namespaces, and is mounted into a program: [Server.Handler] for a
//     http.ServeMux, or server.Config.SocketIO for a whole node.
//   - A [Namespace] is a part of the server that clients connect to by name; "/" is always there. A
//     [Dynamic] makes namespaces when clients ask for them.
//   - A [Socket] is one client in one namespace.
//   - A [Target] is a set of sockets, selected by rooms, for a broadcast.
//   - A [Handshake] describes a client that wants to connect. Middlewares decide on it.
//   - [Args] are the arguments of an event before they are decoded, for handlers that decode them.
//   - An [Adapter] connects a namespace with those of the same name on other servers. It sends
//     requests there, and calls the namespace's [Local] for the sockets of this server. A
//     [RemoteSocket] is a socket of any of the servers.
//
// # Handlers run on the event loop
//
// A handler of an event, a middleware, a connection handler, an acknowledgement: all are called on
// the event loop of the client, one at a time for one client. They must not block: they must not
// sleep, wait for a database, or call [Socket.EmitWithAck], which may wait for a client of the same
// loop. Work that blocks belongs in a goroutine. Every method of every type of this package may be
// called on any goroutine and at any time, and so may an [Ack]. A middleware that must wait is
// registered with [Namespace.UseAsync].
//
// # In which order calls take effect
//
// The calls of one goroutine take effect in the order in which they were made. A broadcast to a
// room reaches a socket that joined the room before. Broadcasts arrive in their order, whatever
// rooms they are for. Two events for one socket arrive in that order, and after the broadcasts that
// were made before them. Broadcasts of several goroutines arrive in the same order at all clients.
//
// None of these calls waits. Each is put in the queue of every loop that it concerns, and a loop
// executes its queue every turn. A queue is bounded. When it is full, calls return ErrBusy and have
// no effect.
//
// # How a packet comes in, by files
//
//  1. app.go: internal/engineio calls with a text or binary message of a session.
//  2. packet.go splits a text packet; assembly.go waits for its attachments.
//  3. client.go finds the socket of the packet's namespace, or connects it.
//  4. args.go gives the handler its arguments, which handler.go decodes into the types of its
//     parameters.
//
// How a packet goes out: arguments.go encodes values as JSON and attachments, encode.go writes the
// packet, and commands.go brings it to the loop. A broadcast goes from target.go to the adapter of
// the namespace, and from there, or from the adapter of another server, to local.go. There it
// becomes a message of the broadcast.Hub of each loop. Its topic is made of namespace and room
// (room.go, cast.go), and it is encoded once for each wire form.
package socketio
