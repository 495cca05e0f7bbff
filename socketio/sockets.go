// Sockets chosen by rooms, and what is done to all of them.

package socketio

import (
	"context"
	"errors"
	"slices"
)

// RemoteSocket is a socket as other servers may see it too: what it is, and what can be done to it
// from afar.
type RemoteSocket struct {
	ID        string
	Handshake *Handshake
	Rooms     []string
	Data      any

	socket *Socket
}

// Emit sends the socket an event: see Socket.Emit.
func (r *RemoteSocket) Emit(event string, args ...any) error { return r.socket.Emit(event, args...) }

// Join puts the socket into rooms.
func (r *RemoteSocket) Join(rooms ...string) error { return r.socket.Join(rooms...) }

// Leave takes the socket out of a room.
func (r *RemoteSocket) Leave(room string) error { return r.socket.Leave(room) }

// Disconnect takes the client out of the namespace: see Socket.Disconnect.
func (r *RemoteSocket) Disconnect(closing bool) error { return r.socket.Disconnect(closing) }

// FetchSockets returns the sockets of the target. They may have left by the time it returns.
func (t Target) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	var list []*RemoteSocket
	for _, s := range t.sockets() {
		list = append(list, &RemoteSocket{ID: s.ID(), Handshake: s.Handshake(), Rooms: s.Rooms(), Data: s.Data(), socket: s})
	}
	return list, ctx.Err()
}

// FetchSockets returns the sockets of the namespace.
func (nsp *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return nsp.all().FetchSockets(ctx)
}

// sockets are those of the target that are on this server.
func (t Target) sockets() (list []*Socket) {
	for _, r := range t.nsp.server.reactors() {
		r.list.Lock()
		at := len(list)
		for s := r.first; s != nil; s = s.next {
			if s.nsp == t.nsp {
				list = append(list, s)
			}
		}
		r.list.Unlock()
		list = append(list[:at], slices.DeleteFunc(list[at:], func(s *Socket) bool { return !t.has(s) })...)
	}
	return list
}

// has tells whether the socket is one of the target's.
func (t Target) has(s *Socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := func(room string) bool { return room == s.id || slices.Contains(s.joined(), room) }
	return s.state == socketConnected && (len(t.rooms) == 0 || slices.ContainsFunc(t.rooms, in)) && !slices.ContainsFunc(t.except, in)
}

// SocketsJoin puts all sockets of the target into rooms.
func (t Target) SocketsJoin(rooms ...string) error {
	return t.each(func(s *Socket) error { return s.Join(rooms...) })
}

// SocketsLeave takes all sockets of the target out of rooms.
func (t Target) SocketsLeave(rooms ...string) error {
	return t.each(func(s *Socket) error {
		for _, room := range rooms {
			if err := s.Leave(room); err != nil {
				return err
			}
		}
		return nil
	})
}

// DisconnectSockets takes all sockets of the target out of the namespace: see Socket.Disconnect.
func (t Target) DisconnectSockets(closing bool) error {
	return t.each(func(s *Socket) error { return s.Disconnect(closing) })
}

// each calls f for the sockets of the target, and returns the errors but for those of sockets that
// have left meanwhile.
func (t Target) each(f func(s *Socket) error) error {
	var errs []error
	for _, s := range t.sockets() {
		if err := f(s); err != nil && !errors.Is(err, ErrDisconnected) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// SocketsJoin puts all sockets of the namespace into rooms.
func (nsp *Namespace) SocketsJoin(rooms ...string) error { return nsp.all().SocketsJoin(rooms...) }

// SocketsLeave takes all sockets of the namespace out of rooms.
func (nsp *Namespace) SocketsLeave(rooms ...string) error { return nsp.all().SocketsLeave(rooms...) }

// DisconnectSockets takes all sockets out of the namespace: see Socket.Disconnect.
func (nsp *Namespace) DisconnectSockets(closing bool) error {
	return nsp.all().DisconnectSockets(closing)
}
