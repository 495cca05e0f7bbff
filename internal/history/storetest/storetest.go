// Package storetest is one test for all stores of history, with real servers behind those that have
// one.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/internal/history"
)

// patience bounds every wait of the test.
const patience = 30 * time.Second

// Backing is what several processes share: a server, or nothing.
type Backing struct {
	// Open opens the store for one process more. now is the clock of its hub.
	Open func(t *testing.T, rules *history.Rules, now func() time.Duration) history.Store
	// Shared tells that stores of several processes number alike, and go on where an earlier one has
	// ended. Without it each process is alone.
	Shared bool
}

// process is a hub with its store.
type process struct {
	t     *testing.T
	hub   *broadcast.Hub
	store history.Store
	sink  *sink
}

func now() time.Duration { return time.Since(began) + time.Hour }

var began = time.Now()

// rules are those of most tests.
const (
	ruleAll = "a.>=100,1h"
	ruleFew = "few.>=3,1h"
	ruleOld = "old.>=100,2s"
)

func start(t *testing.T, b *Backing, rules ...string) *process {
	t.Helper()
	if len(rules) == 0 {
		rules = []string{ruleAll, ruleFew, ruleOld}
	}
	parsed, err := history.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, store: b.Open(t, parsed, now), sink: &sink{}}
	t.Cleanup(p.close)
	o := broadcast.Options{
		Shards: 1, Encoders: []broadcast.Encoder{encode}, Now: now,
		EncodedBytesMax: func(_ broadcast.Form, m *broadcast.Message) int { return len(m.Payload) + 64 },
		Positions:       p.store.First, Keep: func(topic string) broadcast.Keep { k, _ := parsed.Keep(topic); return k },
	}
	if b.Shared {
		o.Older, o.Floor, o.Reached = true, p.store.Floor, p.store.Reached
	}
	p.hub = broadcast.NewHub(o)
	if err := p.store.Start(t.Context(), p.hub); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) close() {
	if err := p.store.Close(); err != nil {
		p.t.Error(err)
	}
}

func encode(dst []byte, m *broadcast.Message) []byte {
	at, _ := m.Position()
	return append(history.AppendPosition(append(append(dst, m.Payload...), '@'), at), '\n')
}

// sink takes what the member gets.
type sink struct{ got []string }

func (s *sink) Send(_ uint32, p []byte, _, _ uint32) {
	s.got = append(s.got, strings.Split(strings.TrimSuffix(string(p), "\n"), "\n")...)
}
func (s *sink) Pending(uint32) int                            { return 0 }
func (s *sink) DropOldest(uint32, int, func(_, _ uint32)) int { return 0 }
func (s *sink) Gap(uint32, broadcast.Form, string, uint32, uint32, bool) {
	s.got = append(s.got, "gap")
}
func (s *sink) Slow(uint32)                                              { s.got = append(s.got, "slow") }
func (s *sink) Encode(dst []byte, _ uint32, m *broadcast.Message) []byte { return encode(dst, m) }

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return c
}

// append stores a message and waits.
func (p *process) append(topic, payload, key string) history.Appended {
	p.t.Helper()
	done := make(chan history.Appended, 1)
	err := p.store.Append(topic, history.Append{
		Post: broadcast.Post{Payload: []byte(payload)}, Key: key, Done: func(a history.Appended) { done <- a },
	})
	if err != nil {
		p.t.Fatalf("append to %q: %v", topic, err)
	}
	select {
	case a := <-done:
		return a
	case <-time.After(patience):
		p.t.Fatalf("append to %q: no answer", topic)
	}
	return history.Appended{}
}

// must is append that succeeds.
func (p *process) must(topic, payload string) broadcast.Position {
	p.t.Helper()
	a := p.append(topic, payload, "")
	if a.Err != nil || a.Position == (broadcast.Position{}) {
		p.t.Fatalf("append to %q: %+v", topic, a)
	}
	return a.Position
}

