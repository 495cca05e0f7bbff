// Bad input from raw clients: the server closes the connection with the right code or refuses the
// request, and nothing else happens.

package socketio

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"c100k/internal/engineio"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// patience is how long a test waits for an event before it fails.
const patience = 30 * time.Second

// raw is an Engine.IO 4 WebSocket that a test reads and writes by hand.
type raw struct {
	t testing.TB
	net.Conn
	in io.Reader // bytes that came with the handshake's answer, then the connection
	id string    // of the socket in "/"
}

// Read implements io.Reader.
func (r *raw) Read(p []byte) (int, error) { return r.in.Read(p) }

func dial(t testing.TB, url string) *raw {
	t.Helper()
	conn, ahead, _, err := ws.Dial(t.Context(), strings.Replace(url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	r := &raw{t: t, Conn: conn, in: conn}
	if ahead != nil {
		r.in = ahead
	}
	if open := r.read(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("open packet: %q", open)
	}
	return r
}

// send sends text frames; a "b:" in front makes a binary one of the rest.
func (r *raw) send(frames ...string) {
	r.t.Helper()
	for _, f := range frames {
		op := ws.OpText
		if data, binary := strings.CutPrefix(f, "b:"); binary {
			op, f = ws.OpBinary, data
		}
		if err := wsutil.WriteClientMessage(r.Conn, op, []byte(f)); err != nil {
			return // the server has closed it: read reports why
		}
	}
}

// read returns the next message, or how the connection ended.
func (r *raw) read() string {
	r.t.Helper()
	h, err := ws.ReadHeader(r) // the server does not send fragments
	data, op := make([]byte, h.Length), h.OpCode
	if err == nil {
		_, err = io.ReadFull(r, data)
	}
	switch {
	case err == nil && op == ws.OpClose && len(data) == 0:
		return "closed 1005"
	case err == nil && op == ws.OpClose:
		return "closed " + strconv.Itoa(int(binary.BigEndian.Uint16(data)))
	case errors.Is(err, io.EOF):
		return "EOF"
	case err != nil:
		r.t.Fatal(err)
	case op == ws.OpBinary:
		return "b:" + string(data)
	}
	return string(data)
}

// join joins "/".
func (r *raw) join() *raw {
	r.t.Helper()
	r.send("40")
	got := r.read()
	id, joined := strings.CutPrefix(got, `40{"sid":"`)
	if !joined {
		r.t.Fatalf("joining: %q", got)
	}
	r.id, _, _ = strings.Cut(id, `"`)
	return r
}

func TestBadInput(t *testing.T) {
	io := New(Options{Loops: 1, MaxPayload: 100_000})
	reasons := make(chan Reason, 100)
	io.OnConnection(func(s *Socket) {
		s.On("echo", func(args Args, ack Ack) { _ = ack(args.JSON(0)) })
		s.On("panic", func() { panic("of a handler, which is logged") })
		s.OnDisconnect(func(r Reason) { reasons <- r })
	})
	io.Of("/other")
	url := mount(t, io)
	bystander := dial(t, url).join()

	const ended = "closed 1005" // a close frame without a status
	deep := strings.Repeat("[", 30000) + strings.Repeat("]", 30000)
	for _, tt := range []struct {
		name   string
		frames []string
		want   string
		reason Reason
	}{
		{"unknown type", []string{"49"}, ended, ReasonForcedClose},
		{"empty packet", []string{"4"}, ended, ReasonForcedClose},
		{"garbage in the payload", []string{`42["x"`}, ended, ReasonForcedClose},
		{"event without a payload", []string{"42"}, ended, ReasonForcedClose},
		{"event without a name", []string{"42[]"}, ended, ReasonForcedClose},
		{"reserved event", []string{`42["disconnect"]`}, ended, ReasonForcedClose},
		{"30,000 levels", []string{`42["echo",` + deep + `]`}, ended, ReasonForcedClose},
		{"acknowledgement beyond 64 bits", []string{`4318446744073709551616[]`}, ended, ReasonForcedClose},
		{"acknowledgement without an id", []string{`43[]`}, ended, ReasonForcedClose},
		{"flood of attachments", []string{`4511-["echo"]`}, ended, ReasonForcedClose},
		{"as many attachments as one likes", []string{`459999999999-["echo"]`}, ended, ReasonForcedClose},
		{"attachment that nobody asked for", []string{"b:x"}, ended, ReasonForcedClose},
		{"text in the place of an attachment", []string{`451-["echo",{"_placeholder":true,"num":0}]`, `42["echo"]`}, ended, ReasonForcedClose},
		{"placeholder out of range", []string{`451-["echo",{"_placeholder":true,"num":1}]`, "b:x"}, ended, ReasonForcedClose},
		{"negative placeholder", []string{`451-["echo",{"_placeholder":true,"num":-1}]`, "b:x"}, ended, ReasonForcedClose},
		{"placeholder that is no number", []string{`451-["echo",{"_placeholder":true,"num":"0"}]`, "b:x"}, ended, ReasonForcedClose},
		{"broken payload behind attachments", []string{`451-["echo",`, "b:x"}, ended, ReasonForcedClose},
		{"attachments too large together", []string{`453-["echo"]`, "b:" + strings.Repeat("x", 60_000), "b:" + strings.Repeat("x", 60_000)}, ended, ReasonForcedClose},
		{"joining twice", []string{"40"}, ended, ReasonForcedClose},
		{"event for a namespace not joined", []string{`42/other,["x"]`}, ended, ReasonForcedClose},
		{"attachments for a namespace not joined", []string{`451-/other,["x"]`}, ended, ReasonForcedClose},
		{"leaving a namespace not joined", []string{`41/other,`}, ended, ReasonForcedClose},
		{"refusing the server", []string{`44{"message":"x"}`}, ended, ReasonForcedClose},
		{"packet of Engine.IO that is none", []string{"x"}, ended, ReasonParseError},
		{"too long", []string{`42["echo","` + strings.Repeat("x", 200_000) + `"]`}, "closed 1009", ReasonTransportError},
		{"a handler panics", []string{`42["panic"]`}, "EOF", ReasonTransportError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, url).join()
			c.send(tt.frames...)
			if got := c.read(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := <-reasons; got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
		})
	}
	bystander.send(`420["echo",1]`)
	if got := bystander.read(); got != "430[1]" {
		t.Errorf("the others: %q", got)
	}
}

// Unusual but harmless input is answered or ignored.
func TestHarmlessInput(t *testing.T) {
	io := New(Options{Loops: 1})
	io.OnConnection(func(s *Socket) {
		s.On("echo", func(args Args, ack Ack) { _ = ack(args.JSON(0)) })
		s.On("__proto__", func(args Args, ack Ack) { _ = ack("constructor") })
	})
	io.Of("/other").OnConnection(func(s *Socket) { s.On("quit", func() { _ = s.Disconnect(false) }) })
	url := mount(t, io)
	for _, tt := range []struct {
		name   string
		frames []string
		want   []string
	}{
		{"binary event without attachments", []string{`450-0["echo",{"_placeholder":true,"num":5}]`, `421["echo",2]`}, []string{`430[{"_placeholder":true,"num":5}]`, "431[2]"}},
		{"__proto__", []string{`420["__proto__"]`, `421["echo",{"__proto__":{"a":1}}]`}, []string{`430["constructor"]`, `431[{"__proto__":{"a":1}}]`}},
		{"an attachment used twice, another not at all", []string{`452-0["echo",[{"_placeholder":true,"num":1},{"_placeholder":true,"num":1}]]`, "b:x", "b:y"}, []string{`430[["eQ==","eQ=="]]`}},
		{"unknown event, unknown acknowledgement", []string{`42["nothing"]`, `4377[]`, `420["echo",1]`}, []string{"430[1]"}},
		{"unknown namespace", []string{`40/nowhere,`, `420["echo",1]`}, []string{`44/nowhere,{"message":"Invalid namespace"}`, "430[1]"}},
		{"namespace with a query", []string{`40/other?a=1,`, `420["echo",1]`}, []string{`44/other?a=1,{"message":"Invalid namespace"}`, "430[1]"}},
		{"an event on its way when the server has disconnected", []string{`40/other,`, `42/other,["quit"]`, `42/other,["quit"]`, `420["echo",1]`}, []string{"40/other,…", "41/other,", "430[1]"}},
		{"leaving and coming back", []string{`40/other,`, `41/other,`, `41/other,`, `40/other,`, `420["echo",1]`}, []string{"40/other,…", "40/other,…", "430[1]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, url).join()
			c.send(tt.frames...)
			for _, want := range tt.want {
				got := c.read()
				if begin, cut := strings.CutSuffix(want, "…"); got != want && (!cut || !strings.HasPrefix(got, begin)) {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
		})
	}
}

// The number of namespaces that clients can make is bounded.
func TestManyNamespaces(t *testing.T) {
	io := New(Options{Loops: 1, NamespacesMax: NamespacesPerClientMax - 10})
	io.OfMatch(func(h *Handshake) bool { return strings.HasPrefix(h.Namespace(), "/d") })
	url := mount(t, io)
	c := dial(t, url).join()
	joined, refused := 0, 0
	for i := range 20_000 {
		name := "/d" + strconv.Itoa(i)
		if i%2 == 0 {
			name = "/unknown" + strconv.Itoa(i)
		}
		c.send("40" + name + ",")
		switch got := c.read(); {
		case strings.HasPrefix(got, "40"+name+","):
			joined++
		case got == "44"+name+`,{"message":"Too many namespaces"}` || got == "44"+name+`,{"message":"Invalid namespace"}`:
			refused++
		default:
			t.Fatalf("%s: %q", name, got)
		}
	}
	if want := NamespacesPerClientMax - 11; joined != want || refused != 20_000-want {
		t.Errorf("joined %d, want %d; refused %d", joined, want, refused)
	}
}

func TestNamespacesOfOneClient(t *testing.T) {
	io := New(Options{Loops: 1, CleanupEmptyNamespaces: true})
	io.OfMatch(func(h *Handshake) bool { return true })
	c := dial(t, mount(t, io)).join()
	for i := range NamespacesPerClientMax + 5 {
		c.send("40/" + strconv.Itoa(i) + ",")
		got := c.read()
		if refused := strings.HasPrefix(got, "44"); refused != (i >= NamespacesPerClientMax-1) {
			t.Fatalf("namespace %d: %q", i, got)
		}
	}
	c.Close()
	eventually(t, "namespaces are forgotten", func() bool {
		io.mu.RLock()
		defer io.mu.RUnlock()
		return len(io.namespaces) == 1
	})
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A client that joins no namespace is disconnected after the timeout; one that has joined stays.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	io := New(Options{Loops: 1, ConnectTimeout: 2 * time.Second}) // the one that stays has to join in it
	io.OnConnection(func(s *Socket) { s.On("echo", func(args Args, ack Ack) { _ = ack(args.JSON(0)) }) })
	io.Of("/slow").UseAsync(func(*Handshake, func(error)) {})
	url := mount(t, io)
	stays, idle, waits := dial(t, url).join(), dial(t, url), dial(t, url)
	waits.send("40/slow,")
	for _, c := range []*raw{idle, waits} {
		if got := c.read(); got != "closed 1005" {
			t.Errorf("got %q", got)
		}
	}
	stays.send(`420["echo",1]`)
	if got := stays.read(); got != "430[1]" {
		t.Errorf("got %q", got)
	}
}

// A client that does not send the attachments of a packet is disconnected after the timeout. One
// that does stays, also if it sends packets all the time.
func TestAssemblyTimeout(t *testing.T) {
	t.Parallel()
	const timeout = time.Second // one that stays has to send its attachments in it
	io := New(Options{Loops: 1, assemblyTimeout: timeout})
	io.OnConnection(func(s *Socket) { s.On("bytes", func(data []byte, ack func(int)) { ack(len(data)) }) })
	url := mount(t, io)
	stays, stalls := dial(t, url).join(), dial(t, url).join()
	begin := time.Now()
	stalls.send(`452-["bytes",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "b:x")
	for rounds := 0; rounds < 2 || time.Since(begin) < 2*timeout; rounds++ {
		stays.send(`451-0["bytes",{"_placeholder":true,"num":0}]`, "b:xyz")
		if got := stays.read(); got != "430[3]" {
			t.Fatalf("got %q", got)
		}
	}
	if got := stalls.read(); got != "closed 1005" {
		t.Errorf("got %q", got)
	}
}

// Messages of megabytes of separators over polling end the session, and cost no more than their own
// length.
func TestPollingGarbage(t *testing.T) {
	url := mount(t, New(Options{Loops: 1}))
	r, err := http.Get(url + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	open, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	sid := strings.Split(string(open), `"`)[3]
	post := func(body string) int {
		r, err := http.Post(url+"/socket.io/?EIO=4&transport=polling&sid="+sid, "text/plain;charset=UTF-8", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	if status := post(strings.Repeat("\x1e", 999_999)); status != 200 {
		t.Errorf("status %d", status)
	}
	if status := post("40"); status != 400 {
		t.Errorf("the session is still there: %d", status)
	}
}

// The pending output of a client that reads nothing is bounded.
func TestSlowClient(t *testing.T) {
	io := New(Options{Loops: 1, Outbox: 64 << 10})
	gone := make(chan Reason, 1)
	io.OnConnection(func(s *Socket) { s.OnDisconnect(func(r Reason) { gone <- r }) })
	dial(t, mount(t, io)).join()
	text := strings.Repeat("x", 10_000)
	for {
		select {
		case r := <-gone:
			if r != ReasonTransportError {
				t.Errorf("reason %q", r)
			}
			return
		default:
			if err := io.Emit("fill", text); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The memory of an idle client must stay below 600 bytes in total: this, the 48 bytes of its
// connection's record, its seat and its subscription (20), and its session in engineio.
func TestIdleClientIsSmall(t *testing.T) {
	const record, seat, id = 48, 20, 24
	own := int(unsafe.Sizeof(client{}) + unsafe.Sizeof(Socket{}) + unsafe.Sizeof(facts{}) + unsafe.Sizeof(engineio.Session{}))
	if total := record + seat + id + own; total > 400 {
		t.Errorf("an idle client owns %d bytes", total)
	}
}

// Calls after Close return an error, and none of them blocks.
func TestCallsAfterClose(t *testing.T) {
	io := New(Options{Loops: 2})
	sockets := make(chan *Socket, 1)
	var disconnects atomic.Int32
	io.OnConnection(func(s *Socket) {
		s.OnDisconnect(func(Reason) { disconnects.Add(1) })
		sockets <- s
	})
	url := mount(t, io)
	c := dial(t, url).join()
	s := <-sockets
	answer := make(chan error, 1)
	go func() {
		_, err := s.EmitWithAck(context.Background(), "q")
		answer <- err
	}()
	if got := c.read(); got != `420["q"]` {
		t.Fatalf("got %q", got)
	}
	c.Close()
	if err := <-answer; !errors.Is(err, ErrDisconnected) {
		t.Errorf("EmitWithAck: %v", err)
	}
	eventually(t, "OnDisconnect", func() bool { return disconnects.Load() == 1 })
	if err := s.Emit("x"); !errors.Is(err, ErrDisconnected) {
		t.Errorf("Emit: %v", err)
	}
	if err := s.Join("r"); !errors.Is(err, ErrDisconnected) {
		t.Errorf("Join: %v", err)
	}
	if rooms := s.Rooms(); rooms != nil {
		t.Errorf("Rooms: %v", rooms)
	}
	if _, err := s.EmitWithAck(t.Context(), "x"); !errors.Is(err, ErrDisconnected) {
		t.Errorf("EmitWithAck: %v", err)
	}
	if n := io.Of("/").Len(); n != 0 || io.Connections() != 0 {
		t.Errorf("%d sockets, %d connections", n, io.Connections())
	}
}
