// A node: the program under test as a child process, with its ports, its log and its end.

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// node is a running `c100k serve`, as a test sees it.
type node struct {
	*process
	t *testing.T // which fails where the node does not do what it has to
}

// in is the node for a subtest.
func (n *node) in(t *testing.T) *node { return &node{n.process, t} }

// process is what all tests of one node share.
type process struct {
	cmd           *exec.Cmd
	public, admin string        // host:port
	exited        chan struct{} // closed when the process has ended
	code          int           // its exit code; set before exited is closed

	mu       sync.Mutex // guards the fields below
	lines    []logLine
	strange  []string // lines that are not JSON: panics, race reports
	expected []string // messages that may be logged as errors
}

type logLine struct {
	Level, Msg, Listen, Admin, Err string
}

// serve starts a node on free ports and waits until it serves. At the end of the test it is
// stopped, must end with exit code 0, and must not have logged an error. Its drain is over at once
// unless the arguments say something else.
func serve(t *testing.T, args ...string) *node {
	t.Helper()
	return serveWith(t, exec.Command(binary, serveArgs(args)...))
}

// workersVariable makes all tests run with nodes of that many workers: clients must see no
// difference. Tests of counts of one process are skipped, and tests of the order of
// acknowledgements, which wait for other workers.
const workersVariable = "E2E_WORKERS"

// oneProcess skips a test if nodes have several workers.
func oneProcess(t *testing.T) {
	t.Helper()
	if os.Getenv(workersVariable) != "" {
		t.Skip("it is about a node of one process")
	}
}

// serveArgs are the arguments of a node. With --dev it serves only loopback names and addresses,
// and the host that the tests send.
func serveArgs(args []string) []string {
	if slices.Contains(args, "--dev") {
		args = append([]string{"--host", "node.test"}, args...)
	}
	if workers := os.Getenv(workersVariable); workers != "" {
		args = append([]string{"--workers", workers}, args...)
	}
	return append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json", "--drain", "0s"}, args...)
}

// serveWith is serve with a command of the test's own.
func serveWith(t *testing.T, cmd *exec.Cmd) *node {
	t.Helper()
	n := launch(t, cmd)
	n.awaitServing()
	t.Cleanup(n.finish)
	return n
}

// launchServing is serve for a node that does not end with exit code 0.
func launchServing(t *testing.T, args ...string) *node {
	t.Helper()
	n := launch(t, exec.Command(binary, serveArgs(args)...))
	n.awaitServing()
	return n
}

func (n *node) awaitServing() {
	n.t.Helper()
	n.eventually("serving", func() error {
		for _, line := range n.log() {
			if line.Msg == "serving" {
				n.public, n.admin = layerInFront(n.t, line.Listen), line.Admin
				return nil
			}
		}
		select {
		case <-n.exited:
			n.t.Fatalf("the node ended with %d instead of serving:\n%s", n.code, n.output())
		default:
		}
		return errors.New("not yet")
	})
}

// launch starts the command and reads its log. The caller ends the node.
func launch(t *testing.T, cmd *exec.Cmd) *node {
	t.Helper()
	n := &node{&process{cmd: cmd, exited: make(chan struct{})}, t}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	// No setting of the developer's own shell may change what is tested.
	cmd.Env = append(without(cmd.Env, "C100K_"), "GORACE=halt_on_error=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended already, if all went well
		<-n.exited
	})
	go n.follow(stderr)
	return n
}

func without(environ []string, prefix string) (kept []string) {
	for _, v := range environ {
		if !strings.HasPrefix(v, prefix) {
			kept = append(kept, v)
		}
	}
	return kept
}

// follow reads the log to its end, which is the process's end.
func (n *node) follow(stderr io.Reader) {
	scanner := bufio.NewScanner(stderr)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line logLine
		err := json.Unmarshal(scanner.Bytes(), &line)
		n.mu.Lock()
		if err != nil {
			n.strange = append(n.strange, scanner.Text())
		} else {
			n.lines = append(n.lines, line)
		}
		n.mu.Unlock()
	}
	_ = n.cmd.Wait() // the exit code tells
	n.code = n.cmd.ProcessState.ExitCode()
	close(n.exited)
}

func (n *node) log() []logLine {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]logLine(nil), n.lines...)
}

func (n *node) output() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var b strings.Builder
	for _, line := range n.lines {
		fmt.Fprintf(&b, "%s %s %s\n", line.Level, line.Msg, line.Err)
	}
	return b.String() + strings.Join(n.strange, "\n")
}

// logged tells whether a message has been logged.
func (n *node) logged(msg string) bool {
	for _, line := range n.log() {
		if strings.Contains(line.Msg, msg) {
			return true
		}
	}
	return false
}

