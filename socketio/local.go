// Local: the sockets and listeners of a namespace on this server.

package socketio

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Local is the part of a namespace on this server: its sockets and listeners. An Adapter calls it,
// both for the program of this server and for requests of other servers. It is itself the Adapter
// of a namespace without another. All methods may be called on any goroutine, and none blocks.
type Local struct{ nsp *Namespace }

// Namespace returns the namespace of the sockets.
func (l *Local) Namespace() *Namespace { return l.nsp }

// Broadcast sends an event to sockets of this server, in the same order as every other broadcast.
// The error is ErrBusy, and then no client gets the event, or ErrClosed. After an error the methods
// of b.Acks are not called.
func (l *Local) Broadcast(b Broadcast) error { return l.broadcast(b, 0) }

// broadcast is Broadcast of an event that has a number in a log of several servers; 0: it has none.
func (l *Local) broadcast(b Broadcast, number uint64) error {
	nsp, payload := l.nsp, b.Event.json
	if nsp.cluster.Load() != nil {
		payload = slices.Clip(payload) // the adapter may still use the slice
	}
	k := packet{kind: typeEvent, namespace: []byte(nsp.name)}
	f := flags{volatile: b.Volatile, plain: b.NoCompress}
	var observed *eventValues
	if nsp.watched.Load() {
		observed = b.Event.goValues()
	}
	packed := func() *outgoing {
		out := newOutgoing(nsp.server.opt.Parser, &k, b.Event.attachments, f)
		out.observed = observed
		return out
	}
	if nsp.log != nil && b.Acks == nil && !b.Volatile && (number != 0 || nsp.log.sharedBy() == nil) {
		return nsp.log.append(number, func(offset string) (*outgoing, error) {
			k.payload = withOffset(payload, offset)
			out := packed()
			out.number = nsp.log.newest
			return out, nsp.server.cast(nsp, b.Selection, out)
		}, b.Rooms, b.Except)
	}
	if nsp.log != nil && b.Acks == nil && endsInString(payload) {
		return nsp.log.mark(func(offset string) error {
			k.payload = withOffset(payload, offset)
			return nsp.server.cast(nsp, b.Selection, packed())
		})
	}
	k.payload = payload
	if b.Acks == nil {
		return nsp.server.cast(nsp, b.Selection, packed())
	}
	ack := newBroadcastAck(nsp, b.Timeout, b.Acks)
	k.hasID, k.id = true, ack.id
	out := packed()
	out.ack = ack
	if err := nsp.server.cast(nsp, b.Selection, out); err != nil {
		ack.end() // the caller gets the error
		return err
	}
	ack.deliveryDone()
	return nil
}

// Fetch returns the selected sockets of this server. They may have left by the time it returns.
func (l *Local) Fetch(ctx context.Context, from Selection) ([]*RemoteSocket, error) {
	var list []*RemoteSocket
	for _, s := range l.nsp.sockets(from) {
		list = append(list, &RemoteSocket{ID: s.ID(), Handshake: s.Handshake(), Rooms: s.Rooms(), Data: s.Data(), nsp: l.nsp})
	}
	return list, ctx.Err()
}

// AddRooms puts the selected sockets of this server into rooms. The error has those of Socket.Join.
func (l *Local) AddRooms(of Selection, rooms []string) error {
	return l.each(of, func(s *Socket) error { return s.Join(rooms...) })
}

// DelRooms takes the selected sockets of this server out of rooms. The error has those of
// Socket.Leave.
func (l *Local) DelRooms(of Selection, rooms []string) error {
	return l.each(of, func(s *Socket) error {
		for _, room := range rooms {
			if err := s.Leave(room); err != nil {
				return err
			}
		}
		return nil
	})
}

// Disconnect takes the selected sockets of this server out of the namespace: see Socket.Disconnect.
func (l *Local) Disconnect(of Selection, closing bool) error {
	return l.each(of, func(s *Socket) error { return s.Disconnect(closing) })
}

// each calls f for the selected sockets, and returns the errors without those of sockets that have
// left meanwhile.
func (l *Local) each(of Selection, f func(s *Socket) error) error {
	var errs []error
	for _, s := range l.nsp.sockets(of) {
		if err := f(s); err != nil && !errors.Is(err, ErrDisconnected) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ServerSideEmit returns ErrNoOtherServers.
func (l *Local) ServerSideEmit(Event, time.Duration, func([]Args, error)) error {
	return ErrNoOtherServers
}

// ServerSideEvent calls the listeners of Namespace.OnServerSide with an event of another server, on
// the calling goroutine. answer is called at most once, with the first acknowledgement of a
// listener, on any goroutine, perhaps after ServerSideEvent has returned; nil: the other server
// wants no answer. The error reports listeners whose parameters the arguments do not fit, and
// listeners that panicked.
func (l *Local) ServerSideEvent(e Event, answer func(Args)) error {
	ack := Ack(noAnswer)
	if answer != nil {
		var called atomic.Bool
		ack = func(args ...any) error {
			a, err := NewArgs(args...)
			if err == nil && !called.Swap(true) {
				answer(a)
			}
			return err
		}
	}
	var errs []error
	for _, h := range l.nsp.serverSideListeners() {
		if h.event == e.name {
			errs = append(errs, l.nsp.callServerSide(h, e, ack))
		}
	}
	return errors.Join(errs...)
}

// Count returns 1.
func (l *Local) Count(context.Context) (servers int, err error) { return 1, nil }

// Close does nothing.
func (l *Local) Close() error { return nil }

// Rooms returns the names of all rooms of the namespace that have a socket of this server, ids of
// sockets among them, in any order. It visits every socket. An adapter that needs to know of
// changes uses Namespace.OnRoomEvent.
func (l *Local) Rooms() []string {
	return slices.Collect(maps.Keys(l.nsp.Rooms()))
}

// MayHaveRoom reports whether a broadcast to the room could reach a socket of this server. It does
// not visit the sockets. An adapter need not decode a broadcast for which it returns false. It may
// return true although there is no such socket.
func (l *Local) MayHaveRoom(room string) bool {
	topic := topicOfRoom(l.nsp.topic, room)
	for _, r := range l.nsp.server.reactors() {
		if r.pending.Load() > 0 { // a queued command may join the room
			return true
		}
		if _, anybody := r.hub.Topic(topic); anybody {
			return true
		}
	}
	return l.nsp.find(room) != nil
}
