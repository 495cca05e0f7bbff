// What every bus must do about messages to one node, and about channels.

package bustest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"c100k/internal/bus"
)

func sendReachesOne(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 3)
	ids := map[uint64]bool{}
	for _, n := range nodes {
		ids[n.bus.Node()] = true
		var others []uint64
		for _, p := range n.bus.Peers() {
			others = append(others, p.ID)
		}
		if len(others) != 2 || slices.Contains(others, n.bus.Node()) {
			t.Errorf("%s is %d, and its peers are %v", n.name, n.bus.Node(), others)
		}
	}
	if len(ids) != 3 || ids[0] {
		t.Errorf("ids: %v", ids)
	}
	const messages = 500
	to := nodes[1].bus.Node()
	for i := range messages {
		m := bus.Message{Topic: "direct", Kind: 201, Payload: fmt.Append(nil, i)}
		if err := nodes[0].bus.Send(t.Context(), to, m); err != nil {
			t.Fatal(err)
		}
	}
	for i := range messages {
		m := nodes[1].next()
		if m.From != nodes[0].bus.Node() || m.Topic != "direct" || m.Kind != 201 || string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d: %+v", i, m)
		}
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	if err := nodes[2].bus.Send(t.Context(), to, bus.Message{Payload: large}); err != nil {
		t.Fatal(err)
	}
	if m := nodes[1].next(); !bytes.Equal(m.Payload, large) || m.From != nodes[2].bus.Node() {
		t.Errorf("%d bytes from %d", len(m.Payload), m.From)
	}
	nodes[2].nothing(nodes[0])
	for _, id := range []uint64{0, 1 << 63, nodes[0].bus.Node()} {
		if err := nodes[0].bus.Send(t.Context(), id, bus.Message{}); !errors.Is(err, bus.ErrNoNode) {
			t.Errorf("Send to %d: %v", id, err)
		}
	}
}

// party is a node with channels.
type party struct {
	bus      bus.Bus
	channels *bus.Channels
}

// parties joins n nodes that run and know each other.
func parties(t *testing.T, join func() bus.Bus, n int) []party {
	t.Helper()
	list := make([]party, n)
	for i := range list {
		b := join()
		cs := bus.NewChannels(b)
		list[i] = party{b, cs}
		ended := make(chan error, 1)
		go func() {
			ended <- b.Run(t.Context(), func(m bus.Message) bus.Tally { cs.Deliver(m); return bus.Tally{} })
		}()
		t.Cleanup(func() {
			cs.Close()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	for giveUp := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if !slices.ContainsFunc(list, func(p party) bool { return len(p.bus.Peers()) != n-1 }) {
			return list
		}
		if time.Now().After(giveUp) {
			t.Fatal("the nodes do not find each other")
		}
	}
}

type called struct {
	replies []bus.Reply
	silent  []uint64
}

// calling calls and returns what comes of it. It fails the test if done is called twice.
func calling(t *testing.T, c *bus.Channel, payload string, timeout time.Duration) <-chan called {
	t.Helper()
	over := make(chan called, 2)
	err := c.Call([]byte(payload), timeout, func(replies []bus.Reply, silent []uint64) { over <- called{replies, silent} })
	if err != nil {
		t.Fatal(err)
	}
	return over
}

func ended(t *testing.T, over <-chan called) called {
	t.Helper()
	select {
	case got := <-over:
		return got
	case <-time.After(patience):
		t.Fatal("a call does not end")
		return called{}
	}
}

// A call is answered by the nodes that have the channel, on any goroutine; the others are not
// waited for.
func callCollects(t *testing.T, join func() bus.Bus) {
	list := parties(t, join, 4)
	var first *bus.Channel
	for i, p := range list[:3] {
		c := p.channels.Open(bus.KindFigures, func(from uint64, payload []byte, answer func([]byte)) {
			if answer == nil {
				t.Error("nobody waits for an answer")
				return
			}
			go func() {
				answer(fmt.Appendf(nil, "%d heard %s of %d", i, payload, from))
				answer([]byte("a second answer"))
			}()
		})
		if i == 0 {
			first = c
		}
	}
	for attempt := 0; ; attempt++ { // until they run
		got := ended(t, calling(t, first, "x", 200*time.Millisecond))
		if len(got.silent) > 0 && attempt < 100 {
			continue
		}
		slices.SortFunc(got.replies, func(a, b bus.Reply) int { return bytes.Compare(a.Payload, b.Payload) })
		if len(got.replies) != 2 || len(got.silent) != 0 {
			t.Fatalf("%+v", got)
		}
		for i, r := range got.replies {
			if want := fmt.Sprintf("%d heard x of %d", i+1, list[0].bus.Node()); string(r.Payload) != want || r.From != list[i+1].bus.Node() {
				t.Errorf("%d: %s, want %s", r.From, r.Payload, want)
			}
		}
		return
	}
}

// A call ends at its deadline, when the silent node leaves, and when the channels are closed.
func callEnds(t *testing.T, join func() bus.Bus) {
	list := parties(t, join, 2)
	heard := make(chan struct{}, 1000)
	list[1].channels.Open(bus.KindFigures, func(uint64, []byte, func([]byte)) { heard <- struct{}{} })
	c := list[0].channels.Open(bus.KindFigures, nil)
	silent := list[1].bus.Node()
	if got := ended(t, calling(t, c, "x", 50*time.Millisecond)); len(got.replies) != 0 || !slices.Equal(got.silent, []uint64{silent}) {
		t.Errorf("at the deadline: %+v", got)
	}
	over := calling(t, c, "x", bus.CallTimeoutMax)
	if err := list[1].bus.Close(); err != nil {
		t.Error(err)
	}
	if got := ended(t, over); len(got.replies) != 0 || !slices.Equal(got.silent, []uint64{silent}) {
		t.Errorf("when it leaves: %+v", got)
	}
	if got := ended(t, calling(t, c, "x", bus.CallTimeoutMax)); len(got.replies) != 0 || len(got.silent) != 0 {
		t.Errorf("alone: %+v", got)
	}
	list[0].channels.Close()
}
