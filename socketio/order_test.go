// The order in which packets arrive; acknowledgements, middlewares and volatile events.

package socketio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A packet for one socket arrives after an earlier broadcast, also if that takes many turns; and a
// join takes effect for later broadcasts.
func TestOrderWithManyClients(t *testing.T) {
	io := New(Options{Loops: 2})
	last := make(chan *Socket, 1)
	var mu sync.Mutex
	var all []*Socket
	io.OnConnection(func(s *Socket) {
		mu.Lock()
		all = append(all, s)
		mu.Unlock()
		s.On("go", func() { last <- s })
	})
	url := mount(t, io)
	const members = 300
	clients := make([]*raw, members)
	for i := range clients {
		clients[i] = dial(t, url).join()
	}
	clients[members-1].send(`42["go"]`)
	<-last
	for i, s := range all {
		if err := s.Join("late"); err != nil {
			t.Fatal(err)
		}
		if i == members-1 {
			for _, err := range []error{io.Emit("first"), s.Emit("second"), io.To("late").Emit("third"), s.Emit("fourth")} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := io.Emit("end"); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		want := 3
		if c.id == all[members-1].ID() {
			want = 5
		}
		place := map[string]int{}
		for len(place) < want {
			place[c.read()] = len(place)
		}
		first, second, third, fourth := place[`42["first"]`], place[`42["second"]`], place[`42["third"]`], place[`42["fourth"]`]
		if first > third || third > place[`42["end"]`] || want == 5 && (first > second || second > fourth || third > fourth) {
			t.Fatalf("got %v", place)
		}
	}
}

func TestBroadcastAcks(t *testing.T) {
	io := New(Options{Loops: 2})
	url := mount(t, io)
	a, b := dial(t, url).join(), dial(t, url).join()
	type outcome struct {
		answers []Args
		err     error
	}
	ask := func(timeout time.Duration) chan outcome {
		done := make(chan outcome, 1)
		if err := io.Of("/").All().Timeout(timeout).Emit("q", func(answers []Args, err error) { done <- outcome{answers, err} }); err != nil {
			t.Fatal(err)
		}
		return done
	}
	id := func(c *raw) string { return strings.TrimSuffix(strings.TrimPrefix(c.read(), "42"), `["q"]`) }

	done := ask(patience)
	n, m := id(a), id(b)
	if n != m {
		t.Fatalf("ids %s and %s", n, m)
	}
	a.send("43"+n+`["a"]`, "43"+n+`["a again"]`, "4399"+n+`["nobody asked"]`)
	b.send("43" + n + `["b"]`)
	if o := <-done; o.err != nil || len(o.answers) != 2 {
		t.Errorf("%d answers, %v", len(o.answers), o.err)
	}

	// One answer comes in time, if that is long enough.
	for timeout := 100 * time.Millisecond; ; timeout *= 4 {
		done = ask(timeout)
		n = id(a)
		id(b)
		a.send("43" + n + `["a"]`)
		o := <-done
		if !errors.Is(o.err, ErrTimeout) || len(o.answers) > 1 || len(o.answers) == 0 && timeout > patience {
			t.Fatalf("%d answers, %v", len(o.answers), o.err)
		}
		if len(o.answers) == 1 {
			break
		}
	}

	answers, err := io.To("nobody").EmitWithAck(t.Context(), "q")
	if err != nil || len(answers) != 0 {
		t.Errorf("%d answers of nobody, %v", len(answers), err)
	}
	if err := io.Emit("q", func(int) {}); err == nil {
		t.Error("a function that cannot be was taken")
	}
	if len(io.root.acks.byID) != 0 {
		t.Errorf("%d broadcasts are still waited for", len(io.root.acks.byID))
	}
}

func TestAcksOfOneSocket(t *testing.T) {
	io := New(Options{Loops: 1})
	sockets := make(chan *Socket, 1)
	io.OnConnection(func(s *Socket) { sockets <- s })
	c := dial(t, mount(t, io)).join()
	s := <-sockets
	if _, err := s.Timeout(30*time.Millisecond).EmitWithAck(context.Background(), "q"); !errors.Is(err, ErrTimeout) {
		t.Errorf("timeout: %v", err)
	}
	if got := c.read(); got != `420["q"]` {
		t.Fatalf("got %q", got)
	}
	c.send(`430["too late"]`)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.EmitWithAck(ctx, "q"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own.acks != nil {
		t.Errorf("%d acknowledgements are still waited for", len(s.own.acks))
	}
}

// If a middleware calls next twice, the first call counts. A call for a client that has left has no
// effect.
func TestMiddlewareCallsNextLate(t *testing.T) {
	io := New(Options{Loops: 1})
	asked := make(chan func(error), 1)
	joined := make(chan *Socket, 1)
	io.UseAsync(func(_ *Handshake, next func(error)) { asked <- next })
	io.Use(func(h *Handshake) error {
		h.SetData(h.Header("User-Agent") + h.Query().Get("EIO") + fmt.Sprint(h.Address().IsValid(), h.Secure(), h.CrossOrigin()))
		return nil
	})
	io.OnConnection(func(s *Socket) { joined <- s })
	url := mount(t, io)
	c := dial(t, url)
	c.send("40")
	next := <-asked
	next(nil)
	next(errors.New("on second thoughts"))
	if got := c.read(); !strings.HasPrefix(got, "40{") {
		t.Errorf("got %q", got)
	}
	if data := (<-joined).Data(); data != "4true false false" {
		t.Errorf("data %q", data)
	}

	gone := dial(t, url)
	gone.send("40")
	next = <-asked
	gone.Close()
	eventually(t, "the client is gone", func() bool { return io.Connections() == 1 })
	next(nil)
	if n := io.root.Len(); n != 1 {
		t.Errorf("%d sockets", n)
	}
}

// A volatile event is dropped for a polling client without a pending poll; other events wait for
// the next poll.
func TestVolatile(t *testing.T) {
	server := New(Options{Loops: 1})
	sockets := make(chan *Socket, 1)
	server.OnConnection(func(s *Socket) { sockets <- s })
	url := mount(t, server) + "/socket.io/?EIO=4&transport=polling"
	request := func(method, query, body string) string {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), method, url+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != 200 {
			t.Fatalf("%d: %s, %v", r.StatusCode, text, err)
		}
		return string(text)
	}
	sid := "&sid=" + strings.Split(request("GET", "", ""), `"`)[3]
	request("POST", sid, "40")
	s := <-sockets
	if got := request("GET", sid, ""); !strings.HasPrefix(got, "40{") {
		t.Fatalf("got %q", got)
	}
	for _, err := range []error{s.Volatile().Emit("lost"), server.Of("/").All().Volatile().Emit("lost"), s.Emit("kept"), server.Emit("kept too")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all of it is done", func() bool {
		h := server.host.Load()
		return h.reactors[0].pending.Load() == 0
	})
	got := request("GET", sid, "")
	for !strings.Contains(got, "too") {
		got += request("GET", sid, "")
	}
	if got != "42[\"kept\"]\x1e42[\"kept too\"]" && got != `42["kept"]42["kept too"]` {
		t.Errorf("got %q", got)
	}
}

