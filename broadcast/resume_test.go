// Logs and members that come back.

package broadcast

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func keeping(keep Keep) func(string) Keep { return func(string) Keep { return keep } }

func resume(t *testing.T, s *Shard, member uint32, f Form, topic string, from From) Resumed {
	t.Helper()
	r, err := s.Resume(member, f, topic, from)
	if err != nil || !r.Added {
		t.Fatalf("%+v, %v", r, err)
	}
	return r
}

// terse is an Encoder: the offset and a space.
func terse(dst []byte, m *Message) []byte {
	p, _ := m.Position()
	return fmt.Appendf(dst, "%d,", p.Offset)
}

func kept(o Options) Options {
	o.Positions, o.EncodedBytesMax = history(), bounded
	if o.Encoders == nil {
		o.Encoders = []Encoder{terse}
	}
	if o.Keep == nil {
		o.Keep = keeping(Keep{Count: 5})
	}
	return o
}

func TestResume(t *testing.T) {
	for name, row := range map[string]struct {
		published int
		from      From
		want      Resumed // but for Added
		got       string
	}{
		"now":                       {3, From{}, Resumed{Position: Position{"e1", 3}}, ""},
		"after":                     {3, After(Position{"e1", 1}), Resumed{Messages: 2, Position: Position{"e1", 3}}, "2,3,"},
		"after the newest":          {3, After(Position{"e1", 3}), Resumed{Position: Position{"e1", 3}}, ""},
		"after nothing":             {3, After(Position{"e1", 0}), Resumed{Messages: 3, Position: Position{"e1", 3}}, "1,2,3,"},
		"after the oldest but one":  {9, After(Position{"e1", 4}), Resumed{Messages: 5, Position: Position{"e1", 9}}, "5,6,7,8,9,"},
		"after what is not kept":    {9, After(Position{"e1", 3}), Resumed{Reset: ResetExpired, Position: Position{"e1", 9}}, ""},
		"after the future":          {3, After(Position{"e1", 4}), Resumed{Reset: ResetUnknown, Position: Position{"e1", 3}}, ""},
		"another epoch":             {3, After(Position{"e2", 2}), Resumed{Reset: ResetEpoch, Position: Position{"e1", 3}}, ""},
		"no epoch":                  {3, After(Position{"", 2}), Resumed{Reset: ResetEpoch, Position: Position{"e1", 3}}, ""},
		"last":                      {3, Last(2), Resumed{Messages: 2, Position: Position{"e1", 3}}, "2,3,"},
		"last more than there are":  {3, Last(100), Resumed{Messages: 3, Position: Position{"e1", 3}}, "1,2,3,"},
		"last more than are kept":   {9, Last(100), Resumed{Messages: 5, Position: Position{"e1", 9}}, "5,6,7,8,9,"},
		"last none":                 {3, Last(0), Resumed{Position: Position{"e1", 3}}, ""},
		"last of nothing":           {0, Last(3), Resumed{Position: Position{"e1", 0}}, ""},
		"after the start, nothing":  {0, After(Position{"e1", 0}), Resumed{Position: Position{"e1", 0}}, ""},
		"since before the first":    {3, Since(0), Resumed{Messages: 3, Position: Position{"e1", 3}}, "1,2,3,"},
		"since the second":          {3, Since(2 * time.Second), Resumed{Messages: 2, Position: Position{"e1", 3}}, "2,3,"},
		"since later than the last": {3, Since(9 * time.Second), Resumed{Position: Position{"e1", 3}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var now time.Duration
			h, s, sink := one(t, kept(Options{Now: func() time.Duration { return now }}))
			if row.published == 0 {
				subscribe(t, s, 9, 0, "h")
			}
			for i := range row.published {
				now = time.Duration(i+1) * time.Second
				publish(t, h, "h", "x")
			}
			row.want.Added = true
			row.want.Behind = row.want.Position
			row.want.Behind.Offset -= uint64(row.want.Messages)
			if got := resume(t, s, 1, 0, "h", row.from); got != row.want {
				t.Errorf("%+v, want %+v", got, row.want)
			}
			publish(t, h, "h", "live")
			settleDown(h, sink)
			if got, want := sink.got(1), fmt.Sprintf("%s%d,", row.got, row.published+1); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if len(s.replays) != 0 {
				t.Error("still behind")
			}
		})
	}
}

