package socketio

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The calls of one goroutine take effect in their order, whatever methods and sockets they are for.
func TestCallsOfOneGoroutineAreInOrder(t *testing.T) {
	io := New(Options{Loops: 2, Recovery: nil})
	url := mount(t, io)
	const members, calls = 40, 600
	clients := make([]*raw, members)
	for i := range clients {
		clients[i] = dial(t, url).join()
	}
	sockets := io.Of("/").Sockets()
	want := map[string][]int{}
	in := map[string]map[string]bool{} // by room
	gets := func(n int, room string, except string) {
		for _, s := range sockets {
			if s.ID() != except && (room == "" || room == s.ID() || in[room][s.ID()]) {
				want[s.ID()] = append(want[s.ID()], n)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range calls {
		s := sockets[n*7%members]
		room := "room" + strconv.Itoa(n*3%5)
		switch n % 8 {
		case 0, 4:
			must(s.Join(room))
			if in[room] == nil {
				in[room] = map[string]bool{}
			}
			in[room][s.ID()] = true
			must(io.To(room).Emit("n", n))
			gets(n, room, "")
		case 1:
			must(s.Emit("n", n))
			gets(n, s.ID(), "")
		case 2:
			must(io.Emit("n", n))
			gets(n, "", "")
		case 3:
			must(s.To(room).Emit("n", n))
			gets(n, room, s.ID())
		case 5:
			must(io.To(s.ID()).Emit("n", n))
			gets(n, s.ID(), "")
		case 6:
			must(s.Leave(room))
			delete(in[room], s.ID())
			must(io.To(room).Emit("n", n))
			gets(n, room, "")
		case 7:
			must(s.Broadcast().Compress(false).Emit("n", n))
			gets(n, "", s.ID())
		}
	}
	for _, c := range clients {
		var got []int
		for range want[c.id] {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(c.read(), `42["n",`), "]"))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
		if !slices.Equal(got, want[c.id]) {
			t.Fatalf("got  %v\nwant %v", got, want[c.id])
		}
	}
}

// Broadcasts of several goroutines arrive in the same order at all clients, whatever loops those
// are on.
func TestBroadcastsHaveOneOrder(t *testing.T) {
	io := New(Options{Loops: 2})
	url := mount(t, io)
	clients := make([]*raw, 8)
	for i := range clients {
		clients[i] = dial(t, url).join()
	}
	const writers, each = 4, 200
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if err := io.Emit("n", fmt.Sprint(w, ".", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	var first []string
	for k, c := range clients {
		got := make([]string, writers*each)
		for i := range got {
			got[i] = c.read()
		}
		if k == 0 {
			first = got
		} else if !slices.Equal(got, first) {
			t.Fatalf("client %d has another order", k)
		}
	}
}

// A full queue refuses a broadcast for all loops, and accepts the next one when there is room
// again.
func TestFullQueue(t *testing.T) {
	io := New(Options{Loops: 2})
	url := mount(t, io)
	held, release := make(chan struct{}), make(chan struct{})
	io.On("hold", func() { close(held); <-release })
	clients := []*raw{dial(t, url).join(), dial(t, url).join(), dial(t, url).join(), dial(t, url).join()}
	clients[0].send(`42["hold"]`)
	<-held
	big := strings.Repeat("x", queueBytesMax/4)
	sent, refused := 0, false
	for range 8 {
		if err := io.Except(clients[0].id, clients[1].id, clients[2].id, clients[3].id).Emit("big", big); err == nil {
			sent++
		} else if err == ErrBusy {
			refused = true
			break
		} else {
			t.Fatal(err)
		}
	}
	if !refused || sent > 4 {
		t.Errorf("%d broadcasts of a quarter of the bound were taken, refused: %t", sent, refused)
	}
	close(release)
	eventually(t, "the queue has room again", func() bool { return io.Emit("end") == nil })
	for _, c := range clients {
		if got := c.read(); got != `42["end"]` {
			t.Errorf("got %.40q", got)
		}
	}
}
