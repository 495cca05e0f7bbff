// What a server does for its namespace "/".

package socketio

import "context"

// Use adds a middleware to the namespace "/": see Namespace.Use.
func (io *Server) Use(f func(h *Handshake) error) { io.root.Use(f) }

// UseAsync adds a middleware that may take its time to the namespace "/": see Namespace.UseAsync.
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

// Except begins a broadcast that leaves out who is in one of the rooms: see Target.Except.
func (io *Server) Except(rooms ...string) Target { return io.root.Except(rooms...) }

// All begins a broadcast to all sockets of the namespace "/", for Volatile, Timeout and the like.
func (io *Server) All() Target { return io.root.all() }

// FetchSockets returns the sockets of the namespace "/".
func (io *Server) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return io.root.FetchSockets(ctx)
}

// SocketsJoin puts all sockets of the namespace "/" into rooms.
func (io *Server) SocketsJoin(rooms ...string) error { return io.root.SocketsJoin(rooms...) }

// SocketsLeave takes all sockets of the namespace "/" out of rooms.
func (io *Server) SocketsLeave(rooms ...string) error { return io.root.SocketsLeave(rooms...) }

// DisconnectSockets takes all sockets out of the namespace "/": see Socket.Disconnect.
func (io *Server) DisconnectSockets(closing bool) error { return io.root.DisconnectSockets(closing) }

// OnServerSide handles an event of other servers for the namespace "/": see Namespace.OnServerSide.
func (io *Server) OnServerSide(event string, fn any) { io.root.OnServerSide(event, fn) }

// ServerSideEmit is that of the namespace "/": see Namespace.ServerSideEmit.
func (io *Server) ServerSideEmit(event string, args ...any) error {
	return io.root.ServerSideEmit(event, args...)
}
