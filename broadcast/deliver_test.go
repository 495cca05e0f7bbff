// Passes: who gets which messages when members come and go, how much one call does, and in what
// turns.

package broadcast

import (
	"fmt"
	"testing"
)

func one(t testing.TB, o Options) (*Hub, *Shard, *fakeSink) {
	t.Helper()
	o.Shards = 1
	if o.Encoders == nil {
		o.Encoders = []Encoder{plain, angled}
	}
	h := NewHub(o)
	return h, h.Shard(0), newFakeSink()
}

func TestPendingMessagesGoInOneSend(t *testing.T) {
	h, s, sink := one(t, Options{})
	for m := range uint32(10) {
		subscribe(t, s, m, Form(m%2), "t")
	}
	for i := range 8 {
		publish(t, h, "t", fmt.Sprint(i))
	}
	settleDown(h, sink)
	if sink.sends != 10 {
		t.Errorf("%d sends for 10 members", sink.sends)
	}
	if got := sink.got(2); got != "[0][1][2][3][4][5][6][7]" {
		t.Errorf("got %q", got)
	}
	if got := sink.got(3); got != "(t:0)(t:1)(t:2)(t:3)(t:4)(t:5)(t:6)(t:7)" {
		t.Errorf("got %q", got)
	}
}

// Members get exactly what is published while they are subscribed, although several windows are
// open in one pass.
func TestSubscriptionWindows(t *testing.T) {
	h, s, sink := one(t, Options{})
	subscribe(t, s, 1, 0, "t")
	publish(t, h, "t", "a")
	subscribe(t, s, 2, 0, "t")
	subscribe(t, s, 3, 0, "t")
	publish(t, h, "t", "b")
	subscribe(t, s, 4, 1, "t")
	s.Unsubscribe(4, "t")
	subscribe(t, s, 4, 1, "t")
	publish(t, h, "t", "c")
	subscribe(t, s, 5, 0, "t")
	s.Unsubscribe(2, "t")
	settleDown(h, sink)
	publish(t, h, "t", "d")
	settleDown(h, sink)
	for member, want := range map[uint32]string{1: "[a][b][c][d]", 2: "", 3: "[b][c][d]", 4: "(t:c)(t:d)", 5: "[d]"} {
		if got := sink.got(member); got != want {
			t.Errorf("member %d: got %q, want %q", member, got, want)
		}
	}
}

// Joins and leaves at every point of a pass that is taken one member at a time.
func TestChangesDuringPass(t *testing.T) {
	const members = 9
	for stop := range members {
		for leaver := range uint32(members) {
			h, s, sink := one(t, Options{})
			for m := range uint32(members) {
				if m%3 == 2 {
					publish(t, h, "t", "-") // for those before it only: windows within the pass
				}
				subscribe(t, s, m, 0, "t")
			}
			publish(t, h, "t", "x")
			s.Deliver(sink, stop)
			s.Unsubscribe(leaver, "t")
			subscribe(t, s, 100, 0, "t")
			s.Leave((leaver + 4) % members)
			publish(t, h, "t", "y")
			settleDown(h, sink)
			for m := range uint32(members) {
				want := ""
				for k := m + 1; k < members; k++ {
					if k%3 == 2 {
						want += "[-]"
					}
				}
				want += "[x]"
				got := sink.got(m)
				if m == leaver || m == (leaver+4)%members {
					if got != "" && got != want {
						t.Fatalf("stop %d, leaver %d: member %d, who left, got %q", stop, leaver, m, got)
					}
				} else if got != want+"[y]" {
					t.Fatalf("stop %d, leaver %d: member %d got %q, want %q", stop, leaver, m, got, want+"[y]")
				}
			}
			if got := sink.got(100); got != "[y]" {
				t.Fatalf("stop %d: who joined in the pass got %q", stop, got)
			}
		}
	}
}

func TestDeliverIsBounded(t *testing.T) {
	h, s, sink := one(t, Options{})
	const members = 1000
	for m := range uint32(members) {
		subscribe(t, s, m, 0, "t")
	}
	publish(t, h, "t", "x")
	for want := 64; ; want += 64 {
		more := s.Deliver(sink, 64)
		if sink.sends != min(want, members) {
			t.Fatalf("%d sends, want %d", sink.sends, want)
		}
		if !more {
			break
		}
	}
	if sink.sends != members {
		t.Errorf("%d sends at the end", sink.sends)
	}
}

