// Events of rooms: what a program hears of rooms that appear, fill, empty and disappear.

package socketio

import (
	"sync"
	"sync/atomic"
)

// RoomEventKind is what happened, in the words of Node's server.
type RoomEventKind string

// The kinds of events. A room appears with the first socket in it, and disappears with the last.
const (
	RoomCreated RoomEventKind = "create-room"
	RoomDeleted RoomEventKind = "delete-room"
	RoomJoined  RoomEventKind = "join-room"
	RoomLeft    RoomEventKind = "leave-room"

	// RoomEventsMissed stands for events that nobody was told of, because the program did not take
	// those before them: RoomEvent.Missed.
	RoomEventsMissed RoomEventKind = "missed"
)

// RoomEvent is something that happened to a room of a namespace. The room that is named by a
// socket's id is one like others.
type RoomEvent struct {
	Kind   RoomEventKind
	Room   string
	Socket string // id of who joined or left; "" where the room appeared or disappeared
	Missed uint64 // how many events RoomEventsMissed stands for
}

// OnRoomEvent calls f for each event of the namespace's rooms on this server. Register it before
// clients come: rooms that are there already are not counted, and never said to disappear.
//
// f is called for one event at a time, in the order in which they happened, on whatever goroutine
// joins or leaves, or did so meanwhile. It must not block: what happens meanwhile is kept for it,
// up to a bound beyond which it hears RoomEventsMissed. It may join and leave, and hears of that
// afterwards.
func (nsp *Namespace) OnRoomEvent(f func(e RoomEvent)) {
	w := nsp.watch.Load()
	for w == nil {
		nsp.watch.CompareAndSwap(nil, &roomWatch{sizes: map[string]int{}})
		w = nsp.watch.Load()
	}
	w.mu.Lock()
	w.told = append(w.told[:len(w.told):len(w.told)], f)
	w.mu.Unlock()
}

// roomWatch counts the sockets in rooms, where a program wants to know. Any goroutine.
type roomWatch struct {
	mu      sync.Mutex // guards the fields below
	told    []func(e RoomEvent)
	sizes   map[string]int
	waiting []RoomEvent // happened, and nobody has been told; at most roomEventsMax
	missed  uint64      // happened behind those, and not kept
	telling bool        // somebody is about to tell of them
}

// watching is the watch of a namespace; nil while nobody wants to know.
type watching struct{ atomic.Pointer[roomWatch] }

// join notes that a socket has joined rooms. Under the socket's mu, so that what happens to one
// socket is noted in its order; tell comes behind that.
func (p *watching) join(id string, rooms ...string) {
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

// leave notes that a socket has left rooms. As join.
func (p *watching) leave(id string, rooms ...string) {
	w := p.Load()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, room := range rooms {
		w.note(RoomEvent{Kind: RoomLeft, Room: room, Socket: id})
		switch w.sizes[room] {
		case 0: // it was there before anybody wanted to know
		case 1:
			delete(w.sizes, room)
			w.note(RoomEvent{Kind: RoomDeleted, Room: room})
		default:
			w.sizes[room]--
		}
	}
}

// tell calls the program for what has been noted, unless that is being done. No lock may be held.
func (p *watching) tell() {
	w := p.Load()
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.telling {
		return
	}
	w.telling = true
	defer func() { w.telling = false }() // also if the program panics
	for {
		e, ok := w.first()
		if !ok {
			return
		}
		w.call(e)
	}
}

// note keeps an event. When one was missed, all that follow are missed with it, until those before
// have been told: so the program hears where the gap is. Under mu.
func (w *roomWatch) note(e RoomEvent) {
	if w.missed > 0 || len(w.waiting) >= roomEventsMax {
		w.missed++
		return
	}
	w.waiting = append(w.waiting, e)
}

// first takes the next event to tell of. Under mu.
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

// call tells of one event, without the lock.
func (w *roomWatch) call(e RoomEvent) {
	told := w.told
	w.mu.Unlock()
	defer w.mu.Lock()
	for _, f := range told {
		f(e)
	}
}
