// Positions: their order, what they cost, and topics that stay without members.

package broadcast

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

// numbered is an Encoder: payload and position.
func numbered(dst []byte, m *Message) []byte {
	p, ok := m.Position()
	return fmt.Appendf(dst, "[%s %s.%d %t]", m.Payload, p.Epoch, p.Offset, ok)
}

// bounded is at least what plain, angled and numbered make.
func bounded(_ Form, m *Message) int { return len(m.Payload) + len(m.Topic) + 64 }

// history wants positions for topics that begin with "h", each time in a new epoch.
func history() func(string) (Position, bool) {
	var epochs atomic.Uint64
	return func(topic string) (Position, bool) {
		if !strings.HasPrefix(topic, "h") {
			return Position{}, false
		}
		return Position{Epoch: fmt.Sprint("e", epochs.Add(1)), Offset: 1}, true
	}
}

func TestPositions(t *testing.T) {
	h, s, sink := one(t, Options{Encoders: []Encoder{numbered, numbered}, Positions: history(), EncodedBytesMax: bounded})
	subscribe(t, s, 1, 0, "h")
	subscribe(t, s, 2, 1, "h")
	subscribe(t, s, 1, 0, "plain")
	for i := range 3 {
		if r := publish(t, h, "h", fmt.Sprint(i)); r.Position != (Position{"e1", uint64(i + 1)}) || r.Queued != 2 {
			t.Errorf("%+v", r)
		}
	}
	if r := publish(t, h, "plain", "x"); r.Position != (Position{}) {
		t.Errorf("a topic without positions: %+v", r)
	}
	settleDown(h, sink)
	if got := sink.got(1); got != "[0e1.1true][1e1.2true][2e1.3true][x.0false]" {
		t.Errorf("form 0: %q", got)
	}
	if got := sink.got(2); got != "[0e1.1true][1e1.2true][2e1.3true]" {
		t.Errorf("form 1: %q", got)
	}
	if c := h.Counters(); c.PendingBytes != 0 {
		t.Errorf("%d bytes pending at the end", c.PendingBytes)
	}
}

// TestPositionsWithoutMembers: a topic with positions goes on counting when nobody is subscribed,
// holds no message then, and ends when it is released.
func TestPositionsWithoutMembers(t *testing.T) {
	done := 0
	h, s, sink := one(t, Options{Encoders: []Encoder{numbered}, Positions: history(), EncodedBytesMax: bounded, Done: func(int, *Message) { done++ }})
	for want := range uint64(3) {
		if r := publish(t, h, "h", "x"); r != (Result{Position: Position{"e1", want + 1}}) {
			t.Errorf("%+v", r)
		}
	}
	if c := h.Counters(); c.PendingBytes != 0 || len(h.Topics("", "", 100)) != 0 {
		t.Errorf("%d bytes pending, topics %v", c.PendingBytes, h.Topics("", "", 100))
	}
	subscribe(t, s, 1, 0, "h")
	publish(t, h, "h", "y")
	settleDown(h, sink)
	s.Leave(1)
	publish(t, h, "h", "z")
	subscribe(t, s, 1, 0, "h")
	publish(t, h, "h", "a")
	settleDown(h, sink)
	if got := sink.got(1); got != "[ye1.4true][ae1.6true]" || done != 2 {
		t.Errorf("got %q, %d done", got, done)
	}
	if last, ok := h.Release("h"); !ok || last != (Position{"e1", 6}) {
		t.Errorf("released at %+v, %t", last, ok)
	}
	if _, ok := h.Release("h"); ok {
		t.Error("released twice")
	}
	publish(t, h, "h", "b") // the members it has keep it
	settleDown(h, sink)
	if got := sink.got(1); got != "[be1.7true]" {
		t.Errorf("got %q", got)
	}
	s.Leave(1)
	if n := topicCount(h); n != 0 {
		t.Errorf("%d topics left", n)
	}
	if r := publish(t, h, "h", "c"); r.Position != (Position{"e2", 1}) {
		t.Errorf("the next topic of that name: %+v", r)
	}
	if _, ok := h.Release("h"); !ok || topicCount(h) != 0 {
		t.Errorf("%d topics left", topicCount(h))
	}
	if _, ok := h.Release("h"); ok {
		t.Error("a topic that is not there was released")
	}
	subscribe(t, s, 1, 0, "plain")
	if _, ok := h.Release("plain"); ok {
		t.Error("a topic without positions was released")
	}
}

