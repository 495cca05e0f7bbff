// Package bustest is the test that every bus.Bus must pass.
package bustest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"c100k/internal/bus"
)

// patience bounds how long anything may take before the test gives up on it.
const patience = 30 * time.Second

// probe is the topic of the messages by which the test finds out that nodes hear each other.
const probe = "bustest.probe"

// Conformance tests a kind of Bus. network makes a network of its own for each test and returns
// what joins a node to it; joined buses are closed by the test.
func Conformance(t *testing.T, network func(t *testing.T) (join func() bus.Bus)) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, join func() bus.Bus)
	}{
		{"OthersHearIt", othersHearIt},
		{"ByteForByte", byteForByte},
		{"OrderOfOneNode", orderOfOneNode},
		{"ManyPublishers", manyPublishers},
		{"OneDeliveryAtATime", oneDeliveryAtATime},
		{"RunEndsWithContext", runEndsWithContext},
		{"RunEndsWithClose", runEndsWithClose},
		{"OneRunAtATime", oneRunAtATime},
		{"AfterClose", afterClose},
		{"PublishWithContextDone", publishWithContextDone},
		{"AskCountsAll", askCountsAll},
		{"AskAlone", askAlone},
		{"AskOfSilentNode", askOfSilentNode},
		{"AskEndsWithClose", askEndsWithClose},
		{"AskInOrder", askInOrder},
		{"HealthCounts", healthCounts},
		{"SendReachesOne", sendReachesOne},
		{"CallCollects", callCollects},
		{"CallEnds", callEnds},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, network(t)) })
	}
}

// did is what every node of the test says it did with a message: its topic's length, and what its
// payload says.
func did(m bus.Message) bus.Tally {
	return bus.Tally{Matched: len(m.Topic), Queued: len(m.Payload), Dropped: int(m.Kind)}
}

// node is a joined Bus that runs.
type node struct {
	t      *testing.T
	bus    bus.Bus
	name   string
	heard  chan bus.Message
	probed chan string // names of nodes whose probe has been heard
	cancel context.CancelFunc
	ended  chan error
}

// start joins n nodes and returns when each of them hears each other.
func start(t *testing.T, join func() bus.Bus, n int) []*node {
	t.Helper()
	nodes := make([]*node, n)
	for i := range nodes {
		nodes[i] = run(t, join(), fmt.Sprint("node ", i))
	}
	for _, from := range nodes {
		for _, to := range nodes {
			if from != to {
				from.reach(to)
			}
		}
	}
	return nodes
}

func run(t *testing.T, b bus.Bus, name string) *node {
	ctx, cancel := context.WithCancel(t.Context())
	n := &node{t: t, bus: b, name: name, cancel: cancel, ended: make(chan error, 1),
		heard: make(chan bus.Message, 10000), probed: make(chan string, 10000)}
	go func() {
		n.ended <- b.Run(ctx, func(m bus.Message) bus.Tally {
			if m.Topic == probe {
				n.probed <- string(m.Payload)
				return bus.Tally{}
			}
			n.heard <- m
			return did(m)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		n.wait()
	})
	return n
}

// wait waits for Run to end and returns what it returned. It may be called again.
func (n *node) wait() error {
	select {
	case err := <-n.ended:
		n.ended <- err
		return err
	case <-time.After(patience):
		n.t.Error("Run does not end")
		return nil
	}
}

// reach publishes probes until `to` has heard one: nobody says when a Run has begun to hear.
func (n *node) reach(to *node) {
	n.t.Helper()
	giveUp := time.After(patience)
	for {
		n.publish(bus.Message{Topic: probe, Payload: []byte(n.name)})
		again := time.After(20 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case name := <-to.probed:
				if name == n.name {
					return
				}
			case <-again:
				waiting = false
			case err := <-to.ended:
				n.t.Fatalf("%s: Run ended with %v", to.name, err)
			case <-giveUp:
				n.t.Fatalf("%s does not hear %s", to.name, n.name)
			}
		}
	}
}

func (n *node) publish(m bus.Message) {
	n.t.Helper()
	if err := n.bus.Publish(n.t.Context(), m); err != nil {
		n.t.Errorf("%s: Publish: %v", n.name, err)
	}
}

// next returns the next message that the node hears.
func (n *node) next() bus.Message {
	n.t.Helper()
	select {
	case m := <-n.heard:
		return m
	case <-time.After(patience):
		n.t.Fatalf("%s hears nothing", n.name)
		return bus.Message{}
	}
}

// nothing fails the test if the node has heard anything more. A last message of the other node,
// behind which nothing else can come, shows that all has arrived.
func (n *node) nothing(other *node) {
	n.t.Helper()
	const last = "bustest.last"
	other.publish(bus.Message{Topic: last})
	if m := n.next(); m.Topic != last {
		n.t.Errorf("%s also heard %q %q", n.name, m.Topic, m.Payload)
	}
}

func othersHearIt(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 3)
	nodes[0].publish(bus.Message{Topic: "a", Kind: 1, Payload: []byte("x")})
	for _, n := range nodes[1:] {
		if m := n.next(); m.Topic != "a" || m.Kind != 1 || string(m.Payload) != "x" {
			t.Errorf("%s heard %+v", n.name, m)
		}
		n.nothing(nodes[0])
	}
	// Each `nothing` was heard by the other node too, and by nobody else.
	nodes[0].nothing(nodes[1])
}

