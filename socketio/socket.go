// A socket: one client in one namespace.

package socketio

import (
	"errors"
	"slices"
	"sync"

	"c100k/internal/auth"
	"c100k/internal/engineio"
	"c100k/netpoll"
)

// Errors of a Socket's methods, in addition to those of encoding arguments.
var (
	// ErrDisconnected: the client has left the namespace.
	ErrDisconnected = errors.New("socketio: client is disconnected")
	// ErrTimeout: the client did not acknowledge in time. The text is that of Node's server.
	ErrTimeout = errors.New("operation has timed out")
	// ErrBusy: the command queue of the event loop is full. The call has had no effect.
	ErrBusy = errors.New("socketio: event loop is overloaded")
	// ErrRooms: the socket is in RoomsPerSocketMax rooms, or the name of a room is longer than
	// RoomBytesMax.
	ErrRooms = errors.New("socketio: too many rooms, or too long a name of one")
	// ErrAcks: AcksPerSocketMax acknowledgements of the socket are pending.
	ErrAcks = errors.New("socketio: too many acknowledgements are outstanding")
)

// Socket is one client in one namespace. All methods may be called on any goroutine. They take
// effect on the client's event loop, in the order in which one goroutine calls them.
type Socket struct {
	// Immutable.
	nsp     *Namespace
	reactor *reactor
	session netpoll.ID
	id      string
	facts   *facts

	next *Socket // in a chain of reactor.members; guarded by mu of members

	mu        sync.Mutex // guards the fields below
	state     socketState
	recovered bool
	webSocket bool            // the client is on WebSocket
	counted   bool            // sio.Watch.Enter has counted the connection for who
	who       *auth.Principal // nil: the client was not identified
	data      any
	own       *clientState // nil until it is needed
	more      *rareState   // nil until it is needed
}

// clientState is the state that a socket needs when it has handlers, rooms or pending
// acknowledgements. Sockets that only receive broadcasts do not have it.
type clientState struct {
	handlers []listener
	rooms    []string              // without the room of its own id
	acks     map[uint64]pendingAck // nil while none is pending
}

// ownState returns own, and makes it if it is nil. Under mu.
func (s *Socket) ownState() *clientState {
	if s.own == nil {
		s.own = &clientState{}
	}
	return s.own
}

// joined returns the rooms of the socket, without the room of its own id. Under mu.
func (s *Socket) joined() []string {
	if s.own == nil {
		return nil
	}
	return s.own.rooms
}

type socketState uint8

const (
	socketConnecting socketState = iota
	socketConnected
	socketAway // it has left and may be recovered
	socketLeft
)

// rareState is state that few sockets have.
type rareState struct {
	auth          []byte
	pid           string
	start         uint64      // recovery: number of the newest packet when the socket joined
	base          uint64      // recovery: it has all packets up to this number
	early         []*outgoing // sent by middlewares, before the socket is connected; at most earlyMax
	incoming      []anyListener[func(event string, args Args)]
	outgoing      []anyListener[func(event string, args []any)]
	upgraded      []func()
	middlewares   []func(event string, args Args) error
	disconnecting []func(reason Reason)
	disconnected  []func(reason Reason)
	failed        []func(err error)
}

// rare returns more, and makes it if it is nil. Under mu.
func (s *Socket) rare() *rareState {
	if s.more == nil {
		s.more = &rareState{}
	}
	return s.more
}

// ID returns the socket's public id, 20 characters. It is also the name of a room that only this
// socket is in. Sockets of protocol 4 have the id of their connection; in namespaces other than "/"
// the name of the namespace stands in front of it.
func (s *Socket) ID() string { return s.id }

// Namespace returns the namespace of the socket.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Conn returns the id of the client's connection, by which the HTTP API of a node names it.
func (s *Socket) Conn() netpoll.ID { return s.session }

// Transport returns the client's transport: "polling" or "websocket". OnUpgrade reports the change
// from one to the other.
func (s *Socket) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webSocket {
		return engineio.TransportWebSocket.String()
	}
	return engineio.TransportPolling.String()
}

// Server returns the server of the socket.
func (s *Socket) Server() *Server { return s.nsp.server }

// Connected reports whether the client is in the namespace.
func (s *Socket) Connected() bool { return s.status() == socketConnected }

func (s *Socket) status() socketState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Recovered reports whether the client reconnected within a short time and was recovered: it has
// its rooms and Data, and got every event that it missed.
func (s *Socket) Recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovered
}

// Data returns the value that SetData, or Handshake.SetData of a middleware, has set last. The
// program must guard the value itself against concurrent use.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// SetData sets Data.
func (s *Socket) SetData(v any) {
	s.mu.Lock()
	s.data = v
	s.mu.Unlock()
}

// Handshake returns the handshake of the client.
func (s *Socket) Handshake() *Handshake {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &Handshake{facts: s.facts, namespace: s.nsp.name, id: s.id, data: s.data, socket: s}
	if s.more != nil {
		h.auth = s.more.auth
	}
	return h
}

