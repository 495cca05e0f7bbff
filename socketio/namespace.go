// Namespaces.

package socketio

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Namespace is a part of a server that clients connect to by name. All methods may be called on any
// goroutine.
type Namespace struct {
	// Immutable.
	server *Server
	name   string
	topic  string // that all its sockets subscribe to
	parent *Dynamic
	log    *recoveryLog // nil without recovery
	local  *Local

	// Any goroutine.
	cluster      atomic.Pointer[Adapter] // made by Options.Adapter; nil: local is the adapter
	members      atomic.Int64
	ackIDs       atomic.Uint64 // one sequence for acknowledgements of sockets and of broadcasts
	hooks        hooks
	acks         broadcastAcks
	watch        optionalWatch
	idRoomShared atomic.Bool // a socket has joined a room whose name may be the id of another socket
	watched      atomic.Bool // a socket has a listener of OnAnyOutgoing
	moved        sync.Map    // string to *Socket: sockets whose id does not name their connection

	mu         sync.RWMutex // guards the two fields below
	handlers   []listener   // of events of all its sockets
	serverSide []listener   // of events of other servers

	clusterClosed sync.Once
}

func (io *Server) newNamespace(name string, parent *Dynamic) *Namespace {
	nsp := &Namespace{server: io, name: name, parent: parent, topic: strconv.FormatUint(io.topics.Add(1), 36)}
	if io.opt.Recovery != nil {
		nsp.log = newRecoveryLog(nsp, io.opt.Recovery, io.opt.PingInterval+io.opt.PingTimeout)
	}
	nsp.local = &Local{nsp}
	if make := io.adapters.Load(); make != nil {
		nsp.join((*make)(nsp.local))
	}
	return nsp
}

// hooks are the middlewares and the handlers for connecting and disconnecting clients.
type hooks struct {
	mu          sync.RWMutex // guards the fields below, whose contents never change
	middlewares []func(h *Handshake, next func(error))
	connection  []func(s *Socket)
	disconnect  []func(s *Socket, reason Reason)
	handlers    []listener // of a Dynamic: of events of the sockets of its namespaces
}

func (h *hooks) onDisconnect(f func(s *Socket, reason Reason)) {
	h.mu.Lock()
	h.disconnect = append(slices.Clip(h.disconnect), f)
	h.mu.Unlock()
}

func (h *hooks) use(f func(h *Handshake, next func(error))) {
	h.mu.Lock()
	h.middlewares = append(h.middlewares[:len(h.middlewares):len(h.middlewares)], f)
	h.mu.Unlock()
}

func (h *hooks) onConnection(f func(s *Socket)) {
	h.mu.Lock()
	h.connection = append(h.connection[:len(h.connection):len(h.connection)], f)
	h.mu.Unlock()
}

func (h *hooks) get() (middlewares []func(h *Handshake, next func(error)), connection []func(s *Socket)) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.middlewares, h.connection
}

// middlewares returns the middlewares of the namespace, in order: those of the Dynamic first.
func (nsp *Namespace) middlewares() []func(h *Handshake, next func(error)) {
	own, _ := nsp.hooks.get()
	if nsp.parent == nil {
		return own
	}
	inherited, _ := nsp.parent.hooks.get()
	return append(inherited[:len(inherited):len(inherited)], own...)
}

// connectionHandlers returns the functions of OnConnection, those of the Dynamic first.
func (nsp *Namespace) connectionHandlers() []func(s *Socket) {
	_, own := nsp.hooks.get()
	if nsp.parent == nil {
		return own
	}
	_, inherited := nsp.parent.hooks.get()
	return append(inherited[:len(inherited):len(inherited)], own...)
}

// Name returns the name of the namespace, with its slash.
func (nsp *Namespace) Name() string { return nsp.name }

// Use adds a middleware, which is called for each client that wants to join the namespace. If it
// returns an error, the client is refused with the text of the error, and with data if the error is
// from Refuse. It runs on the event loop and must not block: see UseAsync.
func (nsp *Namespace) Use(f func(h *Handshake) error) {
	nsp.hooks.use(func(h *Handshake, next func(error)) { next(f(h)) })
}

