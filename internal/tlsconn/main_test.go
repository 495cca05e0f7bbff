// What the tests share: a certificate, loops with the layer, clients of crypto/tls.

package tlsconn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"c100k/netpoll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// certificates are made once: one with a key of each kind.
var certificates = sync.OnceValue(func() (c struct{ ecdsa, rsa tls.Certificate }) {
	c.ecdsa = certify(func() (any, any) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return k, k.Public()
	})
	c.rsa = certify(func() (any, any) {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return k, k.Public()
	})
	return c
})

func certify(keys func() (private, public any)) tls.Certificate {
	private, public := keys()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: leaf}
}

// serverConfig is a configuration with certificates of both kinds.
func serverConfig() *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{certificates().ecdsa, certificates().rsa}}
	c.SetSessionTicketKeys([][32]byte{{1}})
	return c
}

// clientConfig is one of a client that trusts serverConfig's certificates.
func clientConfig() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(certificates().ecdsa.Leaf)
	pool.AddCert(certificates().rsa.Leaf)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// script is a netpoll.Handler made of functions.
type script struct {
	data  func(l *netpoll.Loop, c *netpoll.Conn, p []byte)
	close func(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason)
	open  func(l *netpoll.Loop, c *netpoll.Conn)
}

func (s *script) OnOpen(l *netpoll.Loop, c *netpoll.Conn) {
	if s.open != nil {
		s.open(l, c)
	}
}

func (s *script) OnData(l *netpoll.Loop, c *netpoll.Conn, p []byte) { s.data(l, c, p) }

func (s *script) OnTimer(l *netpoll.Loop, c *netpoll.Conn) { l.Close(c, netpoll.ReasonTimeout) }

func (s *script) OnWritable(*netpoll.Loop, *netpoll.Conn) {}

func (s *script) OnClose(l *netpoll.Loop, c *netpoll.Conn, r netpoll.Reason) {
	if s.close != nil {
		s.close(l, c, r)
	}
}

// echo sends back what comes.
func echo(l *netpoll.Loop, c *netpoll.Conn, p []byte) { l.Send(c, p) }

// running is a loop with a layer and a port.
type running struct {
	t     testing.TB
	loop  *netpoll.Loop
	layer *Layer
	addr  string
}

// serve starts a loop whose connections speak TLS; nil fields of cfg are filled in.
func serve(t testing.TB, cfg Config, h netpoll.Handler) *running {
	t.Helper()
	return serveRoles(t, cfg, h)
}

// serveRoles is serve with a handler for each role.
func serveRoles(t testing.TB, cfg Config, handlers ...netpoll.Handler) *running {
	t.Helper()
	if cfg.Pool == nil {
		cfg.Pool = NewPool()
	}
	if cfg.Server == nil {
		c := serverConfig()
		cfg.Server = func() *tls.Config { return c }
	}
	r := &running{t: t, layer: New(&cfg)}
	var err error
	opt := netpoll.Options{Layer: r.layer}
	copy(opt.Handlers[:], handlers)
	r.loop, err = netpoll.NewLoop(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.loop.Start(); err != nil {
		t.Fatal(err)
	}
	a, err := netpoll.NewAcceptor(netpoll.AcceptorOptions{Loops: []*netpoll.Loop{r.loop}, Layered: true})
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(ln.(netpoll.Socket), 0); err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	t.Cleanup(func() {
		ln.Close()
		_ = a.Close()
		r.loop.Stop()
	})
	return r
}

// on runs f on the loop and waits for it.
func (r *running) on(f func(l *netpoll.Loop)) {
	r.t.Helper()
	done := make(chan struct{})
	if !r.loop.Remote().Post(func(l *netpoll.Loop) { f(l); close(done) }) {
		r.t.Fatal("the loop has ended")
	}
	<-done
}

// eventually waits until f, on the loop, is true.
func (r *running) eventually(what string, f func(l *netpoll.Loop) bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; {
		ok := false
		r.on(func(l *netpoll.Loop) { ok = f(l) })
		if ok {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("not yet: %s", what)
		}
	}
}

// within waits until f is true.
func within(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("not yet: %s", what)
		}
	}
}

// dial makes a plain connection.
func (r *running) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { c.Close() })
	return c
}

// client makes a connection of crypto/tls.
func (r *running) client(cfg *tls.Config) *tls.Conn {
	r.t.Helper()
	c := tls.Client(r.dial(), cfg)
	if err := c.Handshake(); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// dupOf is a descriptor of its own for a file, which it closes.
func dupOf(f *os.File) (int, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.SetNonblock(fd, true)
}

// exchange has p echoed.
func exchange(t testing.TB, c io.ReadWriter, p []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(p)
		sent <- err
	}()
	got := make([]byte, len(p))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if string(got) != string(p) {
		t.Fatalf("%d bytes come back changed", len(p))
	}
}
