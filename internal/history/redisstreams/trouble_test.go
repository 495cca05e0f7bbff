// The store when the server is away, comes back without what it had, is full, or holds what is not
// ours.

package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/redistest"
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

var began = time.Now()

func clock() time.Duration { return time.Since(began) + time.Hour }

// process is a store with its hub.
type process struct {
	*Store
	t   *testing.T
	hub *broadcast.Hub
}

func startProcess(t *testing.T, s *redistest.Server, rules ...string) *process {
	t.Helper()
	parsed, err := history.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t}
	if p.Store, err = Open(t.Context(), Options{URL: s.URL(), Rules: parsed, Now: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	p.hub = broadcast.NewHub(broadcast.Options{
		Shards: 1, Now: clock, Encoders: []broadcast.Encoder{func(dst []byte, m *broadcast.Message) []byte { return append(dst, m.Payload...) }},
		EncodedBytesMax: func(_ broadcast.Form, m *broadcast.Message) int { return len(m.Payload) },
		Positions:       p.First, Keep: func(topic string) broadcast.Keep { k, _ := parsed.Keep(topic); return k },
		Older: true, Floor: p.Floor, Reached: p.Reached,
	})
	if err := p.Start(t.Context(), p.hub); err != nil {
		t.Fatal(err)
	}
	return p
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

// must publishes so many messages m0, m1, … and returns their positions.
func (p *process) must(topic string, from, to int) (at []broadcast.Position) {
	p.t.Helper()
	for i := from; i <= to; i++ {
		a := p.publish(topic, fmt.Sprint("m", i), "")
		if a.Err != nil {
			p.t.Fatal(a.Err)
		}
		at = append(at, a.Position)
	}
	return at
}

// page are the payloads that the server has.
func (p *process) page(topic string) (list []string) {
	p.t.Helper()
	page, err := p.Page(p.t.Context(), topic, broadcast.Position{}, 1000, false)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, m := range page.Messages {
		list = append(list, string(m.Payload))
	}
	return list
}

func (p *process) kept(topic string) (list []string) {
	k, _ := p.hub.Kept(topic, broadcast.Position{}, 1000, false)
	for _, m := range k.Messages {
		list = append(list, string(m.Payload))
	}
	return list
}

// resume subscribes anew behind a position.
func (p *process) resume(topic string, after broadcast.Position) broadcast.Resumed {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	from := broadcast.After(after)
	if err := p.Prepare(ctx, topic, from); err != nil {
		p.t.Fatal(err)
	}
	r, err := p.hub.Shard(0).Resume(1, 0, topic, from)
	if err != nil {
		p.t.Fatal(err)
	}
	p.hub.Shard(0).Leave(1)
	return r
}

func (p *process) drop(topic string) {
	p.Releasing(topic)
	p.hub.Release(topic)
}

func names(from, to int) (list []string) {
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint("m", i))
	}
	return list
}

