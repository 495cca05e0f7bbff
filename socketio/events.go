// Listeners of a socket, and how its events are dispatched.

package socketio

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
)

// On handles an event of the client. fn is a function whose parameters take the event's arguments:
// strings, numbers, bools, structs, maps and slices as encoding/json decodes them, []byte for
// binary, json.RawMessage, any; a variadic last one takes the rest; or one Args takes all. A
// missing argument leaves a zero value; a surplus one is ignored. A function as last parameter
// acknowledges: func(ok bool), or Ack. The *Socket may come first. On panics if fn cannot be a
// handler.
//
// fn runs on the event loop and must not block. An event whose arguments do not fit is not handled,
// and the handlers of OnError are called.
func (s *Socket) On(event string, fn any) (remove func()) {
	return s.listen(newListener(event, fn, false))
}

// Once is On for the next event of the name only.
func (s *Socket) Once(event string, fn any) (remove func()) {
	return s.listen(newListener(event, fn, true))
}

func (s *Socket) listen(l listener) (remove func()) {
	l.number = listenerNumbers.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.ownState()
	if own.handlers == nil {
		own.handlers = make([]listener, 0, 2) // most sockets have few, and there are many sockets
	}
	own.handlers = append(own.handlers, l)
	return func() {
		s.mu.Lock()
		own.handlers = slices.DeleteFunc(own.handlers, func(other listener) bool { return other.number == l.number })
		s.mu.Unlock()
	}
}

// listenerNumbers numbers listeners, so that one can be removed: functions cannot be compared.
var listenerNumbers atomic.Uint64

// Listeners returns how many handlers the socket has for an event, those of the namespace not
// included.
func (s *Socket) Listeners(event string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		for _, l := range s.own.handlers {
			if l.event == event {
				n++
			}
		}
	}
	return n
}

// Off removes the handlers of an event. The function that On or Once has returned removes one
// handler.
func (s *Socket) Off(event string) {
	s.mu.Lock()
	own := s.ownState()
	own.handlers = slices.DeleteFunc(own.handlers, func(l listener) bool { return l.event == event })
	s.mu.Unlock()
}

// anyListener is a listener of OnAny or OnAnyOutgoing. F is its function.
type anyListener[F any] struct {
	number uint64
	f      F
}

// insert returns list with a listener at the end, or in front. list is not changed, because it may
// be in use.
func insert[F any](list []anyListener[F], l anyListener[F], front bool) []anyListener[F] {
	if front {
		return slices.Concat([]anyListener[F]{l}, list)
	}
	return append(slices.Clip(list), l)
}

// without returns list without a listener. list is not changed.
func without[F any](list []anyListener[F], number uint64) []anyListener[F] {
	return slices.DeleteFunc(slices.Clone(list), func(l anyListener[F]) bool { return l.number == number })
}

// OnAny calls f for each event of the client, before its middlewares and handlers. It runs on the
// event loop; args may be used during the call. The function that it returns removes f.
func (s *Socket) OnAny(f func(event string, args Args)) (remove func()) {
	return s.listenAny(f, false)
}

// PrependAny is OnAny for a listener that is called before those that are there already.
func (s *Socket) PrependAny(f func(event string, args Args)) (remove func()) {
	return s.listenAny(f, true)
}

func (s *Socket) listenAny(f func(string, Args), front bool) (remove func()) {
	l := anyListener[func(string, Args)]{listenerNumbers.Add(1), f}
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.rare()
	more.incoming = insert(more.incoming, l, front)
	return func() {
		s.mu.Lock()
		more.incoming = without(more.incoming, l.number)
		s.mu.Unlock()
	}
}

// OnAnyOutgoing calls f for each event that is sent to the socket: for an event to it alone, on the
// goroutine that emits it; for a broadcast, on the event loop. From the first call on, a broadcast
// to the namespace costs more for each member. args may be used during the call. The function that
// it returns removes f.
func (s *Socket) OnAnyOutgoing(f func(event string, args []any)) (remove func()) {
	return s.listenAnyOutgoing(f, false)
}

// PrependAnyOutgoing is OnAnyOutgoing for a listener that is called before those that are there
// already.
func (s *Socket) PrependAnyOutgoing(f func(event string, args []any)) (remove func()) {
	return s.listenAnyOutgoing(f, true)
}

func (s *Socket) listenAnyOutgoing(f func(string, []any), front bool) (remove func()) {
	l := anyListener[func(string, []any)]{listenerNumbers.Add(1), f}
	s.nsp.watched.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	more := s.rare()
	more.outgoing = insert(more.outgoing, l, front)
	return func() {
		s.mu.Lock()
		more.outgoing = without(more.outgoing, l.number)
		s.mu.Unlock()
	}
}

// OffAny removes the listeners of OnAny and PrependAny.
func (s *Socket) OffAny() {
	s.mu.Lock()
	s.rare().incoming = nil
	s.mu.Unlock()
}

// OffAnyOutgoing removes the listeners of OnAnyOutgoing and PrependAnyOutgoing.
func (s *Socket) OffAnyOutgoing() {
	s.mu.Lock()
	s.rare().outgoing = nil
	s.mu.Unlock()
}

