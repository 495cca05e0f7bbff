// Publishing and subscribing on one or more shards, driven by hand.

package broadcast

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subscribe(t testing.TB, s *Shard, member uint32, f Form, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		if added, err := s.Subscribe(member, f, topic); err != nil || !added {
			t.Fatalf("Subscribe(%d, %d, %q) = %v, %v", member, f, topic, added, err)
		}
	}
}

func publish(t testing.TB, h *Hub, topic, payload string) Result {
	t.Helper()
	r, err := h.Publish(topic, Text, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// settleDown delivers on all shards until none has more to do.
func settleDown(h *Hub, sinks ...*fakeSink) {
	for i, sink := range sinks {
		for h.shards[i].Deliver(sink, 7) {
			sink.flush()
		}
		sink.flush()
	}
}

func topicCount(h *Hub) (n int) {
	h.topics.Range(func(any, any) bool { n++; return true })
	if counted := h.TopicCount(); counted != n {
		panic(fmt.Sprintf("%d topics, counted %d", n, counted))
	}
	return n
}

func TestPublishReachesMembersOfAllShards(t *testing.T) {
	woken := [2]int{}
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain, angled}, Wake: func(i int) { woken[i]++ }})
	a, b := newFakeSink(), newFakeSink()
	subscribe(t, h.Shard(0), 1, 0, "news", "sport")
	subscribe(t, h.Shard(0), 2, 1, "news")
	subscribe(t, h.Shard(1), 1, 1, "news")

	if r := publish(t, h, "news", "x"); r != (Result{Matched: 3, Queued: 3}) {
		t.Errorf("news: %+v", r)
	}
	if r := publish(t, h, "sport", "y"); r != (Result{Matched: 1, Queued: 1}) {
		t.Errorf("sport: %+v", r)
	}
	if r := publish(t, h, "nobody", "z"); r != (Result{}) {
		t.Errorf("nobody: %+v", r)
	}
	// What another node has published is delivered, and counted there.
	if r, err := h.PublishPost("sport", Post{Payload: []byte("r"), Relayed: true}); r.Queued != 1 || err != nil {
		t.Errorf("relayed: %+v, %v", r, err)
	}
	if woken != [2]int{2, 1} {
		t.Errorf("woken %v", woken)
	}
	settleDown(h, a, b)
	for _, c := range []struct{ got, want string }{
		{a.got(1), "[x][y][r]"}, {a.got(2), "(news:x)"}, {b.got(1), "(news:x)"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	want := Counters{Published: 3, Deliveries: 5}
	if c := h.Counters(); c != want {
		t.Errorf("counters %+v, want %+v", c, want)
	}
}

func TestSubscribeIsIdempotent(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain, angled}})
	s, sink := h.Shard(0), newFakeSink()
	subscribe(t, s, 5, 0, "a")
	if added, err := s.Subscribe(5, 1, "a"); added || err != nil {
		t.Errorf("again: %v, %v", added, err)
	}
	if r := publish(t, h, "a", "x"); r.Matched != 1 {
		t.Errorf("%+v", r)
	}
	settleDown(h, sink)
	if got := sink.got(5); got != "[x]" {
		t.Errorf("got %q", got)
	}
	if !s.Unsubscribe(5, "a") || s.Unsubscribe(5, "a") || s.Unsubscribe(5, "never") {
		t.Error("Unsubscribe: want true once")
	}
	if n := topicCount(h); n != 0 {
		t.Errorf("%d topics left", n)
	}
}

