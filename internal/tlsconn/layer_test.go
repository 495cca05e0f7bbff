// The layer on real sockets, with clients of crypto/tls.

package tlsconn

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"c100k/netpoll"
)

// TestSuites has each suite carry data of all sizes, both ways, from full and resumed handshakes.
func TestSuites(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo})
	for i := range suites {
		k := &suites[i]
		t.Run(tls.CipherSuiteName(k.id), func(t *testing.T) {
			cfg := clientConfig()
			cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			cfg.MaxVersion, cfg.CipherSuites = k.version, []uint16{k.id}
			if k.version == version13 {
				// crypto/tls does not let a client choose among the suites of TLS 1.3.
				cfg.CipherSuites = nil
			}
			for _, resumed := range []bool{false, true} {
				c := r.client(cfg)
				if got := c.ConnectionState(); k.version == version12 && got.CipherSuite != k.id || got.Version != k.version || got.DidResume != resumed {
					t.Fatalf("%s, %#04x, resumed %v", tls.CipherSuiteName(got.CipherSuite), got.Version, got.DidResume)
				}
				for _, n := range []int{1, 2, 1 << 10, plainBytesMax - 1, plainBytesMax, plainBytesMax + 1, 300_000} {
					exchange(t, c, bytes.Repeat([]byte{byte(n)}, n))
				}
				c.Close()
			}
		})
	}
	f := r.layer.Figures()
	if f.Full12 != 6 || f.Resumed12 != 6 || f.Full13 != 3 || f.Resumed13 != 3 || f.Failed != [FailureCount]uint64{} {
		t.Errorf("%+v", f)
	}
	r.eventually("all released", func(*netpoll.Loop) bool { return r.layer.Len() == 0 })
	if n := r.layer.holds.Len(); n != 0 {
		t.Errorf("%d holds are left", n)
	}
}

// TestClosingRecords: the peer's close_notify is an orderly end and is answered; a FIN alone is a
// truncation.
func TestClosingRecords(t *testing.T) {
	ends := make(chan netpoll.Reason, 1)
	r := serve(t, Config{}, &script{data: echo, close: func(_ *netpoll.Loop, _ *netpoll.Conn, why netpoll.Reason) { ends <- why }})
	c := r.client(clientConfig())
	exchange(t, c, []byte("hello"))
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after close_notify: %v", err)
	}
	if why := <-ends; why != netpoll.ReasonPeer {
		t.Errorf("close_notify: %v", why)
	}
	c = r.client(clientConfig())
	exchange(t, c, []byte("hello"))
	c.NetConn().Close()
	if why := <-ends; why != netpoll.ReasonTruncated && why != netpoll.ReasonReset {
		t.Errorf("a FIN without close_notify: %v", why)
	}
}

// TestSplit feeds a handshake and data in pieces of random sizes.
func TestSplit(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo})
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		socket := r.dial()
		c := tls.Client(&splitting{socket, random}, clientConfig())
		exchange(t, c, bytes.Repeat([]byte("x"), random.IntN(100_000)))
		exchange(t, c, []byte("y"))
		c.Close()
	}
}

// splitting is a net.Conn that writes in pieces.
type splitting struct {
	net.Conn
	random *rand.Rand
}

func (s *splitting) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = s.Conn.Write(p[n:min(len(p), n+1+s.random.IntN(1+s.random.IntN(20_000)))])
		n += m
	}
	return n, err
}

// TestMoves takes a connection between two loops, with each message, over the binary form of its
// state.
func TestMoves(t *testing.T) {
	var loops [2]*running
	made := make(chan struct{})
	h := &script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
		<-made
		to := loops[0]
		if l == to.loop {
			to = loops[1]
		}
		first := bytes.Clone(p)
		fd, moved := l.DetachLayered(c)
		bin, err := moved.State.(*State).AppendBinary(nil)
		st := new(State)
		if err == nil {
			err = st.UnmarshalBinary(bin)
		}
		if err != nil {
			panic(err)
		}
		moved.State = st
		to.loop.Remote().Post(func(l *netpoll.Loop) {
			if c := l.AdoptLayered(fd, 1, 0, moved, nil); c != nil {
				l.Send(c, first)
				l.Become(c, 0)
			}
		})
	}}
	idle := &script{}
	for i := range loops {
		loops[i] = serveRoles(t, Config{}, h, idle)
	}
	close(made)
	for _, version := range []uint16{version12, version13} {
		cfg := clientConfig()
		cfg.MaxVersion = version
		c := loops[0].client(cfg)
		for i := range 20 {
			p := fmt.Appendf(nil, "message %d", i)
			if _, err := c.Write(p); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(p))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, p) {
				t.Fatalf("%q, %v", got, err)
			}
		}
		c.Close()
	}
}

