// Tests of the way to net/http and back, with real sockets and a real http.Server.

package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// site is an http.Server behind a Listener.
type site struct {
	*Listener
	t        testing.TB
	tcp      net.Listener
	released sync.Map // tag: *atomic.Int32
	releases chan uint32
	refusals atomic.Int32
}

func newSite(t testing.TB, opt ListenerOptions, h http.Handler) *site {
	t.Helper()
	s := &site{t: t, releases: make(chan uint32, 100)}
	var err error
	if s.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	opt.Addr = s.tcp.Addr()
	opt.Release = func(tag uint32) {
		s.count(tag).Add(1)
		s.releases <- tag
	}
	opt.Refused = func(*Refusal) { s.refusals.Add(1) }
	s.Listener = NewListener(opt)
	server := &http.Server{Handler: h, ConnState: ConnState}
	ended := make(chan error)
	go func() { ended <- server.Serve(s.Listener) }()
	t.Cleanup(func() {
		server.Close()
		s.tcp.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func (s *site) count(tag uint32) *atomic.Int32 {
	n, _ := s.released.LoadOrStore(tag, new(atomic.Int32))
	return n.(*atomic.Int32)
}

// pair is both ends of a new connection: the client's, and the descriptor that a loop would have.
func (s *site) pair() (client *net.TCPConn, fd int) {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.tcp.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	accepted, err := s.tcp.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	defer accepted.Close()
	if fd, err = duplicate(accepted); err != nil {
		s.t.Fatal(err)
	}
	return conn.(*net.TCPConn), fd
}

// connect is a client whose connection the server has got with these first bytes.
func (s *site) connect(first string, tag uint32) *client {
	s.t.Helper()
	conn, fd := s.pair()
	if !s.Deliver(fd, []byte(first), tag) {
		s.t.Fatal("not delivered")
	}
	return &client{TCPConn: conn, r: bufio.NewReader(conn), t: s.t}
}

type client struct {
	*net.TCPConn
	r *bufio.Reader
	t testing.TB
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// want reads one answer.
func (c *client) want(status int, body string) *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status || !strings.Contains(string(got), body) {
		c.t.Fatalf("%s %q, %v; want %d %q", res.Status, got, err, status, body)
	}
	return res
}

// wantEnd reads the end of the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
		c.t.Fatalf("not the end: %q, %v", rest, err)
	}
}

// echo answers with what it got.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
})

func get(path string) string { return head("GET "+path+" HTTP/1.1", "Host: h") }

func TestListenerServes(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	c := s.connect(get("/1"), 7)
	c.want(200, "GET /1 ")
	c.send(get("/2"))
	c.want(200, "GET /2 ")
	c.send(framed("Content-Length: 3") + "abc" + get("/3") + framed("Transfer-Encoding: chunked") + "3\r\nabc\r\n")
	c.want(200, "POST / abc")
	c.want(200, "GET /3 ")
	c.send("2\r\nde\r\n0\r\nA: b\r\n\r\n")
	c.want(200, "POST / abcde")
	c.send(head("GET /4 HTTP/1.1", "Host: h", "Connection: close"))
	c.want(200, "GET /4 ")
	c.wantEnd()
	if s.refusals.Load() != 0 {
		t.Error("something was refused")
	}
}

func TestListenerFirstBytesInPieces(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	c := s.connect("GET /1 HT", 0)
	c.send("TP/1.1\r\nHo")
	c.send("st: h\r\n\r\n")
	c.want(200, "GET /1 ")
}

func TestListenerJudgesLaterHeads(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	for _, tt := range []struct {
		bad    string
		status int
		reason string
	}{
		{"GET / HTTP/1.1\nHost: h\r\n\r\n", 400, badLineEnd.Reason},
		{"GET / HTTP/1.1\r\nHost: h\r\n x\r\n\r\n", 400, badFold.Reason},
		{framed("Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\nGET /smuggled HTTP/1.1\r\n", 400, badBothLengths.Reason},
		{framed("Content-Length: 1", "Content-Length: 2"), 400, badTwoLengths.Reason},
		{head("GET / HTTP/1.1"), 400, badNoHost.Reason},
		{framed("Transfer-Encoding: gzip"), 501, badCoding.Reason},
		{head("GET / HTTP/2.0"), 505, badVersion.Reason},
		{sizedHead(HeadBytesMax + 1), 431, tooLargeHead.Reason},
		{"GET /" + strings.Repeat("a", 2*HeadBytesMax), 414, tooLongTarget.Reason},
	} {
		for _, pipelined := range []bool{false, true} {
			c := s.connect(get("/1"), 0)
			if pipelined {
				c.send(tt.bad)
			}
			c.want(200, "GET /1 ")
			if !pipelined {
				c.send(tt.bad)
			}
			c.want(tt.status, tt.reason+"\n")
			c.wantEnd()
		}
	}
}

func TestListenerBadBody(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	c := s.connect(framed("Transfer-Encoding: chunked")+"3\r\nabcd\r\n0\r\n\r\n"+get("/2"), 0)
	c.want(400, badChunkEnd.Reason)
	c.wantEnd()
}

func TestListenerExpectContinue(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	c := s.connect(framed("Content-Length: 3", "Expect: 100-continue"), 0)
	c.want(100, "")
	c.send("abc")
	c.want(200, "POST / abc")
	c.send(get("/2"))
	c.want(200, "GET /2 ")
}

func TestListenerLateHead(t *testing.T) {
	s := newSite(t, ListenerOptions{HeadTimeout: 20 * time.Millisecond}, echo)
	c := s.connect(get("/1"), 0)
	c.want(200, "GET /1 ")
	c.send("GET /2 HTTP/1.1\r\n")
	c.want(408, RefuseTimeout.Reason)
	c.wantEnd()
}

func TestListenerSendsFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	content := strings.Repeat("0123456789", 100000)
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, ListenerOptions{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) }))
	s.connect(get("/f"), 0).want(200, content)
}

