// What goes wrong: servers that die, fail over, pause and cut off, slots that move, and strangers
// who write to Redis.

package redisbus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"c100k/internal/bus"
	"c100k/internal/redistest"
)

// accounted waits until b has heard or missed each message of a.
func accounted(t *testing.T, a, b *Bus, heard func() int64) {
	t.Helper()
	eventually(t, "every message was heard or missed", func() bool {
		return uint64(heard())+b.Health().Missed == a.Latest()
	})
}

func TestServerRestarts(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), "a"), join(t, s.URL(), "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	s.Kill()
	eventually(t, "lost", func() bool { return !a.Health().Connected && !b.Health().Connected })
	if h := a.Health(); h.Reason == "" {
		t.Errorf("%+v", h)
	}
	unsent := a.Health().Unsent
	for range 10 {
		if err := a.Publish(t.Context(), bus.Message{Topic: "t"}); !errors.Is(err, bus.ErrDisconnected) {
			t.Errorf("Publish: %v", err)
		}
	}
	if h := a.Health(); h.Unsent < unsent+10 {
		t.Errorf("%+v, want %d unsent", h, unsent+10)
	}
	s.Start(t)
	counts(t, a, 1)
	accounted(t, a, b, heard.Load)
}

// Redis closes connections: of an operator's CLIENT KILL, and of a client whose buffer is full.
func TestConnectionsAreCut(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), "a"), join(t, s.URL(), "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	for _, kind := range []string{"pubsub", "normal"} {
		s.Do(t, "client", "kill", "type", kind)
		for range 100 { // some are lost
			_ = a.Publish(t.Context(), bus.Message{Topic: "t"})
		}
		counts(t, a, 1)
		accounted(t, a, b, heard.Load)
	}
	s.Do(t, "config", "set", "client-output-buffer-limit", "pubsub 1mb 0 0")
	taken := uint64(0)
	for taken < 64 {
		if a.Publish(t.Context(), bus.Message{Topic: "t", Payload: make([]byte, 2<<20)}) == nil {
			taken++
		} else {
			time.Sleep(time.Millisecond) // the outbox is full, or the connection is being made
		}
	}
	eventually(t, "something was missed", func() bool { return b.Health().Missed > 0 })
	s.Do(t, "config", "set", "client-output-buffer-limit", "pubsub 32mb 8mb 60")
	counts(t, a, 1)
	accounted(t, a, b, heard.Load)
}

// While Redis stands still, the node says so; then it comes back.
func TestPause(t *testing.T) {
	s := redistest.Start(t)
	a, b := join(t, s.URL(), "a"), join(t, s.URL(), "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	s.Do(t, "client", "pause", "600000", "write") // PUBLISH counts as a write, CLIENT UNPAUSE does not
	eventually(t, "noticed", func() bool { return !a.Health().Connected })
	s.Do(t, "client", "unpause")
	counts(t, a, 1)
	accounted(t, a, b, heard.Load)
}

// A master dies, and Sentinel makes its replica the master.
func TestFailover(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strings.TrimPrefix(master.Addr(), "127.0.0.1:"))
	replica.Saying(t, "master_link_status:up", "info", "replication")
	sentinel := redistest.StartSentinel(t, master)
	sentinel.Saying(t, replica.Addr(), "sentinel", "replicas", "main")
	url := "redis-sentinel://" + sentinel.Addr() + "/main"
	a, b := join(t, url, "a"), join(t, url, "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	master.Kill()
	replica.Saying(t, "role:master", "info", "replication")
	counts(t, a, 1)
	accounted(t, a, b, heard.Load)
}

// A master of the cluster gives the slot of the channels away while messages flow.
func TestSlotMoves(t *testing.T) {
	all := redistest.StartCluster(t)
	a, b := join(t, clusterURL(all), "a"), join(t, clusterURL(all), "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	slot := all[0].Do(t, "cluster", "keyslot", a.all)
	var ids []string
	owner := -1
	for i, s := range all {
		ids = append(ids, s.Do(t, "cluster", "myid"))
		if s.Do(t, "cluster", "countkeysinslot", slot) == "0" && strings.Contains(s.Do(t, "pubsub", "shardchannels"), a.all) {
			owner = i
		}
	}
	if owner < 0 {
		t.Fatal("no server has the channel")
	}
	next := (owner + 1) % len(all)
	stop := make(chan struct{})
	var flow sync.WaitGroup
	flow.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				_ = a.Publish(t.Context(), bus.Message{Topic: "t"})
			}
		}
	})
	all[next].Do(t, "cluster", "setslot", slot, "importing", ids[owner])
	all[owner].Do(t, "cluster", "setslot", slot, "migrating", ids[next])
	for _, i := range []int{next, owner, (owner + 2) % len(all)} {
		all[i].Do(t, "cluster", "setslot", slot, "node", ids[next])
	}
	all[next].Saying(t, a.all, "pubsub", "shardchannels")
	counts(t, a, 1)
	close(stop)
	flow.Wait()
	accounted(t, a, b, heard.Load)
}

