// Servers over a bus in memory.

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"c100k/socketio"
)

// memory is a bus in one process. Messages of one server arrive in order.
type memory struct {
	mu    sync.Mutex // guards the fields below
	links map[uint64]*memoryLink
	last  uint64
}

type memoryLink struct {
	bus     *memory
	id      uint64
	arrived sync.Cond // with the lock of bus: in has grown, or the server has left
	in      []func()  // no bound: receivers send too, and two full queues would be a deadlock
	receive func(from uint64, p []byte)
	mute    bool // what it sends is lost
	ended   chan struct{}
}

// join adds a server.
func (m *memory) join(t testing.TB, o OverOptions) (*Cluster, *memoryLink) {
	m.mu.Lock()
	if m.links == nil {
		m.links = map[uint64]*memoryLink{}
	}
	m.last++
	l := &memoryLink{bus: m, id: m.last, arrived: sync.Cond{L: &m.mu}, ended: make(chan struct{})}
	m.mu.Unlock()
	c, receive := Over(l, o)
	l.bus.mu.Lock()
	l.receive = receive
	m.links[l.id] = l
	l.bus.mu.Unlock()
	go func() {
		defer close(l.ended)
		for {
			arrived, more := l.next()
			for _, f := range arrived {
				f()
			}
			if !more {
				return
			}
		}
	}()
	t.Cleanup(func() {
		l.leave()
		<-l.ended
	})
	return c, l
}

// next waits for messages. It returns false once the server has left the bus.
func (l *memoryLink) next() (arrived []func(), more bool) {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	for len(l.in) == 0 && l.bus.links[l.id] == l {
		l.arrived.Wait()
	}
	arrived, l.in = l.in, nil
	return arrived, l.bus.links[l.id] == l
}

// deliver is called with the lock held.
func (l *memoryLink) deliver(from uint64, p []byte) {
	receive := l.receive
	l.in = append(l.in, func() { receive(from, p) })
	l.arrived.Signal()
}

// leave takes the server off the bus.
func (l *memoryLink) leave() {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	if l.bus.links[l.id] == l {
		delete(l.bus.links, l.id)
		l.arrived.Signal()
	}
}

func (l *memoryLink) Node() uint64 { return l.id }

func (l *memoryLink) Peers() (ids []uint64) {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	for id := range l.bus.links {
		if id != l.id {
			ids = append(ids, id)
		}
	}
	return ids
}

func (l *memoryLink) Publish(p []byte) error {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	for id, to := range l.bus.links {
		if id != l.id && !l.mute {
			to.deliver(l.id, p)
		}
	}
	return nil
}

func (l *memoryLink) Send(to uint64, p []byte) error {
	l.bus.mu.Lock()
	defer l.bus.mu.Unlock()
	other := l.bus.links[to]
	if other == nil {
		return errors.New("no such server")
	}
	if !l.mute {
		other.deliver(l.id, p)
	}
	return nil
}

// TestSilentServer: a server that does not answer delays the first request until a probe has ended,
// and no other. It is named. One that has gone is not waited for. Time is faked.
func TestSilentServer(t *testing.T) { synctest.Test(t, silentServer) }

