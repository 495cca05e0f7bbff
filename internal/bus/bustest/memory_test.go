// The bus in memory: what every bus must do, and its limit.

package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"c100k/internal/bus"
	"c100k/internal/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	bustest.Conformance(t, func(*testing.T) func() bus.Bus { return new(bustest.Memory).Join })
}

// A node that hangs costs bounded memory, and the publisher is told.
func TestMemoryFull(t *testing.T) {
	var network bustest.Memory
	a, b := network.Join(), network.Join()
	defer a.Close()
	inside, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	heard := 0
	go func() {
		ended <- b.Run(context.Background(), func(bus.Message) bus.Tally {
			if heard++; heard == 1 {
				close(inside)
				<-release
			}
			return bus.Tally{}
		})
	}()
	for begun := false; !begun; { // until b runs, nobody hears
		if err := a.Publish(t.Context(), bus.Message{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-inside:
			begun = true
		default:
		}
	}
	m := bus.Message{Topic: "t", Payload: make([]byte, 1<<20)}
	sent := 0
	for ; sent < 1000; sent++ {
		if err := a.Publish(t.Context(), m); err != nil {
			if !errors.Is(err, bus.ErrFull) {
				t.Fatal(err)
			}
			break
		}
	}
	if sent > bus.InboxBytesMax/len(m.Payload) {
		t.Errorf("%d messages of %d bytes were taken", sent, len(m.Payload))
	}
	close(release)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func ExampleMemory() {
	var network bustest.Memory
	a, b := network.Join(), network.Join()
	ctx, stop := context.WithCancel(context.Background())
	heard := make(chan bus.Message, 1)
	ended := make(chan error)
	go func() {
		ended <- b.Run(ctx, func(m bus.Message) bus.Tally {
			select {
			case heard <- m:
			default:
			}
			return bus.Tally{}
		})
	}()
	for { // a node hears what is published while it runs
		if err := a.Publish(ctx, bus.Message{Topic: "news", Payload: []byte("hello")}); err != nil {
			fmt.Println(err)
		}
		select {
		case m := <-heard:
			fmt.Printf("%s: %s\n", m.Topic, m.Payload)
			stop()
			fmt.Println(<-ended, a.Close(), b.Close())
			return
		default:
		}
	}
	// Output:
	// news: hello
	// <nil> <nil> <nil>
}
