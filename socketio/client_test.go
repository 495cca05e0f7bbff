// The server under the real clients, npm socket.io-client 4 and 2, mounted into a net/http server.

package socketio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mount puts io into a http.Server with another handler, and returns its address.
func mount(t testing.TB, io *Server) string {
	t.Helper()
	mux := http.NewServeMux()
	next := io.Handler()
	mux.HandleFunc("/socket.io/", func(w http.ResponseWriter, r *http.Request) { // as a program wraps it
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Header().Add("Set-Cookie", "wrapper=1")
		next.ServeHTTP(w, r)
	})
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := io.Close(); err != nil {
			t.Error(err)
		}
		ts.Close()
	})
	return ts.URL
}

// person has a field of each kind that handlers decode.
type person struct {
	Name string  `json:"name"`
	Age  int     `json:"age"`
	Face []byte  `json:"face,omitempty"`
	Tags []any   `json:"tags,omitempty"`
	Next *person `json:"next,omitempty"`
}

// deep has binary data in an embedded struct, a named type and an interface.
type deep struct {
	Inner
	Blob blob   `json:"blob"`
	None []byte `json:"none,omitempty"`
	Any  any
}

// Inner is embedded.
type Inner struct {
	Own []byte `json:"own"`
}

type blob []byte

// answering makes a server with a handler for each event of the scripts.
func answering(o Options) *Server {
	io := New(o)
	io.OnConnection(func(s *Socket) { answer(io, s) })
	io.Of("/chat").OnConnection(func(s *Socket) {
		s.On("echo", func(text string, ack func(string)) { ack("chat " + text) })
		s.On("quit", func() { _ = s.Disconnect(false) })
	})
	guarded := io.Of("/guarded")
	guarded.Use(func(h *Handshake) error {
		var auth struct{ Token string }
		if err := h.DecodeAuth(&auth); err != nil || auth.Token == "" {
			return Refuse("not authorized", map[string]any{"code": 17})
		}
		h.SetData(auth.Token)
		return nil
	})
	guarded.UseAsync(func(h *Handshake, next func(error)) {
		go func() {
			if h.Auth() != nil && strings.Contains(string(h.Auth()), "late") {
				next(errors.New("too late"))
				return
			}
			next(nil)
		}()
	})
	guarded.OnConnection(func(s *Socket) { _ = s.Emit("token", s.Data(), s.Handshake().Query().Get("q")) })
	rooms := io.OfPattern(regexp.MustCompile(`^/dyn-\d+$`))
	rooms.OnConnection(func(s *Socket) { _ = s.Emit("in", s.Namespace().Name()) })
	return io
}