// Putting long runs together takes time, however few members there are.
func TestDeliverIsBoundedByBytes(t *testing.T) {
	h, s, sink := one(t, Options{})
	payload := string(make([]byte, RunBytesMax/2-10))
	const topics = 10
	for i := range topics {
		name := fmt.Sprint(i)
		subscribe(t, s, uint32(i), 0, name)
		publish(t, h, name, payload)
		publish(t, h, name, payload)
	}
	if more := s.Deliver(sink, 1+RunBytesMax/runBytesPerVisit); !more || sink.sends > 2 {
		t.Errorf("more %v, %d sends in one call", more, sink.sends)
	}
	settleDown(h, sink)
	if sink.sends != topics {
		t.Errorf("%d sends at the end", sink.sends)
	}
}

// A small topic waits for one slice of a big one, not for its whole pass, and a topic that never
// runs dry does not hold up the others or the call.
func TestTopicsTakeTurns(t *testing.T) {
	h, s, sink := one(t, Options{})
	for m := range uint32(1000) {
		subscribe(t, s, m, 0, "big")
	}
	subscribe(t, s, 2000, 0, "small")
	publish(t, h, "big", "x")
	s.Deliver(sink, 100)
	publish(t, h, "small", "y")
	s.Deliver(sink, 100)
	s.Deliver(sink, 100)
	sink.flush()
	if got := sink.got(2000); got != "[y]" {
		t.Errorf("small: got %q after two slices", got)
	}
	settleDown(h, sink)

	payload := string(make([]byte, RunBytesMax/2+1)) // two do not go in one run
	for range 3 {
		publish(t, h, "small", payload)
	}
	sink.sends = 0
	for turn := 1; turn <= 3; turn++ {
		if more := s.Deliver(sink, 1000); more != (turn < 3) || sink.sends != turn {
			t.Errorf("turn %d: more %v, %d sends", turn, more, sink.sends)
		}
	}
}

// What is published while the last member has left and come back, with messages pending, is neither
// lost nor given to who was not there.
func TestEmptyTopicWithPendingMessages(t *testing.T) {
	h, s, sink := one(t, Options{})
	subscribe(t, s, 1, 0, "t")
	publish(t, h, "t", "a")
	s.Leave(1)
	if r := publish(t, h, "t", "lost"); r != (Result{}) {
		t.Errorf("%+v", r)
	}
	subscribe(t, s, 2, 0, "t")
	publish(t, h, "t", "b")
	s.Leave(2)
	subscribe(t, s, 1, 0, "t")
	publish(t, h, "t", "c")
	settleDown(h, sink)
	if one, two := sink.got(1), sink.got(2); one != "[c]" || two != "" {
		t.Errorf("got %q, %q", one, two)
	}
	publish(t, h, "t", "d")
	s.Leave(1)
	settleDown(h, sink)
	if topicCount(h) != 0 || s.marks.live != 0 {
		t.Errorf("%d topics, %d rosters left", topicCount(h), s.marks.live)
	}
}

// A Sink may call Leave from Slow, for the member or for others.
func TestLeaveFromSlow(t *testing.T) {
	h, s, sink := one(t, Options{OutboxBytesMax: 20})
	for m := range uint32(6) {
		subscribe(t, s, m, 0, "t", "u")
	}
	sink.reply(2, "0123456789012345678")
	sink.onSlow = func(member uint32) {
		s.Leave(member)
		s.Leave(0) // visited
		s.Leave(3) // to be visited
	}
	publish(t, h, "t", "x")
	publish(t, h, "u", "y")
	settleDown(h, sink)
	for _, m := range []uint32{1, 4, 5} {
		if got := sink.got(m); got != "[x][y]" {
			t.Errorf("member %d: got %q", m, got)
		}
	}
	if n := sink.box(2).slow; n != 1 || h.Counters().Disconnects != 1 {
		t.Errorf("slow %d times, %+v", n, h.Counters())
	}
	if got := sink.got(3); got != "" {
		t.Errorf("member 3: got %q", got)
	}
}

// An encoder that makes nothing leaves its members out.
func TestEncoderMayLeaveOut(t *testing.T) {
	h, s, sink := one(t, Options{Encoders: []Encoder{plain, func(dst []byte, _ *Message) []byte { return dst }}})
	subscribe(t, s, 1, 0, "t")
	subscribe(t, s, 2, 1, "t")
	publish(t, h, "t", "x")
	settleDown(h, sink)
	if one := sink.got(1); one != "[x]" || sink.sends != 1 {
		t.Errorf("got %q, %d sends", one, sink.sends)
	}
}
