// Several processes behind one port: to clients, they are one node.

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"c100k/internal/netlab"
)

// workerRow is what the tests look at of a worker in GET /v1/stats.
type workerRow struct {
	Worker, PID, Connections int
	State                    string
	Restarts                 int `json:"restarts_total"`
}

func (n *node) workers() []workerRow {
	n.t.Helper()
	var s struct{ Workers []workerRow }
	status, body := n.call("GET", "/v1/stats", "", nil)
	if err := json.Unmarshal(body, &s); err != nil || status != http.StatusOK {
		n.t.Fatalf("stats: %d %s", status, body)
	}
	return s.Workers
}

// crowd is subscribers on all transports, enough that each worker has some.
type crowd struct {
	all     []*hearer
	workers []workerRow
}

// hearer is one subscriber; text reads its next message.
type hearer struct {
	name string
	text func() (string, error)
	peer *peer
}

func newCrowd(t *testing.T, n *node, topic string, size int) *crowd {
	t.Helper()
	c := &crowd{}
	for i := range size {
		h := new(hearer)
		switch i % 3 {
		case 0:
			h.name, h.peer = "bare", n.upgrade(t, "/ws?topic="+topic)
			h.text = func() (string, error) {
				f, err := h.peer.next()
				return string(f.Payload), err
			}
		case 1:
			h.name, h.peer = "c100k.v1", n.upgrade(t, "/ws?topic="+topic, "Sec-WebSocket-Protocol: c100k.v1")
			h.text = h.enveloped
			if _, err := h.peer.next(); err != nil { // the welcome
				t.Fatal(err)
			}
		case 2:
			s := n.stream(t, "/sse?topic="+topic)
			h.name, h.peer = "sse", s.peer
			h.text = func() (string, error) { return eventData(s) }
		}
		c.all = append(c.all, h)
	}
	n.awaitSubscribers(topic, size)
	c.workers = n.workers()
	for _, w := range c.workers {
		if w.Connections == 0 {
			t.Fatalf("a worker has none of %d connections: %+v", size, c.workers)
		}
	}
	return c
}

// enveloped is the text of the next message; other envelopes are skipped.
func (h *hearer) enveloped() (string, error) {
	for {
		f, err := h.peer.next()
		if err != nil {
			return "", err
		}
		var m struct{ Type, Data string }
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			return "", fmt.Errorf("%w: %s", err, f.Payload)
		}
		if m.Type == "message" {
			return m.Data, nil
		}
	}
}

func eventData(s *stream) (string, error) {
	for {
		block, err := s.nextEvent()
		if err != nil {
			return "", err
		}
		for _, line := range block {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				return data, nil
			}
		}
	}
}

// expect wants the same messages everywhere, in this order.
func (c *crowd) expect(t *testing.T, texts ...string) {
	t.Helper()
	for i, h := range c.all {
		for _, want := range texts {
			if got, err := h.text(); err != nil || got != want {
				t.Fatalf("subscriber %d (%s) has got %q, %v; want %q", i, h.name, got, err, want)
			}
		}
	}
}

// TestWorkersPublish: whichever worker gets a message, each subscriber of each worker gets it once,
// and the answer counts all subscribers.
func TestWorkersPublish(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--workers", "3")
	const size = 45
	c := newCrowd(t, n, "a", size)
	if got := n.publish("a", "by the API"); got.Matched != size || got.Queued != size {
		t.Errorf("by the API: %+v", got)
	}
	c.expect(t, "by the API")

	for range 6 { // publishers on several workers
		p := n.upgrade(t, "/ws", "Sec-WebSocket-Protocol: c100k.v1")
		if _, err := p.next(); err != nil {
			t.Fatal(err)
		}
		p.text(`{"type":"publish","topic":"a","data":"by a client","id":1}`)
		p.expectText(fmt.Sprintf(`{"type":"ack","id":1,"matched":%d}`, size))
		p.Close()
	}
	c.expect(t, "by a client", "by a client", "by a client", "by a client", "by a client", "by a client")

	c.all[0].peer.text("by a bare one")
	c.expect(t, "by a bare one")

	status, body := n.call("POST", "/v1/publish", "application/json", []byte(`[{"topic":"a","data":"x"},{"topics":["a","nobody"],"data":"y"},{"topic":""}]`))
	var answers []published
	if err := json.Unmarshal(body, &answers); err != nil || status != 200 || answers[0].Matched != size || answers[1].Matched != size || !strings.Contains(string(body), "error") {
		t.Errorf("a batch: %d %s", status, body)
	}
	c.expect(t, "x", "y")
	n.publish("a", "the end") // and nothing twice before it
	c.expect(t, "the end")

	status, body = n.call("GET", "/v1/topics?prefix=a", "", nil)
	want := fmt.Sprintf(`{"topics":[{"topic":"a","subscribers":%d,"transports":{"sse":%d,"websocket":%d}}]}`, size, size/3, 2*size/3)
	if status != 200 || strings.TrimSpace(string(body)) != want {
		t.Errorf("topics: %d %s, want %s", status, body, want)
	}
}