// OnUpgrade calls f on the event loop when the client's connection has changed from polling to
// WebSocket. See Transport.
func (s *Socket) OnUpgrade(f func()) {
	s.mu.Lock()
	more := s.rare()
	more.upgraded = append(more.upgraded, f)
	s.mu.Unlock()
}

// Use adds a middleware, which is called on the event loop for each event of the client. If it
// returns an error, the event is not handled, and the handlers of OnError are called.
func (s *Socket) Use(f func(event string, args Args) error) {
	s.mu.Lock()
	more := s.rare()
	more.middlewares = append(more.middlewares[:len(more.middlewares):len(more.middlewares)], f)
	s.mu.Unlock()
}

// OnDisconnecting calls f on the event loop when the socket leaves the namespace; it is still in
// its rooms.
func (s *Socket) OnDisconnecting(f func(reason Reason)) {
	s.mu.Lock()
	more := s.rare()
	more.disconnecting = append(more.disconnecting, f)
	s.mu.Unlock()
}

// OnDisconnect calls f on the event loop when the socket has left the namespace.
func (s *Socket) OnDisconnect(f func(reason Reason)) {
	s.mu.Lock()
	more := s.rare()
	more.disconnected = append(more.disconnected, f)
	s.mu.Unlock()
}

// OnError calls f on the event loop when an event was not handled: its arguments did not fit, or a
// middleware returned an error. Without such a handler the error is logged.
func (s *Socket) OnError(f func(err error)) {
	s.mu.Lock()
	more := s.rare()
	more.failed = append(more.failed[:len(more.failed):len(more.failed)], f)
	s.mu.Unlock()
}

func (s *Socket) outgoingListeners() []anyListener[func(event string, args []any)] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return nil
	}
	return s.more.outgoing
}

// dispatch handles an event. name and args lie in the read buffer. Loop only.
func (s *Socket) dispatch(name []byte, args Args, ack Ack) {
	if !s.runMiddlewares(name, args) {
		return
	}
	if d := s.nsp.parent; d != nil {
		for _, l := range d.hooks.listeners() {
			if l.event == string(name) {
				s.handle(l, args, ack)
			}
		}
	}
	for _, l := range s.nsp.listeners() {
		if l.event == string(name) {
			s.handle(l, args, ack)
		}
	}
	var room [4]listener
	for _, l := range s.matching(room[:0], name) {
		s.handle(l, args, ack)
	}
}

// runMiddlewares calls the listeners of OnAny and the middlewares, and reports whether the event is
// to be handled.
func (s *Socket) runMiddlewares(name []byte, args Args) bool {
	s.mu.Lock()
	more := s.more
	var incoming []anyListener[func(string, Args)]
	var middlewares []func(string, Args) error
	if more != nil {
		incoming, middlewares = more.incoming, more.middlewares
	}
	s.mu.Unlock()
	if len(incoming)+len(middlewares) == 0 {
		return true
	}
	event := string(name)
	for _, l := range incoming {
		l.f(event, args)
	}
	for _, f := range middlewares {
		if err := f(event, args); err != nil {
			s.fail(err)
			return false
		}
	}
	return true
}

// matching appends the socket's handlers of the event, and removes those of Once.
func (s *Socket) matching(dst []listener, name []byte) []listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		return dst
	}
	once := false
	for _, l := range s.own.handlers {
		if l.event == string(name) {
			dst = append(dst, l)
			once = once || l.once
		}
	}
	if once {
		s.own.handlers = slices.DeleteFunc(s.own.handlers, func(l listener) bool { return l.once && l.event == string(name) })
	}
	return dst
}

func (s *Socket) handle(l listener, args Args, ack Ack) {
	if err := l.call(s, nil, args, ack); err != nil {
		s.fail(fmt.Errorf("event %q: %w", l.event, err))
	}
}

// fail reports that an event was not handled. Loop only.
func (s *Socket) fail(err error) {
	s.mu.Lock()
	var failed []func(error)
	if s.more != nil {
		failed = s.more.failed
	}
	s.mu.Unlock()
	for _, f := range failed {
		f(err)
	}
	if len(failed) == 0 {
		s.nsp.server.opt.Logger.Debug("an event was not handled", slog.String("socket", s.id), slog.Any("err", err))
	}
}

// listener is a handler of one event.
type listener struct {
	event  string
	once   bool
	number uint64 // of a socket's listeners; see listenerNumbers
	handler
}

// serverEventMethods maps events that the server itself emits to the method that handles them.
var serverEventMethods = map[string]string{
	"connection": "OnConnection of the namespace", "connect": "OnConnection of the namespace", "disconnect": "Socket.OnDisconnect",
	"disconnecting": "Socket.OnDisconnecting", "error": "Socket.OnError", "connect_error": "a middleware", "newListener": "another name",
	"removeListener": "another name",
}

// newListener panics if no client can send an event of the name, or if the function cannot be a
// handler.
func newListener(event string, fn any, once bool) listener {
	if method, own := serverEventMethods[event]; own {
		panic(fmt.Sprintf("socketio: no client can send an event %q; use %s", event, method))
	}
	h := newHandler(fmt.Sprintf("event %q", event), fn)
	if h.sig.failure {
		panic(fmt.Sprintf("socketio: handler of event %q is a %T: an error comes first only in the function that gets an acknowledgement", event, fn))
	}
	return listener{event: event, once: once, handler: h}
}
