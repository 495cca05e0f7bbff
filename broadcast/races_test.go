// Interleavings that are rare in nature, made by hand: each step of one side between two of the
// other.

package broadcast

import "testing"

// A push is two steps; the queue must survive a pusher that sleeps between them.
func TestReadyQueueHalfPushed(t *testing.T) {
	var q readyQueue
	q.init()
	a, b, c := new(roster), new(roster), new(roster)
	q.push(a)
	prev := q.head.Swap(b) // the first step of push(b)
	q.push(c)              // behind it, out of reach
	for range 3 {
		if r := q.pop(); r != nil {
			t.Fatal("popped something although the link is missing")
		}
	}
	prev.queued.Store(b) // the second step
	for i, want := range []*roster{a, b, c, nil, nil} {
		if got := q.pop(); got != want {
			t.Fatalf("pop %d: got %p, want %p", i, got, want)
		}
	}
	if !q.empty() {
		t.Error("not empty")
	}
	for _, r := range []*roster{a, b, c, &q.stub} {
		if r.queued.Load() != nil {
			t.Error("a roster that was popped still holds another")
		}
	}
	q.push(b)
	if q.empty() || q.pop() != b || q.pop() != nil {
		t.Error("the queue does not go on")
	}
}

// Shard 0 ends a topic; before it has removed it from the registry, shard 1 begins a new one of
// that name.
func TestSubscribeBetweenEndAndRemoval(t *testing.T) {
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain}})
	s0, s1, sink := h.Shard(0), h.Shard(1), newFakeSink()
	subscribe(t, s0, 1, 0, "t")
	old := h.lookup("t")
	if done, last, over := old.detach(s0.roster("t")); !done || !last || !over {
		t.Fatal("the topic is not over")
	}
	if r := publish(t, h, "t", "x"); r.Queued != 0 && h.Counters().PendingBytes != 0 {
		t.Errorf("published on a topic that is over: %+v", r)
	}
	subscribe(t, s1, 2, 0, "t")
	h.forget(old)
	if r := publish(t, h, "t", "y"); r != (Result{Matched: 1, Queued: 1}) {
		t.Errorf("%+v", r)
	}
	s1.Deliver(sink, 10)
	sink.flush()
	if got := sink.got(2); got != "[y]" {
		t.Errorf("got %q", got)
	}
}

// A publisher has put its message at the end and not linked it yet. Nobody takes it, nobody
// detaches, who joins now does not get it, and all goes on when the publisher does.
func TestHalfAppended(t *testing.T) {
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{plain}})
	s, sink := h.Shard(0), newFakeSink()
	subscribe(t, s, 1, 0, "t")
	top, r := h.lookup("t"), s.roster("t")

	m := &Message{Topic: "t", Payload: []byte("x"), hub: h}
	m.left.Store(1)
	old := top.tail.Load()
	n := &node{message: m, seq: old.last.seq + 1}
	n.end = tail{last: n, attached: 1}
	top.tail.CompareAndSwap(old, &n.end)

	subscribe(t, s, 2, 0, "t")
	s.mark(r) // by another publisher, or too early
	if s.Deliver(sink, 10) || sink.sends != 0 {
		t.Error("something was delivered")
	}
	s.Leave(1)
	s.Leave(2)
	if r.gone {
		t.Error("detached from a topic with a message on its way")
	}
	subscribe(t, s, 3, 0, "t")
	publish(t, h, "t", "y") // linked behind the one that is not
	if s.Deliver(sink, 10); sink.sends != 0 {
		t.Error("something was delivered")
	}
	old.last.next.Store(n)
	s.mark(r)
	settleDown(h, sink)
	if got := sink.got(1) + sink.got(2) + sink.got(3); got != "[y]" {
		t.Errorf("got %q", got)
	}
}

// A publisher holds a roster that is detached before it is marked. The topic lives on in another
// shard, and its messages are none of the old roster's.
func TestMarkAfterDetach(t *testing.T) {
	done := 0
	h := NewHub(Options{Shards: 2, Encoders: []Encoder{plain}, Done: func(int, *Message) { done++ }})
	s, a, b := h.Shard(0), newFakeSink(), newFakeSink()
	subscribe(t, h.Shard(1), 1, 0, "t")
	subscribe(t, s, 1, 0, "t")
	r := s.roster("t")
	s.Leave(1)
	publish(t, h, "t", "x")
	s.mark(r)
	settleDown(h, a)
	subscribe(t, s, 1, 0, "t")
	publish(t, h, "t", "y")
	if done != 0 {
		t.Error("a message is done that shard 1 has not passed over")
	}
	settleDown(h, a, b)
	if one, two := a.got(1), b.got(1); one != "[y]" || two != "[x][y]" || done != 2 || !s.queue.empty() {
		t.Errorf("got %q and %q, %d done", one, two, done)
	}
}

// Two shards make the same form at once: all share what the first has stored.
func TestEncodedByTwoAtOnce(t *testing.T) {
	inner := false
	var other []byte
	h := NewHub(Options{Shards: 1, Encoders: []Encoder{func(dst []byte, m *Message) []byte {
		if !inner {
			inner = true
			other = m.Encoded(0) // another shard begins and ends while this one encodes
		}
		return append(dst, m.Payload...)
	}}})
	m := &Message{Payload: []byte("x"), hub: h}
	if mine := m.Encoded(0); &mine[0] != &other[0] || &mine[0] != &m.Encoded(0)[0] {
		t.Error("not shared")
	}
}