// TestListenerSeesTheClientGo: a handler's context ends with the connection.
func TestListenerSeesTheClientGo(t *testing.T) {
	running, over := make(chan struct{}), make(chan error)
	s := newSite(t, ListenerOptions{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
		over <- r.Context().Err()
	}))
	c := s.connect(get("/"), 0)
	<-running
	c.Close()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestListenerLetsTheRunningHandlerBe: a bad head behind a good request is not the good one's
// fault.
func TestListenerLetsTheRunningHandlerBe(t *testing.T) {
	goOn := make(chan struct{})
	s := newSite(t, ListenerOptions{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		fmt.Fprint(w, r.Context().Err())
	}))
	c := s.connect(get("/"), 0)
	c.send("\x00\x00\x00")
	close(goOn)
	c.want(200, "<nil>")
	c.want(400, badControl.Reason)
	c.wantEnd()
}

func TestListenerReleasesOnce(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	c := s.connect(head("GET / HTTP/1.1", "Host: h", "Connection: close"), 5)
	c.want(200, "GET / ")
	c.wantEnd()
	if tag := <-s.releases; tag != 5 {
		t.Errorf("tag %d was released", tag)
	}

	conn, fd := s.pair()
	l := NewListener(s.opt)
	l.Deliver(fd, nil, 6)
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got.Close() != nil || got.Close() == nil {
		t.Error("Close is not done just once")
	}
	if n := s.count(6).Load(); n != 1 {
		t.Errorf("released %d times", n)
	}
	(&client{TCPConn: conn, r: bufio.NewReader(conn), t: t}).wantEnd()
}

// TestListenerPlacesComeBack: whom Accept has taken does not count as waiting.
func TestListenerPlacesComeBack(t *testing.T) {
	s := newSite(t, ListenerOptions{QueueMax: 1}, echo)
	for range 3 {
		c := s.connect(head("GET / HTTP/1.1", "Host: h", "Connection: close"), 0)
		c.want(200, "GET / ")
		c.wantEnd()
	}
}

func TestListenerQueue(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	opt := s.opt
	opt.QueueMax = 1
	l := NewListener(opt)
	conn, fd := s.pair()
	if !l.Deliver(fd, nil, 1) || l.Deliver(fd, nil, 2) {
		t.Error("the queue does not have one place")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if n := s.count(1).Load(); n != 1 {
		t.Errorf("released %d times", n)
	}
	(&client{TCPConn: conn, r: bufio.NewReader(conn), t: t}).wantEnd()
	if l.Deliver(0, nil, 3) {
		t.Error("a closed Listener takes a connection")
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestListenerWithoutDescriptors: a delivery that cannot be duplicated is answered and closed.
func TestListenerWithoutDescriptors(t *testing.T) {
	s := newSite(t, ListenerOptions{}, echo)
	l := NewListener(s.opt)
	conn, fd := s.pair()
	// Take all descriptors up to the highest in use, so that the limit can stand right above it.
	var filled []int
	defer func() {
		for _, f := range filled {
			unix.Close(f)
		}
	}()
	top := 0
	for top <= fd {
		var err error
		if top, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		filled = append(filled, top)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := unix.Rlimit{Cur: uint64(top) + 1, Max: limit.Max}
	l.Deliver(fd, nil, 9)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	d := <-l.queue
	socket := l.open(d)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if socket != nil {
		socket.Close()
		t.Fatal("there was a descriptor")
	}
	for _, f := range filled { // they are duplicates, and would keep the connection
		unix.Close(f)
	}
	filled = nil
	c := &client{TCPConn: conn, r: bufio.NewReader(conn), t: t}
	c.want(503, RefuseOverCapacity.Reason)
	c.wantEnd()
	if s.count(9).Load() != 1 {
		t.Error("not released")
	}
}