// Subject returns whom the client speaks for on a node that identifies clients, as its token,
// server.Config.Authenticate or a backend says it; "" if it was not identified.
func (s *Socket) Subject() string {
	return subjectOf(s.principal())
}

// Rooms returns the rooms that the socket is in, its own id first; none when it has left.
func (s *Socket) Rooms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != socketConnected {
		return nil
	}
	return append([]string{s.id}, s.joined()...)
}

// Join adds the socket to rooms: it gets broadcasts to them that are made from now on. The error is
// ErrRooms, ErrDisconnected, ErrBusy or ErrClosed; the socket has then joined none of the rooms.
func (s *Socket) Join(rooms ...string) error {
	defer s.nsp.watch.notify()
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, err := s.newRooms(rooms)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if err := s.reactor.submit(command{run: func(l *netpoll.Loop) { s.subscribe(l, fresh) }}); err != nil {
		return err
	}
	own := s.ownState()
	own.rooms = append(own.rooms, fresh...)
	s.nsp.watch.join(s.id, fresh...)
	return nil
}

// newRooms returns the elements of rooms that the socket is not in. Under mu.
func (s *Socket) newRooms(rooms []string) (fresh []string, err error) {
	if s.state > socketConnected {
		return nil, ErrDisconnected
	}
	for _, room := range rooms {
		if len(room) > RoomBytesMax {
			return nil, ErrRooms
		}
		if room != s.id && !slices.Contains(s.joined(), room) && !slices.Contains(fresh, room) {
			fresh = append(fresh, room)
			if _, ok := s.nsp.locate(room); ok {
				s.nsp.idRoomShared.Store(true)
			}
		}
	}
	if len(s.joined())+len(fresh) > RoomsPerSocketMax {
		return nil, ErrRooms
	}
	return fresh, nil
}

// Leave removes the socket from a room; it does nothing if the socket is not in it. The room of its
// own id cannot be left: it is how the socket is addressed. The error is ErrBusy or ErrClosed; the
// socket is then still in it.
func (s *Socket) Leave(room string) error {
	defer s.nsp.watch.notify()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.joined(), room)
	if at < 0 || s.state > socketConnected {
		return nil
	}
	err := s.reactor.submit(command{run: func(l *netpoll.Loop) {
		if !s.in(room) { // unless it has joined again meanwhile
			s.unsubscribe(l, []string{room})
		}
	}})
	if err != nil {
		return err
	}
	s.own.rooms = slices.Delete(s.own.rooms, at, at+1)
	s.nsp.watch.leave(s.id, room)
	return nil
}

// in reports whether the socket has joined the room.
func (s *Socket) in(room string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.joined(), room)
}

// Disconnect disconnects the client from the namespace. The client is notified and does not
// reconnect by itself. If closing is true, it leaves all namespaces, and its connection is closed.
func (s *Socket) Disconnect(closing bool) error {
	return s.reactor.submit(command{run: func(l *netpoll.Loop) { s.reactor.disconnect(l, s, closing) }})
}

// Emit sends an event. Arguments are strings, numbers, []byte, and whatever encoding/json can
// encode. A function as the last argument, for example func(answer string), is called on the event
// loop with the arguments of the client's acknowledgement. If the acknowledgement does not come, a
// function whose first parameter is an error gets ErrDisconnected, or with Timeout ErrTimeout;
// another function is not called. The error of Emit says which argument cannot be encoded, or is
// ErrDisconnected, ErrBusy, ErrClosed or ErrAcks.
func (s *Socket) Emit(event string, args ...any) error {
	return Emission{socket: s}.Emit(event, args...)
}

// Send is Emit of the event "message".
func (s *Socket) Send(args ...any) error { return s.Emit("message", args...) }

// Volatile marks the event as one that may be lost: it is dropped unless it can be sent at once.
func (s *Socket) Volatile() Emission { return Emission{socket: s}.Volatile() }

// Compress sets whether the event may be compressed on a connection with compression. The default
// is true.
func (s *Socket) Compress(on bool) Emission { return Emission{socket: s}.Compress(on) }

// Broadcast begins a broadcast to all sockets of the namespace except this one.
func (s *Socket) Broadcast() Target { return s.nsp.all().Except(s.id) }

// To begins a broadcast to rooms that leaves this socket out: see Target.To.
func (s *Socket) To(rooms ...string) Target { return s.Broadcast().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) Target { return s.To(rooms...) }

// Local begins a broadcast to the sockets of the namespace on this server, except this one.
func (s *Socket) Local() Target { return s.Broadcast().Local() }

// Except begins a broadcast that leaves out the sockets in the rooms, and this socket: see
// Target.Except.
func (s *Socket) Except(rooms ...string) Target { return s.Broadcast().Except(rooms...) }
