// An event for one socket, and the modifiers with which it is sent.

package socketio

import (
	"context"
	"reflect"
	"time"
)

// Emission sends an event to one socket with the modifiers of Socket.Volatile, Compress and
// Timeout. Its methods return a new Emission, so that they can be chained:
// s.Timeout(time.Second).Emit(…). Any goroutine.
type Emission struct {
	socket *Socket
	flags
	timeout time.Duration // of an acknowledgement; 0: none
}

// Timeout sets how long to wait for an acknowledgement.
func (s *Socket) Timeout(d time.Duration) Emission { return Emission{socket: s}.Timeout(d) }

// Timeout sets how long to wait for an acknowledgement.
func (e Emission) Timeout(d time.Duration) Emission {
	e.timeout = d
	return e
}

// Volatile marks the event as one that may be lost: it is dropped unless it can be sent at once.
func (e Emission) Volatile() Emission {
	e.volatile = true
	return e
}

// Compress sets whether the event may be compressed on a connection with compression. The default
// is true.
func (e Emission) Compress(on bool) Emission {
	e.plain = !on
	return e
}

// Emit is Socket.Emit with the modifiers of the Emission.
func (e Emission) Emit(event string, args ...any) error {
	args, fn := splitAck(args)
	if fn == nil {
		return e.emit(event, args, nil)
	}
	h := newHandler("acknowledgement", fn)
	_, err := e.expect(event, args, func(answer Args, failure error) error {
		if failure != nil && !h.sig.failure {
			return nil
		}
		return h.call(nil, failure, answer, nil)
	})
	return err
}

// Send is Emit of the event "message".
func (e Emission) Send(args ...any) error { return e.Emit("message", args...) }

// splitAck splits off a function that is the last argument.
func splitAck(args []any) (rest []any, fn any) {
	if n := len(args); n > 0 && args[n-1] != nil && reflect.TypeOf(args[n-1]).Kind() == reflect.Func {
		return args[:n-1], args[n-1]
	}
	return args, nil
}

// EmitWithAck sends an event and waits for its acknowledgement, until ctx ends, the Timeout is over
// (ErrTimeout), or the client has left (ErrDisconnected). It blocks: never call it on an event
// loop, where handlers run.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return Emission{socket: s}.EmitWithAck(ctx, event, args...)
}

// EmitWithAck is Socket.EmitWithAck with the modifiers of the Emission.
func (e Emission) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	type outcome struct {
		answer Args
		err    error
	}
	done := make(chan outcome, 1)
	id, err := e.expect(event, args, func(answer Args, failure error) error {
		done <- outcome{answer.Clone(), failure}
		return nil
	})
	if err != nil {
		return Args{}, err
	}
	select {
	case o := <-done:
		return o.answer, o.err
	case <-ctx.Done():
		e.socket.takeAck(id)
		return Args{}, ctx.Err()
	}
}

// expect sends an event with an acknowledgement, for which done is called.
func (e Emission) expect(event string, args []any, done func(Args, error) error) (id uint64, err error) {
	id = e.socket.nsp.ackIDs.Add(1) - 1
	if err := e.socket.expectAck(id, pendingAck{done}); err != nil {
		return id, err
	}
	if err := e.emit(event, args, &id); err != nil {
		e.socket.takeAck(id)
		return id, err
	}
	return id, nil
}

// emit sends an event; id is that of its acknowledgement, nil for none.
func (e Emission) emit(event string, args []any, id *uint64) error {
	s := e.socket
	v, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	state := s.status()
	if state == socketLeft || state == socketAway && (s.nsp.log == nil || id != nil || e.volatile) {
		return ErrDisconnected
	}
	log := s.nsp.log
	if log != nil && id == nil && !e.volatile && state != socketConnecting && log.sharedBy() != nil {
		// It comes back with its number, to this server or to the one that has the client by then.
		return s.nsp.adapter().Broadcast(Broadcast{Selection: Selection{Rooms: []string{s.id}}, Event: Event{name: event, values: v, args: args}, NoCompress: e.plain})
	}
	for _, l := range s.outgoingListeners() {
		l.f(event, args)
	}
	k := packet{kind: typeEvent, namespace: []byte(s.nsp.name)}
	if id != nil {
		k.hasID, k.id = true, *id
	}
	if log != nil && id == nil && (e.volatile || log.sharedBy() != nil) && endsInString(v.json) {
		return log.mark(func(offset string) error {
			k.payload = withOffset(v.json, offset)
			return s.reactor.submit(command{socket: s, out: newOutgoing(s.nsp.server.opt.Parser, &k, v.attachments, e.flags)})
		})
	}
	if log == nil || id != nil || e.volatile || log.sharedBy() != nil {
		k.payload = v.json
		out := newOutgoing(s.nsp.server.opt.Parser, &k, v.attachments, e.flags)
		return s.reactor.submit(command{socket: s, out: out, timeout: e.timeout, ackID: k.id, wantsAck: k.hasID})
	}
	return log.append(0, func(offset string) (*outgoing, error) {
		k.payload = withOffset(v.json, offset)
		out := newOutgoing(s.nsp.server.opt.Parser, &k, v.attachments, e.flags)
		if state == socketAway {
			return out, nil // the log keeps it until the client is recovered
		}
		return out, s.reactor.submit(command{socket: s, out: out})
	}, []string{s.id}, nil)
}