func silentServer(t *testing.T) {
	var m memory
	var servers [3]*socketio.Server
	var links [3]*memoryLink
	for i := range servers {
		var c *Cluster
		c, links[i] = m.join(t, OverOptions{})
		servers[i] = socketio.New(socketio.Options{Adapter: c.Adapter})
		servers[i].OnServerSide("ask", func(x any, ack socketio.Ack) { _ = ack(x) })
		t.Cleanup(func() {
			_ = servers[i].Close()
			_ = c.Close()
		})
	}
	first, second, silent := servers[0], servers[1], links[2]
	ctx := context.Background()
	if n, err := first.Of("/").Servers(ctx); n != 3 || err != nil {
		t.Fatalf("%d servers, %v", n, err)
	}
	// A namespace that only some servers have.
	second.Of("/b").OnServerSide("ask", func(x any, ack socketio.Ack) { _ = ack(x) })
	if n, err := first.Of("/b").Servers(ctx); n != 2 || err != nil {
		t.Errorf("%d servers with the namespace, %v", n, err)
	}
	if answers, err := first.Of("/b").ServerSideEmitWithAck(ctx, "ask", 1); len(answers) != 1 || err != nil {
		t.Errorf("%d answers in the namespace, %v", len(answers), err)
	}
	m.mu.Lock()
	silent.mute = true
	m.mu.Unlock()
	for i := range 3 {
		begun := time.Now()
		_, err := first.FetchSockets(ctx)
		if !errors.Is(err, socketio.ErrPartial) || !strings.Contains(err.Error(), fmt.Sprintf("1 of 2 have not: %x", silent.id)) {
			t.Errorf("fetch: %v", err)
		}
		if took := time.Since(begun); took > probeEvery+probeTimeout || i > 0 && took != 0 {
			t.Errorf("fetch %d took %v", i, took)
		}
	}
	begun := time.Now()
	answers, err := first.Of("/").ServerSideEmitWithAck(ctx, "ask", 1)
	if len(answers) != 1 || !errors.Is(err, socketio.ErrPartial) {
		t.Errorf("%d answers, %v", len(answers), err)
	}
	if _, err := first.All().EmitWithAck(ctx, "m"); !errors.Is(err, socketio.ErrPartial) {
		t.Errorf("acknowledgements: %v", err)
	}
	if took := time.Since(begun); took != 0 {
		t.Errorf("a server that is known to be silent was waited for, %v", took)
	}
	silent.leave()
	if _, err := first.FetchSockets(ctx); err != nil || time.Since(begun) > 2*(probeEvery+probeTimeout) {
		t.Errorf("after it has gone: %v, %v", err, time.Since(begun))
	}
}

// TestPartsOverBus: what comes in parts is put together, and what does not fit is dropped.
func TestPartsOverBus(t *testing.T) {
	var m memory
	_, l := m.join(t, OverOptions{})
	b := &busCarrier{link: l, part: 4, partial: map[partKey]*partialMessage{}}
	part := func(total, at int, data string) []byte {
		return append([]byte{byte(total), byte(at)}, data...)
	}
	for _, tt := range []struct {
		parts []string
		want  string
	}{
		{[]string{string(part(6, 0, "mabc")), string(part(6, 4, "de"))}, "mabcde"},
		{[]string{string(part(6, 4, "de"))}, ""},
		{[]string{string(part(6, 0, "mabc")), string(part(6, 5, "e"))}, ""},
		{[]string{string(part(6, 0, "mabc")), string(part(7, 4, "de"))}, ""},
		{[]string{string(part(6, 0, "mabc")), string(part(6, 4, "def"))}, ""},
		{[]string{string(part(6, 0, "pabc")), string(part(6, 4, "de"))}, ""},
		{[]string{string(part(6, 0, "mabc")), string(part(6, 0, "mxyz")), string(part(6, 4, "de"))}, "mxyzde"},
		{[]string{"", "\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00a"}, ""},
	} {
		var got []byte
		for _, p := range tt.parts {
			got = b.assemble(7, false, []byte(p))
		}
		if string(got) != tt.want {
			t.Errorf("%q: %q, want %q", tt.parts, got, tt.want)
		}
		clear(b.partial)
	}
	for i := range 100 {
		b.assemble(uint64(i), false, part(6, 0, "mabc"))
	}
	if len(b.partial) > 1 {
		t.Errorf("%d messages of servers that are not there", len(b.partial))
	}
}

// FuzzOver: nothing that another server sends over a bus does harm.
func FuzzOver(f *testing.F) {
	f.Add([]byte("m\x01/" + `{"type":3,"data":{"packet":{"type":2,"data":["m"]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"7","nsp":"/"}`))
	f.Add([]byte("q\x01/\x01r" + `{"type":7,"data":{"opts":{"rooms":[]},"requestId":"r"},"uid":"7","nsp":"/"}`))
	f.Add([]byte("q\x02/x\x01r"))
	f.Add([]byte("-\x01/\x01r"))
	f.Add([]byte("p\x06\x00mabc"))
	link := discard{}
	c, receive := Over(link, OverOptions{})
	socketio.New(socketio.Options{Adapter: c.Adapter})
	f.Fuzz(func(_ *testing.T, p []byte) { receive(7, slices.Clone(p)) })
}

// discard is a link to nobody.
type discard struct{}

func (discard) Node() uint64              { return 1 }
func (discard) Peers() []uint64           { return []uint64{7} }
func (discard) Publish([]byte) error      { return nil }
func (discard) Send(uint64, []byte) error { return nil }
