// A real Redis, servers of Node, and servers of this package, for the tests.

package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"c100k/socketio"

	"github.com/redis/rueidis"
)

// patience bounds each wait of the tests: far above what a busy machine needs.
const patience = 30 * time.Second

// scripts is where the Node scripts and packages of the end-to-end tests are.
const scripts = "../../internal/e2e/node"

// needRedis starts a Redis on a socket of its own, and returns the socket's path.
func needRedis(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Redis")
	}
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is missing: internal/e2e/setup.sh installs it")
	}
	dir, err := os.MkdirTemp("", "redis") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	cmd := exec.Command(program, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", dir)
	start(t, cmd)
	for end := time.Now().Add(patience); ; {
		if client, err := rueidis.NewClient(redisClient(path)); err == nil {
			client.Close()
			return path
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func redisURL(path string) string { return "unix://" + path }

func redisClient(path string) rueidis.ClientOption {
	opt, _ := rueidis.ParseURL(redisURL(path))
	opt.DisableCache = true
	return opt
}

// start runs a program until the end of the test.
func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
}

// node is a server of Node; the result is its address.
func startNode(t testing.TB, args ...string) string {
	t.Helper()
	_, address := startNodeProcess(t, args...)
	return address
}

func startNodeProcess(t testing.TB, args ...string) (*exec.Cmd, string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(scripts, "node_modules/@socket.io/redis-adapter")); err != nil {
		t.Fatal("npm packages are missing: internal/e2e/setup.sh installs them")
	}
	cmd := exec.Command("node", append([]string{"clusterserver.mjs"}, args...)...)
	cmd.Dir, cmd.Stderr = scripts, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal("a server of Node did not start: ", err)
	}
	return cmd, strings.TrimSpace(line)
}

// goServer is a server of this package with the handlers of clusterserver.mjs.
type goServer struct {
	io      *socketio.Server
	cluster *Cluster
	address string

	mu    sync.Mutex
	heard [][]any
}

func startGo(t testing.TB, c *Cluster, o socketio.Options) *goServer {
	t.Helper()
	o.Adapter, o.Loops = c.Adapter, 2
	s := &goServer{io: socketio.New(o), cluster: c}
	for _, nsp := range []string{"/", "/some"} {
		s.listen(s.io.Of(nsp))
	}
	s.io.OnNamespace(s.listen)
	s.io.OfPattern(regexp.MustCompile(`^/dynamic-`))
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", s.io.Handler())
	mux.HandleFunc("POST /call", s.call)
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		_ = s.io.Close()
		_ = c.Close()
	})
	s.address = strings.TrimPrefix(web.URL, "http://")
	return s
}

// named gives the first server of a cluster its own namespace.
func (s *goServer) named(name string) *goServer {
	if name == "a" {
		s.io.Of("/only-a")
	}
	return s
}

func (s *goServer) listen(nsp *socketio.Namespace) {
	nsp.OnConnection(func(socket *socketio.Socket) { socket.SetData(map[string]any{"at": "go"}) })
	nsp.On("join", func(socket *socketio.Socket, room string, done func()) {
		_ = socket.Join(room)
		done()
	})
	nsp.OnServerSide("hello", func(args socketio.Args) {
		line := []any{nsp.Name(), "hello"}
		for i := range args.Len() {
			line = append(line, value(args, i))
		}
		s.mu.Lock()
		s.heard = append(s.heard, line)
		s.mu.Unlock()
	})
	nsp.OnServerSide("ask", func(x any, ack socketio.Ack) { _ = ack(map[string]any{"from": "server", "x": x}) })
	nsp.OnServerSide("binary", func(data any, ack socketio.Ack) { _ = ack(data) })
}

// value is an argument as binary.mjs encodes it.
func value(args socketio.Args, i int) any {
	var v any
	if err := args.Decode(i, &v); err != nil {
		return err.Error()
	}
	return marked(v)
}

func marked(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{"$binary": v}
	case []any:
		for i := range v {
			v[i] = marked(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = marked(v[k])
		}
	}
	return v
}