func byteForByte(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 2)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i, m := range []bus.Message{
		{Topic: "empty", Kind: 0},
		{Topic: "every byte", Kind: 2, Payload: all},
		{Topic: "large", Kind: 2, Payload: bytes.Repeat(all, 1024)},
		{Topic: "a.*.>", Kind: 1, Payload: []byte("{}")},
		{Topic: "*", Payload: []byte("x")},
		{Topic: ">", Payload: []byte("x")},
		{Topic: ".", Payload: []byte("x")},
		{Topic: "a..b.", Payload: []byte("x")},
		{Topic: "$SYS.[a-z]?\\", Payload: []byte("x")},
		{Topic: " with spaces ", Payload: []byte("x")},
		{Topic: "日本.é", Payload: []byte("日本")},
		{Topic: strings.Repeat("x", 255), Kind: 255, Payload: []byte("x")},
		{Topic: strings.Repeat("é", 127), Payload: []byte("x")},
	} {
		nodes[i%2].publish(m)
		got := nodes[1-i%2].next()
		if got.Topic != m.Topic || got.Kind != m.Kind || !bytes.Equal(got.Payload, m.Payload) {
			t.Errorf("sent %q kind %d with %d bytes, got %q kind %d with %d bytes",
				m.Topic, m.Kind, len(m.Payload), got.Topic, got.Kind, len(got.Payload))
		}
	}
}

func orderOfOneNode(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 3)
	const messages = 2000
	for i := range messages {
		nodes[0].publish(bus.Message{Topic: fmt.Sprint("topic.", i%7), Payload: fmt.Append(nil, i)})
	}
	for _, n := range nodes[1:] {
		for i := range messages {
			if m := n.next(); string(m.Payload) != fmt.Sprint(i) {
				t.Fatalf("%s: message %d is %s", n.name, i, m.Payload)
			}
		}
	}
}

// Every node publishes on several goroutines; each hears all of the others once, each goroutine's
// in order.
func manyPublishers(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 3)
	const goroutines, messages = 4, 200
	var wg sync.WaitGroup
	for i, n := range nodes {
		for g := range goroutines {
			wg.Go(func() {
				for k := range messages {
					n.publish(bus.Message{Topic: fmt.Sprintf("%d.%d", i, g), Payload: fmt.Append(nil, k)})
				}
			})
		}
	}
	wg.Wait()
	for i, n := range nodes {
		count := make(map[string]int)
		for range (len(nodes) - 1) * goroutines * messages {
			m := n.next()
			if want := fmt.Sprint(count[m.Topic]); string(m.Payload) != want {
				t.Fatalf("%s: %s of topic %s, want %s", n.name, m.Payload, m.Topic, want)
			}
			if strings.HasPrefix(m.Topic, fmt.Sprint(i, ".")) {
				t.Fatalf("%s heard itself", n.name)
			}
			count[m.Topic]++
		}
	}
}

func oneDeliveryAtATime(t *testing.T, join func() bus.Bus) {
	a := run(t, join(), "a")
	b := join()
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.Mutex
	arrived := make(chan struct{}, 10000)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Run(ctx, func(bus.Message) bus.Tally {
			if !busy.TryLock() {
				t.Error("two deliveries at once")
				return bus.Tally{}
			}
			defer busy.Unlock()
			arrived <- struct{}{}
			return bus.Tally{}
		})
	}()
	giveUp := time.After(patience)
	for heard := 0; heard < 200; {
		a.publish(bus.Message{Topic: "t"})
		select {
		case <-arrived:
			heard++
		case <-time.After(20 * time.Millisecond):
		case <-giveUp:
			t.Fatal("nothing is delivered")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func runEndsWithContext(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 2)
	nodes[0].cancel()
	if err := nodes[0].wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	// The other one lives on, and the first may run again.
	nodes[1].publish(bus.Message{Topic: "t"})
	again := run(t, nodes[0].bus, "again")
	nodes[1].reach(again)
}

func runEndsWithClose(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 2)
	if err := nodes[0].bus.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := nodes[0].wait(); err != nil {
		t.Errorf("Run: %v", err)
	}
	nodes[1].publish(bus.Message{Topic: "t"})
}

func oneRunAtATime(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 2)
	err := nodes[0].bus.Run(t.Context(), func(bus.Message) bus.Tally {
		t.Error("the second Run hears something")
		return bus.Tally{}
	})
	if !errors.Is(err, bus.ErrRunning) {
		t.Errorf("second Run: %v", err)
	}
	nodes[1].reach(nodes[0])
}

func afterClose(t *testing.T, join func() bus.Bus) {
	b := join()
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := b.Publish(t.Context(), bus.Message{Topic: "t"}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Publish: %v", err)
	}
	if err := b.Run(t.Context(), func(bus.Message) bus.Tally { return bus.Tally{} }); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Run: %v", err)
	}
}

func publishWithContextDone(t *testing.T, join func() bus.Bus) {
	nodes := start(t, join, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := nodes[0].bus.Publish(ctx, bus.Message{Topic: "t"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish: %v", err)
	}
	nodes[1].nothing(nodes[0])
}
