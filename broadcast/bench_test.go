// Benchmarks, and what must not allocate.

package broadcast

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// nullSink takes everything and owes nothing.
type nullSink struct{ sent int }

func (*nullSink) Pending(uint32) int                               { return 0 }
func (n *nullSink) Send(uint32, []byte, uint32, uint32)            { n.sent++ }
func (*nullSink) DropOldest(uint32, int, func(uint32, uint32)) int { return 0 }
func (*nullSink) Gap(uint32, Form, string, uint32, uint32, bool)   {}
func (*nullSink) Encode(dst []byte, _ uint32, m *Message) []byte   { return append(dst, m.Payload...) }
func (*nullSink) Slow(uint32)                                      {}

func withMembers(tb testing.TB, members int, topics ...string) (*Hub, *Shard) {
	tb.Helper()
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain, plain}})
	for m := range uint32(members) {
		subscribe(tb, h.Shard(0), m, Form(m/uint32(members/2)%2), topics...)
	}
	return h, h.Shard(0)
}

func TestDeliverDoesNotAllocate(t *testing.T) {
	if debug {
		t.Skip("the checks allocate")
	}
	h, s := withMembers(t, 10000, "t")
	sink := new(nullSink)
	publish(t, h, "t", "x")
	if n := testing.AllocsPerRun(90, func() { s.Deliver(sink, 100) }); n != 0 {
		t.Errorf("%v allocations a slice of a pass", n)
	}
	for s.Deliver(sink, 10000) {
	}

	h, s = withMembers(t, 10, "a", "b")
	for range 300 {
		publish(t, h, "a", "x") // one message a pass, since each is as large as a run may be
		publish(t, h, "b", "x")
	}
	h.runBytes = 0
	if n := testing.AllocsPerRun(200, func() { s.Deliver(sink, 10) }); n != 0 {
		t.Errorf("%v allocations a pass", n)
	}
}

func TestPublishToNobodyIsCheap(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}})
	payload, name := []byte("x"), strings.Repeat("nobody.", 10)
	n := testing.AllocsPerRun(1000, func() { _, _ = h.Publish(name, Text, payload) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	if topicCount(h) != 0 {
		t.Error("a topic was made")
	}
}

// Invariant: 8 bytes a seat, 12 bytes a subscription, little more.
func TestBytesPerMember(t *testing.T) {
	const members, shards = 15000, 2
	h := NewHub(Options{Shards: shards, Encoders: []Encoder{plain}})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for m := range uint32(members) {
		if _, err := h.shards[m%shards].Subscribe(m/shards, 0, "topic"); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / members
	t.Logf("%.1f bytes a member", each)
	if each > 24 {
		t.Errorf("%.1f bytes a member, want at most 24", each)
	}
	runtime.KeepAlive(h)
}

// BenchmarkValidTopic is the check of a name, which every subscribe and publish begins with.
func BenchmarkValidTopic(b *testing.B) {
	for _, name := range []string{"news", "stocks.nasdaq.AAPL.quotes", "nachrichten.fußball"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ValidTopic(name) != nil {
					b.Fatal("not valid")
				}
			}
		})
	}
}

// BenchmarkSubscribe is one subscription of a crowd that arrives, on the member's first topic or on
// up to eight. B/op is what it leaves behind, with the slack of tables that grow.
func BenchmarkSubscribe(b *testing.B) {
	for _, topics := range []int{1, 8} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			names := make([]string, topics)
			for i := range names {
				names[i] = fmt.Sprintf("topic.%d", i)
			}
			const members = 1 << 16
			b.ReportAllocs()
			var s *Shard
			for i := range b.N {
				member := uint32(i/topics) % members
				if i%(members*topics) == 0 {
					s = NewHub(Options{Shards: 1, Encoders: []Encoder{plain}}).Shard(0)
				}
				if _, err := s.Subscribe(member, 0, names[i%topics]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLeaveAndSubscribe is a reconnect: somebody among 10,000 leaves and somebody takes the
// seat.
func BenchmarkLeaveAndSubscribe(b *testing.B) {
	_, s := withMembers(b, 10000, "t")
	b.ReportAllocs()
	for i := range b.N {
		member := uint32(i*7919) % 10000
		s.Leave(member)
		if _, err := s.Subscribe(member, 0, "t"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTopicBeginAndEnd is a topic that its only member makes and ends.
func BenchmarkTopicBeginAndEnd(b *testing.B) {
	s := NewHub(Options{Shards: 2, Encoders: []Encoder{plain}}).Shard(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Subscribe(1, 0, "t"); err != nil {
			b.Fatal(err)
		}
		s.Leave(1)
	}
}

// BenchmarkPublish is one message in the registry: nothing kept where nobody listens, and with one
// member made, encoded, posted to the loop and delivered. What it costs beyond that grows only with
// the members: BenchmarkDeliver.
func BenchmarkPublish(b *testing.B) {
	payload := make([]byte, 64)
	b.Run("nobody", func(b *testing.B) {
		h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain}})
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = h.Publish("t", Binary, payload)
		}
	})
	// With the delivery to one member, so that it goes on for ever.
	b.Run("members=1", func(b *testing.B) {
		h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain}})
		subscribe(b, h.Shard(0), 1, 0, "t")
		sink := new(nullSink)
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = h.Publish("t", Binary, payload)
			h.Shard(0).Deliver(sink, 100)
		}
	})
}

// BenchmarkDeliver is phase 6 for one topic: a message, or eight at once, published and handed to
// all its members. ns/member is the figure, and must be about the same for every size of the crowd;
// eight messages are one run, so they cost a member little more than one.
func BenchmarkDeliver(b *testing.B) {
	for _, members := range []int{1_000, 10_000, 100_000} {
		for _, messages := range []int{1, 8} {
			b.Run(fmt.Sprintf("members=%d/messages=%d", members, messages), func(b *testing.B) {
				h, s := withMembers(b, members, "t")
				sink := new(nullSink)
				payload := make([]byte, 64)
				b.ReportAllocs()
				for b.Loop() {
					for range messages {
						_, _ = h.Publish("t", Binary, payload)
					}
					for s.Deliver(sink, 1024) {
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(members), "ns/member")
			})
		}
	}
}
