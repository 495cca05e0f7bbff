// Namespaces that are made as clients ask for them.

package socketio

import "slices"

// Dynamic is a rule by which namespaces are made when a client asks for one. Middlewares and
// handlers that are registered with it apply to all these namespaces, and run before those of the
// namespace itself. All methods may be called on any goroutine.
type Dynamic struct {
	server *Server
	match  func(h *Handshake) bool
	hooks  hooks
}

// Use adds a middleware to all namespaces of the rule: see Namespace.Use.
func (d *Dynamic) Use(f func(h *Handshake) error) {
	d.hooks.use(func(h *Handshake, next func(error)) { next(f(h)) })
}

// UseAsync adds a middleware that answers later: see Namespace.UseAsync.
func (d *Dynamic) UseAsync(f func(h *Handshake, next func(error))) { d.hooks.use(f) }

// OnConnection calls f for each socket of all namespaces of the rule: see Namespace.OnConnection.
func (d *Dynamic) OnConnection(f func(s *Socket)) { d.hooks.onConnection(f) }

// Namespaces returns the namespaces that the rule has made, without those that were removed.
func (d *Dynamic) Namespaces() (list []*Namespace) {
	d.server.mu.RLock()
	defer d.server.mu.RUnlock()
	for _, nsp := range d.server.namespaces {
		if nsp.parent == d {
			list = append(list, nsp)
		}
	}
	return list
}

// All returns the target of all sockets of all namespaces of the rule, for Volatile, SocketsJoin
// and others. An error of a call joins those of the namespaces.
func (d *Dynamic) All() Target { return Target{dynamic: d} }

// Emit broadcasts an event to all sockets of all namespaces of the rule.
func (d *Dynamic) Emit(event string, args ...any) error { return d.All().Emit(event, args...) }

// Send is Emit of the event "message".
func (d *Dynamic) Send(args ...any) error { return d.Emit("message", args...) }

// To begins a broadcast to rooms in all namespaces of the rule: see Target.To.
func (d *Dynamic) To(rooms ...string) Target { return d.All().To(rooms...) }

// In is To.
func (d *Dynamic) In(rooms ...string) Target { return d.All().To(rooms...) }

// Except begins a broadcast that leaves out the sockets in the rooms: see Target.Except.
func (d *Dynamic) Except(rooms ...string) Target { return d.All().Except(rooms...) }

// On handles an event of all sockets of all namespaces of the rule: see Namespace.On.
func (d *Dynamic) On(event string, fn any) {
	l := newListener(event, fn, false)
	d.hooks.mu.Lock()
	d.hooks.handlers = append(slices.Clip(d.hooks.handlers), l)
	d.hooks.mu.Unlock()
}

// OnDisconnect calls f for each socket that has left a namespace of the rule: see
// Namespace.OnDisconnect.
func (d *Dynamic) OnDisconnect(f func(s *Socket, reason Reason)) { d.hooks.onDisconnect(f) }