// While the server is away, publishes are refused at once. When it is back with all that it had,
// nothing has changed for anybody, and numbers are not given twice.
func TestServerAway(t *testing.T) {
	s := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	one, two := startProcess(t, s, "a.>=1000,1h"), startProcess(t, s, "a.>=1000,1h")
	if d := one.Durable("a.x"); d != history.DurableFile {
		t.Errorf("with an append-only file: %q", d)
	}
	at := one.must("a.x", 0, 19)
	s.Kill()
	eventually(t, "both know", func() bool { return one.Ready() != nil && two.Ready() != nil })
	eventually(t, "a publish is refused", func() bool { return errors.Is(one.publish("a.x", "away", "").Err, history.ErrAway) })
	if err := one.Forget(t.Context(), "a.x"); !errors.Is(err, history.ErrAway) {
		t.Errorf("forget: %v", err)
	}
	if _, err := one.Page(t.Context(), "a.x", broadcast.Position{}, 10, false); !errors.Is(err, history.ErrAway) {
		t.Errorf("page: %v", err)
	}
	if err := one.Prepare(t.Context(), "a.x", broadcast.After(at[3])); err != nil {
		t.Errorf("the log covers it: %v", err)
	}
	ahead := at[19]
	ahead.Offset += 1000
	if err := one.Prepare(t.Context(), "a.x", broadcast.After(ahead)); !errors.Is(err, history.ErrAway) {
		t.Errorf("nobody knows whether there is such a position: %v", err)
	}
	s.Start(t)
	eventually(t, "both are ready", func() bool { return one.Ready() == nil && two.Ready() == nil })
	more := two.must("a.x", 20, 39)
	if more[0].Epoch != at[0].Epoch || more[0].Offset <= at[19].Offset {
		t.Errorf("%v behind %v", more[0], at[19])
	}
	for _, p := range []*process{one, two} {
		eventually(t, "all have come", func() bool { return len(p.kept("a.x")) == 40 })
		if got := p.kept("a.x"); !slices.Equal(got, names(0, 39)) {
			t.Errorf("%q", got)
		}
		if r := p.resume("a.x", at[9]); r.Reset != broadcast.ResetNone || r.Messages != 30 {
			t.Errorf("%+v", r)
		}
		ahead := broadcast.Position{Epoch: more[19].Epoch, Offset: more[19].Offset + 1000}
		if r := p.resume("a.x", ahead); r.Reset != broadcast.ResetUnknown {
			t.Errorf("a position that was never given: %+v", r)
		}
	}
}

// A server that has lost all, or the last messages, begins a new epoch on all processes.
func TestServerForgets(t *testing.T) {
	for name, forget := range map[string]func(t *testing.T, s *redistest.Server){
		"started empty": func(t *testing.T, s *redistest.Server) { s.Kill(); s.Start(t) },
		"emptied":       func(t *testing.T, s *redistest.Server) { s.Do(t, "flushall") },
	} {
		t.Run(name, func(t *testing.T) {
			s := redistest.Start(t)
			testForgets(t, s, func() {}, func() { forget(t, s) })
		})
	}
	t.Run("with an old file", func(t *testing.T) {
		s := redistest.Start(t)
		testForgets(t, s, func() { s.Do(t, "save") }, func() { s.Kill(); s.Start(t) })
	})
}

func testForgets(t *testing.T, s *redistest.Server, between, forget func()) {
	one, two := startProcess(t, s, "a.>=1000,1h"), startProcess(t, s, "a.>=1000,1h")
	at := one.must("a.x", 0, 9)
	between()
	at = append(at, one.must("a.x", 10, 19)...)
	eventually(t, "all have come", func() bool { return len(two.kept("a.x")) == 20 })
	forget()
	var next history.Appended
	eventually(t, "a publish succeeds", func() bool { next = one.publish("a.x", "new", ""); return next.Err == nil })
	if next.Position.Epoch == at[0].Epoch || next.Position.Offset <= at[19].Offset {
		t.Fatalf("%v behind %v", next.Position, at[19])
	}
	three := startProcess(t, s, "a.>=1000,1h")
	for _, p := range []*process{one, two, three} {
		eventually(t, "the new message has come", func() bool { return slices.Equal(p.kept("a.x"), []string{"new"}) })
		for _, old := range at {
			if r := p.resume("a.x", old); r.Reset != broadcast.ResetEpoch {
				t.Errorf("%v: %+v", old, r)
			}
		}
		if r := p.resume("a.x", next.Position); r.Reset != broadcast.ResetNone || r.Messages != 0 {
			t.Errorf("%+v", r)
		}
		if first, _ := p.First("a.y"); first.Epoch != next.Position.Epoch {
			t.Errorf("another topic begins at %v", first)
		}
	}
	var newer history.Appended
	eventually(t, "the other publishes too", func() bool { newer = two.publish("a.x", "newer", ""); return newer.Err == nil })
	if newer.Position.Epoch != next.Position.Epoch || newer.Position.Offset <= next.Position.Offset {
		t.Errorf("%v behind %v", newer.Position, next.Position)
	}
}