// TestResumeWithoutLog: a topic without positions, and one without a log.
func TestResumeWithoutLog(t *testing.T) {
	h, s, sink := one(t, kept(Options{Keep: keeping(Keep{})}))
	if r := resume(t, s, 1, 0, "plain", Last(3)); r != (Resumed{Added: true, Reset: ResetUnknown}) {
		t.Errorf("%+v", r)
	}
	publish(t, h, "h", "x")
	if r := resume(t, s, 1, 0, "h", Last(3)); r != (Resumed{Added: true, Reset: ResetUnknown, Position: Position{"e1", 1}, Behind: Position{"e1", 1}}) {
		t.Errorf("%+v", r)
	}
	publish(t, h, "h", "x")
	settleDown(h, sink)
	if got := sink.got(1); got != "2," {
		t.Errorf("got %s", got)
	}
	if r, err := s.Resume(1, 0, "h", Last(3)); r.Added || err != nil {
		t.Errorf("subscribed twice: %+v, %v", r, err)
	}
}

// TestResumeInSlices: a replay that is longer than the outbox waits for the member; live messages
// wait behind it.
func TestResumeInSlices(t *testing.T) {
	h, s, sink := one(t, kept(Options{Encoders: []Encoder{plain}, Keep: keeping(Keep{Count: 1000}), OutboxBytesMax: 400}))
	var want strings.Builder
	for i := range 100 {
		publish(t, h, "h", fmt.Sprintf("%010d", i))
		fmt.Fprintf(&want, "[%010d]", i)
	}
	subscribe(t, s, 2, 0, "h")
	resume(t, s, 1, 0, "h", Last(1000))
	sink.blocked[1] = true
	for i := range 20 {
		publish(t, h, "h", fmt.Sprintf("%010d", 100+i))
		fmt.Fprintf(&want, "[%010d]", 100+i)
		for s.Deliver(sink, 10) {
		}
		sink.flush()
	}
	if p := sink.Pending(1); p == 0 || p > 400 {
		t.Errorf("%d bytes pending for one that does not read", p)
	}
	if len(s.replays) != 1 {
		t.Error("not behind")
	}
	sink.blocked[1] = false
	for len(s.replays) != 0 {
		sink.flush()
		s.Drained(sink, 1)
		for s.Deliver(sink, 10) {
		}
	}
	settleDown(h, sink)
	if got := sink.got(1); got != want.String() {
		t.Errorf("got %s", got)
	}
	if got := sink.got(2); got != want.String()[1200:] {
		t.Errorf("the other got %s", got)
	}
}

