// A node of several processes, with real ones.

package workers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"c100k/internal/admin"
	"c100k/internal/figures"
	"c100k/server"
)

// patience is how long a test waits for what has to happen. It is no measure of speed.
const patience = 30 * time.Second

// running is a supervisor in a test.
type running struct {
	*Supervisor
	t             *testing.T
	public, admin string // host:port
	ended         chan error
	log           *logBuffer
}

type logBuffer struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start makes a supervisor of three workers and runs it; it is stopped at the end of the test.
func start(t *testing.T, change func(*Options)) *running {
	t.Helper()
	r := &running{t: t, ended: make(chan error, 1), log: new(logBuffer)}
	listening := make(chan struct{})
	opt := options(r.log)
	opt.Config.OnListen = func(public, admin net.Addr) {
		r.public, r.admin = public.String(), admin.String()
		close(listening)
	}
	if change != nil {
		change(&opt)
	}
	var err error
	if r.Supervisor, err = New(opt); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.ListenAndServe(context.Background()) }()
	t.Cleanup(func() { _ = r.Shutdown(context.Background()) })
	select {
	case <-listening:
	case err := <-r.ended:
		t.Fatalf("it ended with %v\n%s", err, r.log)
	case <-time.After(patience):
		t.Fatalf("it does not serve\n%s", r.log)
	}
	return r
}

func options(log io.Writer) Options {
	c := server.Defaults()
	c.Dev, c.Workers, c.Loops, c.Drain = true, 3, 1, server.Off
	c.Listen, c.Admin = "127.0.0.1:0", "127.0.0.1:0"
	c = c.WithDefaults()
	c.Logger = slog.New(slog.NewTextHandler(log, nil))
	return Options{Config: c, LogFormat: "json", LogLevel: new(slog.LevelVar)}
}

// eventually waits until f returns nil.
func (r *running) eventually(what string, f func() error) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not after %v: %v\n%s", what, patience, err, r.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ask calls the admin port.
func (r *running) ask(method, path, body string, out any) int {
	r.t.Helper()
	request, err := http.NewRequest(method, "http://"+r.admin+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	switch out := out.(type) {
	case nil:
	case *string:
		*out = string(text)
	default:
		if err := json.Unmarshal(text, out); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return response.StatusCode
}

// figuresDocument is what the tests look at in the document of GET /v1/stats.
type figuresDocument struct {
	Connections struct {
		Total  int
		Opened map[string]uint64            `json:"opened_total"`
		Closed map[string]map[string]uint64 `json:"closed_total"`
	}
	Messages struct {
		Sent uint64 `json:"sent_total"`
	}
	HandshakesRejected map[string]uint64 `json:"handshakes_rejected_total"`
	RequestsMoved      uint64            `json:"requests_moved_total"`
	Loops              []struct {
		Loop  int
		Turns uint64 `json:"turns_total"`
	}
	Workers []struct {
		Worker, PID, Connections int
		State, Note              string
		Restarts                 uint64 `json:"restarts_total"`
		PrivateBytes             int64  `json:"private_bytes"`
	}
}

func (r *running) stats() (s figuresDocument) {
	r.t.Helper()
	r.ask("GET", "/v1/stats", "", &s)
	return s
}

// listener is a stream of events.
type listener struct {
	body  io.Closer
	lines chan string // data of the messages; closed at the end
}

// listen subscribes to a topic on the public port. Each is a connection of its own, so that the
// kernel deals them out.
func (r *running) listen(topic string) *listener {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + r.public + "/sse?topic=" + topic)
	if err != nil {
		r.t.Fatal(err)
	}
	l := &listener{body: response.Body, lines: make(chan string, 100)}
	r.t.Cleanup(func() {
		l.body.Close()
		for range l.lines {
		}
	})
	go func() {
		defer close(l.lines)
		scanner := bufio.NewScanner(response.Body)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			if data, ok := strings.CutPrefix(scanner.Text(), "data: "); ok {
				l.lines <- data
			}
		}
	}()
	return l
}

// next is the next message, and "" where the stream has ended.
func (r *running) next(l *listener) string {
	r.t.Helper()
	select {
	case line := <-l.lines:
		return line
	case <-time.After(patience):
		r.t.Fatalf("no message\n%s", r.log)
		return ""
	}
}

type published struct{ Matched, Queued, Dropped int }

