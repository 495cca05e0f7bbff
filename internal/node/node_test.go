package node

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
	"c100k/internal/edge"
	"c100k/internal/proto"
	"c100k/internal/proto/lines"
	"c100k/netpoll"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for what has to happen.
const patience = 30 * time.Second

// start runs a node of two loops with the protocol of lines, and topics.
func start(t *testing.T, change func(*Config)) *Node {
	t.Helper()
	cfg := Config{
		Rows: []proto.Row{lines.Row(lines.Options{})}, Loops: 2, Topics: &broadcast.Options{}, Admission: &edge.Admission{},
	}
	if change != nil {
		change(&cfg)
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	return n
}

// listen gives the node a port.
func listen(t *testing.T, n *Node) (address string) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Listen(ln.(*net.TCPListener), 0); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

// client is a connection with the lines that it gets.
type client struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{conn, bufio.NewReader(conn), t}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) expect(line string) {
	c.t.Helper()
	if got, err := c.in.ReadString('\n'); err != nil || got != line+"\n" {
		c.t.Fatalf("%q %v, want %q", got, err, line)
	}
}

// get sends a request and returns the answer's status and body.
func (c *client) get(path string) (status int, body string) {
	c.t.Helper()
	c.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	p, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return r.StatusCode, string(p)
}

const request = "GET /lines?t HTTP/1.1\r\nHost: h\r\n\r\n"

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

// A node with a port: what is a protocol's, and what is net/http's, on connections that change
// sides.
// A listener that cannot accept is in the log once in a while, with the true reason.
func TestExhaustionLog(t *testing.T) {
	var text strings.Builder
	now := time.Unix(1000, 0)
	told := exhaustionLog(slog.New(slog.NewTextHandler(&text, nil)), func() time.Time { return now })
	for range 100 {
		told(os.NewSyscallError("accept4", syscall.ENOMEM))
	}
	now = now.Add(exhaustionEvery)
	told(os.NewSyscallError("accept4", syscall.EMFILE))
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "no connection can be accepted") || !strings.Contains(lines[0], "count=1") ||
		!strings.Contains(lines[1], "no descriptor left") || !strings.Contains(lines[1], "count=100") {
		t.Errorf("%d lines:\n%s", len(lines), text.String())
	}
}

func TestPort(t *testing.T) {
	n := start(t, func(cfg *Config) {
		cfg.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "other ", r.URL.Path) })
	})
	address := listen(t, n)
	c := dial(t, address)
	for range 2 {
		if status, body := c.get("/x"); status != 200 || body != "other /x" {
			t.Errorf("%d %s", status, body)
		}
	}
	c.send(request + "early\n")
	c.expect("+-")
	c.expect("early")
	eventually(t, "subscribed", func() bool { i, _ := n.Hub().Topic("t"); return i.Members == 1 })
	if _, err := n.Hub().Publish("t", broadcast.Text, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	c.expect("hello")
	if n.Count("lines").OpenedTotal() != 1 || n.Count(TransportHTTP).ClosedTotal(netpoll.ReasonDetached) != 1 {
		t.Error("not counted")
	}
	if d := dial(t, address); true {
		d.send(strings.Replace(request, "/lines", "/l%69nes", 1))
		if r, err := http.ReadResponse(d.in, nil); err != nil || r.StatusCode != 200 {
			t.Errorf("an escaped path is net/http's: %v %v", r, err)
		}
	}
	c.send("panic\n")
	c.expect("panic")
}

// A node in somebody's server: what else comes on a connection is that server's.
func TestMounted(t *testing.T) {
	n := start(t, nil)
	mux := http.NewServeMux()
	mux.Handle("/lines", n.Mount())
	mux.Handle("/none", n.Mount())
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "theirs") })
	server := httptest.NewServer(mux)
	defer server.Close()
	c := dial(t, server.Listener.Addr().String())
	if status, _ := c.get("/none"); status != 404 {
		t.Errorf("a path of nobody: %d", status)
	}
	c.send(request)
	c.expect("+-")
	n.Close()
	if _, err := c.in.ReadString('\n'); err == nil {
		t.Error("the connection outlives the node")
	}
	// What comes after the end is closed.
	d := dial(t, server.Listener.Addr().String())
	d.send(request)
	if _, err := d.in.ReadString('\n'); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("after the end: %v", err)
	}
}