// TestConn takes a connection to a Conn and back.
func TestConn(t *testing.T) {
	errs := make(chan error, 1)
	h := &script{data: func(l *netpoll.Loop, c *netpoll.Conn, p []byte) {
		if !bytes.HasPrefix(p, []byte("out")) {
			l.Send(c, p)
			return
		}
		fd, moved := l.DetachLayered(c)
		first := bytes.Clone(p)
		go func() { errs <- outside(l.Remote(), fd, moved, first) }()
	}}
	r := serve(t, Config{}, h)
	for _, version := range []uint16{version12, version13} {
		cfg := clientConfig()
		cfg.MaxVersion = version
		c := r.client(cfg)
		exchange(t, c, []byte("inside"))
		exchange(t, c, []byte("out"))
		exchange(t, c, bytes.Repeat([]byte("z"), 200_000))
		exchange(t, c, []byte("back"))
		exchange(t, c, []byte("inside again"))
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// outside echoes on a Conn until it has echoed "back", and gives the connection to the loop again.
func outside(to *netpoll.Remote, fd int, moved *netpoll.Moved, first []byte) error {
	file := os.NewFile(uintptr(fd), "socket")
	socket, err := net.FileConn(file)
	file.Close()
	if err != nil {
		return err
	}
	c := NewConn(socket, moved)
	if s := c.ConnectionState(); s.ServerName != "localhost" || !s.HandshakeComplete {
		return fmt.Errorf("%+v", s)
	}
	for p, b := first, make([]byte, 50_000); ; {
		if _, err := c.Write(p); err != nil {
			return err
		}
		if bytes.HasSuffix(p, []byte("back")) {
			break
		}
		n, err := c.Read(b)
		if err != nil {
			return err
		}
		p = b[:n]
	}
	socket, plain, moved, err := c.Leave()
	if err != nil {
		return err
	}
	file, err = socket.(*net.TCPConn).File()
	socket.Close()
	if err != nil {
		return err
	}
	dup, err := dupOf(file)
	if err != nil {
		return err
	}
	to.Post(func(l *netpoll.Loop) { l.AdoptLayered(dup, 0, 0, moved, plain) })
	return nil
}

// TestRequestAndFIN: a client that sends its request and a FIN with the end of its handshake is
// served, and counted.
func TestRequestAndFIN(t *testing.T) {
	r := serve(t, Config{}, &script{data: echo})
	for range 20 {
		held := &holding{Conn: r.dial()}
		c := tls.Client(held, clientConfig())
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_ = held.Conn.SetDeadline(time.Now().Add(patience)) // crypto/tls has set one that has passed
		if _, err := held.Conn.Write(held.last); err != nil {
			t.Fatal(err)
		}
		if err := held.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil || string(got) != "request" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if f := r.layer.Figures(); f.Full13 != 20 {
		t.Errorf("%+v", f)
	}
}

// holding is a net.Conn that holds back all writes but the first.
type holding struct {
	net.Conn
	begun bool
	last  []byte
}

func (h *holding) Write(p []byte) (int, error) {
	if !h.begun {
		h.begun = true
		return h.Conn.Write(p)
	}
	h.last = append(h.last, p...)
	return len(p), nil
}

// CloseWrite does nothing: the test does it.
func (h *holding) CloseWrite() error { return nil }

// TestPanic: a panic of a callback costs one handshake, and is logged.
func TestPanic(t *testing.T) {
	log := &lockedBuffer{}
	cfg := serverConfig()
	cfg.Certificates = nil
	cfg.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("boom") }
	r := serve(t, Config{Server: func() *tls.Config { return cfg }, Logger: slog.New(slog.NewTextHandler(log, nil))}, &script{data: echo})
	if err := tls.Client(r.dial(), clientConfig()).Handshake(); err == nil {
		t.Error("no error")
	}
	r.eventually("counted", func(*netpoll.Loop) bool { return r.layer.Figures().Failed[failInternal] == 1 })
	r.eventually("logged", func(*netpoll.Loop) bool { return strings.Contains(log.String(), "boom") })
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