func TestSubscriptionsAreCounted(t *testing.T) {
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain}})
	s := h.Shard(0)
	for member, topics := range [][]string{{"a"}, {"a", "b", "c"}, {"b"}, {"a", "a"}} {
		for _, topic := range topics {
			if _, err := s.Subscribe(uint32(member), 0, topic); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name string
		do   func()
		want int
	}{
		{"all", func() {}, 6},
		{"one topic less", func() { s.Unsubscribe(1, "a") }, 5},
		{"a topic that it has not", func() { s.Unsubscribe(1, "a") }, 5},
		{"a member with two leaves", func() { s.Leave(1) }, 3},
		{"again", func() { s.Leave(1) }, 3},
	} {
		if c.do(); s.Subscriptions() != c.want || h.Shard(1).Subscriptions() != 0 {
			t.Errorf("%s: %d, want %d", c.name, s.Subscriptions(), c.want)
		}
	}
}

// The names of a member's topics are bounded together; a topic that it leaves makes room.
func TestTopicNamesAreBounded(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}, TopicNameBytesPerMemberMax: 16 << 10})
	s := h.Shard(0)
	name := func(i int) string { return fmt.Sprintf("%0255d", i) }
	added := 0
	for i := range 200 {
		switch _, err := s.Subscribe(1, 0, name(i)); {
		case err == nil:
			added++
		case !errors.Is(err, ErrTopicNamesPerMember) || !errors.Is(err, ErrTopicsPerMember):
			t.Fatal(err)
		}
	}
	if added != 64 || topicCount(h) != 64 {
		t.Errorf("%d of 200 names of 255 bytes, %d topics; want 64", added, topicCount(h))
	}
	if again, err := s.Subscribe(1, 0, name(3)); again || err != nil {
		t.Errorf("a topic again: %v, %v", again, err)
	}
	subscribe(t, s, 2, 0, name(199)) // another member has its own
	s.Unsubscribe(1, name(3))
	subscribe(t, s, 1, 0, name(100))
}

func TestSubscribeErrors(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}, TopicsPerMemberMax: 2})
	s := h.Shard(0)
	subscribe(t, s, 1, 0, "a", "b")
	if _, err := s.Subscribe(1, 0, "c"); !errors.Is(err, ErrTopicsPerMember) {
		t.Errorf("third topic: %v", err)
	}
	if added, err := s.Subscribe(1, 0, "b"); added || err != nil {
		t.Errorf("second topic again: %v, %v", added, err)
	}
	if _, err := s.Subscribe(1, 0, ""); !errors.Is(err, ErrTopicEmpty) {
		t.Errorf("empty: %v", err)
	}
	if _, err := s.Subscribe(MembersMax, 0, "a"); err == nil {
		t.Error("member out of range: no error")
	}
	if _, err := s.Subscribe(2, 1, "a"); err == nil {
		t.Error("form out of range: no error")
	}
	if _, err := h.Publish("a\n", Text, nil); !errors.Is(err, ErrTopicControl) {
		t.Errorf("publish: %v", err)
	}
	if n := topicCount(h); n != 2 {
		t.Errorf("%d topics, want 2: a refused Subscribe must not leave one", n)
	}
}

func TestTopicsOfMember(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}})
	s := h.Shard(0)
	list := func() string {
		var b strings.Builder
		s.Topics(3, func(topic string) { b.WriteString(topic) })
		return b.String()
	}
	subscribe(t, s, 3, 0, "a", "b", "c")
	if got := list(); got != "acb" {
		t.Errorf("got %q", got)
	}
	s.Unsubscribe(3, "a") // the first: another takes its place
	if got := list(); got != "cb" {
		t.Errorf("got %q", got)
	}
	s.Unsubscribe(3, "b")
	subscribe(t, s, 3, 0, "d")
	if got := list(); got != "cd" {
		t.Errorf("got %q", got)
	}
	s.Leave(3)
	s.Leave(3)
	s.Leave(99999)
	if got := list(); got != "" || topicCount(h) != 0 {
		t.Errorf("got %q, %d topics", got, topicCount(h))
	}
}

