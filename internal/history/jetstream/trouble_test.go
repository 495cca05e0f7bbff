// The store when the server is away, gone for good, damaged, or full.

package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"c100k/broadcast"
	"c100k/internal/history"
)

const patience = 30 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
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

// process is a store with its hub.
type process struct {
	*Store
	hub *broadcast.Hub
	log *logText
}

var began = time.Now()

func clock() time.Duration { return time.Since(began) + time.Hour }

func startProcess(t *testing.T, s *server.Server, rules ...string) *process {
	t.Helper()
	parsed, err := history.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, s, Options{Rules: parsed})
}

// publish stores a message and waits.
func (p *process) publish(topic, payload, key string) history.Appended {
	done := make(chan history.Appended, 1)
	err := p.Append(topic, history.Append{Post: broadcast.Post{Payload: []byte(payload)}, Key: key, Done: func(a history.Appended) { done <- a }})
	if err != nil {
		return history.Appended{Err: err}
	}
	select {
	case a := <-done:
		return a
	case <-time.After(patience):
		return history.Appended{Err: errors.New("no answer")}
	}
}

func (p *process) kept(topic string) (list []string) {
	k, _ := p.hub.Kept(topic, broadcast.Position{}, 10_000, false)
	for _, m := range k.Messages {
		list = append(list, string(m.Payload))
	}
	return list
}

// While the server is away, publishes are refused, and what was acknowledged is there when it is
// back. Two processes agree afterwards.
func TestServerAway(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, server.RANDOM_PORT)
	port := s.Addr().(*net.TCPAddr).Port
	one, two := startProcess(t, s, "a.>=1000,1h"), startProcess(t, s, "a.>=1000,1h")
	acked := map[string]uint64{}
	for i := range 20 {
		payload := fmt.Sprint("m", i)
		a := one.publish("a.x", payload, "")
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		acked[payload] = a.Position.Offset
	}
	s.Shutdown()
	s.WaitForShutdown()
	eventually(t, "both know", func() bool { return one.Ready() != nil && two.Ready() != nil })
	if a := one.publish("a.x", "away", ""); !errors.Is(a.Err, history.ErrAway) {
		t.Errorf("a publish while the server is away: %+v", a)
	}
	if err := one.Forget(t.Context(), "a.x"); !errors.Is(err, history.ErrAway) {
		t.Errorf("forget: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := one.Page(ctx, "a.x", broadcast.Position{}, 10, false); !errors.Is(err, history.ErrAway) {
		t.Errorf("page: %v", err)
	}
	first, _ := one.First("a.x")
	if err := one.Prepare(ctx, "a.x", broadcast.After(broadcast.Position{Epoch: first.Epoch, Offset: 3})); err != nil {
		t.Errorf("the log covers it: %v", err)
	}
	ahead := broadcast.After(broadcast.Position{Epoch: first.Epoch, Offset: 1000})
	if err := one.Prepare(ctx, "a.x", ahead); !errors.Is(err, history.ErrAway) {
		t.Errorf("nobody knows whether there is such a position: %v", err)
	}
	natsServer(t, dir, port)
	eventually(t, "both are ready", func() bool { return one.Ready() == nil && two.Ready() == nil })
	for i := range 20 {
		payload := fmt.Sprint("n", i)
		a := two.publish("a.x", payload, "")
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		acked[payload] = a.Position.Offset
	}
	for _, p := range []*process{one, two} {
		eventually(t, "all have come", func() bool { return len(p.kept("a.x")) == len(acked) })
		k, _ := p.hub.Kept("a.x", broadcast.Position{}, 1000, false)
		for _, m := range k.Messages {
			at, _ := m.Position()
			if acked[string(m.Payload)] != at.Offset {
				t.Errorf("%s is at %d, acknowledged at %d", m.Payload, at.Offset, acked[string(m.Payload)])
			}
		}
	}
}

// A stream that somebody has deleted is not made again behind the backs of clients: offsets would
// begin anew in the same epoch.
func TestStreamDeleted(t *testing.T) {
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	p := startProcess(t, s, "a.>=1000,1h")
	if a := p.publish("a.x", "m", ""); a.Err != nil {
		t.Fatal(a.Err)
	}
	if err := p.js.DeleteStream(p.streams[0].name); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is noticed", func() bool { return p.Ready() != nil && strings.Contains(p.Ready().Error(), "deleted") })
	if a := p.publish("a.x", "m", ""); !errors.Is(a.Err, history.ErrAway) {
		t.Errorf("%+v", a)
	}
}