// TestPositionsAreEncodedOnce, by the first shard that delivers, not by the publisher.
func TestPositionsAreEncodedOnce(t *testing.T) {
	calls := 0
	encode := func(dst []byte, m *Message) []byte { calls++; return numbered(dst, m) }
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{encode}, Positions: history(), EncodedBytesMax: bounded})
	a, b := newFakeSink(), newFakeSink()
	subscribe(t, h.Shard(0), 1, 0, "h")
	subscribe(t, h.Shard(1), 1, 0, "h")
	publish(t, h, "h", "x")
	if calls != 0 {
		t.Errorf("encoded %d times before it had a position", calls)
	}
	settleDown(h, a, b)
	if calls != 1 || a.got(1) != b.got(1) {
		t.Errorf("encoded %d times", calls)
	}
}

// TestBudgetOfGrowingForms: what is pending is never more than what is counted, with encoders that
// make ten times as much of a payload, that keep to their bound, and that do not.
func TestBudgetOfGrowingForms(t *testing.T) {
	grow := func(dst []byte, m *Message) []byte {
		for range 10 {
			dst = append(dst, m.Payload...)
		}
		return dst
	}
	for name, bound := range map[string]int{"exact": 1000, "generous": 5000, "broken": 0} {
		t.Run(name, func(t *testing.T) {
			h := NewHub(Options{
				Shards: 2, Encoders: []Encoder{grow, grow, plain}, Positions: history(), PendingBytesMax: 40_000,
				EncodedBytesMax: func(f Form, m *Message) int {
					if f == 2 {
						return len(m.Payload) + 2
					}
					return bound
				},
			})
			sink := newFakeSink()
			subscribe(t, h.Shard(0), 1, 0, "h")
			subscribe(t, h.Shard(1), 1, 1, "h")
			payload := strings.Repeat("x", 100)
			queued := 0
			for publish(t, h, "h", payload).Dropped == 0 {
				queued++
			}
			if c := h.Counters(); c.PendingBytes > 40_000 || c.PendingBytes < int64(queued)*int64(100+2*bound) {
				t.Errorf("%d messages of a bound of %d are pending, counted %d bytes", queued, bound, c.PendingBytes)
			}
			// One shard has made its form; the other has not, so all messages are still pending.
			for h.Shard(0).Deliver(sink, 10) {
			}
			least := int64(queued) * int64(messageOverheadBytes+100+1000+min(bound, 1000))
			if c := h.Counters(); c.PendingBytes < least || bound == 1000 && c.PendingBytes > 40_000 {
				t.Errorf("half delivered: %d bytes counted, at least %d are there", c.PendingBytes, least)
			}
			settleDown(h, sink, sink)
			if c := h.Counters(); c.PendingBytes != 0 {
				t.Errorf("%d bytes pending at the end", c.PendingBytes)
			}
		})
	}
}