// A client whose request waits until it is known who the client is.
func TestWait(t *testing.T) {
	tickets := make(chan edge.Ticket, 10)
	abandoned := make(chan edge.Ticket, 10)
	n := start(t, func(cfg *Config) {
		cfg.Rows = []proto.Row{lines.Row(lines.Options{Wait: true, Name: "lines", Path: "/lines"})}
		cfg.Ask = func(_ *netpoll.Loop, _ *netpoll.Conn, _ *edge.Head, t edge.Ticket) { tickets <- t }
		cfg.Abandoned = func(_ *netpoll.Loop, t edge.Ticket) { abandoned <- t }
	})
	address := listen(t, n)
	c := dial(t, address)
	c.send(request)
	ticket := <-tickets
	c.send("first\n")
	if !ticket.Answer(&auth.Principal{Subject: "ann"}) {
		t.Fatal("the loop takes no answer")
	}
	c.expect("+ann")
	c.expect("first")
	used := func() (sum int) {
		for i, r := range n.reactors {
			got := make(chan int)
			n.Loop(i).Remote().Post(func(*netpoll.Loop) { got <- r.principals.Len() })
			sum += <-got
		}
		return sum
	}
	if got := used(); got != 1 {
		t.Errorf("%d principals", got)
	}
	c.Close()
	eventually(t, "the principal is freed", func() bool { return used() == 0 })

	// One that hangs up meanwhile, and one that waits when the node drains.
	d := dial(t, address)
	d.send(request)
	left := <-tickets
	d.Close()
	if got := <-abandoned; got != left {
		t.Error("another ticket is abandoned")
	}
	left.Answer(&auth.Principal{})
	e := dial(t, address)
	e.send("GET /lines HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	<-tickets
	n.Drain(0)
	if r, err := http.ReadResponse(e.in, nil); err != nil || r.StatusCode != 503 {
		t.Errorf("%v %v", r, err)
	}
}

// A protocol that asks by itself, and serves upgrades to any path.
func TestAskAndAnyPath(t *testing.T) {
	n := start(t, func(cfg *Config) {
		cfg.Rows = []proto.Row{lines.Row(lines.Options{
			Name: "lines", Path: "/lines", Wait: true, AnyPath: true,
			Ask: func(_ *netpoll.Loop, _ *netpoll.Conn, h *edge.Head, t edge.Ticket) {
				path := string(h.Path())
				go t.Answer("at " + path)
			},
		})}
	})
	const upgrade = "GET %s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
	mux := http.NewServeMux()
	mux.Handle("/", n.Mount())
	mounted := httptest.NewServer(mux)
	defer mounted.Close()
	for _, address := range []string{listen(t, n), mounted.Listener.Addr().String()} {
		for _, path := range []string{"/lines", "/any/where", "/"} {
			c := dial(t, address)
			fmt.Fprintf(c, upgrade, path, "websocket")
			c.expect("+at " + path)
		}
		// A request that is no upgrade is for net/http.
		for _, protocol := range []string{"h2c", ","} {
			c := dial(t, address)
			fmt.Fprintf(c, upgrade, "/none", protocol)
			if r, err := http.ReadResponse(c.in, nil); err != nil || r.StatusCode/100 != 4 {
				t.Errorf("upgrade to %q: %v %v", protocol, r, err)
			}
		}
		if status, _ := dial(t, address).get("/none"); status != 404 {
			t.Errorf("no upgrade: %d", status)
		}
	}
}

// pair is two ends of a connection: ours, non-blocking, and the client's.
func pair(t *testing.T) (fd int, c *client) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fds[1]), "client")
	conn, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return fds[0], &client{conn, bufio.NewReader(conn), t}
}

// Sockets are adopted by the loop that has the fewest.
func TestAdopt(t *testing.T) {
	n := start(t, func(cfg *Config) { cfg.Loops = 3 })
	for i, want := range []string{"[1 0 0]", "[1 1 0]", "[1 1 1]", "[2 1 1]"} {
		fd, c := pair(t)
		n.Adopt(Arrival{FD: fd, First: []byte(request)})
		c.expect("+-")
		var loads []int
		for i := range n.Loops() {
			loads = append(loads, n.Loop(i).Remote().Load())
		}
		if fmt.Sprint(loads) != want {
			t.Errorf("after %d: %v, want %s", i+1, loads, want)
		}
	}
	if n.Connections() != 4 {
		t.Errorf("%d connections", n.Connections())
	}
}

