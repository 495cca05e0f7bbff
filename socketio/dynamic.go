// Namespaces that are made as clients ask for them.

package socketio

import "errors"

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

// Emit broadcasts an event to all sockets of all namespaces of the rule.
func (d *Dynamic) Emit(event string, args ...any) error {
	var errs []error
	for _, nsp := range d.Namespaces() {
		errs = append(errs, nsp.Emit(event, args...))
	}
	return errors.Join(errs...)
}