func unmarked(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = unmarked(v[i])
		}
	case map[string]any:
		if text, is := v["$binary"].(string); is {
			var p []byte
			_ = json.Unmarshal([]byte(`"`+text+`"`), &p)
			return p
		}
		for k := range v {
			v[k] = unmarked(v[k])
		}
	}
	return v
}

// firsts are the first arguments of answers.
func firsts(answers []socketio.Args) []any {
	list := []any{}
	for _, a := range answers {
		if a.Len() == 0 {
			list = append(list, nil)
		} else {
			list = append(list, value(a, 0))
		}
	}
	return list
}

type question struct {
	Op, NSP       string
	Rooms, Except []string
	Volatile      bool
	Compress      *bool
	Local         bool
	Timeout       int
	Args          []any
	Names         []string
	Close         bool
}

func (s *goServer) call(w http.ResponseWriter, r *http.Request) {
	var q question
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &q); err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	result, err := s.do(r, q)
	if err != nil {
		result = map[string]any{"error": err.Error(), "partial": result}
	}
	_ = json.NewEncoder(w).Encode(result)
}

func (s *goServer) do(r *http.Request, q question) (any, error) {
	nsp := s.io.Of(max(q.NSP, "/"))
	to := nsp.All()
	if q.Rooms != nil {
		to = to.To(q.Rooms...)
	}
	if q.Except != nil {
		to = to.Except(q.Except...)
	}
	if q.Volatile {
		to = to.Volatile()
	}
	if q.Compress != nil {
		to = to.Compress(*q.Compress)
	}
	if q.Local {
		to = to.Local()
	}
	if q.Timeout > 0 {
		to = to.Timeout(time.Duration(q.Timeout) * time.Millisecond)
	}
	event, args := "", q.Args
	if len(args) > 0 {
		event = args[0].(string)
		args = unmarked(args[1:]).([]any)
	}
	ctx := r.Context()
	switch q.Op {
	case "emit":
		return nil, to.Emit(event, args...)
	case "emitWithAck":
		answers, err := to.EmitWithAck(ctx, event, args...)
		return firsts(answers), err
	case "socketsJoin":
		return nil, to.SocketsJoin(q.Names...)
	case "socketsLeave":
		return nil, to.SocketsLeave(q.Names...)
	case "disconnectSockets":
		return nil, to.DisconnectSockets(q.Close)
	case "fetchSockets":
		sockets, err := to.FetchSockets(ctx)
		list := []any{}
		for _, socket := range sockets {
			list = append(list, plain(socket))
		}
		return list, err
	case "fetchAndEmit":
		sockets, err := to.FetchSockets(ctx)
		if err != nil || len(sockets) != 1 {
			return nil, fmt.Errorf("%d sockets, %w", len(sockets), err)
		}
		if err := sockets[0].Emit(event, args...); err != nil {
			return nil, err
		}
		if err := sockets[0].Join("fetched"); err != nil {
			return nil, err
		}
		answer, err := sockets[0].Timeout(patience).EmitWithAck(ctx, "question", 1)
		if err != nil {
			return nil, err
		}
		return value(answer, 0), nil
	case "serverSideEmit":
		return nil, nsp.ServerSideEmit(event, args...)
	case "serverSideEmitWithAck":
		answers, err := nsp.ServerSideEmitWithAck(ctx, event, args...)
		return firsts(answers), err
	case "serverCount":
		return nsp.Servers(ctx)
	case "heard":
		s.mu.Lock()
		defer s.mu.Unlock()
		heard := s.heard
		s.heard = nil
		if heard == nil {
			heard = [][]any{}
		}
		return heard, nil
	}
	return nil, fmt.Errorf("unknown call %s", q.Op)
}

// plain is a socket as clusterserver.mjs shows it.
func plain(s *socketio.RemoteSocket) any {
	text, err := s.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	var v map[string]any
	_ = json.Unmarshal(text, &v)
	h := v["handshake"].(map[string]any)
	h["time"], h["issued"] = "string", "number"
	names := []string{}
	for name := range h["headers"].(map[string]any) {
		names = append(names, name)
	}
	slices.Sort(names)
	h["headers"] = names
	return v
}
