// Broadcasts: an event to many sockets.

package socketio

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Target is a set of sockets of a namespace, chosen by rooms, and how an event is to be sent to
// them. It is a value; its methods return new ones, so that they can be chained and kept. Any
// goroutine.
type Target struct {
	nsp *Namespace
	of  Selection
	flags
	local   bool // of this server only
	timeout time.Duration
}

// To adds rooms: the sockets that are in at least one of all the rooms given so. A socket's id is a
// room that it alone is in. Without a room the target is all sockets.
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

// Local chooses sockets of this server only. Without an adapter there are no others.
func (t Target) Local() Target {
	t.local = true
	return t
}

// adapter is what does for the target what a program asks.
func (t Target) adapter() Adapter {
	if t.local {
		return t.nsp.local
	}
	return t.nsp.adapter()
}

// Timeout bounds how long acknowledgements are waited for.
func (t Target) Timeout(d time.Duration) Target {
	t.timeout = d
	return t
}

// Emit broadcasts an event; the arguments are those of Socket.Emit. A function that comes last is a
// func([]Args, error): it gets the acknowledgements of all the sockets in the order of their
// arrival, and if not all came within the Timeout (default 10 s) ErrTimeout with those that did.
// The error is ErrPartial too if a server has not told how many of its sockets were sent the event.
// The function may be called on any goroutine. The error of Emit says what is wrong with the
// arguments, or is ErrBusy, ErrClosed or the adapter's; the function is then not called.
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
	e, err := NewEvent(event, args...)
	if err != nil {
		return err
	}
	b := Broadcast{Selection: t.of, Event: e, Volatile: t.volatile, NoCompress: t.plain, Timeout: t.timeout}
	if done == nil {
		return t.adapter().Broadcast(b)
	}
	c := newCollection(t.timeout, done)
	b.Acks = c
	if err := t.adapter().Broadcast(b); err != nil {
		c.cancel() // the caller has the error instead
		return err
	}
	if t.local || t.nsp.cluster == nil {
		c.expect(1)
	} else {
		go c.count(t.nsp.cluster)
	}
	return nil
}