// Clusters of nodes with other prefixes or databases do not hear each other.
func TestOtherClusters(t *testing.T) {
	s := redistest.Start(t)
	a := join(t, s.URL(), "a")
	heard := run(t, a)
	for _, tail := range []string{"/1", "?prefix=other"} {
		other := join(t, s.URL()+tail, "other")
		run(t, other)
		counts(t, other, 0)
		if err := other.Publish(t.Context(), bus.Message{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	friend := join(t, s.URL()+"/0?prefix=c100k", "friend")
	run(t, friend)
	counts(t, a, 1)
	if heard.Load() != 0 || a.Health().Peers != 1 {
		t.Errorf("%d were heard, %+v", heard.Load(), a.Health())
	}
}

// packet is one as it is on the wire: version, sender, records.
func packet(sender uint64, records ...byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{1}, sender), records...)
}

// logText is a log that any goroutine may write to.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// probesBack is how many probes have come back.
func probesBack(b *Bus) (n uint64) {
	for _, c := range b.Health().Probes.Counts {
		n += c
	}
	return n
}

// What strangers publish is ignored, said once, and costs no memory that stays.
func TestStrangers(t *testing.T) {
	s := redistest.Start(t, "--client-output-buffer-limit", "pubsub 0 0 0") // or Redis itself would cut us off
	log := new(logText)
	b, err := Join(t.Context(), Options{URL: s.URL(), Name: "a", MessageBytesMax: 64 << 10, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	heard := run(t, b)
	stranger := client(t, s)
	message := func(sequence byte) []byte { return packet(1, 1, sequence, 0, 1, 't', 0) }
	huge := append(packet(1, 1, 6, 0, 1, 't', 0x80, 0x80, 0x80, 0x30), make([]byte, 16<<20)...) // says 100,663,296 bytes
	for _, channel := range []string{b.all, b.own} {
		for _, p := range [][]byte{nil, []byte("hello"), {2, 2}, packet(1, 99), packet(b.Node()), packet(b.Node(), 10, 1), packet(b.Node(), 99),
			packet(7, 3, 1, 1, 1, 1), packet(7, 4, 1), // answers that nobody asked for
			bytes.Repeat([]byte("x"), 1<<20)} {
			publish(t, stranger, channel, p)
		}
	}
	publish(t, stranger, b.all, huge)
	// What follows is behind it, or, on a machine that took too long for it, on a new connection.
	back := probesBack(b)
	eventually(t, "a probe comes back", func() bool { return b.Health().Connected && probesBack(b) > back })
	for _, p := range [][]byte{message(5), message(5), message(4), message(8)} { // a second time, and late
		publish(t, stranger, b.all, p)
	}
	for id := range uint64(2 * bus.PeersMax) { // as many nodes as anybody likes
		publish(t, stranger, b.all, packet(id+100, 6, 1, 1, 'x'))
	}
	eventually(t, "heard", func() bool { return heard.Load() == 2 })
	h := b.Health()
	if h.Missed != 2 || !h.Connected || h.Peers > bus.PeersMax {
		t.Errorf("%+v; want 6 and 7 missed", h)
	}
	eventually(t, "the memory is free", func() bool {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc < 32<<20+uint64(len(huge))
	})
	if n := strings.Count(log.String(), "ignores a packet"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	if h := b.Health(); heard.Load() != 2 || !h.Connected {
		t.Errorf("%d heard, %+v", heard.Load(), h)
	}
}

// A packet that is too large to be of a node counts as foreign while it still comes in, and what
// follows one that is complete does not.
func TestLargePacketComesIn(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	var incoming atomic.Int64
	foreign := 0
	h := hearing{Conn: ours, packetMax: 100, incoming: &incoming, foreign: func(bytes int) { foreign += bytes }}
	go func() {
		for range 5 {
			_, _ = theirs.Write(make([]byte, 40)) // it fails when the test has ended
		}
	}()
	for i, want := range []int{0, 0, 40, 80, 80} {
		if i == 4 {
			incoming.Store(0) // the packet was complete
		}
		if _, err := io.ReadFull(&h, make([]byte, 40)); err != nil || foreign != want {
			t.Errorf("after read %d: %d bytes are foreign, want %d; %v", i, foreign, want, err)
		}
	}
}
