// What a socket listens to, and how events get to it.

package socketio

import (
	"fmt"
	"log/slog"
	"slices"
)

// On handles an event of the client. fn is a function whose parameters take the event's arguments:
// strings, numbers, bools, structs, maps and slices as encoding/json decodes them, []byte for
// binary, json.RawMessage, any; a variadic last one takes the rest; or one Args takes all. An
// argument that is not there leaves a zero value, one too many is ignored. A function as last
// parameter acknowledges: func(ok bool), or Ack. The *Socket may come first. On panics if no event
// can be handled so.
//
// fn runs on the event loop and must not block. An event whose arguments do not fit is not handled;
// OnError hears of it.
func (s *Socket) On(event string, fn any) { s.listen(newListener(event, fn, false)) }

// Once is On for the next event of that name only.
func (s *Socket) Once(event string, fn any) { s.listen(newListener(event, fn, true)) }

func (s *Socket) listen(l listener) {
	s.mu.Lock()
	own := s.ownState()
	if own.handlers == nil {
		own.handlers = make([]listener, 0, 2) // most sockets have few, and there are many sockets
	}
	own.handlers = append(own.handlers, l)
	s.mu.Unlock()
}

// Off removes the handlers of an event.
func (s *Socket) Off(event string) {
	s.mu.Lock()
	own := s.ownState()
	own.handlers = slices.DeleteFunc(own.handlers, func(l listener) bool { return l.event == event })
	s.mu.Unlock()
}

// OnAny calls f for each event of the client, before its middlewares and handlers. It runs on the
// event loop; args may be used during the call.
func (s *Socket) OnAny(f func(event string, args Args)) {
	s.mu.Lock()
	more := s.rare()
	more.incoming = append(more.incoming[:len(more.incoming):len(more.incoming)], f)
	s.mu.Unlock()
}

// OnAnyOutgoing calls f for each event that is sent to the socket: one to it alone on the goroutine
// that emits it, a broadcast on the event loop. From the first call on, broadcasts to the namespace
// cost something more for each member. args may be used during the call.
func (s *Socket) OnAnyOutgoing(f func(event string, args []any)) {
	s.nsp.watched.Store(true)
	s.mu.Lock()
	more := s.rare()
	more.outgoing = append(more.outgoing[:len(more.outgoing):len(more.outgoing)], f)
	s.mu.Unlock()
}

// OffAny removes what OnAny has added.
func (s *Socket) OffAny() {
	s.mu.Lock()
	s.rare().incoming = nil
	s.mu.Unlock()
}

// OffAnyOutgoing removes what OnAnyOutgoing has added.
func (s *Socket) OffAnyOutgoing() {
	s.mu.Lock()
	s.rare().outgoing = nil
	s.mu.Unlock()
}

// Use adds a middleware: it judges each event of the client, on the event loop. With an error the
// event is not handled, and OnError hears of it.
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
// middleware said no. Without it the logger gets the error.
func (s *Socket) OnError(f func(err error)) {
	s.mu.Lock()
	more := s.rare()
	more.failed = append(more.failed[:len(more.failed):len(more.failed)], f)
	s.mu.Unlock()
}

func (s *Socket) outgoingListeners() []func(event string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return nil
	}
	return s.more.outgoing
}

// dispatch handles an event. name and args are of the read buffer. Loop.
func (s *Socket) dispatch(name []byte, args Args, ack Ack) {
	if !s.passes(name, args) {
		return
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

// passes asks those who hear of every event.
func (s *Socket) passes(name []byte, args Args) bool {
	s.mu.Lock()
	more := s.more
	var incoming []func(string, Args)
	var middlewares []func(string, Args) error
	if more != nil {
		incoming, middlewares = more.incoming, more.middlewares
	}
	s.mu.Unlock()
	if len(incoming)+len(middlewares) == 0 {
		return true
	}
	event := string(name)
	for _, f := range incoming {
		f(event, args)
	}
	for _, f := range middlewares {
		if err := f(event, args); err != nil {
			s.fail(err)
			return false
		}
	}
	return true
}

// matching appends the socket's handlers of the event, and removes those that were for once.
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

// fail tells whom it concerns that an event was not handled. Loop.
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
