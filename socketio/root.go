// Methods of a server that are those of its namespace "/".

package socketio

import "context"

// Use adds a middleware to the namespace "/": see Namespace.Use.
func (io *Server) Use(f func(h *Handshake) error) { io.root.Use(f) }

// UseAsync adds a middleware that answers later to the namespace "/": see Namespace.UseAsync.
func (io *Server) UseAsync(f func(h *Handshake, next func(error))) { io.root.UseAsync(f) }

// OnConnection calls f for each socket of the namespace "/": see Namespace.OnConnection.
func (io *Server) OnConnection(f func(s *Socket)) { io.root.OnConnection(f) }

// On handles an event of the sockets of the namespace "/": see Namespace.On.
func (io *Server) On(event string, fn any) { io.root.On(event, fn) }

// Emit broadcasts to the sockets of the namespace "/": see Target.Emit.
func (io *Server) Emit(event string, args ...any) error { return io.root.Emit(event, args...) }

// To begins a broadcast to rooms of the namespace "/": see Target.To.
func (io *Server) To(rooms ...string) Target { return io.root.To(rooms...) }

// In is To.
func (io *Server) In(rooms ...string) Target { return io.root.To(rooms...) }

// Except begins a broadcast that leaves out the sockets in the rooms: see Target.Except.
func (io *Server) Except(rooms ...string) Target { return io.root.Except(rooms...) }

// All returns the target of all sockets of the namespace "/", for Volatile, Timeout and other
// modifiers.
func (io *Server) All() Target { return io.root.all() }

// FetchSockets returns the sockets of the namespace "/".
func (io *Server) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return io.root.FetchSockets(ctx)
}

// SocketsJoin adds all sockets of the namespace "/" to rooms.
func (io *Server) SocketsJoin(rooms ...string) error { return io.root.SocketsJoin(rooms...) }

// SocketsLeave removes all sockets of the namespace "/" from rooms.
func (io *Server) SocketsLeave(rooms ...string) error { return io.root.SocketsLeave(rooms...) }

// DisconnectSockets disconnects all sockets of the namespace "/": see Socket.Disconnect.
func (io *Server) DisconnectSockets(closing bool) error { return io.root.DisconnectSockets(closing) }

// Send is Emit of the event "message".
func (io *Server) Send(args ...any) error { return io.root.Send(args...) }

// EmitWithAck broadcasts to the namespace "/" and waits for the acknowledgements: see
// Target.EmitWithAck.
func (io *Server) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return io.root.EmitWithAck(ctx, event, args...)
}

// Sockets returns the sockets of the namespace "/" on this server.
func (io *Server) Sockets() []*Socket { return io.root.Sockets() }

// OnDisconnect calls f for each socket that has left the namespace "/": see Namespace.OnDisconnect.
func (io *Server) OnDisconnect(f func(s *Socket, reason Reason)) { io.root.OnDisconnect(f) }

// ServerSideEmitWithAck is that of the namespace "/": see Namespace.ServerSideEmitWithAck.
func (io *Server) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return io.root.ServerSideEmitWithAck(ctx, event, args...)
}

// OnServerSide handles an event of other servers for the namespace "/": see Namespace.OnServerSide.
func (io *Server) OnServerSide(event string, fn any) { io.root.OnServerSide(event, fn) }

// ServerSideEmit sends an event to the other servers, for the namespace "/": see
// Namespace.ServerSideEmit.
func (io *Server) ServerSideEmit(event string, args ...any) error {
	return io.root.ServerSideEmit(event, args...)
}