func (r *running) publish(topic, text string, want int) {
	r.t.Helper()
	var got published
	if r.ask("POST", "/v1/topics/"+topic, text, &got); got != (published{want, want, 0}) {
		r.t.Errorf("publish %s to %s: %+v, want %d", text, topic, got, want)
	}
}

// TestNode walks through the life of a node.
func TestNode(t *testing.T) {
	r := start(t, nil)
	const many = 30
	var streams []*listener
	for range many {
		streams = append(streams, r.listen("a"))
	}
	s := r.stats()
	if s.Connections.Total != many || len(s.Workers) != 3 || len(s.Loops) != 3 {
		t.Fatalf("%d connections, %d workers, %d loops", s.Connections.Total, len(s.Workers), len(s.Loops))
	}
	for i, w := range s.Workers {
		if w.State != figures.WorkerServing || w.Worker != i || w.PID == 0 || w.Connections == 0 || w.PrivateBytes == 0 || s.Loops[i].Loop != i {
			t.Errorf("worker %d: %+v; loop %+v", i, w, s.Loops[i])
		}
	}
	r.publish("a", "one", many)
	for _, l := range streams {
		if got := r.next(l); got != "one" {
			t.Fatalf("got %q", got)
		}
	}
	var topics struct {
		Topics  []admin.Topic
		Missing []string
	}
	if r.ask("GET", "/v1/topics", "", &topics); len(topics.Topics) != 1 || topics.Topics[0].Subscribers != many || topics.Missing != nil {
		t.Errorf("topics: %+v", topics)
	}
	var profile string
	if status := r.ask("GET", "/debug/pprof/goroutine?debug=1&worker=2", "", &profile); status != 200 || !strings.Contains(profile, "netpoll.(*Loop)") {
		t.Errorf("goroutines of a worker: %d %.100s", status, profile)
	}
	if r.ask("GET", "/debug/pprof/goroutine?debug=1", "", &profile); strings.Contains(profile, "netpoll.(*Loop)") {
		t.Error("the parent has loops")
	}
	for _, worker := range []string{"3", "-1", "x"} {
		if status := r.ask("GET", "/debug/pprof/heap?worker="+worker, "", nil); status != 404 {
			t.Errorf("profile of worker %s: %d", worker, status)
		}
	}

	r.eventually("all that was sent is counted", func() error {
		if sent := r.stats().Messages.Sent; sent != many {
			return fmt.Errorf("%d", sent)
		}
		return nil
	})

	// One dies: its clients hear so, the others hear everything, and the place is filled again.
	if err := syscall.Kill(s.Workers[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lost := s.Workers[1].Connections
	r.eventually("started again", func() error {
		now := r.stats()
		if w := now.Workers[1]; w.State != figures.WorkerServing || w.Restarts != 1 || w.PID == s.Workers[1].PID {
			return fmt.Errorf("%+v", w)
		}
		if now.Connections.Opened["sse"] < many || now.Messages.Sent < many {
			t.Fatalf("totals have gone back: %+v, %+v", now.Connections, now.Messages)
		}
		return nil
	})
	r.publish("a", "two", many-lost)
	ended, heard := 0, 0
	for _, l := range streams {
		switch got := r.next(l); got {
		case "":
			ended++
		case "two":
			heard++
		default:
			t.Errorf("got %q", got)
		}
	}
	if ended != lost || heard != many-lost {
		t.Errorf("%d streams have ended, want %d; %d have heard, want %d", ended, lost, heard, many-lost)
	}
	if now := r.stats(); now.Connections.Closed["sse"][reasonLost] != uint64(lost) {
		t.Errorf("closed: %v", now.Connections.Closed)
	}
	var metrics string
	r.ask("GET", "/metrics", "", &metrics)
	for _, want := range []string{
		`c100k_worker_up{worker="1"} 1`, `c100k_worker_restarts_total{worker="1"} 1`, `c100k_worker_restarts_total{worker="0"} 0`,
		fmt.Sprintf(`c100k_connections{transport="sse"} %d`, many-lost), `c100k_loop_busy_seconds_total{loop="2"}`,
		fmt.Sprintf(`c100k_connections_closed_total{reason="worker_ended",transport="sse"} %d`, lost), "c100k_bus_connected 1",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}

	// A drain by the API ends all.
	if status := r.ask("POST", "/v1/drain", "", nil); status != http.StatusAccepted {
		t.Errorf("drain: %d", status)
	}
	if err := <-r.ended; !errors.Is(err, server.ErrServerClosed) {
		t.Errorf("ended with %v", err)
	}
	if conn, err := net.Dial("tcp", r.public); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

// TestRefusalComesBeforeTheBody: a client that sends Expect: 100-continue always gets the refusal.
func TestRefusalComesBeforeTheBody(t *testing.T) {
	r := start(t, func(o *Options) { o.Config.APIKey = "a-long-secret" })
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: patience}}
	body := make([]byte, 4<<20)
	for range 20 {
		request, err := http.NewRequest("POST", "http://"+r.public+"/v1/topics/a", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Expect", "100-continue")
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		if answer.Body.Close(); answer.StatusCode != http.StatusUnauthorized {
			t.Fatalf("status %d: %s", answer.StatusCode, text)
		}
	}
}

// hang stops a process, and waits until it has stopped: a signal takes its time.
func (r *running) hang(pid int) {
	r.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		r.t.Fatal(err)
	}
	r.eventually("stopped", func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, _ := strings.Cut(string(stat), ") "); err != nil || !strings.HasPrefix(state, "T") {
			return fmt.Errorf("%s, %w", stat, err)
		}
		return nil
	})
}