// TestPositionsOfTwoPublishers: many shards, and members that come and go. Positions are gapless
// and the same for all members, in both forms; publishers are told the same ones.
func TestPositionsOfTwoPublishers(t *testing.T) {
	const shards, publishers, each = 4, 2, 3000
	encode := func(dst []byte, m *Message) []byte {
		p, _ := m.Position()
		dst = append(dst, m.Payload...) // 8 bytes
		return binary.BigEndian.AppendUint64(dst, p.Offset)
	}
	h := NewHub(Options{Shards: shards, Encoders: []Encoder{encode, encode}, Positions: history(), EncodedBytesMax: bounded})
	var told sync.Map // payload to offset, as the publisher was told
	var loops, all sync.WaitGroup
	stop := make(chan struct{})
	got := make([]*orderSink, shards)
	for i := range shards {
		s, sink := h.Shard(i), &orderSink{t: t}
		got[i] = sink
		subscribe(t, s, 1, Form(i%2), "h")
		loops.Go(func() {
			for round := 0; ; round++ {
				for s.Deliver(sink, 10) {
				}
				if round%3 == 0 {
					s.Leave(2)
					if _, err := s.Subscribe(2, Form(round%2), "h"); err != nil {
						t.Error(err)
					}
				}
				select {
				case <-stop:
					for s.Deliver(sink, 10) {
					}
					return
				default:
				}
			}
		})
	}
	for p := range publishers {
		all.Go(func() {
			for i := range each {
				payload := fmt.Appendf(nil, "%d.%06d", p, i)
				r, err := h.Publish("h", Text, payload)
				if err != nil || r.Dropped > 0 || r.Position.Epoch != "e1" {
					t.Errorf("%+v, %v", r, err)
				}
				told.Store(string(payload), r.Position.Offset)
			}
		})
	}
	all.Wait()
	close(stop)
	loops.Wait()
	for i, sink := range got {
		if len(sink.offsets) != publishers*each {
			t.Fatalf("shard %d: %d messages of %d", i, len(sink.offsets), publishers*each)
		}
		for k, offset := range sink.offsets {
			if offset != uint64(k+1) || sink.payloads[k] != got[0].payloads[k] {
				t.Fatalf("shard %d: message %d is %s at %d; on shard 0 %s", i, k, sink.payloads[k], offset, got[0].payloads[k])
			}
			if as, ok := told.Load(sink.payloads[k]); !ok || as != offset {
				t.Fatalf("%s is at %d, and its publisher was told %v", sink.payloads[k], offset, as)
			}
		}
	}
	if c := h.Counters(); c.PendingBytes != 0 {
		t.Errorf("%d bytes pending at the end", c.PendingBytes)
	}
}

// orderSink notes what member 1 gets, and checks that what others get has no holes.
type orderSink struct {
	t        *testing.T
	payloads []string
	offsets  []uint64
}

func (s *orderSink) Send(member uint32, p []byte, _ uint32, _ uint32) {
	last := uint64(0)
	for ; len(p) > 0; p = p[16:] {
		offset := binary.BigEndian.Uint64(p[8:])
		if last != 0 && offset != last+1 {
			s.t.Errorf("member %d: offset %d behind %d", member, offset, last)
		}
		last = offset
		if member == 1 {
			s.payloads, s.offsets = append(s.payloads, string(p[:8])), append(s.offsets, offset)
		}
	}
}

func (*orderSink) Pending(uint32) int                               { return 0 }
func (*orderSink) DropOldest(uint32, int, func(uint32, uint32)) int { panic("no policy") }
func (*orderSink) Gap(uint32, Form, string, uint32, uint32, bool)   { panic("no policy") }
func (*orderSink) Encode(dst []byte, _ uint32, m *Message) []byte   { return append(dst, m.Payload...) }
func (*orderSink) Slow(uint32)                                      { panic("no policy") }

// TestReleaseWhilePublishing: a topic that is released all the time loses no message and no number.
func TestReleaseWhilePublishing(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{numbered}, Positions: history(), EncodedBytesMax: bounded})
	var wg sync.WaitGroup
	seen := make([]map[Position]bool, 2)
	for p := range seen {
		seen[p] = make(map[Position]bool)
		wg.Go(func() {
			for range 2000 {
				r, err := h.Publish("h", Text, nil)
				if err != nil || r.Position.Offset == 0 || seen[p][r.Position] {
					t.Errorf("%+v, %v", r, err)
				}
				seen[p][r.Position] = true
			}
		})
	}
	wg.Go(func() {
		for range 2000 {
			h.Release("h")
		}
	})
	wg.Wait()
	last := map[string]uint64{}
	count := map[string]uint64{}
	for _, positions := range seen {
		for p := range positions {
			last[p.Epoch] = max(last[p.Epoch], p.Offset)
			count[p.Epoch]++
		}
	}
	for epoch, n := range count {
		if last[epoch] != n {
			t.Errorf("epoch %s: %d messages, and the last is at %d", epoch, n, last[epoch])
		}
	}
	if c := h.Counters(); c.PendingBytes != 0 {
		t.Errorf("%d bytes pending at the end", c.PendingBytes)
	}
}

