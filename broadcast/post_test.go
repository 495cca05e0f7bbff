// Messages that leave members out.

package broadcast

import (
	"fmt"
	"testing"
)

// post publishes a message that the given members do not get.
func post(t testing.TB, h *Hub, topic, payload string, except ...uint32) {
	t.Helper()
	if _, err := h.PublishPost(topic, Post{Payload: []byte(payload), Skip: func(_ int, member uint32) bool {
		for _, m := range except {
			if m == member {
				return true
			}
		}
		return false
	}}); err != nil {
		t.Fatal(err)
	}
}

func TestPostSkipsMembers(t *testing.T) {
	h, s, sink := one(t, Options{})
	for m := range uint32(4) {
		subscribe(t, s, m, Form(m%2), "t")
	}
	post(t, h, "t", "a", 0)
	publish(t, h, "t", "b")
	post(t, h, "t", "c", 0, 1)
	post(t, h, "t", "d", 1, 2)
	post(t, h, "t", "e", 3)
	settleDown(h, sink)
	for member, want := range map[uint32]string{0: "[b][d][e]", 1: "(t:a)(t:b)(t:e)", 2: "[a][b][c][e]", 3: "(t:a)(t:b)(t:c)(t:d)"} {
		if got := sink.got(member); got != want {
			t.Errorf("member %d: got %q, want %q", member, got, want)
		}
	}
	if got := h.Counters().Deliveries; got != 14 {
		t.Errorf("%d deliveries", got)
	}
}

// Each member is asked for once a message, however the pass is cut, and is sent stretches and not
// single messages.
func TestPostAsksOnce(t *testing.T) {
	h, s, sink := one(t, Options{})
	for m := range uint32(600) {
		subscribe(t, s, m, 0, "t")
	}
	asked := map[string]int{}
	for i := range 4 {
		if _, err := h.PublishPost("t", Post{Payload: []byte(fmt.Sprint(i)), Skip: func(_ int, member uint32) bool {
			asked[fmt.Sprint(i, " ", member)]++
			return i == 2
		}}); err != nil {
			t.Fatal(err)
		}
	}
	for s.Deliver(sink, 7) {
		sink.flush()
	}
	sink.flush()
	if len(asked) != 4*600 {
		t.Errorf("asked for %d members", len(asked))
	}
	for who, n := range asked {
		if n != 1 {
			t.Errorf("%s: asked %d times", who, n)
		}
	}
	if got := sink.got(599); got != "[0][1][3]" {
		t.Errorf("got %q", got)
	}
	if sink.sends != 2*600 {
		t.Errorf("%d sends", sink.sends)
	}
}

// What a member is left out of is not missed, whatever the policy; what it gets counts against its
// outbox.
func TestPostUnderPolicies(t *testing.T) {
	for policy, want := range map[Policy]string{Disconnect: "[aaa][ccc]", DropOldest: "<t-1>[ccc][eee]", DropNewest: "[aaa][ccc]<t-1>"} {
		h, s, sink := one(t, Options{Policy: policy, OutboxBytesMax: 12})
		subscribe(t, s, 1, 0, "t")
		subscribe(t, s, 2, 0, "t")
		subscribe(t, s, 3, 0, "t")
		sink.onSlow = func(uint32) {}
		sink.blocked[1] = true
		for _, text := range []string{"aaa", "bbb", "ccc", "ddd", "eee"} {
			except := []uint32{}
			if text == "bbb" || text == "ddd" {
				except = append(except, 1)
			}
			post(t, h, "t", text, except...)
			settleDown(h, sink)
		}
		sink.blocked[1] = false
		settleDown(h, sink)
		s.Drained(sink, 1)
		sink.flush()
		if got := sink.got(1); got != want {
			t.Errorf("%v: got %q, want %q", policy, got, want)
		}
		if got := sink.got(3); got != "[aaa][bbb][ccc][ddd][eee]" {
			t.Errorf("%v: another member got %q", policy, got)
		}
	}
}

// A slow member that leaves in the midst of its stretches takes nobody else's place.
func TestPostDisconnectsInAStretch(t *testing.T) {
	h, s, sink := one(t, Options{OutboxBytesMax: 12})
	for m := range uint32(5) {
		subscribe(t, s, m, 0, "t")
	}
	sink.blocked[1] = true
	for _, text := range []string{"aaa", "bbb", "ccc", "ddd"} {
		post(t, h, "t", text, 4)
	}
	settleDown(h, sink)
	for _, text := range []string{"eee", "fff"} {
		post(t, h, "t", text, 0)
	}
	settleDown(h, sink)
	if n := sink.box(1).slow; n != 1 {
		t.Errorf("slow %d times", n)
	}
	for member, want := range map[uint32]string{0: "[aaa][bbb][ccc][ddd]", 2: "[aaa][bbb][ccc][ddd][eee][fff]", 3: "[aaa][bbb][ccc][ddd][eee][fff]", 4: "[eee][fff]"} {
		if got := sink.got(member); got != want {
			t.Errorf("member %d: got %q, want %q", member, got, want)
		}
	}
}

func TestExtraReachesTheEncoder(t *testing.T) {
	h, s, sink := one(t, Options{Encoders: []Encoder{func(dst []byte, m *Message) []byte { return fmt.Appendf(dst, "%v", m.Extra) }}})
	subscribe(t, s, 1, 0, "t")
	if _, err := h.PublishPost("t", Post{Extra: 17}); err != nil {
		t.Fatal(err)
	}
	settleDown(h, sink)
	if got := sink.got(1); got != "17" {
		t.Errorf("got %q", got)
	}
}

func TestSubscribed(t *testing.T) {
	_, s, _ := one(t, Options{})
	subscribe(t, s, 1, 0, "t")
	subscribe(t, s, 2, 0, "t")
	subscribe(t, s, 2, 0, "u")
	if !s.Subscribed(2, "u") || !s.Subscribed(1, "t") || s.Subscribed(1, "u") || s.Subscribed(1, "v") || s.Subscribed(3, "t") {
		t.Error("Subscribed is wrong")
	}
}

// A topic with many members does not keep one with few waiting.
func TestSmallTopicsDoNotWait(t *testing.T) {
	h, s, sink := one(t, Options{})
	for m := range uint32(20) {
		subscribe(t, s, m, 0, "large")
	}
	subscribe(t, s, 19, 0, "small")
	publish(t, h, "large", "1")
	publish(t, h, "small", "2")
	publish(t, h, "large", "3")
	for s.Deliver(sink, 3) {
		sink.flush()
	}
	sink.flush()
	if got := sink.got(19); got != "[2][1][3]" {
		t.Errorf("got %q", got)
	}
}
