// Package emitter emits to the clients of a cluster of Socket.IO servers from a program that is no
// server itself. It writes to Redis what npm @socket.io/redis-emitter writes. Servers with the
// adapter of npm @socket.io/redis-adapter (createAdapter), and those of cluster.Redis, obey it.
//
//	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{"127.0.0.1:6379"}})
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	_, err = emitter.New(client, emitter.Options{}).To("news").Emit(ctx, "headline", "hello")
package emitter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"c100k/internal/siowire"
	"c100k/socketio"

	"github.com/redis/rueidis"
)

// Options configure an Emitter.
type Options struct {
	// Key is the prefix of all channels: that of the servers. Default "socket.io".
	Key string
}

// Emitter emits to a set of sockets of a namespace. It is a value: its methods To, Except and
// others return a new one. All methods may be called on any goroutine.
//
// Calls that send return to how many subscribers of Redis the message went, which are servers; in a
// Redis Cluster, those of one of its nodes. The error is that of Redis, or says which argument
// cannot be encoded.
type Emitter struct {
	client rueidis.Client
	wire   siowire.Classic
	m      siowire.Message
}

// New returns an emitter to all sockets of the namespace "/". The caller closes the client.
func New(client rueidis.Client, o Options) Emitter {
	if o.Key == "" {
		o.Key = "socket.io"
	}
	return Emitter{client: client, wire: siowire.Classic{Key: o.Key}, m: siowire.Message{UID: siowire.EmitterUID, Namespace: "/"}}
}

// Of returns an emitter to all sockets of a namespace. The slash at the start of the name may be
// left out.
func (e Emitter) Of(namespace string) Emitter {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	e.m = siowire.Message{UID: siowire.EmitterUID, Namespace: namespace}
	return e
}

// To adds rooms: the sockets that are in at least one of them. Without rooms all sockets are meant.
func (e Emitter) To(rooms ...string) Emitter {
	e.m.Rooms = add(e.m.Rooms, rooms)
	return e
}

// In is To.
func (e Emitter) In(rooms ...string) Emitter { return e.To(rooms...) }

// Except leaves out the sockets that are in at least one of the rooms.
func (e Emitter) Except(rooms ...string) Emitter {
	e.m.Except = add(e.m.Except, rooms)
	return e
}

// add appends the rooms that are not in the list yet.
func add(list, rooms []string) []string {
	list = slices.Clip(list)
	for _, room := range rooms {
		if !slices.Contains(list, room) {
			list = append(list, room)
		}
	}
	return list
}

// Volatile is for an event that may get lost: see socketio.Target.Volatile.
func (e Emitter) Volatile() Emitter {
	e.m.Volatile = true
	return e
}

// Compress sets whether the event may be compressed. The default is true.
func (e Emitter) Compress(on bool) Emitter {
	e.m.NoCompress = !on
	return e
}

// Emit emits an event. The arguments are those of socketio.Socket.Emit, without a function: an
// emitter gets no acknowledgements.
func (e Emitter) Emit(ctx context.Context, event string, args ...any) (servers int, err error) {
	v, err := socketio.NewEvent(event, args...)
	if err != nil {
		return 0, err
	}
	e.m.Type = siowire.Broadcast
	e.m.Payload, e.m.Attachments = v.Encoded()
	return e.send(ctx)
}

// SocketsJoin puts the sockets into rooms.
func (e Emitter) SocketsJoin(ctx context.Context, rooms ...string) (servers int, err error) {
	e.m.Type, e.m.Names = siowire.SocketsJoin, rooms
	return e.send(ctx)
}

// SocketsLeave takes the sockets out of rooms.
func (e Emitter) SocketsLeave(ctx context.Context, rooms ...string) (servers int, err error) {
	e.m.Type, e.m.Names = siowire.SocketsLeave, rooms
	return e.send(ctx)
}

// DisconnectSockets takes the sockets out of the namespace; closing also closes their connections.
func (e Emitter) DisconnectSockets(ctx context.Context, closing bool) (servers int, err error) {
	e.m.Type, e.m.Close = siowire.DisconnectSockets, closing
	return e.send(ctx)
}

// ServerSideEmit sends an event to the listeners of the servers: see
// socketio.Namespace.OnServerSide.
func (e Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) (servers int, err error) {
	v, err := socketio.NewEvent(event, args...)
	if err != nil {
		return 0, err
	}
	e.m.Type = siowire.ServerSideEmit
	e.m.Payload, e.m.Attachments = v.Encoded()
	return e.send(ctx)
}

func (e Emitter) send(ctx context.Context) (servers int, err error) {
	text := rueidis.BinaryString(e.wire.Append(nil, &e.m))
	n, err := e.client.Do(ctx, e.client.B().Publish().Channel(e.wire.Channel(&e.m)).Message(text).Build()).AsInt64()
	if err != nil {
		return 0, fmt.Errorf("emitter: publish: %w", err)
	}
	return int(n), nil
}