// TestSixteenForms: as many forms as FormsMax allows, each for its member.
func TestSixteenForms(t *testing.T) {
	var encoders []Encoder
	for f := range FormsMax {
		encoders = append(encoders, func(dst []byte, m *Message) []byte { return fmt.Appendf(dst, "%d=%s;", f, m.Payload) })
	}
	h, s, sink := one(t, Options{Encoders: encoders, Policy: DropNewest, OutboxBytesMax: 20})
	for f := range uint32(FormsMax) {
		subscribe(t, s, f, Form(f), "t")
	}
	publish(t, h, "t", "x")
	publish(t, h, "t", strings.Repeat("y", 30)) // missed by all: the lagging bit is not a form's
	settleDown(h, sink)
	publish(t, h, "t", "z")
	settleDown(h, sink)
	for f := range uint32(FormsMax) {
		if got, want := sink.got(f), fmt.Sprintf("%d=x;<t-1>%d=z;", f, f); got != want {
			t.Errorf("form %d: got %q, want %q", f, got, want)
		}
	}
	if info, _ := h.Topic("t"); info.Members != FormsMax || info.ByForm[FormsMax-1] != 1 {
		t.Errorf("%+v", info)
	}
}

// TestPublishAllocations: a topic without positions costs what it did: message, node, and for each
// form its bytes and their header.
func TestPublishAllocations(t *testing.T) {
	if debug {
		t.Skip("the invariants allocate")
	}
	if size := unsafe.Sizeof(Message{}); size > 256 {
		t.Errorf("a message has %d bytes, want at most 256", size)
	}
	for want, o := range map[float64]Options{4: {}, 5: {Positions: history(), EncodedBytesMax: bounded}} {
		o.Encoders = []Encoder{plain}
		h, s, _ := one(t, o)
		subscribe(t, s, 1, 0, "h")
		payload := []byte("payload")
		got := testing.AllocsPerRun(100, func() {
			_, _ = h.Publish("h", Text, payload)
			s.Deliver(countingSink{}, 10)
		})
		if got != want {
			t.Errorf("with positions %t: %v allocations, want %v", o.Positions != nil, got, want)
		}
	}
}

type countingSink struct{}

func (countingSink) Send(uint32, []byte, uint32, uint32)              {}
func (countingSink) Pending(uint32) int                               { return 0 }
func (countingSink) DropOldest(uint32, int, func(uint32, uint32)) int { return 0 }
func (countingSink) Gap(uint32, Form, string, uint32, uint32, bool)   {}
func (countingSink) Encode(dst []byte, _ uint32, m *Message) []byte   { return append(dst, m.Payload...) }
func (countingSink) Slow(uint32)                                      {}

// A topic whose engine has lost messages goes on in a new epoch, with its members.
func TestRenumber(t *testing.T) {
	h, s, sink := one(t, Options{
		Encoders: []Encoder{numbered}, Positions: history(), EncodedBytesMax: bounded, Older: true,
		Keep: func(string) Keep { return Keep{Count: 10} },
	})
	subscribe(t, s, 1, 0, "h")
	for range 3 {
		publish(t, h, "h", "a")
	}
	settleDown(h, sink)
	h.Renumber(func(topic string) bool { return topic == "h" }, Position{"f1", 101})
	if k, _ := h.Kept("h", Position{}, 10, false); len(k.Messages) != 0 || k.Newest != (Position{"f1", 100}) {
		t.Errorf("%+v", k)
	}
	for _, c := range []struct {
		from  From
		reset Reset
		ahead Covered
	}{
		{After(Position{"e1", 2}), ResetEpoch, CoveredYes},
		{After(Position{"f1", 100}), ResetNone, CoveredYes},
		{After(Position{"f1", 99}), ResetExpired, CoveredOlder},
	} {
		if covered, _ := h.Covers("h", c.from); covered != c.ahead {
			t.Errorf("%v: covered %v", c.from, covered)
		}
		if r, err := s.Resume(2, 0, "h", c.from); err != nil || r.Reset != c.reset || r.Position != (Position{"f1", 100}) {
			t.Errorf("%v: %+v, %v", c.from, r, err)
		}
		s.Leave(2)
	}
	r, err := h.PublishPost("h", Post{Payload: []byte("b"), Offset: 107})
	if err != nil || r.Position != (Position{"f1", 107}) || r.Queued != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	settleDown(h, sink)
	if got := sink.got(1); got != "[ae1.1true][ae1.2true][ae1.3true][bf1.107true]" {
		t.Errorf("got %q", got)
	}
	if r, err := s.Resume(2, 0, "h", After(Position{"f1", 100})); err != nil || r.Messages != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
