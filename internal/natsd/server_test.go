// Servers alone and in clusters: who is let in, and what happens when one is gone.

package natsd

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logText is a log that any goroutine may write to.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	o.PayloadBytesMax, o.PendingBytesMax = 64<<10, 8<<20
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func connect(t *testing.T, s *Server) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// TestCluster: a server that knows one peer gets to know all; one that leaves and returns is found
// again.
func TestCluster(t *testing.T) {
	log := new(logText)
	one := start(t, Options{Name: "one", Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: secret}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	first := one.ClusterAddr().String()
	two := start(t, Options{Name: "two", Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: secret, Peers: []string{first}}})
	three := start(t, Options{Name: "three", Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: secret, Peers: []string{first}}})
	all := []*Server{one, two, three}
	eventually(t, "all are connected", func() bool { return one.Routes() == 2 && two.Routes() == 2 && three.Routes() == 2 })
	hear := func() {
		t.Helper()
		for i, from := range all {
			for j, to := range all {
				sub, err := connect(t, to).SubscribeSync("x")
				if err != nil {
					t.Fatal(err)
				}
				out := connect(t, from)
				want := fmt.Sprint(i, " to ", j)
				eventually(t, want, func() bool {
					if err := out.Publish("x", []byte(want)); err != nil {
						t.Fatal(err)
					}
					m, err := sub.NextMsg(20 * time.Millisecond)
					return err == nil && string(m.Data) == want
				})
			}
		}
	}
	hear()
	two.Close()
	eventually(t, "two is gone", func() bool { return one.Routes() == 1 && three.Routes() == 1 })
	all[1] = start(t, Options{Name: "two", Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: secret, Peers: []string{three.ClusterAddr().String()}}})
	eventually(t, "two is back", func() bool { return one.Routes() == 2 && all[1].Routes() == 2 && three.Routes() == 2 })
	hear()
	if strings.Contains(log.String(), "PRODUCTION") {
		t.Error(log.String())
	}
}

// TestStrangers: without the secret nobody becomes a part of the cluster.
func TestStrangers(t *testing.T) {
	log := new(logText)
	one := start(t, Options{Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: secret}, Logger: slog.New(slog.NewTextHandler(log, nil)), Label: "cluster"})
	addr := one.ClusterAddr().String()
	start(t, Options{Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: []byte(strings.Repeat("guess", 8)), Peers: []string{addr}}})
	eventually(t, "a wrong secret is in the log", func() bool {
		return strings.Contains(log.String(), "cluster: ") && strings.Contains(log.String(), "TLS")
	})
	right, err := deriveKeys(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*tls.Config){
		"no certificate": func(c *tls.Config) { c.Certificates = nil },
		"TLS 1.2":        func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
		"another key": func(c *tls.Config) {
			other, err := deriveKeys([]byte(strings.Repeat("other", 8)))
			if err != nil {
				t.Fatal(err)
			}
			c.Certificates = other.config.Certificates
		},
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		config := right.config.Clone()
		change(config)
		secure := tls.Client(c, config)
		_ = secure.SetDeadline(time.Now().Add(patience))
		err = secure.Handshake()
		if err == nil { // in TLS 1.3 the server's refusal comes after the client's end of it
			_, err = io.ReadAll(secure)
		}
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: let in", name)
		}
		c.Close()
	}
	if n := one.Routes(); n != 0 {
		t.Errorf("%d routes", n)
	}
	if strings.Contains(log.String(), string(secret)) || strings.Contains(log.String(), right.password) {
		t.Error("the secret is in the log")
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"a short secret":   {Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: []byte("short")}},
		"no port":          {Cluster: &Cluster{Listen: "127.0.0.1", Secret: secret}},
		"a taken port":     {Cluster: &Cluster{Listen: taken.Addr().String(), Secret: secret}},
		"a peer, no port":  {Cluster: &Cluster{Listen: "127.0.0.1:0", Secret: secret, Peers: []string{"127.0.0.1"}}},
		"a file as folder": {Store: &Store{Dir: file}},
	} {
		o.PayloadBytesMax, o.PendingBytesMax = 64<<10, 8<<20
		s, err := Start(o)
		if err == nil {
			s.Close()
			t.Errorf("%s: it starts", name)
		} else if !strings.HasPrefix(err.Error(), "natsd: ") && !strings.HasPrefix(err.Error(), "the directory for history") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStore: what a stream has kept is there after a restart.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	open := func() (*Server, nats.JetStreamContext) {
		s := start(t, Options{Name: "one", Store: &Store{Dir: dir, SyncAlways: true}})
		js, err := connect(t, s).JetStream()
		if err != nil {
			t.Fatal(err)
		}
		return s, js
	}
	s, js := open()
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}, MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	_, js = open()
	m, err := js.GetMsg("S", 1)
	if err != nil || string(m.Data) != "kept" {
		t.Errorf("%+v %v", m, err)
	}
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"right":      {"\n " + string(secret) + "\n", true},
		"too short":  {string(secret[1:]) + "\n\n\n", false},
		"empty":      {"", false},
		"very large": {strings.Repeat("x", 1<<20), false},
	} {
		file := filepath.Join(dir, "secret")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(file)
		if (err == nil) != c.ok || c.ok && !bytes.Equal(got, secret) {
			t.Errorf("%s: %q %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), string(secret[1:])) {
			t.Errorf("%s: the error tells the secret", name)
		}
	}
	if _, err := ReadSecret(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there")
	}
}

func TestLog(t *testing.T) {
	log := new(logText)
	l := &natsLog{log: slog.New(slog.NewTextHandler(log, nil)), label: "bus of the workers"}
	l.Noticef("started %d", 1)
	l.Debugf("d")
	l.Tracef("t")
	l.Errorf("an error of %s", "a client")
	l.Errorf("Slow Consumer Detected: %s", "x")
	l.Warnf("w")
	l.Fatalf("f")
	text := log.String()
	for _, want := range []string{`level=WARN msg="bus of the workers: an error of a client"`, `level=ERROR msg="bus of the workers: Slow Consumer Detected: x"`,
		`level=WARN msg="bus of the workers: w"`, `level=ERROR msg="bus of the workers: f"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Count(text, "\n") != 4 {
		t.Errorf("what is no concern of an operator is in the log:\n%s", text)
	}
}