// TestPublicAPIWithoutKey: clients without a key that announce bodies and send none are answered,
// and use nothing that a publisher with a key needs.
func TestPublicAPIWithoutKey(t *testing.T) {
	r := start(t, func(o *Options) { o.Config.APIKey = "a-long-secret" })
	const strangers = 40 * 3 // more than the links of all workers together
	conns := make([]net.Conn, strangers)
	for i := range conns {
		conn, err := net.Dial("tcp", r.public)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	for i, conn := range conns {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != 401 {
			t.Fatalf("stranger %d: %v, %v", i, response, err)
		}
	}
	// With the key they wait for their own bodies, and no other client waits for them.
	for range strangers {
		conn, err := net.Dial("tcp", r.public)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-long-secret\r\nContent-Length: 9\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 6 {
		request, err := http.NewRequest("POST", "http://"+r.public+"/v1/topics/a", strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer a-long-secret")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("status %d", response.StatusCode)
		}
	}
}

// TestHungWorker: a worker that does not answer is left out and named; nothing waits for it for
// long.
func TestHungWorker(t *testing.T) {
	r := start(t, neverOut)
	pid := r.stats().Workers[2].PID
	r.hang(pid)
	s := r.stats()
	if w := s.Workers[2]; w.State != figures.WorkerSilent || w.Note != "does not answer" || s.Workers[0].State != figures.WorkerServing {
		t.Errorf("%+v", s.Workers)
	}
	var text string
	if status := r.ask("GET", "/readyz", "", &text); status != 200 || text != "ok\nworker 2: does not answer\n" {
		t.Errorf("readyz: %d %q", status, text)
	}
	if r.ask("GET", "/v1/topics", "", &text); !strings.Contains(text, `"missing":["worker 2: does not answer"]`) {
		t.Errorf("topics: %s", text)
	}
	if status := r.ask("GET", "/v1/topics/a", "", &text); status != 404 || !strings.Contains(text, "not all were asked: worker 2: does not answer") {
		t.Errorf("topic: %d %s", status, text)
	}
	if status := r.ask("DELETE", "/v1/connections/0200000100000001", "", &text); status != 503 || !strings.Contains(text, "worker 2: does not answer") {
		t.Errorf("a connection of the hung worker: %d %s", status, text)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.eventually("it answers again", func() error {
		if w := r.stats().Workers[2]; w.State != figures.WorkerServing || w.Restarts != 0 {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
}

func TestReload(t *testing.T) {
	r := start(t, func(o *Options) {
		o.Config.Dev, o.Config.PublicTopics = false, []string{"a"}
	})
	subscribe := func(topic string) int {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get("http://" + r.public + "/sse?topic=" + topic)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	c := r.opt.Config
	c.PublicTopics = []string{"b"}
	if err := r.Reload(c); err != nil {
		t.Fatal(err)
	}
	for range 20 { // each worker has some of them
		if a, b := subscribe("a"), subscribe("b"); a != 403 || b != 200 {
			t.Fatalf("after the reload: a %d, b %d", a, b)
		}
	}
	for what, change := range map[string]func(*server.Config){
		"Drain is changed": func(c *server.Config) { c.Drain = time.Second },
		"IO is":            func(c *server.Config) { c.IO = "x" },
		"read the API key": func(c *server.Config) { c.APIKeyFile = "/nonexistent" },
		"Workers is":       func(c *server.Config) { c.Workers = 2 },
	} {
		bad := c
		bad.PublicTopics = []string{"c"}
		change(&bad)
		if err := r.Reload(bad); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
	// One that hangs meanwhile has it when it answers again.
	hung := r.stats().Workers[1].PID
	r.hang(hung)
	c.PublicTopics = []string{"d"}
	if err := r.Reload(c); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(hung, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.eventually("it catches up", func() error {
		for range 20 {
			if d := subscribe("d"); d != 200 {
				return fmt.Errorf("topic d: %d", d)
			}
		}
		return nil
	})
	// One that starts later has the new configuration too.
	pid := r.stats().Workers[0].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.eventually("started again", func() error {
		if w := r.stats().Workers[0]; w.State != figures.WorkerServing || w.PID == pid {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
	for range 20 {
		if d, c := subscribe("d"), subscribe("c"); d != 200 || c != 403 {
			t.Fatalf("after the bad reloads: d %d, c %d", d, c)
		}
	}
}

// lives makes workers with another behaviour.
func lives(life string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := thisProgram()
		cmd.Env = append(os.Environ(), lifeVariable+"="+life)
		return cmd
	}
}

// TestFirstStartFails: an error that keeps workers from serving is reported once, as the same error
// as in one process.
func TestFirstStartFails(t *testing.T) {
	for life, want := range errorsOfLives {
		log := new(logBuffer)
		opt := options(log)
		opt.Command = lives(life)
		s, err := New(opt)
		if err != nil {
			t.Fatal(err)
		}
		err = s.ListenAndServe(t.Context())
		if err == nil || !strings.Contains(err.Error(), want.Error()) || strings.Count(err.Error(), want.Error()) != 1 {
			t.Errorf("%s: %v", life, err)
		}
		var field *server.FieldError
		if errors.Is(want, server.ErrListen) != errors.Is(err, server.ErrListen) || errors.As(want, &field) != errors.As(err, &field) {
			t.Errorf("%s: %v is not %v", life, err, want)
		}
	}
}

// TestNeverUp: workers that die at once are started again and again, and a stop ends that.
func TestNeverUp(t *testing.T) {
	for _, life := range []string{"dies", "hangs"} {
		log := new(logBuffer)
		opt := options(log)
		opt.Command = lives(life)
		s, err := New(opt)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.ListenAndServe(ctx) }()
		deadline := time.Now().Add(patience)
		for life == "dies" && strings.Count(log.String(), "started again") < 6 {
			if time.Now().After(deadline) {
				t.Fatalf("they are not started again:\n%s", log)
			}
			time.Sleep(10 * time.Millisecond)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", life, err)
		}
	}
}

// TestStopAtOnce: when the time is over, workers are killed, hung ones too.
func TestStopAtOnce(t *testing.T) {
	r := start(t, func(o *Options) { o.Config.Drain = time.Hour })
	l := r.listen("a")
	r.hang(r.stats().Workers[0].PID)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for range l.lines {
	}
	if err := <-r.ended; !errors.Is(err, server.ErrServerClosed) {
		t.Error(err)
	}
}

func TestPortsAreTaken(t *testing.T) {
	r := start(t, nil)
	for name, change := range map[string]func(*server.Config){
		"public": func(c *server.Config) { c.Listen = r.public },
		"admin":  func(c *server.Config) { c.Admin = r.admin },
	} {
		opt := options(io.Discard)
		change(&opt.Config)
		s, err := New(opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ListenAndServe(t.Context()); !errors.Is(err, server.ErrListen) || !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s: %v", name, err)
		}
	}
	opt := options(io.Discard)
	opt.Config.Bus = "nats://127.0.0.1:1"
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ListenAndServe(t.Context()); !errors.Is(err, server.ErrBus) {
		t.Errorf("no bus: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, change := range []func(*server.Config){
		func(c *server.Config) { c.Workers = 99 },
		func(c *server.Config) { c.APIKeyFile = "/nonexistent" },
	} {
		opt := options(io.Discard)
		change(&opt.Config)
		if _, err := New(opt); err == nil {
			t.Error("accepted")
		}
	}
}
