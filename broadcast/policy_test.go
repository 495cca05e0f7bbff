// Slow-consumer policies, with a peer that reads nothing until told.

package broadcast

import (
	"strings"
	"testing"
)

func TestPolicies(t *testing.T) {
	type step struct {
		publish string // messages, divided by spaces
		read    bool   // the peer reads all that is owed, after the delivery
		want    string // what it has got in this step
	}
	for _, c := range []struct {
		name   string
		policy Policy
		budget int
		steps  []step
		missed uint64 // as counted
	}{
		{"newest: those that fit are sent", DropNewest, 10, []step{
			{"aaa bbb ccc ddd", true, "[aaa][bbb]<t-2>"},
			{"eee", true, "[eee]"},
		}, 2},
		{"newest: gap before the next that fits", DropNewest, 10, []step{
			{"aaa bbb ccc", false, ""},
			{"ddd eee", false, ""},
			{"", true, "[aaa][bbb]<t-3>"},
			{"fff", true, "[fff]"},
		}, 3},
		{"newest: a smaller one may fit behind", DropNewest, 19, []step{
			{"aaa bbbbbbbbbbbbbbbbbbbbb c", true, "[aaa]<t-1>[c]"},
		}, 1},
		{"newest: larger than everything", DropNewest, 10, []step{
			{"aaaaaaaaaaaaaaaaaaaa", true, "<t-1>"},
			{"b", true, "[b]"},
		}, 1},
		{"oldest: the new push out the old", DropOldest, 12, []step{
			{"aaa bbb", false, ""},
			{"ccc", false, ""},
			{"ddd", true, "<t-2>[ccc][ddd]"},
		}, 2},
		{"oldest: one gap however often", DropOldest, 12, []step{
			{"aaa", false, ""},
			{"bbb", false, ""},
			{"ccc ddd", false, ""},
			{"eee fff", true, "<t-4>[eee][fff]"},
			{"ggg", true, "[ggg]"},
		}, 4},
		{"oldest: larger than everything", DropOldest, 10, []step{
			{"aaaaaaaaaaaaaaaaaaaa", true, "<t-1>"},
			{"b", true, "[b]"},
		}, 1},
		{"oldest: larger than everything drops nothing", DropOldest, 14, []step{
			{"aaa", false, ""},
			{"bbbbbbbbbbbbbbbbbbbbbbbbbb", false, ""},
			{"c", true, "[aaa]<t-1>[c]"},
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, s, sink := one(t, Options{Policy: c.policy, OutboxBytesMax: c.budget})
			h.runBytes = 1 << 20 // what is published together comes as one run
			subscribe(t, s, 1, 0, "t")
			for i, st := range c.steps {
				for p := range strings.FieldsSeq(st.publish) {
					publish(t, h, "t", p)
				}
				sink.blocked[1] = !st.read
				for range 10 {
					more := s.Deliver(sink, 100)
					backlog := sink.Pending(1) > 0 && i > 0 && !c.steps[i-1].read
					sink.flush()
					if backlog && st.read {
						s.Drained(sink, 1)
					}
					if !more && sink.Pending(1) == 0 {
						break
					}
				}
				if got := sink.got(1); got != st.want {
					t.Errorf("step %d: got %q, want %q", i, got, st.want)
				}
			}
			n := h.Counters()
			if sum := n.DroppedNewest + n.DroppedOldest; sum != c.missed || (c.policy == DropOldest) != (n.DroppedNewest == 0) {
				t.Errorf("counters %+v, want %d missed", n, c.missed)
			}
			if len(s.missed) != 0 || len(s.fresh) != 0 {
				t.Errorf("left: missed %v, fresh %v", s.missed, s.fresh)
			}
		})
	}
}

func TestDisconnect(t *testing.T) {
	h, s, sink := one(t, Options{OutboxBytesMax: 10})
	subscribe(t, s, 1, 0, "t", "u")
	subscribe(t, s, 2, 0, "t")
	sink.blocked[1] = true
	publish(t, h, "t", "a message that is larger than the outbox")
	settleDown(h, sink)
	if sink.box(1).slow != 0 {
		t.Error("slow although nothing was owed")
	}
	publish(t, h, "t", "b")
	publish(t, h, "u", "c")
	settleDown(h, sink)
	if got := sink.got(2); !strings.HasSuffix(got, "[b]") {
		t.Errorf("the other member got %q", got)
	}
	if n := sink.box(1).slow; n != 1 || h.Counters().Disconnects != 1 || topicCount(h) != 1 {
		t.Errorf("slow %d times, %+v", n, h.Counters())
	}
}