// TestWorkersOrder: what one publisher sends arrives in its order, whatever others publish at
// the same time.
func TestWorkersOrder(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--workers", "3")
	const size, each = 30, 200
	c := newCrowd(t, n, "a", size)
	publishers := map[string]func(text string) error{
		"api": func(text string) error {
			status, body, err := n.tryCall("POST", "/v1/topics/a", "text/plain", []byte(text))
			if err == nil && status != 200 {
				err = fmt.Errorf("%d %s", status, body)
			}
			return err
		},
	}
	for _, name := range []string{"b", "c"} {
		p := n.upgrade(t, "/ws?topic=only-"+name, "Sec-WebSocket-Protocol: c100k.v1")
		publishers[name] = func(text string) error {
			return p.tryFrame(true, ws.OpText, fmt.Appendf(nil, `{"type":"publish","topic":"a","data":%q}`, text))
		}
	}
	var all sync.WaitGroup
	for name, publish := range publishers {
		all.Go(func() {
			for i := range each {
				if err := publish(fmt.Sprintf("%s %d", name, i)); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	for i, h := range c.all {
		next := map[string]int{}
		for range each * len(publishers) {
			got, err := h.text()
			name, number, _ := strings.Cut(got, " ")
			if err != nil || number != fmt.Sprint(next[name]) {
				t.Fatalf("subscriber %d (%s) has got %q, %v; want number %d", i, h.name, got, err, next[name])
			}
			next[name]++
		}
	}
	all.Wait()
}

// TestWorkersCloseConnection: an id names one connection, whichever worker has it.
func TestWorkersCloseConnection(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--workers", "3", "--loops", "2")
	const size = 24
	var peers []*peer
	ids := map[string]bool{}
	loops := map[string]bool{}
	var order []string
	for range size {
		p := n.upgrade(t, "/ws?topic=a", "Sec-WebSocket-Protocol: c100k.v1")
		f, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		var m struct{ Conn string }
		if err := json.Unmarshal(f.Payload, &m); err != nil || ids[m.Conn] {
			t.Fatalf("%v: %s is not a new id", err, f.Payload)
		}
		ids[m.Conn], loops[m.Conn[:2]] = true, true
		peers, order = append(peers, p), append(order, m.Conn)
	}
	if len(loops) < 4 || loops["06"] {
		t.Errorf("the connections are on loops %v", loops)
	}
	for i, id := range order {
		if status, body := n.call("DELETE", "/v1/connections/"+id, "", nil); status != 204 {
			t.Fatalf("%s: %d %s", id, status, body)
		}
		peers[i].expectClose(1008)
		n.awaitSubscribers("a", size-i-1)
		if status, _ := n.call("DELETE", "/v1/connections/"+id, "", nil); status != 404 {
			t.Errorf("%s a second time: %d", id, status)
		}
	}
	for _, id := range []string{"0600000000000001", "ff00000000000001"} {
		if status, _ := n.call("DELETE", "/v1/connections/"+id, "", nil); status != 404 {
			t.Errorf("%s: %d", id, status)
		}
	}
}

// TestWorkerKilled: clients of the other workers lose nothing, new clients are served all the time,
// and another worker takes the place.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--workers", "3")
	n.mayLog("worker ended; it is started again")
	const size = 30
	c := newCrowd(t, n, "a", size)
	stop, stopped := make(chan struct{}), make(chan int, 1)
	go func() { // traffic
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- i
				return
			default:
			}
			if status, body, err := n.tryCall("POST", "/v1/topics/a", "text/plain", fmt.Append(nil, i)); err != nil || status != 200 {
				t.Errorf("publish %d: %d %s %v", i, status, body, err)
			}
		}
	}()
	victim := c.workers[1]
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n.eventually("the place is filled again", func() error {
		if status, _ := n.call("GET", "/readyz", "", nil); status != 200 {
			t.Errorf("readyz: %d", status)
		}
		// A client that connects at the wrong moment is in the accept queue of the dead worker, and
		// connects again.
		if p, err := tryDial(n.public); err == nil {
			_ = p.shakeHands("/echo")
			p.Close()
		}
		if w := n.workers()[1]; w.State != "serving" || w.Restarts != 1 || w.PID == victim.PID {
			return fmt.Errorf("%+v", w)
		}
		return nil
	})
	close(stop)
	sent := <-stopped
	n.publish("a", "the end")
	cut := 0
	for i, h := range c.all {
		number := 0
		for {
			got, err := h.text()
			if err != nil {
				cut++
				break
			}
			if got == "the end" && number == sent {
				break
			}
			if got != fmt.Sprint(number) {
				t.Fatalf("subscriber %d (%s) has got %q, want %d of %d", i, h.name, got, number, sent)
			}
			number++
		}
	}
	if cut != victim.Connections {
		t.Errorf("%d connections were cut, and the dead worker had %d", cut, victim.Connections)
	}
	for range 20 { // each of the workers, the new one too
		n.upgrade(t, "/echo").echo("hello")
	}
}

// gone waits for the end of processes that are not our children.
func gone(t *testing.T, rows []workerRow) {
	t.Helper()
	eventually(t, "the workers have ended", func() error {
		for _, w := range rows {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.PID))
			if err != nil {
				continue
			}
			// The state stands behind the name; a zombie has ended, whatever process should reap it.
			if _, rest, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(rest, "Z") {
				return fmt.Errorf("worker %d is there: %s", w.Worker, stat)
			}
		}
		return nil
	})
}

