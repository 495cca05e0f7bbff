// The adapter of a namespace: the calls of the program.

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"c100k/internal/siowire"
	"c100k/socketio"
)

// adapter is the socketio.Adapter of a namespace. Any goroutine.
type adapter struct {
	// Immutable.
	c     *Cluster
	local *socketio.Local
	nsp   string
	uid   string
	log   *streamLog // nil without a stream

	closed      atomic.Bool
	echoes      atomic.Bool  // what goes into the stream comes back, and is carried out then
	foreignAcks atomic.Int64 // broadcasts of other servers that wait for acknowledgements of sockets here

	mu       sync.Mutex // guards the fields below
	requests map[string]*request
	acks     map[string]*ackRequest
	roll     roll
}

func newAdapter(c *Cluster, local *socketio.Local) *adapter {
	return &adapter{
		c: c, local: local, nsp: local.Namespace().Name(), uid: c.form.uid(),
		requests: map[string]*request{}, acks: map[string]*ackRequest{},
	}
}

// send queues a message, after it has called before, which may be nil. If there is no space for the
// message, or before fails, it is not sent.
func (a *adapter) send(m *siowire.Message, before func() error, sent func(receivers int, err error)) error {
	if a.closed.Load() {
		return socketio.ErrClosed
	}
	channel, p := a.c.form.encode(m)
	n := len(p) + len(channel)
	if err := a.c.carrier.reserve(n); err != nil {
		if errors.Is(err, socketio.ErrBusy) {
			a.c.counters.busy.Add(1)
		}
		return err
	}
	if before != nil {
		if err := before(); err != nil {
			a.c.carrier.unreserve(n)
			return err
		}
	}
	a.c.carrier.publish(channel, p, sent)
	return nil
}

// here returns what a call does on this server at once; nil if it comes back.
func (a *adapter) here(f func() error) func() error {
	if a.echoes.Load() {
		return nil
	}
	return f
}

// message begins a message of this server.
func (a *adapter) message(t siowire.Type, of socketio.Selection) siowire.Message {
	return siowire.Message{Type: t, UID: a.uid, Namespace: a.nsp, Rooms: of.Rooms, Except: of.Except}
}

// Broadcast implements socketio.Adapter.
func (a *adapter) Broadcast(b socketio.Broadcast) error {
	m := a.message(siowire.Broadcast, b.Selection)
	m.Payload, m.Attachments = b.Event.Encoded()
	m.Volatile, m.NoCompress = b.Volatile, b.NoCompress
	here := func() error { return a.local.Broadcast(b) }
	if b.Acks == nil {
		return a.send(&m, a.here(here), nil)
	}
	m.RequestID, m.Timeout = randomID(), ackTimeout(b.Timeout)
	if err := a.expectAcks(m.RequestID, b.Acks, m.Timeout); err != nil {
		return err
	}
	a.watch()
	err := a.send(&m, here, nil)
	if err != nil {
		a.forgetAcks(m.RequestID)
	}
	return err
}

func ackTimeout(d time.Duration) time.Duration {
	if d <= 0 {
		return ackTimeoutDefault
	}
	return d
}

// Fetch implements socketio.Adapter.
func (a *adapter) Fetch(ctx context.Context, from socketio.Selection) ([]*socketio.RemoteSocket, error) {
	list, err := a.local.Fetch(ctx, from)
	if err != nil {
		return list, err
	}
	done := make(chan *request, 1)
	m := a.message(siowire.FetchSockets, from)
	r, err := a.ask(&m, a.c.timeout, func(r *request) { done <- r })
	if err != nil {
		return list, fmt.Errorf("%w: %w", socketio.ErrPartial, err)
	}
	select {
	case r = <-done:
	case <-ctx.Done():
		a.cancel(r, ctx.Err())
		r = <-done
	}
	return append(list, r.sockets...), r.err
}

// AddRooms implements socketio.Adapter.
func (a *adapter) AddRooms(of socketio.Selection, rooms []string) error {
	m := a.message(siowire.SocketsJoin, of)
	m.Names = rooms
	return a.send(&m, a.here(func() error { return a.local.AddRooms(of, rooms) }), nil)
}

// DelRooms implements socketio.Adapter.
func (a *adapter) DelRooms(of socketio.Selection, rooms []string) error {
	m := a.message(siowire.SocketsLeave, of)
	m.Names = rooms
	return a.send(&m, a.here(func() error { return a.local.DelRooms(of, rooms) }), nil)
}

// Disconnect implements socketio.Adapter.
func (a *adapter) Disconnect(of socketio.Selection, closing bool) error {
	m := a.message(siowire.DisconnectSockets, of)
	m.Close = closing
	return a.send(&m, a.here(func() error { return a.local.Disconnect(of, closing) }), nil)
}

// ServerSideEmit implements socketio.Adapter.
func (a *adapter) ServerSideEmit(e socketio.Event, timeout time.Duration, done func([]socketio.Args, error)) error {
	m := a.message(siowire.ServerSideEmit, socketio.Selection{})
	m.Payload, m.Attachments = e.Encoded()
	if done == nil {
		return a.send(&m, nil, nil)
	}
	if timeout <= 0 {
		timeout = a.c.timeout
	}
	_, err := a.ask(&m, timeout, func(r *request) { done(r.answers, r.err) })
	return err
}

// Count implements socketio.Adapter. If a server does not answer, the number is that of the others,
// and the error is ErrPartial.
func (a *adapter) Count(ctx context.Context) (servers int, err error) {
	done := make(chan *request, 1)
	m := a.c.form.probe(a, randomID())
	r, err := a.ask(&m, min(probeTimeout, a.c.timeout), func(r *request) { done <- r })
	if err != nil {
		return 1, err
	}
	select {
	case r = <-done:
		return 1 + r.count(), r.err
	case <-ctx.Done():
		a.cancel(r, ctx.Err())
		<-done
		return 1, ctx.Err()
	}
}

// Close implements socketio.Adapter.
func (a *adapter) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	a.c.removeAll(a)
	a.endAll()
	return nil
}
