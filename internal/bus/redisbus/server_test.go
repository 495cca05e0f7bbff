// What the tests share: patience, strangers, and servers with TLS whose certificate is trusted.

package redisbus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"c100k/internal/certs"
	"c100k/internal/redistest"
)

// patience bounds how long anything may take before a test gives up on it.
const patience = 30 * time.Second

// trusted is the certificate that this process trusts, as a machine trusts those of its system.
var trusted *certs.PairPEM

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "redisbus")
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
	// The client of a cluster sleeps for seconds after it has asked for the slots, also when it is
	// closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1"), goleak.Cleanup(func(code int) {
			_ = os.RemoveAll(dir)
			os.Exit(code)
		}))
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

// client is a stranger's connection.
func client(t testing.TB, s *redistest.Server) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, ForceSingleClient: true, DisableCache: true,
		ConnWriteTimeout: 2 * time.Minute}) // for a large message on a busy machine
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func publish(t testing.TB, c rueidis.Client, channel string, message []byte) {
	t.Helper()
	if err := c.Do(context.Background(), c.B().Publish().Channel(channel).Message(string(message)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// startTLS runs a server that speaks TLS too, with that certificate, and returns its URL.
func startTLS(t *testing.T, pair *certs.PairPEM) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string][]byte{"cert.pem": pair.Cert, "key.pem": pair.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := fmt.Sprint(redistest.FreePort(t))
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"),
		"--tls-auth-clients", "no", "--requirepass", "s3cret")
	return "rediss://:s3cret@127.0.0.1:" + port
}

// Over TLS, nodes hear each other; a server whose certificate nobody vouches for is refused.
func TestTLS(t *testing.T) {
	url := startTLS(t, trusted)
	a, b := join(t, url, "a"), join(t, url, "b")
	run(t, a)
	heard := run(t, b)
	counts(t, a, 1)
	counts(t, b, 1)
	accounted(t, a, b, heard.Load)
	stranger, err := certs.Self(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Join(t.Context(), Options{URL: startTLS(t, stranger), Name: "c"})
	if err == nil {
		c.Close()
		t.Fatal("joined a server that nobody vouches for")
	}
	if !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "s3cret") {
		t.Error(err)
	}
}