// A server without JetStream, and a stream of somebody else under our name.
func TestOpenFails(t *testing.T) {
	plain, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	plain.Start()
	defer func() { plain.Shutdown(); plain.WaitForShutdown() }()
	if !plain.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	rules, _ := history.ParseRules([]string{"a.>=10,1h"})
	if _, err := Open(t.Context(), Options{URL: plain.ClientURL(), Rules: rules, Now: clock}); err == nil || !strings.Contains(err.Error(), "no JetStream") {
		t.Errorf("without JetStream: %v", err)
	}
	if _, err := Open(t.Context(), Options{URL: "nats://127.0.0.1:1", Rules: rules, Now: clock}); err == nil {
		t.Error("nobody listens there")
	}
	s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
	p := startProcess(t, s, "a.>=10,1h")
	name, prefix := p.streams[0].name, p.streams[0].prefix
	if err := p.js.DeleteStream(name); err != nil {
		t.Fatal(err)
	}
	if _, err := p.js.AddStream(&nats.StreamConfig{Name: name, Subjects: []string{prefix + "*"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{URL: s.ClientURL(), Rules: rules, Now: clock}); err == nil || !strings.Contains(err.Error(), "is not ours") {
		t.Errorf("a stream of somebody else: %v", err)
	}
}

// What is whole in a damaged file is kept, and the position of what is not is not given to another
// message.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	s := natsServer(t, dir, server.RANDOM_PORT)
	p := startProcess(t, s, "a.>=1000,1h")
	var last broadcast.Position
	for i := range 50 {
		a := p.publish("a.x", fmt.Sprintf("message %02d", i), "")
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		last = a.Position
	}
	_ = p.Close()
	s.Shutdown()
	s.WaitForShutdown()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	// The last message was torn: the file ends in the middle of it. The state that was written at the
	// orderly end is gone too, as after a crash.
	if err := os.Truncate(files[0], int64(len(text)-5)); err != nil {
		t.Fatal(err)
	}
	states, _ := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "index.db"))
	for _, state := range states {
		_ = os.Remove(state)
	}
	s = natsServer(t, dir, server.RANDOM_PORT)
	p = startProcess(t, s, "a.>=1000,1h")
	got := p.kept("a.x")
	if len(got) != 49 || got[0] != "message 00" || got[48] != "message 48" {
		t.Fatalf("%d messages are left: %q", len(got), got)
	}
	a := p.publish("a.x", "next", "")
	if a.Err != nil || a.Position.Epoch != last.Epoch {
		t.Fatalf("%+v", a)
	}
}

// A machine that has stopped without a word may have lost what was delivered and not yet on the
// disk. Its numbers are given again, in another epoch; not so if all was synced before, or if only
// the process has ended.
func TestMachineStopped(t *testing.T) {
	for _, c := range []struct {
		boot, subject string
		again         bool
	}{{"", "", false}, {bootOf(), "", false}, {"another boot", "", true}, {"another boot", testSync, false}} {
		s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
		rules, _ := history.ParseRules([]string{"a.>=10,1h"})
		log := &logText{}
		o := Options{Rules: rules, Now: clock, Owner: true, Logger: slog.New(slog.NewTextHandler(log, nil))}
		first := openStore(t, s, o)
		info, err := first.js.StreamInfo(first.streams[0].name)
		if err != nil {
			t.Fatal(err)
		}
		info.Config.Metadata[metaBoot] = c.boot // as if it had not come to Close
		if _, err := first.js.UpdateStream(&info.Config); err != nil {
			t.Fatal(err)
		}
		o.SyncSubject = c.subject
		second := openStore(t, s, o)
		if again := second.streams[0].epoch != first.streams[0].epoch; again != c.again || again != strings.Contains(log.String(), "begin a new epoch") {
			t.Errorf("%+v: a new epoch: %v; %s", c, again, log)
		}
		_, _ = first.Close(), second.Close()
	}
}

// Clocks of machines disagree, and jump. When a message was published never goes back, and is never
// in the future.
func TestClockJumps(t *testing.T) {
	now := time.Hour
	s := &Store{opt: Options{Now: func() time.Duration { now += time.Millisecond; return now }}}
	st := &stream{published: math.MinInt64}
	last := time.Duration(math.MinInt64)
	for _, ago := range []time.Duration{time.Second, -time.Hour, 30 * time.Minute, 0, 10 * time.Minute, -24 * 365 * time.Hour, 24 * 365 * time.Hour, 0} {
		at := s.publishedAt(st, time.Now().Add(-ago))
		if at < last || at > now || at == 0 {
			t.Errorf("stored %v ago: published at %v, the one before at %v, now %v", ago, at, last, now)
		}
		last = at
	}
}
