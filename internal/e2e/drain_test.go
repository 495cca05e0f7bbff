// Stopping: connections are closed at an even rate, and the process ends with exit code 0.

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// farewells collects the times at which connections were told to leave.
type farewells struct {
	mu    sync.Mutex // guards the fields below
	times []time.Duration
	odd   []string // what was no farewell
	wg    sync.WaitGroup
}

// await reads a WebSocket to its close frame, in a goroutine of its own.
func (f *farewells) await(p *peer, start *time.Time) {
	f.wg.Go(func() {
		code, reason, err := p.closeFrame()
		at := time.Since(*start)
		p.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		if code != 1012 || err != nil {
			f.odd = append(f.odd, fmt.Sprintf("close %d %q %v", code, reason, err))
		}
		f.times = append(f.times, at)
	})
}

// checkSpread expects that no close frame has come before its time. How late one comes is up to the
// machine; that they are even is what TestDrainIsEven of internal/node says.
func (f *farewells) checkSpread(t *testing.T, drain time.Duration) {
	t.Helper()
	slices.Sort(f.times)
	for third := 1; third <= 2; third++ {
		early := 0
		for _, at := range f.times {
			if at < time.Duration(third)*drain/3 {
				early++
			}
		}
		// A step of the drain is ahead of the clock, and each loop rounds.
		if most := third*len(f.times)/3 + len(f.times)/20 + runtime.NumCPU(); early > most {
			t.Errorf("%d of %d farewells have come in %d thirds of the drain, want %d at most", early, len(f.times), third, most)
		}
	}
	for _, odd := range f.odd[:min(len(f.odd), 5)] {
		t.Errorf("instead of 1012: %s (%d such in all)", odd, len(f.odd))
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	const drain = 3 * time.Second
	for name, stop := range map[string]func(n *node){
		"TERM": func(n *node) { n.signal(syscall.SIGTERM) },
		"INT":  func(n *node) { n.signal(syscall.SIGINT) },
		"API": func(n *node) {
			if status, body := n.call("POST", "/v1/drain", "", nil); status != http.StatusAccepted {
				n.t.Errorf("drain: %d %s", status, body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			count := 1000
			if name == "INT" {
				count = 12 // few are spread as well as many
			}
			n := serve(t, "--dev", "--drain", drain.String())
			var all farewells
			var start time.Time
			paths := []string{"/echo", "/ws?topic=t", "/broadcast"}
			for i := range count {
				all.await(n.upgrade(t, paths[i%len(paths)]), &start)
			}
			events := n.stream(t, "/sse?topic=t")
			n.eventually("all are there", func() error {
				if got := n.stats().Connections.Total; got != count+1 {
					return fmt.Errorf("%d", got)
				}
				return nil
			})
			start = time.Now()
			stop(n)
			n.eventually("readyz says so", func() error {
				if status, body := n.call("GET", "/readyz", "", nil); status != http.StatusServiceUnavailable {
					return fmt.Errorf("%d %s", status, body)
				}
				return nil
			})
			if status, _ := n.call("GET", "/healthz", "", nil); status != http.StatusOK {
				t.Errorf("healthz: %d", status)
			}
			if !n.stats().Draining {
				t.Error("the stats do not say so")
			}
			for _, request := range []string{upgradeRequest("/echo"), upgradeRequest("/ws?topic=t"), "GET /sse?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
				p := dial(t, n.public)
				p.send(request)
				header, body := p.expectRefusal(503)
				if header.Get("Retry-After") == "" || !strings.Contains(body, "shutting down") {
					t.Errorf("%.20q: %v %s", request, header, body)
				}
			}
			// An EventSource gives up after any status but 200: the answer tells it when to reconnect.
			again := n.stream(t, "/sse?topic=t")
			if text, err := io.ReadAll(again.body.r); err != nil || !strings.HasSuffix(string(text), ":service restart\n\n") {
				t.Errorf("a stream of events in the drain: %q, %v", text, err)
			}
			again.Close()
			text, err := io.ReadAll(events.body.r)
			if err != nil || !strings.HasSuffix(string(text), ":service restart\n\n") || strings.Count(string(text), "retry: ") != 2 {
				t.Errorf("the stream of events ends with %q, %v", text, err)
			}
			events.Close()
			all.wg.Wait()
			if code := n.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			all.checkSpread(t, drain)
		})
	}
}

// TestDrainWithNobody: without connections a drain ends at once.
func TestDrainWithNobody(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--drain", "10m")
	n.upgrade(t, "/echo").Close()
	n.eventually("nobody", func() error {
		if got := n.stats().Connections.Total; got != 0 {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
	n.signal(syscall.SIGTERM)
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestDrainDeaf: a peer that does not answer its close frame does not delay the end.
func TestDrainDeaf(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--drain", "500ms")
	for range 20 {
		n.upgrade(t, "/echo")
		p := dial(t, n.public)
		p.send("GET /ec") // a head that never comes
	}
	n.signal(syscall.SIGTERM)
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, signals := range [][2]syscall.Signal{{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGINT, syscall.SIGTERM}} {
		n := launchServing(t, "--dev", "--drain", "10m")
		p := n.upgrade(t, "/echo")
		n.signal(signals[0])
		n.eventually("the drain begins", func() error {
			if !n.logged("draining") {
				return errors.New("not in the log")
			}
			return nil
		})
		p.echo("in the drain")
		n.eventually("the second signal is heard", func() error {
			if !n.running() {
				return nil
			}
			// Right behind the first one it passes for its echo; and the process may end between the
			// question and the signal.
			_ = n.cmd.Process.Signal(signals[1])
			return errors.New("it is still there")
		})
		if code := n.wait(); code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		if _, err := p.next(); err == nil {
			t.Error("the connection is still there")
		}
	}
}

// TestUpstreamDrain: a request that the application is serving is answered.
func TestUpstreamDrain(t *testing.T) {
	t.Parallel()
	app := application(t)
	n := serve(t, "--upstream", app.URL, "--drain", "10s")
	p := dial(t, n.public)
	p.send("POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\nabc")
	n.eventually("the request is there", func() error {
		if got := n.stats().Connections.Open["http"]; got != 1 {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
	n.signal(syscall.SIGTERM)
	n.eventually("readyz says so", func() error {
		if status, _ := n.call("GET", "/readyz", "", nil); status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d", status)
		}
		return nil
	})
	p.send("def")
	if _, body := p.expectAnswer(200); body != "6 <nil>" {
		t.Error(body)
	}
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestRestartCode is what a browser sees: code and reason of the close frame.
func TestRestartCode(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	p := n.upgrade(t, "/ws?topic=t")
	p.frame(false, ws.OpText, []byte("in the middle of a message"))
	n.signal(syscall.SIGTERM)
	if reason := p.expectClose(1012); reason != "service restart" {
		t.Errorf("reason %q", reason)
	}
	p.expectEnd()
	if code := n.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