func TestWorkersDrain(t *testing.T) {
	t.Parallel()
	const drain = 3 * time.Second
	n := serve(t, "--dev", "--workers", "2", "--drain", drain.String())
	const count = 600
	var peers []*peer
	for i := range count {
		peers = append(peers, n.upgrade(t, []string{"/echo", "/ws?topic=t"}[i%2]))
	}
	rows := n.workers()
	var all farewells
	start := time.Now()
	for _, p := range peers {
		all.await(p, &start)
	}
	n.signal(syscall.SIGTERM)
	n.eventually("readyz says so", func() error {
		if status, body := n.call("GET", "/readyz", "", nil); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "draining") {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	if !n.stats().Draining {
		t.Error("the stats do not say so")
	}
	all.wg.Wait()
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	all.checkSpread(t, drain)
	gone(t, rows)
}

// TestWorkersStopAtOnce: a second signal ends all processes.
func TestWorkersStopAtOnce(t *testing.T) {
	t.Parallel()
	n := launchServing(t, "--dev", "--workers", "2", "--drain", "10m")
	rows := n.workers()
	p := n.upgrade(t, "/echo")
	n.signal(syscall.SIGTERM)
	n.eventually("the drain begins", func() error {
		if !n.logged("draining") {
			return errors.New("not in the log")
		}
		return nil
	})
	p.echo("in the drain")
	n.signal(syscall.SIGINT)
	if code := n.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if _, err := p.next(); err == nil {
		t.Error("the connection is still there")
	}
	gone(t, rows)
}

// TestParentKilled: workers without a parent drain and end.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	n := launchServing(t, "--dev", "--workers", "2", "--drain", "300ms")
	rows := n.workers()
	var peers []*peer
	for range 10 {
		peers = append(peers, n.upgrade(t, "/ws?topic=a"))
	}
	n.signal(syscall.SIGKILL)
	for _, p := range peers {
		p.expectClose(1012)
	}
	gone(t, rows)
	if p, err := tryDial(n.public); err == nil {
		p.Close()
		t.Error("the port is still open")
	}
}

// TestParentKilledAndStartedAgain: a new parent gets the port at once, while the workers of the old
// one still drain.
func TestParentKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	n := launchServing(t, "--dev", "--workers", "2", "--drain", "1h")
	rows := n.workers()
	old := n.upgrade(t, "/ws?topic=a")
	n.signal(syscall.SIGKILL)
	again := serve(t, "--dev", "--workers", "2", "--listen", n.public)
	for range 20 { // none of them goes to an old worker, which would refuse it
		again.upgrade(t, "/ws?topic=b").Close()
	}
	old.text("still here")
	if f, err := old.next(); err != nil || string(f.Payload) != "still here" {
		t.Errorf("a connection of an old worker: %q, %v", f.Payload, err)
	}
	for _, w := range rows {
		// The one without a connection may have ended.
		if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			t.Errorf("worker %d: %v", w.Worker, err)
		}
	}
	gone(t, rows)
}