// TestMove takes a connection from one loop to another, and to one that does not run any more.
func TestMove(t *testing.T) {
	admission := &edge.Admission{Max: 10}
	moved := make(chan bool, 1)
	var n *Node
	var handedOver int
	to := uint8(1)
	row := lines.Row(lines.Options{})
	makePart := row.New
	row.New = func(p *proto.Place) proto.Part {
		part := makePart(p)
		serve := part.Serve
		part.Serve = func(l *netpoll.Loop, c *netpoll.Conn, h *edge.Head, rest []byte, who *auth.Principal) edge.Decision {
			if p.Loop == 0 {
				first := append([]byte(nil), h.Bytes()...)
				for _, place := range []struct{ process, loop uint8 }{{0, 7}, {1, 0}} {
					if p.Move(l, c, place.process, place.loop, first) {
						t.Errorf("there is no loop %v", place)
					}
				}
				moved <- p.Move(l, c, 0, to, append(first, rest...))
				return edge.Handled
			}
			return serve(l, c, h, rest, who)
		}
		return part
	}
	n = start(t, func(cfg *Config) {
		cfg.Rows, cfg.Admission = []proto.Row{row}, admission
		cfg.HandOver = func(_ *netpoll.Loop, _ *netpoll.Conn, process, _ int, _ []byte) bool {
			handedOver = process
			return false
		}
	})
	adopt := func() *client {
		fd, c := pair(t)
		tag, ok := admission.AdmitRequest(netip.Addr{})
		if !ok {
			t.Fatal("not admitted")
		}
		n.AdoptOn(n.Loop(0).Remote(), RoleHead, Arrival{FD: fd, Tag: tag, First: []byte(request + "early\n")})
		return c
	}
	c := adopt()
	c.expect("+-")
	c.expect("early")
	if !<-moved || handedOver != 1 || n.Loop(0).Remote().Load() != 0 || n.Loop(1).Remote().Load() != 1 {
		t.Errorf("handed over %d, loads %d %d", handedOver, n.Loop(0).Remote().Load(), n.Loop(1).Remote().Load())
	}

	n.Loop(1).Stop()
	eventually(t, "loop 1 has released its connection", func() bool { return admission.Open() == 0 })
	d := adopt()
	if _, err := d.in.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("the socket is open: %v", err)
	}
	if !<-moved || admission.Open() != 0 {
		t.Errorf("%d are still admitted", admission.Open())
	}
}

func TestDrainAndKick(t *testing.T) {
	n := start(t, nil)
	address := listen(t, n)
	var clients []*client
	for range 10 {
		c := dial(t, address)
		c.send(request)
		c.expect("+-")
		clients = append(clients, c)
	}
	var id netpoll.ID
	got := make(chan netpoll.ID)
	n.Loop(0).Remote().Post(func(l *netpoll.Loop) {
		l.Each(func(c *netpoll.Conn) bool { id = c.ID(); return false })
		got <- id
	})
	id = <-got
	for _, want := range []bool{true, false} {
		if found, err := n.Kick(id); found != want || err != nil {
			t.Errorf("kicked: %v %v, want %v", found, err, want)
		}
	}
	n.Drain(100 * time.Millisecond)
	ends := map[string]int{}
	for _, c := range clients {
		line, _ := c.in.ReadString('\n')
		ends[line]++
	}
	if ends["kick\n"] != 1 || ends["drain\n"] != 9 {
		t.Errorf("ends %v", ends)
	}
	n.Close()
	if _, err := n.Kick(id); !errors.Is(err, ErrBusy) {
		t.Errorf("after the end: %v", err)
	}
}