// page are the payloads of a page.
func (p *process) page(topic string, after broadcast.Position, most int, reverse bool) (list []string, page history.Page) {
	p.t.Helper()
	page, err := p.store.Page(ctx(p.t), topic, after, most, reverse)
	if err != nil {
		p.t.Fatalf("page of %q: %v", topic, err)
	}
	for _, m := range page.Messages {
		list = append(list, string(m.Payload))
	}
	return list, page
}

// kept are the payloads in the log of the hub.
func (p *process) kept(topic string) (list []string) {
	k, _ := p.hub.Kept(topic, broadcast.Position{}, 10_000, false)
	for _, m := range k.Messages {
		list = append(list, string(m.Payload))
	}
	return list
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func names(from, to int) (list []string) {
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprint("m", i))
	}
	return list
}

// resume subscribes member 1 anew from a point on, and returns what it got.
func (p *process) resume(topic string, from broadcast.From) (broadcast.Resumed, []string) {
	p.t.Helper()
	if err := p.store.Prepare(ctx(p.t), topic, from); err != nil {
		p.t.Fatalf("prepare %q %v: %v", topic, from, err)
	}
	return p.resumeNow(topic, from)
}

func (p *process) resumeNow(topic string, from broadcast.From) (broadcast.Resumed, []string) {
	p.t.Helper()
	shard := p.hub.Shard(0)
	p.sink.got = nil
	r, err := shard.Resume(1, 0, topic, from)
	if err != nil {
		p.t.Fatal(err)
	}
	for range 100 {
		shard.Deliver(p.sink, 1000)
	}
	shard.Leave(1)
	shard.Deliver(p.sink, 1000)
	payloads := make([]string, 0, len(p.sink.got))
	for _, line := range p.sink.got {
		payload, _, _ := strings.Cut(line, "@")
		payloads = append(payloads, payload)
	}
	return r, payloads
}

// Run runs the test. open makes a backing with nothing in it.
func Run(t *testing.T, open func(t *testing.T) *Backing) {
	for _, one := range []struct {
		name   string
		test   func(t *testing.T, b *Backing)
		shared bool // only for stores that processes share
	}{
		{"order", testOrder, false},
		{"pages", testPages, false},
		{"bounds", testBounds, false},
		{"names", testNames, false},
		{"refusals", testRefusals, false},
		{"resumes", testResumes, false},
		{"forgotten", testForgotten, false},
		{"several processes", testProcesses, true},
		{"restart", testRestart, true},
		{"older than the log", testOlder, true},
		{"keys", testKeys, true},
		{"more is kept than before", testRaised, true},
		{"marks over a restart", testMarks, true},
	} {
		t.Run(one.name, func(t *testing.T) {
			b := open(t)
			if one.shared && !b.Shared {
				t.Skip("each process is alone")
			}
			one.test(t, b)
		})
	}
}

