// The bus over a real NATS server, embedded in the test.

package natsbus

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"c100k/internal/bus"
	"c100k/internal/bus/bustest"
	"c100k/internal/certs"
	"c100k/internal/natsd"
)

// patience bounds how long anything may take before a test gives up on it.
const patience = 30 * time.Second

// trusted is the certificate that this process trusts, as a machine trusts those of its system.
var trusted *certs.PairPEM

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "natsbus")
	if err == nil {
		trusted, err = certs.Self(time.Now())
	}
	file := filepath.Join(dir, "roots.pem")
	if err == nil {
		err = os.WriteFile(file, trusted.Cert, 0o600)
	}
	if err == nil {
		err = os.Setenv("SSL_CERT_FILE", file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

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

// The servers that --cluster embeds: nodes of one network are spread over two that are joined.
func TestConformanceOfEmbedded(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	first := startEmbedded(t, &natsd.Cluster{Listen: "127.0.0.1:0", Secret: secret})
	second := startEmbedded(t, &natsd.Cluster{Listen: "127.0.0.1:0", Secret: secret, Peers: []string{first.ClusterAddr().String()}})
	eventually(t, "the servers are joined", func() bool { return first.Routes() == 1 && second.Routes() == 1 })
	bustest.Conformance(t, func(t *testing.T) func() bus.Bus {
		n := 0
		return func() bus.Bus {
			n++
			return join(t, []string{first.URL(), second.URL()}[n%2], "node")
		}
	})
}

func startEmbedded(t *testing.T, c *natsd.Cluster) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(natsd.Options{PayloadBytesMax: 4 << 20, PendingBytesMax: 64 << 20, Cluster: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Over TLS, nodes hear each other; a server whose certificate nobody vouches for is refused, and so
// is one that has no TLS.
func TestTLS(t *testing.T) {
	url := func(pair *certs.PairPEM) string {
		certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		s := startServer(t, 0, func(o *server.Options) {
			o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
			o.Authorization = "s3cret"
		})
		return "tls://s3cret@" + s.Addr().String()
	}
	stranger, err := certs.Self(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	good := url(trusted)
	a, b := join(t, good, "a"), join(t, good, "b")
	run(t, a)
	run(t, b)
	counts(t, a, 1)
	counts(t, b, 1)
	for name, bad := range map[string]string{
		"nobody vouches for it": url(stranger),
		"no TLS there":          "tls://" + startServer(t, 0, nil).Addr().String(),
	} {
		c, err := Join(t.Context(), Options{URL: bad, Name: "c"})
		if err == nil {
			c.Close()
			t.Errorf("%s: joined", name)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v tells a secret", name, err)
		}
	}
}
