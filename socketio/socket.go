// A socket: one client in one namespace.

package socketio

import (
	"errors"
	"slices"
	"sync"

	"c100k/netpoll"
)

// Errors of a Socket's methods, beside those of encoding arguments.
var (
	// ErrDisconnected: the client is not in the namespace any more.
	ErrDisconnected = errors.New("socketio: client is disconnected")
	// ErrTimeout: the client did not acknowledge in time. Its text is that of Node's server.
	ErrTimeout = errors.New("operation has timed out")
	// ErrBusy: the event loop is behind by more than the queue to it holds, and the call has had no
	// effect.
	ErrBusy = errors.New("socketio: event loop is overloaded")
	// ErrRooms: the socket is in RoomsPerSocketMax rooms, or the name of one is longer than
	// RoomBytesMax.
	ErrRooms = errors.New("socketio: too many rooms, or too long a name of one")
	// ErrAcks: AcksPerSocketMax acknowledgements of the socket are outstanding.
	ErrAcks = errors.New("socketio: too many acknowledgements are outstanding")
)

// Socket is one client in one namespace. All methods may be called on any goroutine; what they do
// to the client happens on its event loop, in the order of one goroutine's calls.
type Socket struct {
	// Immutable.
	nsp     *Namespace
	reactor *reactor
	session netpoll.ID
	id      string
	facts   *facts

	next *Socket // in a chain of reactor.members, and guarded by its mu

	mu        sync.Mutex // guards the fields below
	state     socketState
	recovered bool
	data      any
	own       *clientState // nil while it has none
	more      *rareState   // nil while there are none
}

// clientState are what many sockets have, and many that only listen to broadcasts do not.
type clientState struct {
	handlers []listener
	rooms    []string           // but for the one of its own id
	acks     map[uint64]waiting // nil while none is outstanding
}

// ownState is own, made if it is not there. Under mu.
func (s *Socket) ownState() *clientState {
	if s.own == nil {
		s.own = &clientState{}
	}
	return s.own
}

// joined are the rooms that the socket is in, but for the one of its own id. Under mu.
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
	socketAway // left, for a reason from which it may be recovered
	socketLeft
)

// rareState are what few sockets have.
type rareState struct {
	auth          []byte
	pid           string
	start         uint64 // recovery: the newest packet when the socket joined
	base          uint64 // recovery: it has all packets up to this number
	incoming      []func(event string, args Args)
	outgoing      []func(event string, args []any)
	middlewares   []func(event string, args Args) error
	disconnecting []func(reason Reason)
	disconnected  []func(reason Reason)
	failed        []func(err error)
}

// rare is more, made if it is not there. Under mu.
func (s *Socket) rare() *rareState {
	if s.more == nil {
		s.more = &rareState{}
	}
	return s.more
}

// ID is the socket's public id, 20 characters; it is also the name of a room that only this socket
// is in. Clients of protocol 4 have the id of their connection, and in other namespaces than "/"
// that with the namespace in front.
func (s *Socket) ID() string { return s.id }

// Namespace is the namespace that the socket is in.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Conn names the client's connection, as the API of a node does.
func (s *Socket) Conn() netpoll.ID { return s.session }

// Connected tells whether the client is in the namespace.
func (s *Socket) Connected() bool { return s.status() == socketConnected }

func (s *Socket) status() socketState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Recovered tells whether the client was away for a short time, and is the one it was: with its
// rooms and Data, and nothing missed.
func (s *Socket) Recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovered
}

// Data is what SetData, or a middleware's Handshake.SetData, has set last. The program's own locks
// guard what it points at.
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

// Handshake is what is known of the client since it connected.
func (s *Socket) Handshake() *Handshake {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &Handshake{facts: s.facts, namespace: s.nsp.name, id: s.id, data: s.data}
	if s.more != nil {
		h.auth = s.more.auth
	}
	return h
}

// Rooms are the rooms that the socket is in, its own id first; none when it has left.
func (s *Socket) Rooms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != socketConnected {
		return nil
	}
	return append([]string{s.id}, s.joined()...)
}

// Join puts the socket into rooms: what is broadcast to one from now on reaches it. The error is
// ErrRooms, ErrDisconnected, ErrBusy or ErrClosed; the socket has then joined none of them.
func (s *Socket) Join(rooms ...string) error {
	defer s.nsp.watch.tell()
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh, err := s.newRooms(rooms)
	if err != nil || len(fresh) == 0 {
		return err
	}
	if err := s.reactor.do(order{run: func(l *netpoll.Loop) { s.subscribe(l, fresh) }}); err != nil {
		return err
	}
	own := s.ownState()
	own.rooms = append(own.rooms, fresh...)
	s.nsp.watch.join(s.id, fresh...)
	return nil
}

// newRooms are those of rooms that the socket is not in. Under mu.
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
				s.nsp.shared.Store(true)
			}
		}
	}
	if len(s.joined())+len(fresh) > RoomsPerSocketMax {
		return nil, ErrRooms
	}
	return fresh, nil
}

// Leave takes the socket out of a room; it does nothing if it is not in it. The error is ErrBusy or
// ErrClosed; the socket is then still in it.
func (s *Socket) Leave(room string) error {
	defer s.nsp.watch.tell()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := slices.Index(s.joined(), room)
	if at < 0 || s.state > socketConnected {
		return nil
	}
	err := s.reactor.do(order{run: func(l *netpoll.Loop) {
		if !s.in(room) { // it has not joined again meanwhile
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

// in tells whether the socket has joined the room.
func (s *Socket) in(room string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.joined(), room)
}

// Disconnect takes the client out of the namespace; the client hears of it and does not come back
// by itself. With closing, it leaves all namespaces, and its connection is closed.
func (s *Socket) Disconnect(closing bool) error {
	return s.reactor.do(order{run: func(l *netpoll.Loop) { s.reactor.disconnect(l, s, closing) }})
}

// Emit sends an event. Arguments are strings, numbers, []byte, and whatever encoding/json takes; a
// function that comes last gets the client's acknowledgement, as the arguments that it sends:
// func(answer string), and is called on the event loop. If its first parameter is an error, that is
// ErrDisconnected, or with Timeout ErrTimeout, when there is none; a function without one is then
// not called. The error of Emit says what is wrong with the arguments, or that the client is gone.
func (s *Socket) Emit(event string, args ...any) error {
	return Emission{socket: s}.Emit(event, args...)
}

// Volatile is for an event that may get lost: it is dropped unless it goes out at once.
func (s *Socket) Volatile() Emission { return Emission{socket: s}.Volatile() }

// Compress says whether the event may be compressed, where the connection is; default true.
func (s *Socket) Compress(on bool) Emission { return Emission{socket: s}.Compress(on) }

// Broadcast begins a broadcast to all sockets of the namespace but this one.
func (s *Socket) Broadcast() Target { return s.nsp.all().Except(s.id) }

// To begins a broadcast to rooms that leaves this socket out: see Target.To.
func (s *Socket) To(rooms ...string) Target { return s.Broadcast().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) Target { return s.To(rooms...) }

// Except begins a broadcast that leaves out who is in one of the rooms, and this socket: see
// Target.Except.
func (s *Socket) Except(rooms ...string) Target { return s.Broadcast().Except(rooms...) }