// Messages of one goroutine are stored in their order, and positions of a topic ascend.
func testOrder(t *testing.T, b *Backing) {
	p := start(t, b)
	const writers, each = 4, 100
	positions := make([][]broadcast.Position, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			done := make(chan history.Appended, each)
			for i := range each {
				err := p.store.Append("a.order", history.Append{
					Post: broadcast.Post{Payload: fmt.Appendf(nil, "%d-%d", w, i)}, Done: func(a history.Appended) { done <- a },
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
			for range each {
				select {
				case a := <-done:
					if a.Err != nil {
						t.Error(a.Err)
					}
					positions[w] = append(positions[w], a.Position)
				case <-time.After(patience):
					t.Error("no answer")
					return
				}
			}
		})
	}
	all.Wait()
	seen := map[uint64]bool{}
	for w := range positions {
		var last uint64
		for _, at := range positions[w] {
			if at.Offset <= last || at.Epoch != positions[0][0].Epoch || seen[at.Offset] {
				t.Fatalf("writer %d: %v behind offset %d", w, at, last)
			}
			last = at.Offset
			seen[last] = true
		}
	}
	list, _ := p.page("a.order", broadcast.Position{}, 1000, false)
	if len(list) != 100 {
		t.Fatalf("%d messages are kept, want the newest 100", len(list))
	}
	same(t, "the log", p.kept("a.order"), list)
}

func testPages(t *testing.T, b *Backing) {
	p := start(t, b)
	if list, page := p.page("a.pages", broadcast.Position{}, 10, false); list != nil || page.More {
		t.Fatalf("a topic without messages: %q, %+v", list, page)
	}
	var at []broadcast.Position
	for i := range 20 {
		at = append(at, p.must("a.pages", fmt.Sprint("m", i)))
		p.must("a.other", "x")
	}
	list, page := p.page("a.pages", broadcast.Position{}, 5, false)
	same(t, "first page", list, names(0, 4))
	if !page.More || page.Newest != at[19] || page.Messages[4].Position != at[4] {
		t.Fatalf("first page: %+v", page)
	}
	if age := time.Since(page.Messages[4].Published); age < -time.Minute || age > time.Minute {
		t.Fatalf("published %v ago", age)
	}
	list, page = p.page("a.pages", at[4], 15, false)
	same(t, "second page", list, names(5, 19))
	if page.More {
		t.Fatal("there is nothing behind the last page")
	}
	list, page = p.page("a.pages", broadcast.Position{}, 3, true)
	same(t, "the end", list, []string{"m19", "m18", "m17"})
	if !page.More {
		t.Fatal("there are more before the last three")
	}
	list, page = p.page("a.pages", at[2], 3, true)
	same(t, "the beginning", list, []string{"m1", "m0"})
	if page.More {
		t.Fatal("there is nothing before the first")
	}
	list, _ = p.page("a.pages", at[19], 3, false)
	same(t, "behind the last", list, nil)
	list, _ = p.page("a.pages", broadcast.Position{Epoch: "other", Offset: 1}, 3, false)
	same(t, "another epoch", list, nil)
	list, _ = p.page("a.pages", broadcast.Position{Epoch: at[0].Epoch, Offset: ^uint64(0)}, 3, false)
	same(t, "the last offset there is", list, nil)
}

func testBounds(t *testing.T, b *Backing) {
	p := start(t, b)
	for i := range 10 {
		p.must("few.a", fmt.Sprint("m", i))
		p.must("few.b", fmt.Sprint("m", i))
	}
	for _, topic := range []string{"few.a", "few.b"} {
		list, _ := p.page(topic, broadcast.Position{}, 100, false)
		same(t, topic, list, names(7, 9))
		same(t, "log of "+topic, p.kept(topic), names(7, 9))
	}
	p.must("old.a", "m0")
	eventually(t, "m0 has aged", func() bool {
		p.hub.TrimKept(time.Hour, p.store.Releasing)
		list, _ := p.page("old.a", broadcast.Position{}, 100, false)
		return len(list) == 0 && len(p.kept("old.a")) == 0
	})
}

func testNames(t *testing.T, b *Backing) {
	p := start(t, b, ">=10,1h")
	topics := []string{"a", "a.b.c", "*", ">", "a.*.>", " ", "$JS.API", "ü/ß", "100%", "a=2E", "A", "😀", strings.Repeat("x", 255), strings.Repeat("é", 127)}
	for _, topic := range topics {
		p.must(topic, "to "+topic)
	}
	for _, topic := range topics {
		list, _ := p.page(topic, broadcast.Position{}, 10, false)
		same(t, topic, list, []string{"to " + topic})
		same(t, "log of "+topic, p.kept(topic), []string{"to " + topic})
	}
}

func testRefusals(t *testing.T, b *Backing) {
	p := start(t, b)
	if b.Shared {
		for topic, want := range map[string]error{"no.history": history.ErrNoHistory, "": broadcast.ErrTopicEmpty, "a.\x00": broadcast.ErrTopicControl} {
			err := p.store.Append(topic, history.Append{Done: func(history.Appended) { t.Error("done") }})
			if !errors.Is(err, want) {
				t.Errorf("append to %q: %v, want %v", topic, err, want)
			}
		}
	}
	if _, err := p.store.Page(ctx(t), "no.history", broadcast.Position{}, 1, false); !errors.Is(err, history.ErrNoHistory) {
		t.Errorf("page: %v", err)
	}
	if err := p.store.Forget(ctx(t), "no.history"); !errors.Is(err, history.ErrNoHistory) {
		t.Errorf("forget: %v", err)
	}
	if err := p.store.Prepare(ctx(t), "no.history", broadcast.Last(1)); err != nil {
		t.Errorf("prepare: %v", err)
	}
	if err := p.store.Ready(); err != nil {
		t.Errorf("ready: %v", err)
	}
}

func testResumes(t *testing.T, b *Backing) {
	p := start(t, b)
	var at []broadcast.Position
	for i := range 10 {
		at = append(at, p.must("a.r", fmt.Sprint("m", i)))
	}
	for _, one := range []struct {
		from  broadcast.From
		reset broadcast.Reset
		want  []string
	}{
		{broadcast.From{}, broadcast.ResetNone, nil},
		{broadcast.After(at[4]), broadcast.ResetNone, names(5, 9)},
		{broadcast.After(at[9]), broadcast.ResetNone, nil},
		{broadcast.Last(3), broadcast.ResetNone, names(7, 9)},
		{broadcast.Last(1000), broadcast.ResetNone, names(0, 9)},
		{broadcast.Last(0), broadcast.ResetNone, nil},
		{broadcast.Since(now() - time.Hour), broadcast.ResetNone, names(0, 9)},
		{broadcast.Since(now() + time.Hour), broadcast.ResetNone, nil},
		{broadcast.After(broadcast.Position{Epoch: "never", Offset: 3}), broadcast.ResetEpoch, nil},
		{broadcast.After(broadcast.Position{Epoch: at[0].Epoch, Offset: at[9].Offset + 1000}), broadcast.ResetUnknown, nil},
		{broadcast.After(broadcast.Position{Epoch: at[0].Epoch, Offset: ^uint64(0)}), broadcast.ResetUnknown, nil},
		{broadcast.Unknown(), broadcast.ResetUnknown, nil},
	} {
		r, got := p.resume("a.r", one.from)
		if r.Reset != one.reset || r.Messages != len(one.want) {
			t.Errorf("%v: %+v, want reset %q and %d messages", one.from, r, one.reset, len(one.want))
			continue
		}
		same(t, one.from.String(), got, one.want)
	}
	for i := range 5 {
		p.must("few.r", fmt.Sprint("m", i))
	}
	first, _ := p.resume("few.r", broadcast.From{})
	if r, _ := p.resume("few.r", broadcast.After(broadcast.Position{Epoch: first.Position.Epoch})); r.Reset != broadcast.ResetExpired && !b.Shared {
		t.Errorf("from before what is kept: %+v", r)
	}
	// The position that a topic without messages gives is one to come back with.
	empty, _ := p.resume("a.empty", broadcast.From{})
	p.must("a.empty", "m0")
	if r, got := p.resume("a.empty", broadcast.After(empty.Position)); r.Reset != broadcast.ResetNone || len(got) != 1 {
		t.Errorf("a topic that was empty: %+v %q", r, got)
	}
}

func testForgotten(t *testing.T, b *Backing) {
	p := start(t, b)
	var at []broadcast.Position
	for i := range 5 {
		at = append(at, p.must("a.f", fmt.Sprint("m", i)))
		p.must("a.g", "stays")
	}
	if err := p.store.Forget(ctx(t), "a.f"); err != nil {
		t.Fatal(err)
	}
	list, _ := p.page("a.f", broadcast.Position{}, 10, false)
	same(t, "page", list, nil)
	same(t, "log", p.kept("a.f"), nil)
	next := p.must("a.f", "m5")
	if next.Epoch != at[0].Epoch || next.Offset <= at[4].Offset {
		t.Fatalf("positions do not go on: %v behind %v", next, at[4])
	}
	list, _ = p.page("a.f", broadcast.Position{}, 10, false)
	same(t, "page", list, []string{"m5"})
	if r, _ := p.resume("a.f", broadcast.After(at[1])); r.Reset != broadcast.ResetExpired {
		t.Errorf("behind a forgotten message: %+v", r)
	}
	if list, _ := p.page("a.g", broadcast.Position{}, 10, false); len(list) != 5 {
		t.Errorf("another topic lost messages: %q", list)
	}
	if err := p.store.Forget(ctx(t), "a.never"); err != nil {
		t.Error(err)
	}
}