// Redis may evict keys where it is told to. What is gone is said.
func TestKeysEvicted(t *testing.T) {
	s := redistest.Start(t)
	for name, evict := range map[string]func(p *process){
		"the topic": func(p *process) { s.Do(t, "del", p.topicKey(p.session.Load(), "a.x")) },
		"the index": func(p *process) {
			s.Do(t, "del", p.list)
			s.Do(t, "del", p.topicKey(p.session.Load(), "a.x"))
			p.must("a.x", 10, 10)
		},
		"what all must know": func(p *process) { s.Do(t, "del", p.meta) },
	} {
		t.Run(name, func(t *testing.T) {
			s.Do(t, "flushall")
			p := startProcess(t, s, "a.>=1000,1h")
			at := p.must("a.x", 0, 9)
			evict(p)
			eventually(t, "a publish succeeds", func() bool { return p.publish("a.y", "m", "").Err == nil })
			p.drop("a.x")
			if r := p.resume("a.x", at[4]); r.Reset == broadcast.ResetNone {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Bounds of a rule: bytes, and a message that is larger than all that is kept.
func TestBytes(t *testing.T) {
	s := redistest.Start(t)
	p := startProcess(t, s, "a.>=1000,1h,1KiB")
	at := p.must("a.x", 0, 49)
	list := p.page("a.x")
	if len(list) < 5 || len(list) > 15 || list[len(list)-1] != "m49" {
		t.Errorf("%d are kept: %q", len(list), list)
	}
	p.drop("a.x")
	if r := p.resume("a.x", at[10]); r.Reset != broadcast.ResetExpired {
		t.Errorf("%+v", r)
	}
	a := p.publish("a.x", strings.Repeat("x", 5000), "")
	if a.Err != nil {
		t.Fatal(a.Err)
	}
	if list := p.page("a.x"); len(list) != 0 {
		t.Errorf("%d are kept beside one that is larger than the bound", len(list))
	}
	p.drop("a.x")
	if r := p.resume("a.x", at[49]); r.Reset != broadcast.ResetExpired {
		t.Errorf("behind it something is missing: %+v", r)
	}
	if r := p.resume("a.x", a.Position); r.Reset != broadcast.ResetNone {
		t.Errorf("behind it nothing is missing: %+v", r)
	}
}

// A server without memory refuses, and takes messages again.
func TestServerFull(t *testing.T) {
	s := redistest.Start(t)
	p := startProcess(t, s, "a.>=1000,1h")
	p.must("a.x", 0, 4)
	s.Do(t, "config", "set", "maxmemory", "1")
	if a := p.publish("a.x", "m", ""); !errors.Is(a.Err, history.ErrAway) || !strings.Contains(a.Err.Error(), "OOM") {
		t.Errorf("%+v", a)
	}
	if p.Ready() == nil {
		t.Error("a process that cannot store is ready")
	}
	s.Do(t, "config", "set", "maxmemory", "0")
	p.must("a.x", 5, 5)
	eventually(t, "it is ready", func() bool { return p.Ready() == nil })
	if got := p.page("a.x"); !slices.Equal(got, names(0, 5)) {
		t.Errorf("%q", got)
	}
}

// A process that was away for longer than the live stream reaches back says what it cannot deliver,
// and goes on.
func TestAwayForTooLong(t *testing.T) {
	s := redistest.Start(t)
	p := startProcess(t, s, "a.>=1000,1h")
	at := p.must("a.x", 0, 4)
	s.Do(t, "eval", `local n = redis.call('HINCRBY', KEYS[1], 'seq', 100)
		redis.call('HSET', KEYS[1], 'tail', string.format('%.0f', n - 1))
		return redis.call('XADD', KEYS[2], string.format('%.0f', n) .. '-1', 'e', redis.call('HGET', KEYS[1], 'epoch'))`, "2", p.meta, p.live)
	eventually(t, "it has come", func() bool { return p.Reached("") >= at[4].Offset+100 })
	p.must("a.x", 5, 5)
	if got := p.kept("a.x"); !slices.Equal(got, []string{"m5"}) {
		t.Errorf("the log: %q", got)
	}
	if r := p.resume("a.x", at[2]); r.Reset != broadcast.ResetNone || r.Messages != 3 {
		t.Errorf("the server has them: %+v", r)
	}
}

// What is not ours: entries in the live stream, keys of another type, a server that is too old.
func TestForeignKeys(t *testing.T) {
	s := redistest.Start(t)
	p := startProcess(t, s, "a.>=1000,1h")
	p.must("a.x", 0, 0)
	for _, entry := range [][]string{{"t", "a.x", "r", "junk"}, {"t", "\x01", "r", "junk"}, {"x", "y"}, {"b", "no number"}} {
		id := s.Do(t, "hincrby", p.meta, "seq", "1") + "-1"
		s.Do(t, append([]string{"xadd", p.live, id}, entry...)...)
	}
	p.must("a.x", 1, 1)
	if got := p.kept("a.x"); !slices.Equal(got, names(0, 1)) {
		t.Errorf("%q", got)
	}
	s.Do(t, "xadd", p.topicKey(p.session.Load(), "a.x"), number(p.Reached("")+1)+"-1", "r", "junk")
	if got := p.page("a.x"); !slices.Equal(got, names(0, 1)) {
		t.Errorf("%q", got)
	}
	s.Do(t, "set", "{other:history}:meta", "junk")
	if _, err := Open(t.Context(), Options{URL: s.URL() + "?prefix=other", Rules: p.opt.Rules, Now: clock}); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("%v", err)
	}
	if _, err := Open(t.Context(), Options{URL: "redis-cluster://" + s.Addr(), Rules: p.opt.Rules, Now: clock}); err == nil {
		t.Error("it is no cluster")
	}
	if _, err := Open(t.Context(), Options{URL: "redis://:s3cret@127.0.0.1:1", Rules: p.opt.Rules, Now: clock}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
	for version, want := range map[string]bool{"6.0.16": false, "6.2.0": true, "7.0.15": true, "10.1": true, "5": false, "": false, "x.y": false} {
		if versionIsEnough(version) != want {
			t.Errorf("version %q", version)
		}
	}
}

// A key of an idempotent publish may have any length.
func TestLongKey(t *testing.T) {
	p := startProcess(t, redistest.Start(t), "a.>=1000,1h")
	key := strings.Repeat("k", 1<<20)
	first := p.publish("a.x", "m", key)
	again := p.publish("a.x", "m", key)
	if first.Err != nil || again.Err != nil || !again.Repeated || again.Position != first.Position {
		t.Errorf("%+v, then %+v", first, again)
	}
}

// A supervisor appends and reads without a hub.
func TestWithoutHub(t *testing.T) {
	s := redistest.Start(t)
	rules, _ := history.ParseRules([]string{"a.>=10,1h"})
	p := &process{t: t}
	var err error
	if p.Store, err = Open(t.Context(), Options{URL: s.URL(), Rules: rules, Now: clock}); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	p.must("a.x", 0, 2)
	if got := p.page("a.x"); !slices.Equal(got, names(0, 2)) {
		t.Errorf("%q", got)
	}
	s.Kill()
	eventually(t, "it knows", func() bool { return p.Ready() != nil })
	s.Start(t)
	eventually(t, "it is back", func() bool { return p.publish("a.x", "new", "").Err == nil })
}

func FuzzEntry(f *testing.F) {
	f.Add("12-34", "e1", "a.x", "11", string(history.AppendRecord(nil, &history.Record{Payload: []byte("hello")})))
	f.Add("-", "", "", "", "")
	f.Add("99999999999999999999-1", "e", "t", "-1", "\x10")
	f.Fuzz(func(t *testing.T, id, epoch, topic, before, record string) {
		m, err := entry(&rueidis.XRangeEntry{ID: id, FieldValues: map[string]string{"e": epoch, "t": topic, "b": before, "r": record}})
		if err == nil && (m.Kind > broadcast.Binary || len(m.Payload) > len(record)) {
			t.Fatalf("%+v", m)
		}
	})
}
