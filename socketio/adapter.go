// Adapters: how a namespace reaches the namespaces of the same name on other servers.

package socketio

import (
	"context"
	"errors"
	"time"

	"c100k/internal/sio"
)

// ErrPartial is wrapped in the error of a call that not all servers have answered. The result that
// comes with the error has the answers of the others.
var ErrPartial = errors.New("socketio: not all servers have answered")

// Adapter carries out the calls of a program for a namespace on all servers that have it.
// Options.Adapter makes one for each namespace; without it the namespace's
// Local is its Adapter.
//
// An adapter does two things for each call. It calls the method of the same name of the Local, for
// the sockets of this server. It sends the request to the adapters of the other servers, which call
// the methods of their Local. The adapter checks requests of other servers with ParseEvent,
// ParseArgs and Local.ParseSocket. The adapter decides how servers find each other, how their
// messages are encoded, which ids requests have, and how long servers have to answer.
//
// All methods may be called on any goroutine. Only Fetch and Count may block, until their context
// ends. The others are called on event loops too: they put messages into a bounded queue, and
// return ErrBusy if it is full. The calls of one goroutine must take effect in their order, on
// every server.
type Adapter interface {
	// Broadcast sends an event to sockets. If b.Acks is set, its methods are called for the clients of
	// each server.
	Broadcast(b Broadcast) error

	// Fetch returns the selected sockets. If a server does not answer, it returns those of the others
	// and an error that is ErrPartial.
	Fetch(ctx context.Context, from Selection) ([]*RemoteSocket, error)

	// AddRooms puts the selected sockets into rooms.
	AddRooms(of Selection, rooms []string) error

	// DelRooms takes the selected sockets out of rooms.
	DelRooms(of Selection, rooms []string) error

	// Disconnect takes the selected sockets out of the namespace: see Socket.Disconnect.
	Disconnect(of Selection, closing bool) error

	// ServerSideEmit sends an event to the listeners of the other servers: see Local.ServerSideEvent.
	// If done is set, it is called once, on any goroutine: with one answer of each other server, or
	// after the timeout with those that came and an error that is ErrPartial. A timeout of 0 is the
	// adapter's default. If ServerSideEmit returns an error, done is not called.
	ServerSideEmit(e Event, timeout time.Duration, done func(answers []Args, err error)) error

	// Count returns how many servers have the namespace, this one included.
	Count(ctx context.Context) (servers int, err error)

	// Close disconnects from the other servers and frees the resources of the adapter. It must not
	// block. It is called once: when the server closes, or when the namespace is removed. Other
	// methods may still be called then, and return ErrClosed.
	Close() error
}

// Selection chooses sockets of a namespace.
type Selection struct {
	Rooms  []string // sockets that are in one of these; empty: all
	Except []string // sockets that are in one of these are left out
}

// Broadcast is an event to sockets of a namespace.
type Broadcast struct {
	Selection
	Event      Event
	Volatile   bool          // dropped for a socket to which it cannot be sent at once
	NoCompress bool          // it is sent without compression
	Timeout    time.Duration // of acknowledgements; 0: the default, 10 s
	Acks       Acks          // nil: the event is not acknowledged
}

// Acks receives the acknowledgements of a broadcast. On the server that emits, the adapter passes
// the Acks of the Broadcast on to Local, and calls it with what other servers report. On the other
// servers the adapter puts an Acks of its own into the Broadcast that it passes to Local. The
// methods are called on any goroutine, event loops among them, and must not block.
type Acks interface {
	// Clients is called once for each server, when the event has been sent there. n is the number of
	// clients that it was sent to, and may be 0. Answers may come before it.
	Clients(n int)

	// Answer is called once for each client that has acknowledged the event.
	Answer(answer Args)
}

// adapter returns the adapter of the program, or the Local if there is none.
func (nsp *Namespace) adapter() Adapter {
	if a := nsp.cluster.Load(); a != nil {
		return *a
	}
	return nsp.local
}

// closeAdapter closes the adapter of the program, once.
func (nsp *Namespace) closeAdapter() (err error) {
	if a := nsp.cluster.Load(); a != nil {
		nsp.clusterClosed.Do(func() { err = (*a).Close() })
	}
	return err
}

// Servers returns how many servers have the namespace, this one included. It may block until ctx
// ends: never call it on an event loop.
func (nsp *Namespace) Servers(ctx context.Context) (int, error) { return nsp.adapter().Count(ctx) }

func init() {
	sio.SetAdapter = func(server, make any) bool {
		return server.(*Server).setAdapter(make.(func(*Local) Adapter))
	}
	sio.SetOutside = func(server any, f func(data any, sub, offset string) sio.Outside) {
		if log := server.(*Server).root.log; log != nil {
			log.outside = f
		}
	}
}

// setAdapter does what Options.Adapter does, later: for the namespaces that there are, and all that
// follow. It returns false if there is an adapter already.
func (io *Server) setAdapter(make func(*Local) Adapter) bool {
	io.mu.Lock()
	defer io.mu.Unlock()
	if !io.adapters.CompareAndSwap(nil, &make) {
		return false
	}
	for _, nsp := range io.namespaces {
		nsp.join(make(nsp.local))
	}
	return true
}
