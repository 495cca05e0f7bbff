// The bus over a real NATS server, embedded in the test.

package natsbus

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"c100k/internal/bus"
	"c100k/internal/bus/bustest"
)

// patience bounds how long anything may take before a test gives up on it.
const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startServer runs a NATS server on a free port of loopback, or on the given one.
func startServer(t *testing.T, port int, change func(*server.Options)) *server.Server {
	t.Helper()
	o := &server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true}
	if port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if change != nil {
		change(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func portOf(s *server.Server) int { return s.Addr().(*net.TCPAddr).Port }

// join joins a node that the test closes.
func join(t *testing.T, url, name string) *Bus {
	t.Helper()
	b, err := Join(t.Context(), Options{URL: url, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestConformance(t *testing.T) {
	bustest.Conformance(t, func(t *testing.T) func() bus.Bus {
		s := startServer(t, 0, nil)
		return func() bus.Bus { return join(t, s.ClientURL(), "node") }
	})
}
