// Two nodes and a NATS server between them, each a process or a server of its own.

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"c100k/internal/netlab"
)

// startNATS runs a NATS server at an address, with a token, and with JetStream in a directory if
// there is one.
func startNATS(t *testing.T, address string, store ...string) *server.Server {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	o := &server.Options{Host: "127.0.0.1", Port: at.Port, Authorization: "s3cret", NoLog: true, NoSigs: true}
	if len(store) > 0 {
		o.JetStream, o.StoreDir, o.JetStreamMaxStore, o.DisableJetStreamBanner = true, store[0], 1<<28, true
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() { stopNATS(s) })
	return s
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func TestBus(t *testing.T) {
	t.Parallel()
	address := netlab.KeepPort(t)
	nats := startNATS(t, address)
	bus := "nats://s3cret@" + address
	here, there := serve(t, "--dev", "--bus", bus), serve(t, "--dev", "--bus", bus)
	var subscribers []*peer
	for _, n := range []*node{here, there} {
		subscribers = append(subscribers, n.upgrade(t, "/ws?topic=news"))
		n.awaitSubscribers("news", 1)
	}
	events := there.stream(t, "/sse?topic=news")
	there.awaitSubscribers("news", 2)

	here.eventually("both nodes are counted", func() error {
		if got := here.publish("nobody", "x"); got != (published{}) {
			return fmt.Errorf("%+v", got)
		}
		if _, body := here.call("GET", "/metrics", "", nil); !strings.Contains(string(body), "\nc100k_bus_peers 1\n") {
			return errors.New("there is no peer")
		}
		return nil
	})
	if got := here.publish("news", "hello"); got != (published{Matched: 3, Queued: 3}) {
		t.Errorf("%+v", got)
	}
	for _, p := range subscribers {
		p.expectText("hello")
	}
	events.expectEvent("hello")

	stopNATS(nats)
	for _, n := range []*node{here, there} {
		n.eventually("says that the bus is lost", func() error { return wantReady(n, 503, "bus: connection lost") })
	}
	if got := here.publish("news", "alone"); got != (published{Matched: 1, Queued: 1}) {
		t.Errorf("%+v", got)
	}
	subscribers[0].expectText("alone")

	startNATS(t, address)
	for _, n := range []*node{here, there} {
		n.eventually("is back", func() error { return wantReady(n, 200, "") })
	}
	for _, n := range []*node{here, there} {
		n.eventually("knows the other", func() error {
			if _, body := n.call("GET", "/v1/stats", "", nil); !strings.Contains(string(body), `"bus":{"kind":"nats","connected":true,"reason":"","peers":1,`) {
				return fmt.Errorf("%s", body)
			}
			return nil
		})
	}
	if got := there.publish("news", "together"); got != (published{Matched: 3, Queued: 3}) {
		t.Errorf("%+v", got)
	}
	for _, p := range subscribers {
		p.expectText("together")
	}
	events.expectEvent("together")
	for _, n := range []*node{here, there} {
		if strings.Contains(n.output(), "s3cret") {
			t.Errorf("the log tells the token:\n%s", n.output())
		}
	}
}

func wantReady(n *node, want int, text string) error {
	status, body := n.call("GET", "/readyz", "", nil)
	if status != want || !strings.Contains(string(body), text) {
		return fmt.Errorf("readyz: %d %s", status, body)
	}
	return nil
}

// Other nodes do not wait for a node that has stopped, and a node that cannot reach its bus does
// not start.
func TestBusComesAndGoes(t *testing.T) {
	t.Parallel()
	address := netlab.KeepPort(t)
	n := launch(t, exec.Command(binary, serveArgs([]string{"--bus", "nats://s3cret@" + address})...))
	if code := n.wait(); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	if out := n.output(); !strings.Contains(out, "cannot reach the bus") || strings.Contains(out, "s3cret") {
		t.Errorf("it says: %s", out)
	}
	startNATS(t, address)
	stays, leaves := serve(t, "--dev", "--bus", "nats://s3cret@"+address), serve(t, "--dev", "--bus", "nats://s3cret@"+address)
	peer := leaves.upgrade(t, "/ws?topic=news")
	leaves.awaitSubscribers("news", 1)
	stays.eventually("counts the other", func() error {
		if got := stays.publish("news", "hello"); got.Matched != 1 {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	peer.expectText("hello")
	leaves.signal(syscall.SIGTERM)
	if code := leaves.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// What it says when it leaves may be on its way yet.
	stays.eventually("has no peer", func() error {
		if _, body := stays.call("GET", "/metrics", "", nil); !strings.Contains(string(body), "\nc100k_bus_peers 0\n") {
			return errors.New("it still has one")
		}
		return nil
	})
	if got := stays.publish("news", "bye"); got != (published{}) {
		t.Errorf("%+v", got)
	}
}
