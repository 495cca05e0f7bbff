// Targets: sets of sockets, for broadcasts.

package socketio

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Target is a set of sockets of a namespace, selected by rooms, with the modifiers of an event. It
// is a value. Its methods return a new Target, so that calls can be chained and a Target can be
// kept. Any goroutine.
type Target struct {
	nsp     *Namespace
	dynamic *Dynamic // the target is in all namespaces of the rule, and nsp is nil
	of      Selection
	flags
	local   bool // of this server only
	timeout time.Duration
}

// To adds rooms: the target is the sockets that are in at least one of its rooms. A socket's id is
// the name of a room that it alone is in. Without rooms the target is all sockets.
func (t Target) To(rooms ...string) Target {
	t.of.Rooms = append(slices.Clip(t.of.Rooms), rooms...)
	return t
}

// In is To.
func (t Target) In(rooms ...string) Target { return t.To(rooms...) }

// Except leaves out the sockets that are in at least one of the rooms.
func (t Target) Except(rooms ...string) Target {
	t.of.Except = append(slices.Clip(t.of.Except), rooms...)
	return t
}

// Volatile is for an event that may get lost: dropped for a socket to which it cannot be sent at
// once.
func (t Target) Volatile() Target {
	t.volatile = true
	return t
}

// Compress sets whether the event may be compressed on connections with compression. The default is
// true.
func (t Target) Compress(on bool) Target {
	t.plain = !on
	return t
}

// Local selects sockets of this server only. Without an adapter there are no others.
func (t Target) Local() Target {
	t.local = true
	return t
}

// adapter returns the adapter that carries out calls for the target.
func (t Target) adapter() Adapter {
	if t.local {
		return t.nsp.local
	}
	return t.nsp.adapter()
}

// Timeout sets how long to wait for acknowledgements.
func (t Target) Timeout(d time.Duration) Target {
	t.timeout = d
	return t
}

// Send is Emit of the event "message".
func (t Target) Send(args ...any) error { return t.Emit("message", args...) }

// ErrDynamic is returned by calls for all namespaces of a Dynamic that want acknowledgements.
var ErrDynamic = errors.New("socketio: a broadcast to all namespaces of a rule cannot be acknowledged")

// each calls f for the target in each namespace of its Dynamic, or for the target itself, and joins
// the errors.
func (t Target) each(f func(t Target) error) error {
	if t.dynamic == nil {
		return f(t)
	}
	var errs []error
	for _, nsp := range t.dynamic.Namespaces() {
		one := t
		one.nsp, one.dynamic = nsp, nil
		errs = append(errs, f(one))
	}
	return errors.Join(errs...)
}

// Emit broadcasts an event; the arguments are those of Socket.Emit. A function as the last argument
// must be a func([]Args, error). It is called once, on any goroutine, with the acknowledgements of
// all sockets in the order in which they arrived. If not all came within the Timeout (default 10
// s), it gets those that did and an error that is ErrTimeout; the error is ErrPartial too if a
// server has not reported how many of its sockets were sent the event. The error of Emit says which
// argument cannot be encoded, or is ErrBusy, ErrClosed or that of the adapter; the function is then
// not called.
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

// EmitWithAck broadcasts an event and waits for the acknowledgements of all sockets, until the
// Timeout (default 10 s) is over or ctx ends. After the Timeout the error is ErrTimeout, and the
// result has the acknowledgements that came. It blocks: never call it on an event loop, where
// handlers run.
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
	if t.dynamic != nil {
		if done != nil {
			return ErrDynamic
		}
		return t.each(func(t Target) error { return t.emit(event, args, nil) })
	}
	e, err := NewEvent(event, args...)
	if err != nil {
		return err
	}
	b := Broadcast{Selection: t.of, Event: e, Volatile: t.volatile, NoCompress: t.plain, Timeout: t.timeout}
	if done == nil {
		return t.adapter().Broadcast(b)
	}
	local := t.local || t.nsp.cluster.Load() == nil
	c := newAckCollector(t.timeout, local, done)
	b.Acks = c
	if err := t.adapter().Broadcast(b); err != nil {
		c.cancel() // the caller gets the error
		return err
	}
	if local {
		c.expect(1)
	} else {
		go c.count(t.nsp.adapter())
	}
	return nil
}