// Clients of a server that closes are disconnected in a way that makes them reconnect.
func TestClose(t *testing.T) {
	io := New(Options{Loops: 2})
	reasons := make(chan Reason, 2)
	io.OnConnection(func(s *Socket) { s.OnDisconnect(func(r Reason) { reasons <- r }) })
	url := mount(t, io)
	a, b := dial(t, url).join(), dial(t, url).join()
	closed := make(chan error, 1)
	go func() { closed <- io.Close() }()
	for _, c := range []*raw{a, b} {
		if got := c.read(); got != "closed 1012" {
			t.Errorf("got %q", got)
		}
		c.Close()
		if r := <-reasons; r != ReasonShutdown {
			t.Errorf("reason %q", r)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := io.Emit("x"); err != nil && !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := io.Close(); err != nil {
		t.Error(err)
	}
}

// Calls for all sockets of a target affect those sockets and no others.
func TestTargets(t *testing.T) {
	io := New(Options{Loops: 2})
	url := mount(t, io)
	var clients []*raw
	for range 4 {
		clients = append(clients, dial(t, url).join())
	}
	sockets := io.Of("/").Sockets()
	if len(sockets) != 4 || io.Of("/").Len() != 4 {
		t.Fatalf("%d sockets, %d", len(sockets), io.Of("/").Len())
	}
	a, b := sockets[0], sockets[1]
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(io.To(a.ID(), b.ID()).SocketsJoin("pair"))
	must(io.In("pair").Except(a.ID()).SocketsJoin("b only"))
	must(io.In("pair").SocketsLeave("b only"))
	found, err := io.To("pair").FetchSockets(t.Context())
	must(err)
	if len(found) != 2 {
		t.Fatalf("%d sockets in the pair", len(found))
	}
	for _, r := range found {
		if fmt.Sprint(r.Rooms) != fmt.Sprintf("[%s pair]", r.ID) {
			t.Errorf("rooms %v", r.Rooms)
		}
	}
	must(io.To("pair").Emit("hello"))
	must(io.To("pair").DisconnectSockets(true))
	must(io.Emit("the others"))
	got := map[string]int{}
	for _, c := range clients {
		got[c.read()]++
	}
	if got[`42["hello"]`] != 2 || got[`42["the others"]`] != 2 {
		t.Errorf("got %v", got)
	}
	eventually(t, "the pair is gone", func() bool { return io.Connections() == 2 })
	if err := a.Join(strings.Repeat("r", RoomBytesMax+1)); !errors.Is(err, ErrDisconnected) {
		t.Error(err)
	}
	for i := range RoomsPerSocketMax {
		must(sockets[2].Join(fmt.Sprint("room ", i)))
	}
	if err := sockets[2].Join("one more"); !errors.Is(err, ErrRooms) {
		t.Error(err)
	}
	if err := sockets[3].Join(strings.Repeat("r", RoomBytesMax+1)); !errors.Is(err, ErrRooms) {
		t.Error(err)
	}
	must(sockets[3].Join("\x00 any bytes \xff"))
	must(io.To("\x00 any bytes \xff").Emit("odd room"))
}
