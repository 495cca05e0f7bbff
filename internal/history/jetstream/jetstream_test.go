package jetstream

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"c100k/internal/history"
	"c100k/internal/history/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// natsServer starts a NATS server with JetStream in dir.
func natsServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir,
		JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 1 << 28, DisableJetStreamBanner: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

func openStore(t *testing.T, s *server.Server, o Options) *Store {
	t.Helper()
	o.URL, o.Name = s.ClientURL(), t.Name()
	store, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestStore(t *testing.T) {
	for _, inMemory := range []bool{false, true} {
		name := "file"
		if inMemory {
			name = "memory"
		}
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) *storetest.Backing {
				s := natsServer(t, t.TempDir(), server.RANDOM_PORT)
				return &storetest.Backing{Shared: true, Open: func(t *testing.T, rules *history.Rules, now func() time.Duration) history.Store {
					return openStore(t, s, Options{Rules: rules, InMemory: inMemory, Now: now})
				}}
			})
		})
	}
}
