package socketio

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// diary collects events of rooms, with "me" for one socket's id.
type diary struct {
	mu     sync.Mutex // guards the field below
	events []string
}

func (d *diary) note(e RoomEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Room, " ", e.Socket)))
}

// read returns the events since the last call.
func (d *diary) read(me string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := strings.ReplaceAll(strings.Join(d.events, "; "), me, "me")
	d.events = nil
	return text
}

func TestRoomEvents(t *testing.T) {
	io := New(Options{Loops: 1})
	var d diary
	gone := make(chan struct{})
	io.Of("/").OnRoomEvent(d.note)
	sockets := make(chan *Socket, 1)
	io.OnConnection(func(s *Socket) {
		s.OnDisconnect(func(Reason) { close(gone) })
		sockets <- s
	})
	c := dial(t, mount(t, io)).join()
	s := <-sockets
	for _, tt := range []struct {
		name string
		do   func() error
		want string
	}{
		{"connecting", func() error { return nil }, "create-room me; join-room me me"},
		{"joining", func() error { return s.Join("a", "b", "a") }, "create-room a; join-room a me; create-room b; join-room b me"},
		{"joining again", func() error { return s.Join("a") }, ""},
		{"leaving", func() error { return s.Leave("a") }, "leave-room a me; delete-room a"},
		{"leaving again", func() error { return s.Leave("a") }, ""},
		{"all join", func() error { return io.Of("/").SocketsJoin("c") }, "create-room c; join-room c me"},
		{"going", func() error {
			c.Close()
			<-gone
			return nil
		}, "leave-room b me; delete-room b; leave-room c me; delete-room c; leave-room me me; delete-room me"},
		{"when gone", func() error { return s.Leave("b") }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(); err != nil {
				t.Error(err)
			}
			if got := d.read(s.ID()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// With concurrent joins and leaves, listeners are called for one event at a time, a room is created
// before it is deleted, and in the end all rooms are deleted.
func TestConcurrentRoomEvents(t *testing.T) {
	var w optionalWatch
	nsp := New(Options{}).Of("/")
	var log []RoomEvent // without a lock: the test checks that calls do not overlap
	nsp.OnRoomEvent(func(e RoomEvent) { log = append(log, e) })
	w.Store(nsp.watch.Load())
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			id := strconv.Itoa(i)
			for range 500 {
				w.join(id, "r", id)
				w.notify()
				w.leave(id, id, "r")
				w.notify()
			}
		})
	}
	all.Wait()
	w.notify()
	members := map[string][]string{}
	for i, e := range log {
		list, there := members[e.Room]
		switch {
		case e.Kind == RoomCreated && !there:
			members[e.Room] = []string{}
		case e.Kind == RoomDeleted && there && len(list) == 0:
			delete(members, e.Room)
		case e.Kind == RoomJoined && there && !slices.Contains(list, e.Socket):
			members[e.Room] = append(list, e.Socket)
		case e.Kind == RoomLeft && slices.Contains(list, e.Socket):
			members[e.Room] = slices.DeleteFunc(list, func(s string) bool { return s == e.Socket })
		default:
			t.Fatalf("event %d, %+v, comes when the room has %v", i, e, list)
		}
	}
	if len(members) > 0 {
		t.Errorf("left over: %v", members)
	}
}

// A listener may join rooms, and gets the events of that; the deletion of a room that existed
// before is not reported.
func TestRoomEventsOfListeners(t *testing.T) {
	io := New(Options{Loops: 1})
	var d diary
	done := make(chan *Socket, 1)
	io.OnConnection(func(s *Socket) {
		_ = s.Join("before")
		io.Of("/").OnRoomEvent(func(e RoomEvent) {
			d.note(e)
			if e.Kind == RoomCreated && e.Room == "a" {
				_ = s.Join("b")
			}
		})
		_ = s.Join("a")
		_ = s.Leave("before")
		done <- s
	})
	dial(t, mount(t, io)).join()
	s := <-done
	const want = "create-room a; join-room a me; create-room b; join-room b me; leave-room before me"
	if got := d.read(s.ID()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A listener that is too slow gets the number of dropped events in their place, and then all later
// events.
func TestRoomEventsAreBounded(t *testing.T) {
	var p optionalWatch
	var heard []RoomEvent
	w := &roomWatch{sizes: map[string]int{}, listeners: []func(RoomEvent){func(e RoomEvent) { heard = append(heard, e) }}}
	p.Store(w)
	const more = 7
	p.join("first", "room") // two events
	for range roomEventsMax - 2 + more {
		p.join("next", "room")
	}
	if len(w.waiting) != roomEventsMax {
		t.Errorf("%d events wait, want %d", len(w.waiting), roomEventsMax)
	}
	p.notify()
	if last := heard[len(heard)-1]; len(heard) != roomEventsMax+1 || last != (RoomEvent{Kind: RoomEventsMissed, Missed: more}) {
		t.Errorf("%d events, the last %+v", len(heard), last)
	}
	p.join("last", "room")
	p.notify()
	if last := heard[len(heard)-1]; last != (RoomEvent{Kind: RoomJoined, Room: "room", Socket: "last"}) {
		t.Errorf("behind the gap: %+v", last)
	}
}
