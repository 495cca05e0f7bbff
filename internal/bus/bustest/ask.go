// What every bus must do about questions, and what it counts.

package bustest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"c100k/internal/bus"
)

// ask asks and returns what comes of it. It fails the test if done is called twice.
func (n *node) ask(m bus.Message) <-chan bus.Answer {
	n.t.Helper()
	answers := make(chan bus.Answer, 1)
	var once sync.Mutex
	err := n.bus.Ask(n.t.Context(), m, func(a bus.Answer) {
		if !once.TryLock() {
			n.t.Error("done is called twice")
			return
		}
		answers <- a
	})
	if err != nil {
		n.t.Fatalf("%s: Ask: %v", n.name, err)
	}
	return answers
}

// answer waits for an answer.
func (n *node) answer(answers <-chan bus.Answer) bus.Answer {
	n.t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(patience):
		n.t.Fatalf("%s: an Ask does not end", n.name)
		return bus.Answer{}
	}
}

func askCountsAll(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 4)
	m := bus.Message{Topic: "topic", Kind: 2, Payload: []byte("payload")}
	want := bus.Answer{Tally: bus.Tally{Matched: 15, Queued: 21, Dropped: 6}, Nodes: 3}
	if got := nodes[1].answer(nodes[1].ask(m)); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for i, n := range nodes {
		if i == 1 {
			continue
		}
		if got := n.next(); got.Topic != m.Topic || got.Kind != m.Kind || string(got.Payload) != "payload" {
			t.Errorf("%s heard %+v", n.name, got)
		}
	}
	// A node that does not run does nothing, and says so.
	nodes[0].cancel()
	if err := nodes[0].wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	want = bus.Answer{Tally: bus.Tally{Matched: 10, Queued: 14, Dropped: 4}, Nodes: 3}
	if got := nodes[1].answer(nodes[1].ask(m)); got != want {
		t.Errorf("with one that does not run: %+v, want %+v", got, want)
	}
	// One that has left is not asked.
	if err := nodes[0].bus.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	want.Nodes = 2
	for deadline := time.Now().Add(patience); ; { // the news of its leaving may take a moment
		got := nodes[1].answer(nodes[1].ask(m))
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("with one that has left: %+v, want %+v", got, want)
		}
	}
}

func askAlone(t *testing.T, join func() bus.Bus) {
	a := run(t, join(), "a")
	if got := a.answer(a.ask(bus.Message{Topic: "t"})); got != (bus.Answer{}) {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never := func(bus.Answer) { t.Error("done is called though Ask returned an error") }
	if err := a.bus.Ask(ctx, bus.Message{Topic: "t"}, never); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask: %v", err)
	}
	if err := a.bus.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := a.bus.Ask(t.Context(), bus.Message{Topic: "t"}, never); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Ask: %v", err)
	}
}

// hang joins a node whose deliver does not return before release is closed, and returns when it
// hangs.
func hang(t *testing.T, from *node, join func() bus.Bus, release <-chan struct{}) bus.Bus {
	t.Helper()
	b := join()
	inside := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Run(t.Context(), func(m bus.Message) bus.Tally {
			select {
			case inside <- struct{}{}:
			default:
			}
			<-release
			return did(m)
		})
	}()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	giveUp := time.After(patience)
	for {
		from.publish(bus.Message{Topic: probe, Payload: []byte(from.name)})
		select {
		case <-inside:
			return b
		case <-time.After(20 * time.Millisecond):
		case <-giveUp:
			t.Fatal("nothing is delivered")
		}
	}
}

// A node that hangs is waited for, and no longer than AskTimeout; what the others have said counts.
func askOfSilentNode(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 2)
	release := make(chan struct{})
	hang(t, nodes[0], join, release)
	answers := nodes[0].ask(bus.Message{Topic: "topic"})
	got := nodes[0].answer(answers)
	if want := (bus.Answer{Tally: bus.Tally{Matched: 5}, Nodes: 1, Silent: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	close(release)
}

func askEndsWithClose(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 2)
	release := make(chan struct{})
	hang(t, nodes[0], join, release)
	answers := nodes[0].ask(bus.Message{Topic: "topic"})
	nodes[1].next()
	if err := nodes[0].bus.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := nodes[0].answer(answers); got.Nodes+got.Silent != 2 || got.Silent < 1 {
		t.Errorf("%+v, want one that was silent at least", got)
	}
	close(release)
}

// Questions and messages of one node arrive in one order, and many questions may be open at once.
func askInOrder(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 3)
	const messages = 2000
	var open []<-chan bus.Answer
	for i := range messages {
		m := bus.Message{Topic: "t", Payload: fmt.Append(nil, i)}
		if i%2 == 0 {
			open = append(open, nodes[0].ask(m))
		} else {
			nodes[0].publish(m)
		}
	}
	for i, answers := range open {
		size := len(fmt.Sprint(2 * i))
		want := bus.Answer{Tally: bus.Tally{Matched: 2, Queued: 2 * size}, Nodes: 2}
		if got := nodes[0].answer(answers); got != want {
			t.Fatalf("question %d: %+v, want %+v", i, got, want)
		}
	}
	for _, n := range nodes[1:] {
		for i := range messages {
			if m := n.next(); string(m.Payload) != fmt.Sprint(i) {
				t.Fatalf("%s: message %d is %s", n.name, i, m.Payload)
			}
		}
	}
}

func healthCounts(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 3)
	before := [2]bus.Health{nodes[0].bus.Health(), nodes[1].bus.Health()}
	if h := before[0]; !h.Connected || h.Reason != "" || h.Peers != 2 {
		t.Errorf("%+v", h)
	}
	nodes[0].publish(bus.Message{Topic: "t"})
	nodes[0].answer(nodes[0].ask(bus.Message{Topic: "t"}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := nodes[0].bus.Publish(ctx, bus.Message{Topic: "t"}); err == nil {
		t.Error("published though the context is done")
	}
	// Probes may still have been on their way, and a message is counted when it has been handed on: so
	// it is at least, and soon.
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		sender, receiver := nodes[0].bus.Health(), nodes[1].bus.Health()
		if sender.Sent >= before[0].Sent+2 && sender.Unsent == before[0].Unsent+1 && sender.Missed == 0 &&
			receiver.Received >= before[1].Received+2 && receiver.Missed == 0 && receiver.Unsent == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("sender: %+v, before: %+v; receiver: %+v, before: %+v", sender, before[0], receiver, before[1])
		}
	}
	if err := nodes[0].bus.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if h := nodes[0].bus.Health(); h.Connected || h.Reason == "" {
		t.Errorf("closed: %+v", h)
	}
}
