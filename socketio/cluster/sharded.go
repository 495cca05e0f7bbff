// The form of the sharded adapter of npm @socket.io/redis-adapter.

package cluster

import (
	"context"
	"fmt"
	"unicode/utf16"

	"c100k/internal/siowire"
	"c100k/socketio"
)

// SubscriptionMode is which channels a server in a sharded cluster reads. All servers of a cluster
// must have the same.
type SubscriptionMode string

// The modes, named as in Node's adapter.
const (
	// Dynamic reads a channel for each room that has sockets on this server. A broadcast to one room
	// reaches only the servers that have members.
	Dynamic SubscriptionMode = "dynamic"

	// DynamicPrivate is Dynamic, also for the rooms that are named by the id of a socket.
	DynamicPrivate SubscriptionMode = "dynamic-private"

	// Static reads two channels for each namespace. Every broadcast reaches every server.
	Static SubscriptionMode = "static"
)

// ShardedOptions configure a cluster over sharded Pub/Sub.
type ShardedOptions struct {
	RedisOptions

	// Mode is which channels servers read. Default Dynamic.
	Mode SubscriptionMode
}

// Sharded joins a cluster in the format of the sharded adapter of npm @socket.io/redis-adapter
// (createShardedAdapter). Messages go through sharded Pub/Sub of Redis 7 or later. The error is as
// that of Redis, or names a mode that does not exist.
func Sharded(ctx context.Context, o ShardedOptions) (*Cluster, error) {
	o.withDefaults()
	switch o.Mode {
	case "":
		o.Mode = Dynamic
	case Dynamic, DynamicPrivate, Static:
	default:
		return nil, fmt.Errorf("cluster: no subscription mode is called %q: dynamic, dynamic-private or static", o.Mode)
	}
	c := newCluster(sharded{o.Key, o.Mode}, o.Logger, o.RequestTimeout)
	return c, c.connect(ctx, &o.RedisOptions, true)
}

// sharded is the form of createShardedAdapter.
type sharded struct {
	key  string
	mode SubscriptionMode
}

// uid implements form. It is as long as Node's.
func (sharded) uid() string { return randomID() }

func (f sharded) channel(nsp string) string { return f.key + "#" + nsp + "#" }

// private returns the channel of a room, or the one for answers to a server.
func (f sharded) private(nsp, of string) string { return f.channel(nsp) + of + "#" }

// subscriptions implements form. Channels of rooms follow when there are rooms.
func (f sharded) subscriptions(a *adapter) []subscription {
	if f.mode != Static {
		// Nobody publishes to the channel of a room that looks like an id.
		own := func(room string) bool { return f.mode == DynamicPrivate || !looksLikeID(room) }
		a.local.Namespace().OnRoomEvent(func(e socketio.RoomEvent) {
			s := subscription{name: f.private(a.nsp, e.Room)}
			switch {
			case a.closed.Load():
			case e.Kind == socketio.RoomCreated && own(e.Room):
				a.c.add(a, s)
			case e.Kind == socketio.RoomDeleted:
				a.c.remove(a, s)
			case e.Kind == socketio.RoomEventsMissed:
				f.reconcile(a, own)
			}
		})
	}
	return []subscription{{name: f.channel(a.nsp)}, {name: f.private(a.nsp, a.uid)}}
}

// reconcile subscribes to the channels of the rooms that there are, after events were missed.
func (f sharded) reconcile(a *adapter, own func(room string) bool) {
	for _, room := range a.local.Rooms() {
		if own(room) {
			a.c.add(a, subscription{name: f.private(a.nsp, room)})
		}
	}
}

func (f sharded) encode(m *siowire.Message) (channel string, p []byte) {
	channel = f.channel(m.Namespace)
	switch {
	case m.To != "":
		channel = f.private(m.Namespace, m.To)
	case m.Type == siowire.Broadcast && m.RequestID == "" && len(m.Rooms) == 1 &&
		(f.mode == DynamicPrivate || f.mode == Dynamic && !looksLikeID(m.Rooms[0])):
		channel = f.private(m.Namespace, m.Rooms[0])
	}
	return channel, siowire.AppendCluster(nil, m)
}

// looksLikeID reports whether Node's adapter takes a room for the id of a socket: it has 20 units
// of UTF-16.
func looksLikeID(room string) bool {
	const units = 20
	if len(room) < units || len(room) > 3*units {
		return false
	}
	return len(utf16.Encode([]rune(room))) == units
}

func (f sharded) decode(a *adapter, _ string, p []byte) (m siowire.Message, ok bool, err error) {
	if uid, ok := siowire.ClusterFrom(p); ok && string(uid) == a.uid {
		return m, false, nil
	}
	m, err = siowire.ParseCluster(p)
	return m, m.UID != a.uid && m.Namespace == a.nsp, err
}

// probe asks for the sockets in a room that does not exist.
func (sharded) probe(a *adapter, id string) siowire.Message {
	return siowire.Message{Type: siowire.FetchSockets, UID: a.uid, Namespace: a.nsp, RequestID: id, Rooms: []string{id}}
}
