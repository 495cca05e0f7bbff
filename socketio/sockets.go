// Sockets that are selected by rooms, and calls for all of them.

package socketio

import (
	"context"
	"slices"
)

// FetchSockets returns the sockets of the target, on all servers. They may have left by the time it
// returns. If a server does not answer, the error is ErrPartial and comes with the sockets of the
// others. With an adapter it blocks until ctx ends: never call it on an event loop then.
func (t Target) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	var list []*RemoteSocket
	err := t.each(func(t Target) error {
		found, err := t.adapter().Fetch(ctx, t.of)
		list = append(list, found...)
		return err
	})
	return list, err
}

// SocketsJoin adds all sockets of the target to rooms. The error is that of the sockets of this
// server, or of the adapter.
func (t Target) SocketsJoin(rooms ...string) error {
	return t.each(func(t Target) error { return t.adapter().AddRooms(t.of, rooms) })
}

// SocketsLeave removes all sockets of the target from rooms. The error is as that of SocketsJoin.
func (t Target) SocketsLeave(rooms ...string) error {
	return t.each(func(t Target) error { return t.adapter().DelRooms(t.of, rooms) })
}

// DisconnectSockets disconnects all sockets of the target: see Socket.Disconnect. The error is as
// that of SocketsJoin.
func (t Target) DisconnectSockets(closing bool) error {
	return t.each(func(t Target) error { return t.adapter().Disconnect(t.of, closing) })
}

// FetchSockets returns the sockets of the namespace: see Target.FetchSockets.
func (nsp *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return nsp.all().FetchSockets(ctx)
}

// SocketsJoin adds all sockets of the namespace to rooms.
func (nsp *Namespace) SocketsJoin(rooms ...string) error { return nsp.all().SocketsJoin(rooms...) }

// SocketsLeave removes all sockets of the namespace from rooms.
func (nsp *Namespace) SocketsLeave(rooms ...string) error { return nsp.all().SocketsLeave(rooms...) }

// DisconnectSockets disconnects all sockets of the namespace: see Socket.Disconnect.
func (nsp *Namespace) DisconnectSockets(closing bool) error {
	return nsp.all().DisconnectSockets(closing)
}

// sockets returns the selected sockets of this server. Any goroutine.
func (nsp *Namespace) sockets(of Selection) (list []*Socket) {
	if nsp.addressesOne(of) {
		if s := nsp.find(of.Rooms[0]); s != nil && of.has(s) {
			list = append(list, s)
		}
		return list
	}
	for _, r := range nsp.server.reactors() {
		at := len(list)
		list = r.members.appendAll(list, nsp)
		list = append(list[:at], slices.DeleteFunc(list[at:], func(s *Socket) bool { return !of.has(s) })...)
	}
	return list
}

// has reports whether the socket is selected. Any goroutine.
func (of Selection) has(s *Socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := func(room string) bool { return room == s.id || slices.Contains(s.joined(), room) }
	return s.state == socketConnected && (len(of.Rooms) == 0 || slices.ContainsFunc(of.Rooms, in)) && !slices.ContainsFunc(of.Except, in)
}

// find returns the socket with the id; nil if there is none on this server. Any goroutine.
func (nsp *Namespace) find(id string) *Socket {
	if s, moved := nsp.moved.Load(id); moved {
		return s.(*Socket)
	}
	conn, ok := connOf(id)
	h := nsp.server.host.Load()
	if !ok || h == nil {
		return nil
	}
	r := h.reactorOf(conn)
	if r == nil {
		return nil
	}
	if s := r.members.find(nsp, conn); s != nil && s.id == id {
		return s
	}
	return nil
}