// TestDrainIsEven: connections end in step with the time that has passed. The clock is the test's.
func TestDrainIsEven(t *testing.T) {
	for _, test := range []struct {
		passed, over time.Duration
		left         float64
	}{
		{0, time.Minute, 1}, {15 * time.Second, time.Minute, 0.75}, {30 * time.Second, time.Minute, 0.5},
		{time.Minute, time.Minute, 0}, {time.Hour, time.Minute, 0}, {0, 0, 0}, {drainStep, 0, 0},
	} {
		if left := drainLeft(test.passed, test.over); left != test.left {
			t.Errorf("%v of %v: %v are left, want %v", test.passed, test.over, left, test.left)
		}
	}
	n := start(t, nil)
	const each = 20 // of each loop
	var clients []*client
	for range 2 * each {
		fd, c := pair(t)
		n.Adopt(Arrival{FD: fd, First: []byte(request)})
		c.expect("+-")
		clients = append(clients, c)
	}
	for _, step := range []struct {
		left  float64
		there int
	}{{1, 2 * each}, {0.95, 38}, {0.95, 38}, {0.5, each}, {0.1, 4}, {0.0001, 0}, {0, 0}} {
		n.drainTo(step.left)
		staying := make(chan int)
		total := 0
		for _, r := range n.reactors { // behind the step
			r.loop.Remote().Post(func(l *netpoll.Loop) {
				k := 0
				l.Each(func(c *netpoll.Conn) bool {
					if r.stays(c) {
						k++
					}
					return true
				})
				staying <- k
			})
			total += <-staying
		}
		if total != step.there {
			t.Errorf("with %v left: %d stay, want %d", step.left, total, step.there)
		}
	}
	for _, c := range clients {
		if line, err := c.in.ReadString('\n'); line != "drain\n" {
			t.Errorf("it ends with %q, %v", line, err)
		}
	}
}

// A slow member is ended, or learns what it missed.
func TestSlow(t *testing.T) {
	for policy, want := range map[broadcast.Policy]string{broadcast.Disconnect: "slow\n", broadcast.DropOldest: "gap t "} {
		n := start(t, func(cfg *Config) { cfg.Topics = &broadcast.Options{Policy: policy, OutboxBytesMax: 1 << 20} })
		fd, c := pair(t)
		n.Adopt(Arrival{FD: fd, First: []byte(request)})
		c.expect("+-")
		for range 100 { // until neither the socket nor the outbox takes more
			r, err := n.Hub().Publish("t", broadcast.Text, []byte(strings.Repeat("x", 100_000)))
			if err != nil {
				t.Fatal(err)
			}
			if r.Matched == 0 {
				break
			}
			published := make(chan struct{})
			n.Loop(0).Remote().Post(func(*netpoll.Loop) { close(published) })
			<-published
		}
		for {
			line, err := c.in.ReadString('\n')
			if err != nil {
				t.Fatalf("%v: %v", policy, err)
			}
			if strings.HasPrefix(line, want) {
				break
			}
			if line[0] != 'x' {
				t.Fatalf("%v: got %.40q", policy, line)
			}
		}
		n.Close()
	}
}

// Nothing is left of a node that could not be made or started, or was closed before.
func TestAbandoned(t *testing.T) {
	cfg := Config{Rows: []proto.Row{lines.Row(lines.Options{}), lines.Row(lines.Options{})}, Loops: 1, Admission: &edge.Admission{}}
	if _, err := New(cfg); err == nil {
		t.Error("two rows of one path")
	}
	cfg.Rows = cfg.Rows[:1]
	cfg.Loops, cfg.LoopBase = 2, netpoll.LoopsMax-1
	if _, err := New(cfg); err == nil {
		t.Error("too many loops")
	}
	cfg.LoopBase = 0
	cfg.Rows[0].New = func(*proto.Place) proto.Part { return proto.Part{} }
	if _, err := New(cfg); err == nil {
		t.Error("a row that makes nothing")
	}
	cfg.Rows = []proto.Row{lines.Row(lines.Options{})}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Wake(0)
	n.Close()
	n.Close()
	if err := n.Start(); err == nil {
		t.Error("started after its end")
	}
	if err := n.Listen(nil, 0); err == nil {
		t.Error("listens after its end")
	}
	// A loop that cannot start: there is no such kernel.
	cfg.IO = "none"
	if _, err := New(cfg); err == nil {
		t.Error("an unknown I/O mode")
	}
}

// What a member costs at each message: no allocation, for either kind of member.
func TestSinkDoesNotAllocate(t *testing.T) {
	n := start(t, nil)
	fd, c := pair(t)
	n.Adopt(Arrival{FD: fd, First: []byte(request)})
	c.expect("+-")
	allocations := make(chan float64)
	payload := []byte("hello\n")
	n.Loop(0).Remote().Post(func(l *netpoll.Loop) {
		var member uint32
		l.Each(func(c *netpoll.Conn) bool { member = c.Slot(); return false })
		s := &n.reactors[0].sink
		var sink broadcast.Sink = s
		allocations <- testing.AllocsPerRun(100, func() {
			sink.Send(member, payload, 0, 1)
			sink.Pending(member)
		})
	})
	if got := <-allocations; got != 0 {
		t.Errorf("%v allocations", got)
	}
}
