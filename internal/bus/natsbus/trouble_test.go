// What goes wrong: a server that restarts, one that does not read, nodes that hang, die, or lie.

package natsbus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"c100k/internal/bus"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

// run runs b, and counts what it hears. When it returns, b hears.
func run(t *testing.T, b *Bus) *atomic.Int64 {
	t.Helper()
	var heard atomic.Int64
	ended := make(chan error, 1)
	go func() {
		for {
			err := b.Run(context.Background(), func(bus.Message) bus.Tally {
				heard.Add(1)
				return bus.Tally{Matched: 1, Queued: 1}
			})
			if !errors.Is(err, bus.ErrRunning) {
				ended <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		b.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	eventually(t, "runs", func() bool { return errors.Is(b.Run(over, nil), bus.ErrRunning) })
	return &heard
}

// asked asks and waits.
func asked(t *testing.T, b *Bus) bus.Answer {
	t.Helper()
	answers := make(chan bus.Answer, 1)
	if err := b.Ask(t.Context(), bus.Message{Topic: "t"}, func(a bus.Answer) { answers <- a }); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-answers:
		return a
	case <-time.After(patience):
		t.Fatal("an Ask does not end")
		return bus.Answer{}
	}
}

// counts waits until b asks exactly n others, all of which run.
func counts(t *testing.T, b *Bus, n int) {
	t.Helper()
	eventually(t, fmt.Sprint("asks ", n), func() bool {
		return b.Health().Connected && asked(t, b) == bus.Answer{Tally: bus.Tally{Matched: n, Queued: n}, Nodes: n}
	})
}

// A first Ask counts everybody: Join has waited for them.
func TestFirstAsk(t *testing.T) {
	s := startServer(t, 0, nil)
	a, b := join(t, s.ClientURL(), "a"), join(t, s.ClientURL(), "b")
	run(t, a)
	run(t, b)
	counts(t, a, 1)
	counts(t, b, 1)
	if got := asked(t, join(t, s.ClientURL(), "c")); got.Nodes != 2 || got.Matched != 2 {
		t.Errorf("%+v", got)
	}
}

func TestServerRestarts(t *testing.T) {
	s := startServer(t, 0, nil)
	port := portOf(s)
	a, b := join(t, s.ClientURL(), "a"), join(t, s.ClientURL(), "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	s.Shutdown()
	s.WaitForShutdown()
	eventually(t, "lost", func() bool { return !a.Health().Connected && !b.Health().Connected })
	if h := a.Health(); !strings.HasPrefix(h.Reason, "connection lost") {
		t.Errorf("%+v", h)
	}
	unsent := a.Health().Unsent
	for range 10 {
		if err := a.Publish(t.Context(), bus.Message{Topic: "t"}); !errors.Is(err, bus.ErrDisconnected) {
			t.Errorf("Publish: %v", err)
		}
	}
	never := func(bus.Answer) { t.Error("done is called though Ask returned an error") }
	if err := a.Ask(t.Context(), bus.Message{Topic: "t"}, never); !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("Ask: %v", err)
	}
	if h := a.Health(); h.Unsent != unsent+11 {
		t.Errorf("%+v, want %d unsent", h, unsent+11)
	}
	startServer(t, port, nil)
	counts(t, a, 1)
	if h := a.Health(); !h.Connected || h.Reason != "" || h.Peers != 1 {
		t.Errorf("%+v", h)
	}
	// What the bus did not take was not lost on the way; what it took was heard or is missed.
	eventually(t, "every message was heard or missed", func() bool { return uint64(heard.Load())+b.Health().Missed == a.Latest() })
}

// A node that is cut off misses what the others say meanwhile, and knows how much, though nothing
// follows.
func TestMissedWhileCutOff(t *testing.T) {
	s := startServer(t, 0, nil)
	p := startProxy(t, s)
	a, b := join(t, s.ClientURL(), "a"), join(t, p.url(), "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	before := heard.Load()
	p.bar(true)
	p.cut()
	eventually(t, "cut off", func() bool { return !b.Health().Connected })
	const lost = 1000
	for range lost {
		if err := a.Publish(t.Context(), bus.Message{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "sent", func() bool { return a.Health().Sent == a.Latest() })
	if err := a.conn.FlushTimeout(patience); err != nil { // the server has them all, before b is back
		t.Fatal(err)
	}
	p.bar(false)
	eventually(t, "missed is known", func() bool { return b.Health().Missed > 0 })
	if h := b.Health(); h.Missed != lost || heard.Load() != before {
		t.Errorf("%+v, want %d missed; %d were heard", h, lost, heard.Load()-before)
	}
	counts(t, a, 1)
}

// A server that does not read costs a bounded number of bytes, no publisher waits for it, and the
// node says that it is cut off.
func TestServerDoesNotRead(t *testing.T) {
	s := startServer(t, 0, nil)
	p := startProxy(t, s)
	a, b := join(t, p.url(), "a"), join(t, s.ClientURL(), "b")
	heard := run(t, b)
	counts(t, a, 1)
	p.stall()
	payload := make([]byte, 64<<10)
	taken, open := 0, 0
	var err error
	answers := make(chan bus.Answer, bus.AsksMax)
	begun := time.Now()
	for err == nil {
		if taken%2 == 0 {
			err = a.Publish(t.Context(), bus.Message{Topic: "t", Payload: payload})
		} else if err = a.Ask(t.Context(), bus.Message{Topic: "t", Payload: payload}, func(got bus.Answer) { answers <- got }); err == nil {
			open++
		}
		if err == nil {
			taken++
		}
		if time.Since(begun) > patience {
			t.Fatal("no bound")
		}
	}
	if !errors.Is(err, bus.ErrFull) && !errors.Is(err, bus.ErrDisconnected) {
		t.Error(err)
	}
	// What the sockets and the client have taken comes on top of the outbox.
	if most := (bus.OutboxBytesMax + 64<<20) / len(payload); taken > most {
		t.Errorf("%d messages were taken; the bound is about %d", taken, most)
	}
	for range open {
		select {
		case <-answers:
		case <-time.After(patience):
			t.Fatal("an Ask does not end")
		}
	}
	eventually(t, "says that it is cut off", func() bool { return !a.Health().Connected })
	p.flow()
	p.cut()
	counts(t, a, 1)
	ha, hb := a.Health(), b.Health()
	if ha.Unsent == 0 || hb.Missed == 0 {
		t.Errorf("%+v\n%+v", ha, hb)
	}
	eventually(t, "every message was heard or missed", func() bool { return uint64(heard.Load())+b.Health().Missed == a.Latest() })
}

// A deliver that hangs loses messages beyond the bound; they are counted, and the node that asked
// hears at once that they are lost.
func TestDeliverHangs(t *testing.T) {
	s := startServer(t, 0, nil)
	a, b := join(t, s.ClientURL(), "a"), join(t, s.ClientURL(), "b")
	release, inside := make(chan struct{}), make(chan struct{}, 1)
	var heard atomic.Uint64
	ended := make(chan error, 1)
	go func() {
		ended <- b.Run(context.Background(), func(bus.Message) bus.Tally {
			select {
			case inside <- struct{}{}:
			default:
			}
			<-release
			heard.Add(1)
			return bus.Tally{}
		})
	}()
	sent := uint64(0)
	publish := func(size int) {
		for a.Publish(t.Context(), bus.Message{Topic: "t", Payload: make([]byte, size)}) != nil {
			time.Sleep(time.Millisecond) // the outbox is full for a moment
		}
		sent++
	}
	eventually(t, "hangs", func() bool {
		publish(0)
		select {
		case <-inside:
			return true
		default:
			return false
		}
	})
	for range bus.InboxBytesMax/(512<<10) + 10 {
		publish(512 << 10)
	}
	eventually(t, "missed", func() bool { return b.Health().Missed > 0 })
	answers := make(chan bus.Answer, 1)
	eventually(t, "asked", func() bool { // the outbox may be full for a moment
		return a.Ask(t.Context(), bus.Message{Topic: "t", Payload: make([]byte, 900<<10)}, func(got bus.Answer) { answers <- got }) == nil
	})
	sent++
	if got := <-answers; got != (bus.Answer{Silent: 1}) {
		t.Errorf("%+v", got)
	}
	close(release)
	eventually(t, "every message was heard or missed", func() bool { return heard.Load()+b.Health().Missed == sent })
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A node that dies without a message is forgotten after bus.PeerTimeout, or at once when somebody
// has seen it die.
func TestPeerDies(t *testing.T) {
	s := startServer(t, 0, nil)
	p := startProxy(t, s)
	a := join(t, s.ClientURL(), "a")
	for _, seen := range []bool{true, false} {
		p.bar(false)
		b := join(t, p.url(), "b")
		run(t, b)
		counts(t, a, 1)
		p.bar(true)
		p.cut()
		if seen {
			if err := a.Gone("b"); err != nil {
				t.Fatal(err)
			}
			if got := asked(t, a); got != (bus.Answer{}) {
				t.Errorf("%+v, after it was said to be gone", got)
			}
			b.Close() // or it would come back
			continue
		}
		if got := asked(t, a); got != (bus.Answer{Silent: 1}) {
			t.Errorf("%+v, want one that is silent", got)
		}
		eventually(t, "forgotten", func() bool { return asked(t, a) == bus.Answer{} })
	}
	if err := a.Gone(""); err == nil {
		t.Error("a name of no bytes")
	}
}

// Gone ends the waiting of questions that are open, on all nodes.
func TestGoneEndsAsks(t *testing.T) {
	s := startServer(t, 0, nil)
	parent, a, dead := join(t, s.ClientURL(), "parent"), join(t, s.ClientURL(), "a"), join(t, s.ClientURL(), "dead")
	release, inside, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- dead.Run(context.Background(), func(m bus.Message) bus.Tally {
			if m.Topic == "hang" {
				close(inside)
				<-release
			}
			return bus.Tally{Matched: 1}
		})
	}()
	eventually(t, "the node runs", func() bool { return asked(t, a).Matched == 1 })
	answers := make(chan bus.Answer, 1)
	if err := a.Ask(t.Context(), bus.Message{Topic: "hang"}, func(got bus.Answer) { answers <- got }); err != nil {
		t.Fatal(err)
	}
	<-inside
	if err := parent.Gone("dead"); err != nil {
		t.Fatal(err)
	}
	if got := <-answers; got != (bus.Answer{Nodes: 1, Silent: 1}) {
		t.Errorf("%+v", got)
	}
	close(release)
	if err := dead.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTooLarge(t *testing.T) {
	s := startServer(t, 0, func(o *server.Options) { o.MaxPayload = 4096 })
	var log bytes.Buffer
	b, err := Join(t.Context(), Options{URL: s.ClientURL(), Name: "a", MessageBytesMax: 64 << 10, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "max_payload=4096") {
		t.Errorf("no warning: %s", log.String())
	}
	heard := run(t, join(t, s.ClientURL(), "b"))
	err = b.Publish(t.Context(), bus.Message{Topic: "t", Payload: make([]byte, 5000)})
	if !errors.Is(err, bus.ErrTooLarge) || !strings.Contains(err.Error(), "4096") {
		t.Error(err)
	}
	if err := b.Publish(t.Context(), bus.Message{Topic: strings.Repeat("t", 256)}); !errors.Is(err, bus.ErrTooLarge) {
		t.Error(err)
	}
	for range 100 { // more than one packet takes
		if err := b.Publish(t.Context(), bus.Message{Topic: "t", Payload: make([]byte, 4000)}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "heard", func() bool { return heard.Load() == 100 })
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if h := b.Health(); h.Sent != 100 || h.Unsent != 2 {
		t.Errorf("%+v", h)
	}
}

// packet is one as it is on the wire: version, sender, records.
func packet(sender uint64, records ...byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{1}, sender), records...)
}

// What others put on our subjects is ignored, and said once.
func TestForeignPackets(t *testing.T) {
	s := startServer(t, 0, nil)
	var log bytes.Buffer
	b, err := Join(t.Context(), Options{URL: s.ClientURL(), Name: "a", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	heard := run(t, b)
	stranger, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	for _, p := range [][]byte{nil, []byte("hello"), {2, 2}, packet(1, 99), packet(b.Node()), bytes.Repeat([]byte("x"), 64<<10)} {
		for _, subject := range []string{subjectAll, subjectOf(b.Node())} {
			if err := stranger.Publish(subject, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	message := func(sequence byte) []byte { return packet(1, 1, sequence, 0, 1, 't', 0) }
	for _, p := range [][]byte{message(5), message(5), message(4), message(8)} { // a second time, and late
		if err := stranger.Publish(subjectAll, p); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "heard", func() bool { return heard.Load() == 2 })
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if h := b.Health(); heard.Load() != 2 || h.Missed != 2 {
		t.Errorf("%d heard, %+v; want 2 heard, and 6 and 7 missed", heard.Load(), h)
	}
	if n := strings.Count(log.String(), "ignores a packet"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
}

func TestJoinRefuses(t *testing.T) {
	s := startServer(t, 0, func(o *server.Options) { o.Username, o.Password = "user", "s3cret" })
	host := s.Addr().String()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx context.Context
		o   Options
		ok  bool
	}{
		"right":             {t.Context(), Options{URL: "nats://user:s3cret@" + host, Name: "n"}, true},
		"wrong password":    {t.Context(), Options{URL: "nats://user:guess3d@" + host, Name: "n"}, false},
		"a token":           {t.Context(), Options{URL: "nats://s3cret@" + host, Name: "n"}, false},
		"nobody":            {t.Context(), Options{URL: "nats://" + host, Name: "n"}, false},
		"no name":           {t.Context(), Options{URL: "nats://user:s3cret@" + host}, false},
		"a long name":       {t.Context(), Options{URL: "nats://user:s3cret@" + host, Name: strings.Repeat("n", 256)}, false},
		"another scheme":    {t.Context(), Options{URL: "http://user:s3cret@" + host, Name: "n"}, false},
		"no host":           {t.Context(), Options{URL: "nats://", Name: "n"}, false},
		"a path":            {t.Context(), Options{URL: "nats://user:s3cret@" + host + "/x", Name: "n"}, false},
		"context that ends": {gone, Options{URL: "nats://user:s3cret@" + host, Name: "n"}, false},
	} {
		b, err := Join(c.ctx, c.o)
		if err == nil {
			b.Close()
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "guess3d")) {
			t.Errorf("%s: %q tells a secret", name, err)
		}
	}
}

func TestRedactedURL(t *testing.T) {
	for text, want := range map[string]string{
		"nats://h:1":             "nats://h:1",
		"nats://token@h:1":       "nats://xxxxx@h:1",
		"nats://user:secret@h:1": "nats://user:xxxxx@h:1",
		"nats://secret@[h":       "(not a URL)",
		"memory":                 "memory",
	} {
		if got := RedactedURL(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// A server that accepts and says nothing is given up on in time.
func TestServerSaysNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.Copy(io.Discard, c) // until the client goes
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if b, err := Join(ctx, Options{URL: "nats://" + ln.Addr().String(), Name: "n"}); err == nil {
		b.Close()
		t.Error("joined")
	}
}
