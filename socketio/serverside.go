// Events from server to server.

package socketio

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNoOtherServers is returned by ServerSideEmit without an adapter. Node's server with its
// in-memory adapter refuses the call too.
var ErrNoOtherServers = errors.New("socketio: there are no other servers to emit to")

// ErrServerEvent is returned by ServerSideEmit for the names of events that a server emits itself:
// connection, new_namespace.
var ErrServerEvent = errors.New("socketio: a server cannot emit an event of this name")

// serverEvents are further reserved names of server-side events, in addition to reservedEvents.
var serverEvents = map[string]bool{"connection": true, "new_namespace": true}

// OnServerSide handles an event that another server has sent by ServerSideEmit. fn is a function as
// for Socket.On, without a *Socket; a function as the last parameter answers the server that
// emitted the event. If there are several listeners, the first answer is sent. fn is called on a
// goroutine of the adapter. It must not block for long, because requests of other servers wait
// meanwhile. OnServerSide panics if fn cannot be a handler.
func (nsp *Namespace) OnServerSide(event string, fn any) {
	if reservedEvents[event] || serverEvents[event] {
		panic(fmt.Sprintf("socketio: no server can emit an event %q", event))
	}
	h := newHandler(fmt.Sprintf("server side event %q", event), fn)
	if h.sig.failure || h.sig.socket {
		panic(fmt.Sprintf("socketio: handler of server side event %q is a %T: there is no socket and no error", event, fn))
	}
	nsp.mu.Lock()
	nsp.serverSide = append(nsp.serverSide[:len(nsp.serverSide):len(nsp.serverSide)], listener{event: event, handler: h})
	nsp.mu.Unlock()
}

func (nsp *Namespace) serverSideListeners() []listener {
	nsp.mu.RLock()
	defer nsp.mu.RUnlock()
	return nsp.serverSide
}

// callServerSide calls a listener with an event of another server.
func (nsp *Namespace) callServerSide(l listener, e Event, ack Ack) (err error) {
	defer func() {
		if v := recover(); v != nil {
			nsp.server.panicked(v)
			err = fmt.Errorf("server side event %q: panic: %v", e.name, v)
		}
	}()
	if err := l.call(nil, nil, e.Args(), ack); err != nil {
		return fmt.Errorf("server side event %q: %w", e.name, err)
	}
	return nil
}

// ServerSideEmit sends an event to the namespace's listeners on the other servers (OnServerSide):
// not to clients, and not to this server. A function that comes last is a func([]Args, error). It
// is called once, on any goroutine, with one answer of each other server; if not all of them answer
// in the adapter's time, with those that came and an error that is ErrPartial. The error of
// ServerSideEmit says which argument cannot be encoded, or is ErrNoOtherServers or that of the
// adapter.
func (nsp *Namespace) ServerSideEmit(event string, args ...any) error {
	args, fn := splitAck(args)
	done, ok := fn.(func([]Args, error))
	if fn != nil && !ok {
		return errors.New("socketio: the answers of other servers go to a func([]Args, error)")
	}
	return nsp.serverSideEmit(event, args, 0, done)
}

func (nsp *Namespace) serverSideEmit(event string, args []any, timeout time.Duration, done func([]Args, error)) error {
	if serverEvents[event] {
		return fmt.Errorf("%w: %q", ErrServerEvent, event)
	}
	e, err := NewEvent(event, args...)
	if err != nil {
		return err
	}
	return nsp.adapter().ServerSideEmit(e, timeout, done)
}

// ServerSideEmitWithAck is ServerSideEmit, and waits for the answers until the adapter's timeout is
// over or ctx ends. It blocks: never call it on an event loop, where handlers run.
func (nsp *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	type outcome struct {
		answers []Args
		err     error
	}
	var timeout time.Duration
	if end, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(end), time.Nanosecond)
	}
	done := make(chan outcome, 1)
	if err := nsp.serverSideEmit(event, args, timeout, func(answers []Args, err error) { done <- outcome{answers, err} }); err != nil {
		return nil, err
	}
	select {
	case o := <-done:
		return o.answers, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