// TestWorkersAreOurs: a Ctrl-C does not reach workers, the secret of the bus is not visible, and
// the port stays reserved.
func TestWorkersAreOurs(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--workers", "2")
	for _, w := range n.workers() {
		if group, err := syscall.Getpgid(w.PID); err != nil || group != w.PID {
			t.Errorf("worker %d is in the process group %d, %v", w.Worker, group, err)
		}
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", w.PID, file))
			if err != nil || strings.Contains(string(text), "nats:") {
				t.Errorf("%s of worker %d: %q, %v", file, w.Worker, text, err)
			}
		}
	}
	for name, args := range map[string][]string{
		"another node":             {"--workers", "2", "--listen", n.public, "--admin", ""},
		"another of one process":   {"--listen", n.public, "--admin", ""},
		"another on the same port": {"--workers", "2", "--listen", "127.0.0.1:0", "--admin", n.admin},
	} {
		out, err := exec.CommandContext(t.Context(), binary, append([]string{"serve"}, args...)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 3 || strings.Count(string(out), "cannot listen") != 1 {
			t.Errorf("%s: %v, want exit code 3 and one message\n%s", name, err, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "env", "C100K_WORKER_LINK=0", binary, "serve").CombinedOutput(); err == nil || !strings.Contains(string(out), "it is for workers") {
		t.Errorf("a worker without a parent: %v %s", err, out)
	}
}

// TestWorkersAgain: a node can use its port again at once, whatever the node before has left in the
// kernel.
func TestWorkersAgain(t *testing.T) {
	t.Parallel()
	address := netlab.KeepPort(t)
	for _, workers := range []string{"1", "2", "2", "1"} {
		n := launchServing(t, "--dev", "--listen", address, "--workers", workers)
		for range 5 {
			p := n.upgrade(t, "/echo")
			p.echo("hello")
			p.text("and the node closes first")
		}
		n.finish()
	}
}

// TestWorkersReload: all workers have the new configuration, or none.
func TestWorkersReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, key := filepath.Join(dir, "c.yaml"), filepath.Join(dir, "key")
	writeFile(t, config, "public-topics: [a]\n")
	writeFile(t, key, "first-secret\n")
	n := serve(t, "--workers", "3", "--config", config, "--api-key-file", key)
	n.mayLog("configuration not reloaded")
	status := func(path, bearer string) int {
		p := dial(t, n.public)
		defer p.Close()
		head := "GET " + path + " HTTP/1.1\r\nHost: node.test\r\n"
		if bearer != "" {
			head += "Authorization: Bearer " + bearer + "\r\n"
		}
		p.send(head + "\r\n")
		r, err := p.answer("GET")
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode
	}
	// check asks often enough to reach each worker.
	check := func(what string, a, b int, bearer string) {
		t.Helper()
		for range 20 {
			if gotA, gotB := status("/sse?topic=a", ""), status("/sse?topic=b", ""); gotA != a || gotB != b {
				t.Fatalf("%s: topic a %d, topic b %d; want %d, %d", what, gotA, gotB, a, b)
			}
			if got := status("/v1/stats", bearer); got != 200 {
				t.Fatalf("%s: the key %s: %d", what, bearer, got)
			}
		}
	}
	check("at the start", 200, 403, "first-secret")
	writeFile(t, config, "public-topics: [b]\n")
	writeFile(t, key, "second-secret\n")
	n.reload("configuration reloaded")
	check("after HUP", 403, 200, "second-secret")
	writeFile(t, config, "public-topics: [a]\nrate: 7/s\n")
	n.reload("configuration not reloaded")
	check("after a HUP that needs a restart", 403, 200, "second-secret")
	writeFile(t, config, "public-topics: [a]\nlissen: x\n")
	n.reload("configuration not reloaded")
	check("after a HUP with a broken file", 403, 200, "second-secret")
}

// TestWorkersPublicAPI: behind the key, the public port answers for all workers, whichever gets the
// request.
func TestWorkersPublicAPI(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--workers", "3", "--api-key", "a-long-secret")
	const size = 30
	c := newCrowd(t, n, "a", size)
	call := func(method, path, bearer, body string) (int, string) {
		p := dial(t, n.public)
		defer p.Close()
		p.send(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: node.test\r\nAuthorization: Bearer %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			method, path, bearer, len(body), body))
		r, err := p.answer(method)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(answer)
	}
	for range 9 {
		status, body := call("POST", "/v1/topics/a", "a-long-secret", "hello")
		if want := fmt.Sprintf(`{"matched":%d,"queued":%d,"dropped":0}`, size, size); status != 200 || strings.TrimSpace(body) != want {
			t.Fatalf("publish: %d %s", status, body)
		}
		c.expect(t, "hello")
		if status, body := call("GET", "/v1/topics/a", "a-long-secret", ""); status != 200 || !strings.Contains(body, fmt.Sprintf(`"subscribers":%d`, size)) {
			t.Errorf("topic: %d %s", status, body)
		}
		if status, _ := call("POST", "/v1/topics/a", "another-secret", "hello"); status != 401 {
			t.Errorf("a wrong key: %d", status)
		}
	}
	if status, body := call("POST", "/v1/topics/%2E%2E", "a-long-secret", "hello"); status != 200 {
		t.Errorf("the topic ..: %d %s", status, body)
	}
	if status, body := call("POST", "/v1/drain", "a-long-secret", ""); status != 202 {
		t.Errorf("drain: %d %s", status, body)
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestWorkersAuto: as many processes as the connections need, where each may open few files.
func TestWorkersAuto(t *testing.T) {
	t.Parallel()
	for conns, want := range map[string]int{"50": 0, "200": 3} {
		args := append([]string{"-c", `ulimit -n 228 && exec "$0" "$@"`, binary}, serveArgs([]string{"--dev", "--workers", "auto", "--max-conns", conns})...)
		n := serveWith(t, exec.Command("sh", args...))
		if got := len(n.workers()); got != want {
			t.Errorf("%s connections, 100 a process: %d workers, want %d (0: a single process)", conns, got, want)
		}
	}
}

// TestWorkersNotify: the service manager hears once that the node is ready, and when it stops.
func TestWorkersNotify(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if err := manager.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, serveArgs([]string{"--workers", "2"})...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	n := serveWith(t, cmd)
	n.finish()
	var heard []string
	for len(heard) < 2 {
		var b [1024]byte
		size, err := manager.Read(b[:])
		if err != nil {
			t.Fatalf("%v after %q", err, heard)
		}
		heard = append(heard, string(b[:size]))
	}
	// serveArgs has no drain; the rest is what a stop may need beside it.
	if heard[0] != "READY=1" || heard[1] != "STOPPING=1\nEXTEND_TIMEOUT_USEC=15000000" {
		t.Errorf("the manager has heard %q", heard)
	}
}