func answer(io *Server, s *Socket) {
	s.On("echo", func(args Args, ack Ack) {
		values := make([]any, args.Len())
		for i := range values {
			_ = args.Decode(i, &values[i])
		}
		_ = s.Emit("echo", values...)
		_ = ack(values...)
	})
	s.On("sum", func(a, b float64, ack func(float64)) { ack(a + b) })
	s.On("person", func(p person, ack func(name string, age int, face Binary)) { ack(p.Name, p.Age, p.Face) })
	s.On("deep in", func(m map[string]any, l []any, p struct{ Any any }, ack func(string, any, any, any)) {
		kinds := fmt.Sprintf("%T %T %T", m["file"], l[0], p.Any.(map[string]any)["file"])
		ack(kinds, m["file"], l, p)
	})
	s.On("deep out", func(data []byte, ack func(map[string][]byte, [][]byte, struct{ B []byte }, *deep)) {
		ack(map[string][]byte{"b": data}, [][]byte{data, {}}, struct{ B []byte }{data}, &deep{Inner: Inner{Own: data}, Blob: blob(data), Any: data})
	})
	s.On("rest", func(first string, others ...int) { _ = s.Emit("rest", first, len(others)) })
	s.On("bytes", func(data []byte, ack func(int, []byte)) { ack(len(data), data) })
	s.On("join", func(room string, ack func([]string)) {
		_ = s.Join(room)
		_ = io.To(room).Emit("joined", room, s.ID())
		ack(s.Rooms())
	})
	s.On("leave", func(room string, ack func([]string)) {
		_ = s.Leave(room)
		ack(s.Rooms())
	})
	s.On("say", func(room, text string) { _ = s.To(room).Emit("said", text) })
	s.On("union", func(rooms []string, except []string, text string) {
		_ = io.To(rooms...).Except(except...).Emit("said", text)
	})
	s.On("all", func(text string, ack func()) {
		_ = io.Emit("said", text)
		ack()
	})
	s.On("others", func(text string) { _ = s.Broadcast().Emit("said", text) })
	s.On("picture", func(room string, data []byte) { _ = io.To(room).Emit("picture", map[string]any{"data": data, "n": 1}) })
	s.On("ask", func(question string, ack func(string)) {
		_ = s.Emit("question", question, func(answer string) { ack("you said " + answer) })
	})
	s.On("ask slowly", func(ack func(string)) {
		_ = s.Timeout(50*time.Millisecond).Emit("silence", func(err error, _ string) { ack(err.Error()) })
	})
	s.On("poll", func(room string, ack Ack) {
		_ = io.To(room).Timeout(10*time.Second).Emit("vote", func(answers []Args, err error) {
			votes := make([]int, len(answers))
			for i, a := range answers {
				_ = a.Decode(0, &votes[i])
			}
			_ = ack(votes, err == nil)
		})
	})
	s.On("private", func(id, text string) { _ = io.To(id).Emit("said", text) })
	s.On("order", func(n int) {
		for i := range n {
			if i%3 == 0 {
				_ = io.Emit("n", i)
			} else {
				_ = s.Emit("n", i)
			}
		}
	})
	s.OnUpgrade(func() { _ = s.Emit("upgraded", s.Transport()) })
	s.On("transport", func(ack func(string, int)) { ack(s.Transport(), s.Handshake().Version()) })
	s.On("kick", func(closing bool) { _ = s.Disconnect(closing) })
	s.On("data", func(v string, ack func(any, string)) {
		before := s.Data()
		s.SetData(v)
		ack(before, s.ID())
	})
	s.On("recovered", func(ack func(bool, any, []string)) { ack(s.Recovered(), s.Data(), s.Rooms()) })
	s.OnDisconnect(func(reason Reason) { _ = io.Emit("gone", s.ID(), string(reason)) })
	s.OnError(func(err error) { _ = s.Emit("wrong", err.Error()) })
	s.Use(func(event string, _ Args) error {
		if event == "forbidden" {
			return errors.New("this event is forbidden")
		}
		return nil
	})
}

const clientScripts = "../internal/e2e/node"

// clients runs a script, and each line "ok …" or "not ok …" of it as a subtest.
func clients(t *testing.T, url, script string, args ...string) {
	t.Helper()
	if _, err := os.Stat(clientScripts + "/node_modules/socket.io-client"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, "node", append([]string{clientScripts + "/" + script, url, url}, args...)...)
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	complete := false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		switch bad, isBad := strings.CutPrefix(line, "not ok "); {
		case line == "end":
			complete = true
		case isBad:
			what, why, _ := strings.Cut(bad, ": ")
			t.Run(what, func(t *testing.T) { t.Error(why) })
		case strings.HasPrefix(line, "ok "):
			t.Run(strings.TrimPrefix(line, "ok "), func(*testing.T) {})
		default:
			t.Log(line)
		}
	}
	if err != nil || !complete {
		t.Errorf("%s did not come to its end: %v\n%s", script, err, stderr.String())
	}
}

func TestClients(t *testing.T) {
	for _, transports := range []string{"polling", "websocket", "polling,websocket"} {
		t.Run("4 over "+transports, func(t *testing.T) {
			clients(t, mount(t, answering(Options{Loops: 2, AllowV3: true})), "sioclient.mjs", "4", transports)
		})
		t.Run("2 over "+transports, func(t *testing.T) {
			clients(t, mount(t, answering(Options{Loops: 2, AllowV3: true})), "sioclient.mjs", "2", transports)
		})
	}
	t.Run("4 with msgpack", func(t *testing.T) {
		clients(t, mount(t, answering(Options{Loops: 2, Parser: ParserMsgpack})), "sioclient.mjs", "msgpack", "websocket")
	})
	t.Run("4 compressed", func(t *testing.T) {
		clients(t, mount(t, answering(Options{Loops: 2, Compress: true})), "sioclient.mjs", "4", "websocket")
	})
	for _, transports := range []string{"polling", "websocket", "polling,websocket"} {
		t.Run("recovery over "+transports, func(t *testing.T) {
			clients(t, mount(t, answering(Options{Loops: 2, Recovery: &Recovery{}})), "recovery.mjs", transports)
		})
	}
}

// A server that refuses protocol 3 answers with the reason.
func TestV3IsOff(t *testing.T) {
	url := mount(t, New(Options{Loops: 1}))
	r, err := http.Get(url + "/socket.io/?EIO=3&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var said struct{ Code int }
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil || r.StatusCode != 400 || said.Code != 5 {
		t.Errorf("%d, %v, %+v", r.StatusCode, err, said)
	}
}