func TestTopicInfo(t *testing.T) {
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain, angled}})
	subscribe(t, h.Shard(0), 1, 0, "b.x", "b.y", "a")
	subscribe(t, h.Shard(1), 1, 1, "b.y")
	info, ok := h.Topic("b.y")
	if !ok || info != (TopicInfo{Name: "b.y", Members: 2, ByForm: [FormsMax]int{1, 1}}) {
		t.Errorf("%+v, %v", info, ok)
	}
	if _, ok := h.Topic("c"); ok {
		t.Error("c is there")
	}
	if l := h.Topics("b.", "", 100); len(l) != 2 || l[0].Name != "b.x" || l[1].Name != "b.y" {
		t.Errorf("%+v", l)
	}
	if n := h.TopicCount(); n != 3 {
		t.Errorf("%d topics", n)
	}
	if l := h.Topics("", "", 100); len(l) != 3 {
		t.Errorf("%+v", l)
	}
}

// Each form that has members is encoded once, by the publisher; others are not encoded.
func TestEncodeOncePerForm(t *testing.T) {
	var calls [3]int
	counting := func(f int) Encoder {
		return func(dst []byte, m *Message) []byte { calls[f]++; return append(dst, m.Payload...) }
	}
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{counting(0), counting(1), counting(2)}})
	a, b := newFakeSink(), newFakeSink()
	for m := range uint32(50) {
		subscribe(t, h.Shard(0), m, 0, "t")
		subscribe(t, h.Shard(1), m, Form(m%2), "t")
	}
	publish(t, h, "t", "x")
	if calls != [3]int{1, 1, 0} {
		t.Errorf("after Publish: %v", calls)
	}
	publish(t, h, "t", "y")
	settleDown(h, a, b)
	if calls != [3]int{2, 2, 0} {
		t.Errorf("after delivery: %v", calls)
	}
}

// A form that comes up between Publish and Deliver is encoded by the shard, once.
func TestEncodedByWhoAsksFirst(t *testing.T) {
	calls := 0
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain, func(dst []byte, m *Message) []byte {
		calls++
		return angled(dst, m)
	}}, Done: func(_ int, m *Message) {
		one, two := m.Encoded(1), m.Encoded(1)
		if &one[0] != &two[0] || string(one) != "(t:x)" {
			t.Errorf("%q and %q", one, two)
		}
	}})
	sink := newFakeSink()
	subscribe(t, h.Shard(0), 1, 0, "t")
	publish(t, h, "t", "x")
	settleDown(h, sink)
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func TestPendingBytesMax(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}, PendingBytesMax: 1000})
	sink := newFakeSink()
	subscribe(t, h.Shard(0), 1, 0, "t")
	var last Result
	n := 0
	for ; n < 10; n++ {
		if last = publish(t, h, "t", "0123456789"); last.Dropped > 0 {
			break
		}
	}
	if last != (Result{Matched: 1, Dropped: 1}) || n != 3 {
		t.Errorf("publish %d: %+v", n, last)
	}
	if c := h.Counters(); c.Refused != 1 || c.PendingBytes <= 0 || c.PendingBytes > 1000 {
		t.Errorf("%+v", c)
	}
	settleDown(h, sink)
	if got := sink.got(1); strings.Count(got, "[") != 3 {
		t.Errorf("got %q", got)
	}
	if c := h.Counters(); c.PendingBytes != 0 {
		t.Errorf("%d bytes pending at the end", c.PendingBytes)
	}
	if r := publish(t, h, "t", strings.Repeat("x", 2000)); r.Dropped != 1 {
		t.Errorf("one that is larger than everything: %+v", r)
	}
}

