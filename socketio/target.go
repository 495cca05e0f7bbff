// Broadcasts: an event to many sockets.

package socketio

import (
	"context"
	"errors"
	"time"
)

// Target is a set of sockets of a namespace, chosen by rooms, and how an event is to be sent to
// them. It is a value; its methods return new ones, so that they can be chained and kept. Any
// goroutine.
type Target struct {
	nsp    *Namespace
	rooms  []string
	except []string
	flags
	timeout time.Duration
}

// To adds rooms: the sockets that are in at least one of all the rooms given so. A socket's id is a
// room that it alone is in. Without a room the target is all sockets.
func (t Target) To(rooms ...string) Target {
	t.rooms = append(t.rooms[:len(t.rooms):len(t.rooms)], rooms...)
	return t
}

// In is To.
func (t Target) In(rooms ...string) Target { return t.To(rooms...) }

// Except leaves out the sockets that are in at least one of the rooms.
func (t Target) Except(rooms ...string) Target {
	t.except = append(t.except[:len(t.except):len(t.except)], rooms...)
	return t
}

// Volatile is for an event that may get lost: a socket that it would not go out to at once does not
// get it.
func (t Target) Volatile() Target {
	t.volatile = true
	return t
}

// Compress says whether the event may be compressed, where connections are; default true.
func (t Target) Compress(on bool) Target {
	t.plain = !on
	return t
}

// Local keeps the broadcast on this server. It is so anyway where there is no other.
func (t Target) Local() Target { return t }

// Timeout bounds how long acknowledgements are waited for.
func (t Target) Timeout(d time.Duration) Target {
	t.timeout = d
	return t
}

// Emit broadcasts an event; the arguments are those of Socket.Emit. A function that comes last is a
// func([]Args, error): it gets the acknowledgements of all the sockets in the order of their
// arrival, and if not all came within the Timeout (default 10 s) ErrTimeout with those that did. It
// may be called on any goroutine. The error of Emit says what is wrong with the arguments, or is
// ErrBusy or ErrClosed; nobody then gets the event, and the function is not called.
func (t Target) Emit(event string, args ...any) error {
	args, fn := splitAck(args)
	if fn == nil {
		return t.emit(event, args, nil)
	}
	done, ok := fn.(func([]Args, error))
	if !ok {
		return errors.New("socketio: the acknowledgements of a broadcast go to a func([]Args, error)")
	}
	return t.emit(event, args, done)
}

// EmitWithAck broadcasts an event and waits for the acknowledgements of all the sockets, until the
// Timeout (default 10 s) or ctx ends; the error then comes with those that did arrive. It blocks:
// never call it on an event loop, which is where handlers run.
func (t Target) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	type outcome struct {
		answers []Args
		err     error
	}
	done := make(chan outcome, 1)
	if err := t.emit(event, args, func(answers []Args, err error) { done <- outcome{answers, err} }); err != nil {
		return nil, err
	}
	select {
	case o := <-done:
		return o.answers, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t Target) emit(event string, args []any, done func([]Args, error)) error {
	v, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	k := packet{kind: typeEvent, namespace: []byte(t.nsp.name)}
	parser := t.nsp.server.opt.Parser
	var heard *heardEvent
	if t.nsp.watched.Load() {
		heard = &heardEvent{event, args}
	}
	if t.nsp.log != nil && done == nil && !t.volatile {
		return t.nsp.log.append(func(offset string) (*outgoing, error) {
			k.payload = withOffset(v.json, offset)
			out := newOutgoing(parser, &k, v.attachments, t.flags)
			out.heard = heard
			out.number = t.nsp.log.newest
			return out, t.nsp.server.cast(t, out)
		}, t.rooms, t.except)
	}
	if t.nsp.log != nil && done == nil && endsInString(v.json) {
		return t.nsp.log.mark(func(offset string) error {
			k.payload = withOffset(v.json, offset)
			out := newOutgoing(parser, &k, v.attachments, t.flags)
			out.heard = heard
			return t.nsp.server.cast(t, out)
		})
	}
	k.payload = v.json
	var ack *broadcastAck
	if done != nil {
		ack = newBroadcastAck(t.nsp, t.timeout, done)
		k.hasID, k.id = true, ack.id
	}
	out := newOutgoing(parser, &k, v.attachments, t.flags)
	out.heard, out.ack = heard, ack
	err = t.nsp.server.cast(t, out)
	switch {
	case ack == nil:
	case err != nil:
		ack.cancel() // the caller has the error instead
	default:
		ack.passed()
	}
	return err
}

// personal tells whether the broadcast is to one socket, by its id: then only the loop of that is
// concerned.
func (t Target) personal() bool {
	if len(t.rooms) != 1 || t.nsp.shared.Load() {
		return false
	}
	_, ok := t.nsp.locate(t.rooms[0])
	return ok
}
