// How many processes, what each gets, and two workers of a node in one process, without the parent
// between them.

package server

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"c100k/internal/quota"

	"golang.org/x/sys/unix"
)

func TestWorkersFor(t *testing.T) {
	for _, test := range []struct{ conns, allowed, want int }{
		{0, 19_872, 1}, {1, 19_872, 1}, {19_872, 19_872, 1},
		{19_873, 19_872, 2},
		{34_000, 19_872, 2},  // 17,000 each, and 15 per cent more still fit
		{35_000, 19_872, 3},  // 17,500 each would not
		{100_000, 19_872, 6}, // 16,667 each; with 5 workers no connection would be left over
		{100_000, 999_872, 1},
		{1 << 24, 100, WorkersMax},
	} {
		if got := workersFor(test.conns, test.allowed); got != test.want {
			t.Errorf("%d connections, %d in each: %d workers, want %d", test.conns, test.allowed, got, test.want)
		}
	}
}

func TestShare(t *testing.T) {
	allowed := connsDefault()
	for _, test := range []struct {
		name    string
		c       Config
		workers int
		conns   int // of each
	}{
		{"one", Config{}, 1, allowed},
		{"all that the limit allows", Config{Workers: 3}, 3, allowed},
		{"a tenth more than the even share", Config{Workers: 4, MaxConns: 400}, 4, 110},
		{"an odd number", Config{Workers: 3, MaxConns: 10}, 3, 4},
		{"no more than the limit allows", Config{Workers: 2, MaxConns: 2 * allowed}, 2, allowed},
		{"one is enough", Config{Workers: WorkersAuto, MaxConns: 10}, 1, 11},
		{"nothing asked for", Config{Workers: WorkersAuto}, 1, allowed},
	} {
		c := test.c.WithDefaults()
		part := c.Share()
		if c.Workers != test.workers || part.Workers != 1 || part.MaxConns != min(test.conns, allowed) {
			t.Errorf("%s: %d workers with %d connections each, want %d with %d", test.name, c.Workers, part.MaxConns, test.workers, test.conns)
		}
		if c.Loops < 1 || c.Loops > max(1, loopsDefault()/c.Workers) {
			t.Errorf("%s: %d loops in each", test.name, c.Loops)
		}
		if err := c.FitsMachine(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	c := Config{Workers: WorkersAuto, MaxConns: connsMax}.WithDefaults()
	if allowed*WorkersMax < connsMax {
		var field *FieldError
		if err := c.FitsMachine(); !errors.As(err, &field) || field.Field != "MaxConns" || strings.Contains(field.Allowed, "take") {
			t.Errorf("more than all workers hold: %v", err)
		}
	}
}

func TestServerIsOneProcess(t *testing.T) {
	api := http.NotFoundHandler()
	for _, test := range []struct {
		field string
		c     Config
	}{
		{"Workers", Config{Workers: 2}},
		{"Worker", Config{Worker: &Worker{}}},
		{"Worker", Config{Worker: &Worker{Count: 1}}},
		{"Worker", Config{Worker: &Worker{Count: 1, API: api, LoopBase: -1}}},
		{"Worker", Config{Loops: 2, Worker: &Worker{Count: 1, API: api, LoopBase: 255}}},
		{"Worker", Config{Worker: &Worker{Number: 2, Count: 2, API: api}}},
		{"Worker", Config{Worker: &Worker{Number: -1, Count: 2, API: api}}},
		{"Worker", Config{Worker: &Worker{Count: WorkersMax + 1, API: api}}},
	} {
		s, err := New(test.c)
		var field *FieldError
		if !errors.As(err, &field) || field.Field != test.field {
			t.Errorf("%+v: %v, want an error of %s", test.c, err, test.field)
		}
		if err == nil {
			s.Close()
		}
	}
}

// road is the way from one worker to the other.
type road struct {
	to    atomic.Pointer[Server]
	state atomic.Int32
}

// The states of a road.
const (
	roadOpen   int32 = iota
	roadFull         // no room for one more
	roadBroken       // it is not sent
	roadBack         // it comes back from the parent
)

// startWorkers runs two workers; what worker 0 hands over takes the road.
func startWorkers(t *testing.T, change func(number int, c *Config)) (nodes [2]*Server, way *road) {
	t.Helper()
	way = new(road)
	limits, err := quota.NewShared(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { limits.File().Close() })
	for i := range nodes {
		c := Config{Dev: true, Loops: 2, Worker: &Worker{Number: i, Count: 3, LoopBase: 2 * i, API: http.NotFoundHandler()}}
		if i == 0 {
			c.Worker.HandOver = func(to int, m *Handover, gone func(bool)) bool {
				switch state := way.state.Load(); {
				case state == roadFull || to != 1:
					return false
				case state == roadBroken:
					go gone(false)
				case state == roadBack:
					gone(true)
					nodes[0].TakeBack(m)
				default:
					gone(true)
					way.to.Load().TakeIn(m)
				}
				return true
			}
		}
		if change != nil {
			change(i, &c)
		}
		fd, err := unix.FcntlInt(limits.File().Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		if c.Worker.Quota, err = quota.Open(os.NewFile(uintptr(fd), "quota"), i); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Worker.Quota.File().Close() })
		nodes[i] = start(t, c)
	}
	way.to.Store(nodes[1])
	return nodes, way
}

// pollster is an HTTP connection of a Socket.IO client.
type pollster struct {
	net.Conn
	in *bufio.Reader
	t  *testing.T
}

func dialPoll(t *testing.T, s *Server) *pollster {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if s.cfg.TLS != nil {
		conn = tls.Client(conn, clientTLS())
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &pollster{conn, bufio.NewReader(conn), t}
}

func (p *pollster) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads an answer and its body.
func (p *pollster) expect(status int, body string) string {
	p.t.Helper()
	r, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.t.Fatalf("no answer: %v; want %d %s", err, status, body)
	}
	got, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != status || !strings.Contains(string(got), body) {
		p.t.Fatalf("%d %s %v, want %d %s", r.StatusCode, got, err, status, body)
	}
	return string(got)
}

const pollPath = sioPath + "?EIO=4&transport=polling"

func pollRequest(sid string) string {
	return "GET " + pollPath + "&sid=" + sid + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
}

func postHead(sid string, length int) string {
	return fmt.Sprintf("POST %s&sid=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", pollPath, sid, length)
}

// open makes a session on the connection's node, connected to "/".
func (p *pollster) open() (sid string) {
	p.t.Helper()
	p.send("GET " + pollPath + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	var told struct{ SID string }
	if err := json.Unmarshal([]byte(p.expect(200, "0{"))[1:], &told); err != nil {
		p.t.Fatal(err)
	}
	p.send(postHead(told.SID, 2) + "40")
	p.expect(200, "ok")
	p.send(pollRequest(told.SID))
	p.expect(200, "40{")
	return told.SID
}

// TestRequestsGoHome: whatever comes to another worker is served where the client lives, and the
// connection stays there.
func TestRequestsGoHome(t *testing.T) { onPlainAndTLS(t, testRequestsGoHome) }

func testRequestsGoHome(t *testing.T, secure func(int, *Config)) {
	nodes, _ := startWorkers(t, secure)
	sid := dialPoll(t, nodes[1]).open()
	p := dialPoll(t, nodes[0])
	const event = `42["subscribe","a"]`
	p.send(postHead(sid, len(event)) + event[:5])
	eventually(t, "moved", func() bool { return nodes[1].movedIn.Load() == 1 })
	p.send(event[5:] + pollRequest(sid)) // the rest of the body, and a request that has not waited
	p.expect(200, "ok")
	if nodes[0].admission.Open() != 0 || nodes[1].admission.Open() != 2 {
		t.Errorf("worker 0 counts %d connections, worker 1 %d", nodes[0].admission.Open(), nodes[1].admission.Open())
	}
	eventually(t, "subscribed", func() bool { return subscribers(nodes[1], "a") == 1 })
	if _, err := nodes[1].Publish("a", 0, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	p.expect(200, "hello")
	if got := nodes[1].movedIn.Load(); got != 1 {
		t.Errorf("%d requests were moved, want one: the connection is at home by now", got)
	}

	upgrade := dialWSOf(t, nodes[0], sioPath+"?EIO=4&transport=websocket&sid="+sid)
	say(t, upgrade, "2probe")
	expectText(t, upgrade, "3probe")
	say(t, upgrade, "5")
	say(t, upgrade, `421["publish","a","over"]`)
	expectText(t, upgrade, `431[{"ok":true,"matched":1}]`)
	expectText(t, upgrade, `42["message",{"topic":"a","data":"over"}]`)
}

// TestSocketIDsOfWorkers: the loops of all workers are numbered through, and an id of a socket
// leads to its own loop in each.
func TestSocketIDsOfWorkers(t *testing.T) {
	nodes, _ := startWorkers(t, nil)
	for number, s := range nodes {
		for range 4 { // on both loops
			p := dialPoll(t, s)
			before := len(s.sio.Sockets())
			sid := p.open()
			eventually(t, "the client is there", func() bool { return len(s.sio.Sockets()) == before+1 })
			p.send(pollRequest(sid))
			for _, socket := range s.sio.Sockets() {
				list, err := s.sio.In(socket.ID()).FetchSockets(t.Context())
				if len(list) != 1 || err != nil || s.sio.Of("/").Socket(socket.ID()) != socket {
					t.Errorf("worker %d: %d sockets by the id of one, %v", number, len(list), err)
				}
				if err := s.sio.To(socket.ID()).Emit("for", socket.ID()); err != nil {
					t.Error(err)
				}
			}
			p.expect(200, `42["for",`)
			other := nodes[1-number].sio
			for _, socket := range s.sio.Sockets() {
				if other.Of("/").Socket(socket.ID()) != nil {
					t.Errorf("worker %d has a socket of worker %d", 1-number, number)
				}
			}
		}
	}
}

const unknownSession = `{"code":1,"message":"Session ID unknown"}`

// TestNobodyTakesIt: a request that cannot be handed over is answered like one for a session that
// nobody knows, and its connection goes on.
func TestNobodyTakesIt(t *testing.T) { onPlainAndTLS(t, testNobodyTakesIt) }

func testNobodyTakesIt(t *testing.T, secure func(int, *Config)) {
	nodes, way := startWorkers(t, secure)
	sid := dialPoll(t, nodes[1]).open()
	for name, state := range map[string]int32{"full": roadFull, "broken": roadBroken, "back": roadBack} {
		way.state.Store(state)
		p := dialPoll(t, nodes[0])
		p.send(pollRequest(sid))
		p.expect(400, unknownSession)
		p.send(postHead(sid, 1) + "2")
		p.expect(400, unknownSession)
		p.open()
		p.Close()
		eventually(t, name+": the connection is released", func() bool { return nodes[0].admission.Open() == 0 })
	}
	way.state.Store(roadOpen)
	for name, id := range map[string]string{
		"worker 2, which has no road":    sidAt(2, 0),
		"a worker that the node has not": sidAt(63, 0),
		"a loop that worker 1 has not":   sidAt(1, 9),
		"no session, on worker 1":        sidAt(1, 1),
		"no session, at home":            sidAt(0, 0),
	} {
		p := dialPoll(t, nodes[0])
		p.send(pollRequest(id))
		if got := p.expect(400, unknownSession); got != unknownSession {
			t.Errorf("%s: %s", name, got)
		}
	}
	p := dialPoll(t, nodes[1]) // which has no way out at all
	p.send(pollRequest(sidAt(0, 0)))
	p.expect(400, unknownSession)
}

// sidAt is an id that nobody was given, of a place.
func sidAt(worker, loop byte) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	// Behind ten bytes of secret: the worker, the loop, and three bytes of slot, 1.
	bits := uint64(worker)<<32 | uint64(loop)<<24 | 1
	tail := make([]byte, 7)
	for i := range tail {
		tail[6-i] = digits[bits>>(6*i)&63]
	}
	return strings.Repeat("A", 13) + string(tail)
}

// TestHandedOverIsAdmitted: the other worker counts the connection as its own, against whom it
// counted before, and may have no room.
func TestHandedOverIsAdmitted(t *testing.T) { onPlainAndTLS(t, testHandedOverIsAdmitted) }

func testHandedOverIsAdmitted(t *testing.T, secure func(int, *Config)) {
	for name, test := range map[string]struct {
		change func(*Config)
		status int
	}{
		"full":                     {func(c *Config) { c.MaxConns = 1 }, 503},
		"the address has too many": {func(c *Config) { c.MaxConnsPerIP = 1 }, 429},
	} {
		t.Run(name, func(t *testing.T) {
			nodes, _ := startWorkers(t, func(i int, c *Config) {
				secure(i, c)
				test.change(c)
			})
			home := dialPoll(t, nodes[1])
			sid := home.open()
			p := dialPoll(t, nodes[0])
			p.send(pollRequest(sid))
			p.expect(test.status, "")
			eventually(t, "released", func() bool { return nodes[0].admission.Open() == 0 && nodes[1].admission.Open() == 1 })
			home.send(postHead(sid, 1) + "1")
			home.expect(200, "ok")
		})
	}
}

// TestHandedOverByAProxy: what the proxy said of the client goes along.
func TestHandedOverByAProxy(t *testing.T) {
	nodes, _ := startWorkers(t, func(_ int, c *Config) {
		c.MaxConnsPerIP = 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	sid := dialPoll(t, nodes[1]).open()
	poll := dialPoll(t, nodes[0]) // a poll's connection is the proxy's
	poll.send(postHead(sid, 3) + "411")
	poll.expect(200, "ok")
	client := func(name string, status int) {
		t.Helper()
		p := dialPoll(t, nodes[0])
		p.send("GET " + sioPath + "?EIO=4&transport=websocket&sid=" + sid + " HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: " + name + "\r\nConnection: Upgrade\r\n" +
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		r, err := http.ReadResponse(p.in, nil)
		if err != nil || r.StatusCode != status {
			t.Fatalf("%v %v, want %d", r, err, status)
		}
	}
	client("192.0.2.1", 101)
	client("192.0.2.1", 429)
}

// TestHandOverEnds: a worker that has stopped closes what it is given.
func TestHandOverEnds(t *testing.T) {
	nodes, _ := startWorkers(t, nil)
	nodes[1].Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	nodes[1].TakeIn(&Handover{FD: pair[1], First: []byte("GET / HTTP/1.1\r\n")})
	if n, err := unix.Read(pair[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read %d, %v: the connection is open", n, err)
	}
	if open := nodes[1].admission.Open(); open != 0 {
		t.Errorf("%d connections are counted", open)
	}
}