// A run larger than the outbox by itself: the newest that fit stay, and nothing older.
func TestDropOldestKeepsNewestOfRun(t *testing.T) {
	h, s, sink := one(t, Options{Policy: DropOldest, OutboxBytesMax: 16})
	h.runBytes = 1 << 20
	subscribe(t, s, 1, 0, "t", "u")
	sink.blocked[1] = true
	publish(t, h, "t", "")
	settleDown(h, sink)
	for _, p := range []string{"aaaaa", "bbbbb", "ccccc", "ddddd"} {
		publish(t, h, "u", p) // 7 bytes each: two leave room for the 2 of the one before
	}
	settleDown(h, sink)
	sink.blocked[1] = false
	sink.flush()
	if got := sink.got(1); got != "<u-2><t-1>[ccccc][ddddd]" && got != "<t-1><u-2>[ccccc][ddddd]" {
		t.Errorf("got %q", got)
	}
}

// Bytes that cannot be dropped may leave no room at all: the messages are missed, the announcements
// stay one, and the outbox stays bounded.
func TestDropOldestWithoutRoom(t *testing.T) {
	h, s, sink := one(t, Options{Policy: DropOldest, OutboxBytesMax: 20})
	sink.gapPad = 100 // an announcement alone is over the budget
	subscribe(t, s, 1, 0, "t")
	sink.blocked[1] = true
	sink.reply(1, "01234567890123456789")
	for range 50 {
		publish(t, h, "t", "x")
		s.Deliver(sink, 10)
		if n := sink.Pending(1); n > 20+120 {
			t.Fatalf("%d bytes owed", n)
		}
	}
	sink.blocked[1] = false
	sink.flush()
	if got := sink.got(1); got != "<t-50>01234567890123456789" {
		t.Errorf("got %q", got)
	}
	if c := h.Counters(); c.DroppedOldest != 50 || c.Gaps != 50 {
		t.Errorf("%+v", c)
	}
}

// The announcement is larger than the room that the message would need: the message is missed as
// well.
func TestDropNewestGapTakesTheRoom(t *testing.T) {
	h, s, sink := one(t, Options{Policy: DropNewest, OutboxBytesMax: 20})
	sink.gapPad = 30
	subscribe(t, s, 1, 0, "t")
	sink.blocked[1] = true
	sink.reply(1, "0123456789")
	publish(t, h, "t", "larger than that") // missed: 18
	publish(t, h, "t", "x")
	for range 5 {
		s.Deliver(sink, 10)
		publish(t, h, "t", "y")
	}
	settleDown(h, sink)
	if n := sink.Pending(1); n > 20+40 {
		t.Errorf("%d bytes owed", n)
	}
	sink.blocked[1] = false
	sink.flush()
	s.Drained(sink, 1)
	sink.flush()
	if got := sink.got(1); got != "0123456789<t-1><t-6>" {
		t.Errorf("got %q", got)
	}
	if c := h.Counters(); c.DroppedNewest != 7 || c.Gaps != 2 {
		t.Errorf("%+v", c)
	}
}

// What was dropped of a topic that the member has left since is counted and not announced, also
// when another topic has its number now.
func TestDroppedOfTopicThatWasLeft(t *testing.T) {
	h, s, sink := one(t, Options{Policy: DropOldest, OutboxBytesMax: 12})
	subscribe(t, s, 1, 0, "old")
	sink.blocked[1] = true
	publish(t, h, "old", "a")
	publish(t, h, "old", "b")
	settleDown(h, sink)
	s.Unsubscribe(1, "old")
	subscribe(t, s, 1, 0, "new")
	publish(t, h, "new", "0123456789")
	settleDown(h, sink)
	sink.blocked[1] = false
	sink.flush()
	if got := sink.got(1); got != "[0123456789]" {
		t.Errorf("got %q", got)
	}
	if c := h.Counters(); c.DroppedOldest != 2 || c.Gaps != 0 {
		t.Errorf("%+v", c)
	}
}

// What a member has missed is forgotten when it leaves, and moves along when its records move.
func TestMissedFollowsSubscription(t *testing.T) {
	h, s, sink := one(t, Options{Policy: DropNewest, OutboxBytesMax: 5})
	subscribe(t, s, 1, 0, "a", "b", "c")
	sink.blocked[1] = true
	sink.reply(1, "12345")
	for _, topic := range []string{"a", "b", "b", "c", "c", "c"} {
		publish(t, h, topic, "x")
	}
	settleDown(h, sink)
	if len(s.missed) != 3 {
		t.Fatalf("missed %v", s.missed)
	}
	s.Unsubscribe(1, "a") // the record of c becomes the first
	s.Unsubscribe(1, "b")
	sink.blocked[1] = false
	sink.flush()
	s.Drained(sink, 1)
	s.Drained(sink, 1)
	sink.flush()
	if got := sink.got(1); got != "12345<c-3>" {
		t.Errorf("got %q", got)
	}

	sink.blocked[1] = true
	sink.reply(1, "12345")
	publish(t, h, "c", "x")
	settleDown(h, sink)
	s.Leave(1)
	if len(s.missed) != 0 {
		t.Errorf("missed %v after Leave", s.missed)
	}
}
