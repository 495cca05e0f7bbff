// How soon the members of a process that is killed are gone, on a faked clock.

package presence

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"c100k/internal/bus"
)

// vanishGoal is how long the members of a killed process are seen at most.
const vanishGoal = 5 * time.Second

// wires is a broker in memory for real nodes of the bus.
type wires struct {
	mu    sync.Mutex // guards the field below, and the order of packets
	nodes []*wired
}

// wired is a process: a node of the bus, and a table.
type wired struct {
	*bus.Core
	*Table
	wires  *wires
	killed bool // nothing comes from it, and nothing reaches it
}

// Send, Probe, Flush, Reconnect, PayloadBytesMax and Close are a bus.Carrier.
func (n *wired) Send(packets []bus.Packet) {
	n.wires.mu.Lock()
	defer n.wires.mu.Unlock()
	for _, other := range n.wires.nodes {
		for i := range packets {
			p := &packets[i]
			switch {
			case other == n || n.killed || other.killed:
			case p.To == 0:
				other.Core.Receive(bytes.Clone(p.Bytes))
			case p.To == other.Node():
				other.ReceiveOwn(bytes.Clone(p.Bytes))
			}
		}
	}
}

func (n *wired) Probe(packet []byte) error {
	n.wires.mu.Lock()
	defer n.wires.mu.Unlock()
	n.Core.Receive(bytes.Clone(packet))
	return nil
}
func (n *wired) Flush(time.Duration)            {}
func (n *wired) Reconnect()                     {}
func (n *wired) PayloadBytesMax() (int, string) { return 1 << 20, "payload" }
func (n *wired) Close()                         {}

// TestMembersOfKilledVanish: those of a process that is killed, and of which nobody says that it
// has ended, are gone within five seconds, also for a watcher; and at once where somebody says so,
// as the parent of workers does.
func TestMembersOfKilledVanish(t *testing.T) {
	for _, told := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { killOne(t, told) })
	}
}

func killOne(t *testing.T, told bool) {
	began, w := time.Now(), &wires{}
	stopped := make(chan struct{})
	var last atomic.Value // string
	for _, name := range []string{"a/1", "a/2", "b/1"} {
		core, err := bus.NewCore(name, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := &wired{Core: core, wires: w}
		n.Table = New(Options{
			Publish: func(_ string, payload []byte) { last.Store(string(payload)) },
			Watched: func(string) bool { return name == "a/2" },
			Now:     func() time.Duration { return time.Since(began) },
		})
		channels := bus.NewChannels(core)
		n.Connect(channels.Open(bus.KindPresence, n.Table.Receive))
		w.mu.Lock()
		w.nodes = append(w.nodes, n)
		w.mu.Unlock()
		core.Start(n)
		go n.Table.Run(stopped)
		go func() {
			_ = core.Run(context.Background(), func(m bus.Message) bus.Tally {
				channels.Deliver(m)
				return bus.Tally{}
			})
		}()
	}
	here, victim := w.nodes[1], w.nodes[0]
	victim.Say(Change{Topic: "t", Sub: "ann", Joined: true})
	here.Say(Change{Topic: "t", Sub: "bob", Joined: true})
	asked := make(chan Page, 1)
	here.Table.Ask("t", "", true, func(p Page) { asked <- p })
	<-asked
	time.Sleep(10 * time.Second)
	for _, n := range w.nodes {
		if p := n.Page("t", ""); p.Count != 2 {
			t.Fatalf("%s sees %d members", n.Name(), p.Count)
		}
	}
	w.mu.Lock()
	victim.killed = true
	w.mu.Unlock()
	if told {
		if err := w.nodes[2].Gone(victim.Name()); err != nil {
			t.Fatal(err)
		}
	}
	goal := vanishGoal
	if told {
		goal = ExchangeEvery + TickEvery + WatchEvery
	}
	time.Sleep(goal)
	synctest.Wait()
	for _, n := range w.nodes[1:] {
		if p := n.Page("t", ""); p.Count != 1 {
			t.Errorf("told %v: %s sees %d members after %v", told, n.Name(), p.Count, goal)
		}
	}
	if want := `{"type":"presence","topic":"t","joined":[],"left":[{"sub":"ann"}],"count":1}`; last.Load() != want {
		t.Errorf("told %v: the watcher has last heard %v", told, last.Load())
	}
	close(stopped)
	for _, n := range w.nodes {
		_ = n.Core.Close()
	}
}
