// Rooms: their topics in the hub, and the events that report when rooms are created, joined, left
// and deleted.

package socketio

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"c100k/broadcast"
)

// RoomEventKind is the kind of a RoomEvent, named as in Node's server.
type RoomEventKind string

// The kinds of events. A room is created when the first socket joins it, and deleted when the last
// one leaves.
const (
	RoomCreated RoomEventKind = "create-room"
	RoomDeleted RoomEventKind = "delete-room"
	RoomJoined  RoomEventKind = "join-room"
	RoomLeft    RoomEventKind = "leave-room"

	// RoomEventsMissed stands for events that were dropped because the listener was too slow:
	// RoomEvent.Missed is their number.
	RoomEventsMissed RoomEventKind = "missed"
)

// RoomEvent is a change of a room of a namespace. The room that is named by a socket's id is
// treated like any other.
type RoomEvent struct {
	Kind   RoomEventKind
	Room   string
	Socket string // id of the socket that joined or left; "" if the room was created or deleted
	Missed uint64 // number of dropped events, of RoomEventsMissed
}

// OnRoomEvent calls f for each event of the namespace's rooms on this server. Register it before
// clients connect: rooms that exist already are not counted, and their deletion is not reported.
//
// f is called for one event at a time, in their order, on a goroutine that joins or leaves a room.
// It must not block: events that happen meanwhile are queued, up to a bound, beyond which f gets
// RoomEventsMissed. f may call Join and Leave; it gets those events after it has returned.
func (nsp *Namespace) OnRoomEvent(f func(e RoomEvent)) {
	w := nsp.watch.Load()
	for w == nil {
		nsp.watch.CompareAndSwap(nil, &roomWatch{sizes: map[string]int{}})
		w = nsp.watch.Load()
	}
	w.mu.Lock()
	w.listeners = append(w.listeners[:len(w.listeners):len(w.listeners)], f)
	w.mu.Unlock()
}

// roomWatch counts the sockets in rooms, for a namespace with listeners of OnRoomEvent. Any
// goroutine.
type roomWatch struct {
	mu        sync.Mutex // guards the fields below
	listeners []func(e RoomEvent)
	sizes     map[string]int
	waiting   []RoomEvent // events that the listeners have not got yet; at most roomEventsMax
	missed    uint64      // number of events after those, which were dropped
	notifying bool        // a goroutine is calling the listeners
}

// optionalWatch is the roomWatch of a namespace; nil while there are no listeners.
type optionalWatch struct{ atomic.Pointer[roomWatch] }

// join records that a socket has joined rooms. Under the socket's mu, so that the events of one
// socket are in order. The caller calls notify after it has unlocked mu.
func (p *optionalWatch) join(id string, rooms ...string) {
	w := p.Load()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, room := range rooms {
		if w.sizes[room]++; w.sizes[room] == 1 {
			w.note(RoomEvent{Kind: RoomCreated, Room: room})
		}
		w.note(RoomEvent{Kind: RoomJoined, Room: room, Socket: id})
	}
}

// leave records that a socket has left rooms, as join does.
func (p *optionalWatch) leave(id string, rooms ...string) {
	w := p.Load()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, room := range rooms {
		w.note(RoomEvent{Kind: RoomLeft, Room: room, Socket: id})
		switch w.sizes[room] {
		case 0: // it joined before there were listeners
		case 1:
			delete(w.sizes, room)
			w.note(RoomEvent{Kind: RoomDeleted, Room: room})
		default:
			w.sizes[room]--
		}
	}
}

// notify calls the listeners with all queued events, unless another goroutine is doing so. The
// caller must not hold a lock.
func (p *optionalWatch) notify() {
	w := p.Load()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notifying {
		return
	}
	w.notifying = true
	defer func() { w.notifying = false }() // also if a listener panics
	for {
		e, ok := w.first()
		if !ok {
			return
		}
		w.call(e)
	}
}

// note queues an event. After one was dropped, all later ones are dropped until the queue is empty,
// so that RoomEventsMissed stands where the gap is. Under mu.
func (w *roomWatch) note(e RoomEvent) {
	if w.missed > 0 || len(w.waiting) >= roomEventsMax {
		w.missed++
		return
	}
	w.waiting = append(w.waiting, e)
}

// first removes the next event from the queue. Under mu.
func (w *roomWatch) first() (e RoomEvent, ok bool) {
	switch {
	case len(w.waiting) > 0:
		e, w.waiting = w.waiting[0], w.waiting[1:]
	case w.missed > 0:
		e, w.missed = RoomEvent{Kind: RoomEventsMissed, Missed: w.missed}, 0
	default:
		return RoomEvent{}, false
	}
	return e, true
}

// call calls the listeners with one event, without the lock.
func (w *roomWatch) call(e RoomEvent) {
	listeners := w.listeners
	w.mu.Unlock()
	defer w.mu.Lock()
	for _, f := range listeners {
		f(e)
	}
}

// topicOfRoom returns the topic of a room in the namespace with the topic prefix. A room's name may
// be any string. If it is too long for a topic, or has characters that a topic cannot have, its
// digest is used.
func topicOfRoom(prefix, room string) string {
	if len(prefix)+1+len(room) <= broadcast.TopicBytesMax && utf8.ValidString(room) && !strings.ContainsFunc(room, unicode.IsControl) {
		return prefix + "/" + room
	}
	digest := sha256.Sum256([]byte(room))
	return prefix + "#" + base64.RawURLEncoding.EncodeToString(digest[:])
}
