// Moves over links: to their worker, back from a worker that does not take them, and within a
// bounded time.

package workers

import (
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"c100k/internal/admin"
	"c100k/server"
)

// crossing is a parent with two workers, of which only the ends of the links exist.
type crossing struct {
	*Supervisor
	workers [2]*Link
	got     [2]chan *move // what each worker's end gets
}

// newCrossing makes one; reads says which workers read their ends.
func newCrossing(t *testing.T, reads ...bool) *crossing {
	t.Helper()
	c := &crossing{Supervisor: &Supervisor{log: slog.New(slog.DiscardHandler)}}
	for i := range c.workers {
		parent, worker := links(t)
		p := &slot{number: i, s: c.Supervisor}
		serving := make(chan struct{})
		close(serving)
		p.now = &process{link: parent, signs: newSigns(), serving: serving, ended: make(chan struct{})}
		c.slots = append(c.slots, p)
		parent.taken = func(m *move) { c.relay(p, m) }
		c.workers[i], c.got[i] = worker, make(chan *move, 2*movesWaitingMax)
		worker.taken = func(m *move) { c.got[i] <- m }
	}
	for i, p := range c.slots {
		serveLink(t, p.now.link)
		if reads[i] {
			serveLink(t, c.workers[i])
		}
	}
	return c
}

// serveLink reads a link until it is closed.
func serveLink(t *testing.T, l *Link) {
	private := admin.Server(http.NotFoundHandler())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = private.Serve(l)
	}()
	t.Cleanup(func() {
		l.Close()
		<-served
		private.Close()
	})
}

// send hands a client's connection over to another worker, and returns the client's end.
func (c *crossing) send(t *testing.T, from, to int, first string) net.Conn {
	t.Helper()
	client, fd := connected(t)
	m := &move{worker: to, Handover: server.Handover{FD: fd, Loop: 3, First: []byte(first)}}
	if !c.workers[from].moves.add(m, func(sent bool) {
		if !sent {
			unix.Close(fd)
		}
	}) {
		unix.Close(fd)
		t.Fatal("no room for one")
	}
	return client
}