// Done is called once a message, when the last shard has passed over it, members or not.
func TestDoneOnce(t *testing.T) {
	done := map[string]int{}
	h := NewHub(Options{Shards: 3, Encoders: []Encoder{plain}, Done: func(_ int, m *Message) { done[string(m.Payload)]++ }})
	sinks := []*fakeSink{newFakeSink(), newFakeSink(), newFakeSink()}
	for i := range sinks {
		for m := range uint32(3) {
			subscribe(t, h.Shard(i), m, 0, "t")
		}
	}
	publish(t, h, "t", "a")
	for m := range uint32(3) {
		h.Shard(1).Leave(m) // all: the shard passes over the message all the same
	}
	publish(t, h, "t", "b")
	h.Shard(0).Deliver(sinks[0], 1) // a part of the pass
	for m := range uint32(3) {
		h.Shard(0).Leave(m)
	}
	if len(done) != 0 {
		t.Errorf("too early: %v", done)
	}
	settleDown(h, sinks[0], sinks[1])
	if len(done) != 0 {
		t.Errorf("too early: %v", done)
	}
	settleDown(h, sinks...)
	if len(done) != 2 || done["a"] != 1 || done["b"] != 1 {
		t.Errorf("%v", done)
	}
	if c := h.Counters(); c.PendingBytes != 0 {
		t.Errorf("%d bytes pending", c.PendingBytes)
	}
	h.Shard(2).Leave(0)
	h.Shard(2).Leave(1)
	h.Shard(2).Leave(2)
	if n := topicCount(h); n != 0 {
		t.Errorf("%d topics left", n)
	}
}

// An idle topic must not hold the last message, nor any node before its last.
func TestDeliveredMessagesAreGarbage(t *testing.T) {
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain}})
	a, b := newFakeSink(), newFakeSink()
	subscribe(t, h.Shard(0), 1, 0, "t")
	subscribe(t, h.Shard(1), 1, 0, "t")
	const messages = 20
	freed := make(chan struct{}, messages)
	for range messages {
		payload := make([]byte, 1<<16)
		runtime.AddCleanup(&payload[0], func(c chan struct{}) { c <- struct{}{} }, freed)
		if _, err := h.Publish("t", Binary, payload); err != nil {
			t.Fatal(err)
		}
	}
	settleDown(h, a, b) // the test's sink copies, so the outboxes hold nothing
	if info, _ := h.Topic("t"); info.Members != 2 {
		t.Fatalf("%d members left", info.Members)
	}
	deadline := time.After(30 * time.Second)
	for n := range messages {
		runtime.GC()
		select {
		case <-freed:
		case <-deadline:
			t.Fatalf("%d of %d payloads are garbage", n, messages)
		}
	}
	runtime.KeepAlive(h)
}

// Many names, some with messages on their way when everybody leaves, leave nothing behind.
func TestTopicsAreForgotten(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}})
	s, sink := h.Shard(0), newFakeSink()
	for i := range 20000 {
		name := fmt.Sprintf("t%d", i)
		subscribe(t, s, uint32(i%500), 0, name)
		if i%10 == 0 {
			publish(t, h, name, "x")
		}
		if i%500 == 499 {
			for m := range uint32(500) {
				s.Leave(m)
			}
			for s.Deliver(sink, 100) {
			}
		}
	}
	if n := topicCount(h); n != 0 {
		t.Errorf("%d topics left", n)
	}
	if s.marks.live != 0 || s.marks.used > 600 || h.Counters().PendingBytes != 0 {
		t.Errorf("%d rosters, %d marks used, %+v", s.marks.live, s.marks.used, h.Counters())
	}
}

func TestOptionsValidate(t *testing.T) {
	good := Options{Shards: 1, Encoders: []Encoder{plain}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	bad := Options{Shards: 300, Encoders: []Encoder{nil}, Policy: 9, OutboxBytesMax: -1}
	err := bad.Validate()
	for _, want := range []string{"Shards is 300, want 1 to 256", "Encoders[0]", "Policy is 9", "OutboxBytesMax is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	for _, p := range []Policy{Disconnect, DropOldest, DropNewest} {
		if got, err := ParsePolicy(p.String()); got != p || err != nil {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("block"); err == nil {
		t.Error("block: no error")
	}
}
