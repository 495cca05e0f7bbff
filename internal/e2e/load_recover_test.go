// `c100k load --mode recover`: connections that are cut off go on where they were, and a server
// that does not bring exactly what was missed is found out.

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var cutting = []string{"--mode", "recover", "--conns", "40", "--cut", "25%", "--cut-every", "300ms", "--cut-away", "200ms", "--publish-rate", "50/s", "--for", "3s"}

func TestLoadRecovers(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--history", ">=1000,5m")
	publish := []string{"--topic", "a", "--publish", "http://" + n.admin + "/v1/topics/{topic}"}
	for name, target := range map[string]string{"c100k.v1": "ws://" + n.public + "/ws", "sse": "http://" + n.public + "/sse?topic={topic}", "socketio": "http://" + n.public + "/socket.io/"} {
		t.Run(name, func(t *testing.T) {
			recoveredAll(t, good(t, append(append([]string{target}, cutting...), publish...)...))
		})
	}
}

// TestLoadRecoversSocketIO: Node's server with connection state recovery, and without.
func TestLoadRecoversSocketIO(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	for _, mode := range []string{"recovery", "none"} {
		address := commandServer(t, exec.Command("node", "node/socketio.mjs", mode))
		r := good(t, append([]string{"http://" + address + "/socket.io/", "--topic", "room", "--publish", "http://" + address + "/{topic}"}, cutting...)...)
		switch {
		case mode == "recovery":
			recoveredAll(t, r)
		case r.Recovery == nil || r.Recovery.Cut == 0 || r.Recovery.Recovered != 0 || r.Recovery.Reset != r.Recovery.Cut:
			t.Errorf("without recovery: %+v", r.Recovery)
		}
	}
}

func recoveredAll(t *testing.T, r loadResult) {
	t.Helper()
	x := r.Recovery
	if x == nil || x.Cut < 20 || x.Recovered != x.Cut || x.Reset != 0 || r.Connections.Reconnected != x.Cut || r.CatchUp == nil || r.CatchUp.Count != x.Cut {
		t.Errorf("%+v, %+v", x, r.Connections)
	}
	if r.Messages.Received != r.Messages.Published*40 {
		t.Errorf("%+v", r.Messages)
	}
}

// TestLoadRecoverResets: a client that was away for longer than anything is kept is told so, and
// what it missed is not lost.
func TestLoadRecoverResets(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev", "--history", ">=3,5m")
	for _, target := range []string{"ws://" + n.public + "/ws", "http://" + n.public + "/sse?topic={topic}"} {
		r := good(t, append([]string{target, "--topic", "a", "--publish", "http://" + n.admin + "/v1/topics/a"}, cutting...)...)
		if x := r.Recovery; x == nil || x.Cut == 0 || x.Reset != x.Cut || x.Recovered != 0 {
			t.Errorf("%s: %+v", target, x)
		}
	}
}

// TestLoadRecoverFindsFaults: a server that leaves out the first message that was missed, or sends
// the last one that was not once more.
func TestLoadRecoverFindsFaults(t *testing.T) {
	t.Parallel()
	for _, skip := range []int{1, -1} {
		address := servePast(t, skip)
		r, code, output := load(t, append([]string{"http://" + address + "/sse", "--publish", "http://" + address + "/post"}, cutting...)...)
		if code != 0 && code != loadBottleneck {
			t.Fatalf("exit code %d\n%s", code, output)
		}
		faults := map[int]int{1: r.Messages.Lost, -1: r.Messages.Duplicated}
		if x := r.Recovery; x == nil || x.Cut == 0 || faults[skip] != x.Cut || faults[-skip] != 0 {
			t.Errorf("skip %d: lost %d, duplicated %d, %+v\n%s", skip, r.Messages.Lost, r.Messages.Duplicated, x, output)
		}
	}
}

// servePast starts a server that keeps all messages, whose streams begin so many too late.
func servePast(t *testing.T, skip int) (address string) {
	t.Helper()
	var mu sync.Mutex // guards the two below
	var past []string
	news := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /post", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		past = append(past, string(body))
		close(news)
		news = make(chan struct{})
	})
	mux.HandleFunc("GET /sse", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		next := len(past)
		mu.Unlock()
		if last, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Last-Event-ID"), "e.")); err == nil {
			next = last + 1 + skip
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for out := http.NewResponseController(w); out.Flush() == nil; {
			mu.Lock()
			var more []string
			if next < len(past) {
				more = past[next:]
			}
			later := news
			mu.Unlock()
			for _, message := range more {
				fmt.Fprintf(w, "id: e.%d\ndata: %s\n\n", next, message)
				next++
			}
			if len(more) > 0 {
				continue
			}
			select {
			case <-later:
			case <-r.Context().Done():
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}