// TestForgottenBehindReplay: what is forgotten before a slow member has taken it is announced, or
// ends it, as the policy says.
func TestForgottenBehindReplay(t *testing.T) {
	for _, policy := range []Policy{Disconnect, DropOldest, DropNewest} {
		t.Run(policy.String(), func(t *testing.T) {
			h, s, sink := one(t, kept(Options{Keep: keeping(Keep{Count: 8}), OutboxBytesMax: 16, Policy: policy}))
			for range 8 {
				publish(t, h, "h", "x")
			}
			resume(t, s, 1, 0, "h", Last(8))
			sink.blocked[1] = true
			for range 10 {
				s.Deliver(sink, 10)
			}
			for range 20 {
				publish(t, h, "h", "x")
			}
			s.Deliver(sink, 10)
			sink.blocked[1] = false
			for range 20 {
				sink.flush()
				s.Drained(sink, 1)
				s.Deliver(sink, 10)
			}
			got := sink.got(1)
			if policy == Disconnect {
				if sink.box(1).slow != 1 || s.Subscribed(1, "h") {
					t.Errorf("not closed; got %s", got)
				}
				return
			}
			before, after, found := strings.Cut(got, "<h-")
			missed := 0
			fmt.Sscanf(after, "%d", &missed)
			if !found || strings.Count(before, ",")+missed+strings.Count(after, ",") != 28 || !strings.HasSuffix(after, ",28,") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// TestKeep: each bound of a log, and that of the hub.
func TestKeep(t *testing.T) {
	const cost = messageOverheadBytes + 1
	for name, row := range map[string]struct {
		keep Keep
		hub  int
		want int
	}{
		"count":               {Keep{Count: 3}, 0, 3},
		"age":                 {Keep{Count: 100, Age: 4 * time.Second}, 0, 5},
		"bytes":               {Keep{Count: 100, Bytes: 2 * cost}, 0, 2},
		"hub":                 {Keep{Count: 100}, 4*cost + 1, 4},
		"one larger than all": {Keep{Count: 100, Bytes: 10}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var now time.Duration
			h, _, _ := one(t, kept(Options{Keep: keeping(row.keep), KeptBytesMax: row.hub, Now: func() time.Duration { return now }}))
			for range 20 {
				now += time.Second
				publish(t, h, "h", "x")
			}
			k, ok := h.Kept("h", Position{}, 100, false)
			if !ok || len(k.Messages) != row.want || k.More || k.Newest != (Position{"e1", 20}) {
				t.Errorf("%d messages, %+v", len(k.Messages), k)
			}
			if got := h.Counters().KeptBytes; got != int64(row.want*cost) {
				t.Errorf("%d bytes", got)
			}
			now += time.Hour
			h.TrimKept(time.Minute, nil)
			if n := topicCount(h); row.keep.Age > 0 && (n != 0 || h.Counters().KeptBytes != 0) {
				t.Errorf("%d topics after an hour, %d bytes", n, h.Counters().KeptBytes)
			}
		})
	}
}

// TestTrimKeptOverTopics: the oldest messages of all topics go first.
func TestTrimKeptOverTopics(t *testing.T) {
	const cost = messageOverheadBytes + 1
	var now time.Duration
	h, _, _ := one(t, kept(Options{Keep: keeping(Keep{Count: 100}), KeptBytesMax: 100 * cost, Now: func() time.Duration { return now }}))
	for i := range 300 {
		now += time.Second
		publish(t, h, fmt.Sprint("h", i), "x") // each topic keeps its only message, if it may
	}
	h.TrimKept(time.Hour, nil)
	if got := h.Counters().KeptBytes; got > 100*cost {
		t.Errorf("%d bytes are kept", got)
	}
}

func TestKept(t *testing.T) {
	h, _, _ := one(t, kept(Options{}))
	for range 9 {
		publish(t, h, "h", "x")
	}
	offsets := func(after Position, most int, reverse bool) string {
		k, ok := h.Kept("h", after, most, reverse)
		var b []byte
		for _, m := range k.Messages {
			b = terse(b, m)
		}
		return fmt.Sprint(string(b), k.More, ok)
	}
	for want, got := range map[string]string{
		"5,6,7,8,9,false true": offsets(Position{}, 10, false),
		"5,6,true true":        offsets(Position{}, 2, false),
		"8,9,false true":       offsets(Position{"e1", 7}, 2, false),
		"9,8,true true":        offsets(Position{}, 2, true),
		"6,5,false true":       offsets(Position{"e1", 7}, 10, true),
		"false true":           offsets(Position{"e2", 7}, 10, false),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if !h.ForgetKept("h") || h.Counters().KeptBytes != 0 || offsets(Position{}, 10, false) != "false true" {
		t.Errorf("%d bytes after forgetting", h.Counters().KeptBytes)
	}
	if r := publish(t, h, "h", "x"); r.Position.Offset != 10 || offsets(Position{}, 10, false) != "10,false true" {
		t.Errorf("%+v; kept %s", r, offsets(Position{}, 10, false))
	}
	if _, ok := h.Kept("plain", Position{}, 10, false); ok || h.ForgetKept("plain") {
		t.Error("a topic that is not there")
	}
}

// TestOffsetsOfAnEngine: offsets with holes, given from outside; one that was there is not
// published twice; what is behind a hole is found.
func TestOffsetsOfAnEngine(t *testing.T) {
	h, s, sink := one(t, kept(Options{}))
	for _, offset := range []uint64{10, 20, 30, 30, 5, 40} {
		r, err := h.PublishPost("h", Post{Payload: []byte("x"), Offset: offset})
		if err != nil || r.Repeated != (offset == 5) && offset != 30 {
			t.Errorf("%d: %+v, %v", offset, r, err)
		}
	}
	for member, row := range []struct {
		after uint64
		reset Reset
		want  string
	}{
		{0, ResetNone, "10,20,30,40,"}, {9, ResetNone, "10,20,30,40,"}, {10, ResetNone, "20,30,40,"}, {25, ResetNone, "30,40,"}, {40, ResetNone, ""}, {41, ResetUnknown, ""},
	} {
		r := resume(t, s, uint32(member), 0, "h", After(Position{"e1", row.after}))
		settleDown(h, sink)
		if got := sink.got(uint32(member)); got != row.want || r.Reset != row.reset {
			t.Errorf("after %d: %s, %+v", row.after, got, r)
		}
	}
	for offset := uint64(50); offset <= 90; offset += 10 {
		_, _ = h.PublishPost("h", Post{Offset: offset})
	}
	// 50 to 90 are kept, and 40 was the one before.
	for member, row := range map[uint32]struct {
		after uint64
		reset Reset
	}{21: {39, ResetExpired}, 22: {40, ResetNone}, 23: {45, ResetNone}} {
		if r := resume(t, s, member, 0, "h", After(Position{"e1", row.after})); r.Reset != row.reset {
			t.Errorf("after %d: %+v", row.after, r)
		}
	}
	if c := h.Counters(); c.PendingBytes != 0 {
		settleDown(h, sink)
	}
}

// TestLeaveWhileReplaying: every way out of a subscription ends its replay.
func TestLeaveWhileReplaying(t *testing.T) {
	h, s, sink := one(t, kept(Options{}))
	publish(t, h, "h", "x")
	publish(t, h, "h2", "x")
	resume(t, s, 1, 0, "h", Last(1))
	resume(t, s, 1, 0, "h2", Last(1))
	s.Unsubscribe(1, "h") // h2 becomes the first subscription
	settleDown(h, sink)
	if got := sink.got(1); got != "1," {
		t.Errorf("got %s", got)
	}
	resume(t, s, 1, 0, "h", Last(1))
	s.Leave(1)
	if len(s.replays) != 0 {
		t.Errorf("%d replays left", len(s.replays))
	}
	settleDown(h, sink)
	if got := sink.got(1); got != "" {
		t.Errorf("got %s", got)
	}
}

// TestResumeWhilePublishing: members cut and come back while two goroutines publish. Each gets
// every message once, in order.
func TestResumeWhilePublishing(t *testing.T) {
	const shards, members, messages = 2, 20, 4000
	h := NewHub(kept(Options{Shards: shards, Keep: keeping(Keep{Count: 2 * messages}), OutboxBytesMax: 4096}))
	var loops, publishers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		publishers.Go(func() {
			for range messages / 2 {
				if r, err := h.Publish("h", Text, []byte("x")); err != nil || r.Dropped > 0 {
					t.Error(r, err)
				}
			}
		})
	}
	for i := range shards {
		s := h.Shard(i)
		loops.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			sink := &offsetSink{t: t, last: make([]uint64, members)}
			for stopped := false; ; {
				if m := rnd.Uint32N(members); rnd.IntN(3) == 0 && !stopped {
					s.Leave(m)
					r, err := s.Resume(m, 0, "h", After(Position{"e1", sink.last[m]}))
					if err != nil || r.Reset != ResetNone {
						t.Errorf("%+v, %v", r, err)
						return
					}
				}
				more := s.Deliver(sink, 1+rnd.IntN(8))
				select {
				case <-stop:
					if stopped && !more {
						for m := range uint32(members) {
							if s.Subscribed(m, "h") && sink.last[m] != messages {
								t.Errorf("member %d has %d messages", m, sink.last[m])
							}
						}
						return
					}
					stopped = true
				default:
				}
			}
		})
	}
	publishers.Wait()
	close(stop)
	loops.Wait()
	if c := h.Counters(); c.PendingBytes != 0 || c.Replayed == 0 {
		t.Errorf("%+v", c)
	}
}

// offsetSink checks that each member gets offsets that ascend by one.
type offsetSink struct {
	t    *testing.T
	last []uint64
}

func (s *offsetSink) Send(member uint32, p []byte, _ uint32, n uint32) {
	for part := range strings.SplitSeq(strings.TrimSuffix(string(p), ","), ",") {
		var offset uint64
		fmt.Sscan(part, &offset)
		if offset != s.last[member]+1 {
			s.t.Errorf("member %d: %d behind %d", member, offset, s.last[member])
		}
		s.last[member] = offset
	}
}

func (*offsetSink) Pending(uint32) int                               { return 0 }
func (*offsetSink) DropOldest(uint32, int, func(uint32, uint32)) int { panic("no policy") }
func (*offsetSink) Gap(uint32, Form, string, uint32, uint32, bool)   { panic("no policy") }
func (*offsetSink) Encode(dst []byte, _ uint32, m *Message) []byte   { return append(dst, m.Payload...) }
func (*offsetSink) Slow(uint32)                                      { panic("no policy") }

// Many topics with history share one bound of memory, and none of them is lost track of. It takes
// seconds: the number is that of a large node.
func TestManyLogs(t *testing.T) {
	const topics, most = 100_000, 8 << 20
	h := NewHub(Options{
		Shards: 1, Encoders: []Encoder{numbered}, Positions: func(string) (Position, bool) { return Position{"e", 1}, true }, EncodedBytesMax: bounded,
		Keep: func(string) Keep { return Keep{Count: 100, Age: time.Hour} }, KeptBytesMax: most,
	})
	for i := range topics {
		if r := publish(t, h, fmt.Sprint("h", i), "message"); r.Position.Offset != 1 {
			t.Fatalf("%+v", r)
		}
	}
	h.TrimKept(time.Hour, nil)
	if kept := h.kept.Load(); kept > most || kept == 0 {
		t.Errorf("%d bytes are kept of %d", kept, most)
	}
	if k, ok := h.Kept(fmt.Sprint("h", topics-1), Position{}, 10, false); !ok || k.Newest.Offset != 1 {
		t.Errorf("the newest: %+v", k)
	}
	if n := topicCount(h); n != topics {
		t.Errorf("%d topics", n)
	}
}

// Members that come back one after the other to the same point share what they get.
func TestResumesShareSlices(t *testing.T) {
	calls := 0
	encode := func(dst []byte, m *Message) []byte { calls++; return numbered(dst, m) }
	h, s, sink := one(t, Options{
		Encoders: []Encoder{encode}, Positions: history(), EncodedBytesMax: bounded, Keep: func(string) Keep { return Keep{Count: 100} },
	})
	for range 20 {
		publish(t, h, "h", "a")
	}
	// One stays: what is shared lasts as long as the shard has members of the topic.
	if _, err := s.Subscribe(20, 0, "h"); err != nil {
		t.Fatal(err)
	}
	want := ""
	for i := 11; i <= 20; i++ {
		want += fmt.Sprintf("[ae1.%dtrue]", i)
	}
	for member := range uint32(10) {
		if r, err := s.Resume(member+1, 0, "h", After(Position{"e1", 10})); err != nil || r.Messages != 10 {
			t.Fatalf("%+v, %v", r, err)
		}
		settleDown(h, sink)
		if got := sink.got(member + 1); got != want {
			t.Errorf("member %d got %q", member+1, got)
		}
		s.Leave(member + 1)
		if _, err := s.Resume(member+1, 0, "h", After(Position{"e1", 11})); err != nil {
			t.Fatal(err)
		}
		settleDown(h, sink)
		if got := sink.got(member + 1); got != want[len("[ae1.11true]"):] {
			t.Errorf("from another point, member %d got %q", member+1, got)
		}
	}
	if calls != 19 {
		t.Errorf("10 messages, and 9 of them, were encoded %d times", calls)
	}
	publish(t, h, "h", "b")
	settleDown(h, sink)
	if r, err := s.Resume(11, 0, "h", After(Position{"e1", 10})); err != nil || r.Messages != 11 {
		t.Fatalf("%+v, %v", r, err)
	}
	settleDown(h, sink)
	if got := sink.got(11); !strings.HasSuffix(got, "[ae1.20true][be1.21true]") {
		t.Errorf("after one message more: %q", got)
	}
	for member := range uint32(21) {
		s.Leave(member)
	}
	settleDown(h, sink)
	if s.slices != [slicesMax]*replaySlice{} {
		t.Error("the shard keeps messages of a topic that it has left")
	}
}