// connected is a connection: one end, and the descriptor of the other.
func connected(t *testing.T) (net.Conn, int) {
	t.Helper()
	ours, theirs, err := socketpair(unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	fd, err := unix.FcntlInt(theirs.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn, fd
}

// next is the next move that a worker's end gets.
func (c *crossing) next(t *testing.T, worker int) *move {
	t.Helper()
	select {
	case m := <-c.got[worker]:
		t.Cleanup(func() { unix.Close(m.FD) })
		return m
	case <-time.After(patience):
		t.Fatalf("worker %d gets nothing", worker)
		return nil
	}
}

func TestMoveArrives(t *testing.T) {
	c := newCrossing(t, true, true)
	for _, way := range [][2]int{{0, 1}, {1, 0}, {0, 1}} {
		client := c.send(t, way[0], way[1], "GET / HTTP/1.1\r\n\r\n")
		m := c.next(t, way[1])
		if m.back || m.Loop != 3 || string(m.First) != "GET / HTTP/1.1\r\n\r\n" {
			t.Fatalf("%+v", m)
		}
		if _, err := unix.Write(m.FD, []byte("x")); err != nil {
			t.Fatal(err)
		}
		var got [1]byte
		if _, err := client.Read(got[:]); err != nil || got[0] != 'x' {
			t.Fatalf("%q %v: it is not the client's connection", got, err)
		}
		// The link goes on to carry what it is there for.
		conn, err := c.workers[0].DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

// TestMoveReturns: where the target cannot be reached, the sending worker gets the connection back.
func TestMoveReturns(t *testing.T) {
	for name, change := range map[string]func(p *slot){
		"nobody is there":       func(p *slot) { p.now = nil },
		"it does not serve yet": func(p *slot) { p.now.serving = make(chan struct{}) },
		"it has ended":          func(p *slot) { close(p.now.ended) },
		"its link has ended":    func(p *slot) { p.now.link.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrossing(t, true, true)
			c.slots[1].mu.Lock()
			change(c.slots[1])
			c.slots[1].mu.Unlock()
			c.send(t, 0, 1, "GET")
			if m := c.next(t, 0); !m.back || m.worker != 1 || string(m.First) != "GET" {
				t.Fatalf("%+v", m)
			}
		})
	}
}

// TestMoveToHungWorker: every move that a worker does not take comes back within a bounded time.
func TestMoveToHungWorker(t *testing.T) {
	c := newCrossing(t, true, false)
	first := string(make([]byte, 100<<10)) // so that few fit into the link
	const many = 20
	before := descriptors(t)
	for range many {
		c.send(t, 0, 1, first)
	}
	returned := 0
	for deadline := time.After(patience); returned == 0; {
		select {
		case m := <-c.got[0]:
			unix.Close(m.FD)
			if !m.back {
				t.Fatalf("%+v", m)
			}
			returned++
		case <-deadline:
			t.Fatal("nothing comes back")
		}
	}
	// The others follow: they have waited as long. Those that are in the link stay there until it
	// ends.
	inLink := 0
	go serveUnread(c.workers[1])
	for inLink+returned < many {
		select {
		case m := <-c.got[0]:
			unix.Close(m.FD)
			returned++
		case m := <-c.got[1]:
			unix.Close(m.FD)
			inLink++
		case <-time.After(patience):
			t.Fatalf("%d have returned, %d arrived, of %d", returned, inLink, many)
		}
	}
	if inLink == 0 {
		t.Error("the link had no room for one")
	}
	// A descriptor is closed when it has been sent, which may be after it has arrived.
	for deadline := time.Now().Add(patience); descriptors(t) > before+many; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors, before %d: more than the clients' ends", descriptors(t), before)
		}
	}
}

// serveUnread reads a link until it ends.
func serveUnread(l *Link) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}

// TestMovesAreBounded: there is no room for more than may wait, and closing the link gives all
// back.
func TestMovesAreBounded(t *testing.T) {
	a, _ := links(t)
	none := &move{Handover: server.Handover{FD: -1, First: []byte("GET")}} // which cannot be sent
	busy, goOn := make(chan struct{}), make(chan struct{})
	a.moves.add(none, func(bool) { close(busy); <-goOn })
	<-busy
	outcome := make(chan bool, movesWaitingMax)
	for i := range movesWaitingMax {
		if !a.moves.add(none, func(sent bool) { outcome <- sent }) {
			t.Errorf("no room for number %d", i)
		}
	}
	if a.moves.add(none, func(bool) { t.Error("it was taken after all") }) {
		t.Error("room for more than may wait")
	}
	close(goOn)
	a.Close() // and waits for the end
	for len(outcome) > 0 {
		if <-outcome {
			t.Error("it was sent")
		}
	}
	if a.moves.add(&move{}, nil) {
		t.Error("room in a link that is closed")
	}
}

// TestMoveWithoutTarget: the parent closes a move that no working worker sends.
func TestMoveWithoutTarget(t *testing.T) {
	c := newCrossing(t, true, true)
	for name, m := range map[string]*move{
		"to itself": {worker: 0}, "to a worker that the node has not": {worker: 2}, "back": {worker: 1, back: true},
	} {
		client, fd := connected(t)
		m.FD, m.First = fd, []byte("GET")
		c.workers[0].moves.add(m, func(bool) {})
		if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: read %d, %v: the connection is open", name, n, err)
		}
	}
}

// TestInvalidMove: an invalid packet with a descriptor leaks no descriptor.
func TestInvalidMove(t *testing.T) {
	c := newCrossing(t, true, true)
	client, fd := connected(t)
	if err := c.workers[0].pass([]byte{packetMove, 1, 2, 3}, fd, time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v: the connection is open", n, err)
	}
}