// mayLog allows an error message that the test causes.
func (n *node) mayLog(msg string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expected = append(n.expected, msg)
}

func (n *node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatalf("signal %v: %v", s, err)
	}
}

// wait waits for the end of the process and returns its exit code.
func (n *node) wait() int {
	n.t.Helper()
	select {
	case <-n.exited:
	case <-time.After(patience):
		n.t.Fatalf("the node does not end; its log:\n%s", n.output())
	}
	return n.code
}

// running tells whether the process is there.
func (n *node) running() bool {
	select {
	case <-n.exited:
		return false
	default:
		return true
	}
}

// finish stops a node that still runs, and checks its exit code, which is 0, and its log, which has
// no errors.
func (n *node) finish() {
	if n.running() {
		n.signal(syscall.SIGTERM)
		if code := n.wait(); code != 0 {
			n.t.Errorf("exit code %d, want 0", code)
		}
	}
	n.checkLog()
}

func (n *node) checkLog() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, line := range n.strange {
		n.t.Errorf("the node wrote: %s", line)
	}
	for _, line := range n.lines {
		allowed := line.Level != "ERROR"
		for _, msg := range n.expected {
			allowed = allowed || strings.Contains(line.Msg, msg)
		}
		if !allowed {
			n.t.Errorf("the node logged an error: %s: %s", line.Msg, line.Err)
		}
	}
}

// eventually waits until f returns nil.
func (n *node) eventually(what string, f func() error) {
	n.t.Helper()
	eventually(n.t, what, f)
}

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	pause := time.Millisecond
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: still not after %v: %v", what, patience, err)
		}
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// httpClient keeps no connections: those would show in a node's figures.
var httpClient = &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// call makes a request to the admin port and returns status and body.
func (n *node) call(method, path, contentType string, body []byte) (int, []byte) {
	n.t.Helper()
	status, answer, err := n.tryCall(method, path, contentType, body)
	if err != nil {
		n.t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, answer
}

func (n *node) tryCall(method, path, contentType string, body []byte) (int, []byte, error) {
	request, err := http.NewRequest(method, "http://"+n.admin+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// published is the answer to a publish.
type published struct{ Matched, Queued, Dropped int }

// publish sends a text over the admin port.
func (n *node) publish(topic, text string) (p published) {
	n.t.Helper()
	status, body := n.call("POST", "/v1/topics/"+topic, "text/plain", []byte(text))
	if err := json.Unmarshal(body, &p); err != nil || status != http.StatusOK {
		n.t.Fatalf("publish to %s: %d %s", topic, status, body)
	}
	return p
}

// stats is what the tests look at of GET /v1/stats.
type stats struct {
	IO          string `json:"io"`
	Draining    bool   `json:"draining"`
	Connections struct {
		Total  int                          `json:"total"`
		Open   map[string]int               `json:"open"`
		Closed map[string]map[string]uint64 `json:"closed_total"`
	} `json:"connections"`
	Rejected      map[string]uint64 `json:"handshakes_rejected_total"`
	SlowConsumers map[string]uint64 `json:"slow_consumer_total"`
	Queues        struct {
		PendingBytes int64 `json:"pending_bytes"`
		OutboxBytes  int64 `json:"outbox_bytes"`
	} `json:"queues"`
	Memory struct {
		PrivateBytes int64 `json:"private_bytes"`
	} `json:"memory"`
	Files struct {
		Open int `json:"open"`
	} `json:"files"`
	Goroutines int `json:"goroutines"`
}

func (n *node) stats() (s stats) {
	n.t.Helper()
	status, body := n.call("GET", "/v1/stats", "", nil)
	if err := json.Unmarshal(body, &s); err != nil || status != http.StatusOK {
		n.t.Fatalf("stats: %d %s", status, body)
	}
	return s
}

// closedFor is how many connections of a transport have ended for a reason.
func (n *node) closedFor(transport, reason string) uint64 {
	n.t.Helper()
	return n.stats().Connections.Closed[transport][reason]
}

// subscribers is how many a topic has.
func (n *node) subscribers(topic string) int {
	n.t.Helper()
	var info struct{ Subscribers int }
	status, body := n.call("GET", "/v1/topics/"+topic, "", nil)
	if status == http.StatusNotFound {
		return 0
	}
	if err := json.Unmarshal(body, &info); err != nil || status != http.StatusOK {
		n.t.Fatalf("topic %s: %d %s", topic, status, body)
	}
	return info.Subscribers
}

// awaitSubscribers waits until a topic has n subscribers.
func (n *node) awaitSubscribers(topic string, want int) {
	n.t.Helper()
	n.eventually(fmt.Sprintf("%d subscribers of %s", want, topic), func() error {
		if got := n.subscribers(topic); got != want {
			return fmt.Errorf("there are %d", got)
		}
		return nil
	})
}