// UseAsync adds a middleware that answers later. It is called on the event loop, and calls next
// once, on any goroutine, with nil or an error. A client for which next is never called is
// disconnected after Options.ConnectTimeout.
func (nsp *Namespace) UseAsync(f func(h *Handshake, next func(error))) { nsp.hooks.use(f) }

// OnConnection calls f on the event loop for each socket that has joined, before the first event of
// the socket is handled.
func (nsp *Namespace) OnConnection(f func(s *Socket)) { nsp.hooks.onConnection(f) }

// On handles an event of all sockets of the namespace, as Socket.On does for one; fn may take the
// *Socket as its first parameter. It costs no memory for each socket, while Socket.On costs some
// tens of bytes.
func (nsp *Namespace) On(event string, fn any) {
	l := newListener(event, fn, false)
	nsp.mu.Lock()
	nsp.handlers = append(nsp.handlers[:len(nsp.handlers):len(nsp.handlers)], l)
	nsp.mu.Unlock()
}

// OnDisconnect calls f on the event loop for each socket that has left the namespace. It costs no
// memory for each socket, while Socket.OnDisconnect costs some hundred bytes.
func (nsp *Namespace) OnDisconnect(f func(s *Socket, reason Reason)) {
	nsp.hooks.onDisconnect(f)
}

// disconnectHandlers returns the functions of OnDisconnect, those of the Dynamic first.
func (nsp *Namespace) disconnectHandlers() []func(s *Socket, reason Reason) {
	own := nsp.hooks.disconnectHandlers()
	if nsp.parent == nil {
		return own
	}
	return append(slices.Clip(nsp.parent.hooks.disconnectHandlers()), own...)
}

func (h *hooks) disconnectHandlers() []func(s *Socket, reason Reason) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.disconnect
}

func (h *hooks) listeners() []listener {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.handlers
}

func (nsp *Namespace) listeners() []listener {
	nsp.mu.RLock()
	defer nsp.mu.RUnlock()
	return nsp.handlers
}

// all returns the target of all sockets.
func (nsp *Namespace) all() Target { return Target{nsp: nsp} }

// Emit broadcasts an event to all sockets of the namespace: see Target.Emit.
func (nsp *Namespace) Emit(event string, args ...any) error { return nsp.all().Emit(event, args...) }

// To begins a broadcast to rooms: see Target.To.
func (nsp *Namespace) To(rooms ...string) Target { return nsp.all().To(rooms...) }

// In is To.
func (nsp *Namespace) In(rooms ...string) Target { return nsp.all().To(rooms...) }

// Except begins a broadcast that leaves out the sockets in the rooms: see Target.Except.
func (nsp *Namespace) Except(rooms ...string) Target { return nsp.all().Except(rooms...) }

// All returns the target of all sockets of the namespace, for Volatile, Timeout and other
// modifiers.
func (nsp *Namespace) All() Target { return nsp.all() }

// Send is Emit of the event "message".
func (nsp *Namespace) Send(args ...any) error { return nsp.Emit("message", args...) }

// EmitWithAck broadcasts an event and waits for the acknowledgements: see Target.EmitWithAck.
func (nsp *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	return nsp.all().EmitWithAck(ctx, event, args...)
}

// Server returns the server of the namespace.
func (nsp *Namespace) Server() *Server { return nsp.server }

// Socket returns the socket with the id; nil if the namespace has none on this server.
func (nsp *Namespace) Socket(id string) *Socket { return nsp.find(id) }

// Rooms returns how many sockets of this server are in each room of the namespace, ids of sockets
// included. It visits every socket.
func (nsp *Namespace) Rooms() map[string]int {
	rooms := map[string]int{}
	for _, s := range nsp.Sockets() {
		for _, room := range s.Rooms() {
			rooms[room]++
		}
	}
	return rooms
}

// Sockets returns the sockets that the namespace has on this server now.
func (nsp *Namespace) Sockets() []*Socket { return nsp.sockets(Selection{}) }

// Len returns the number of sockets that the namespace has on this server.
func (nsp *Namespace) Len() int { return int(nsp.members.Load()) }
