// `c100k load` against other servers, and against servers that lose, repeat and reorder messages on
// purpose: the counts must be exact.

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// nodeServer starts node/NAME.mjs, which prints its address, and stops it at the end of the test.
func nodeServer(t *testing.T, name string) (address string) {
	t.Helper()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	return commandServer(t, exec.Command("node", "node/"+name+".mjs"))
}

// commandServer starts a server whose first line is its address.
func commandServer(t *testing.T, cmd *exec.Cmd) (address string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has no other end
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v did not say where it listens: %v", cmd.Args, err)
	}
	return strings.TrimSpace(line)
}

func TestLoadNpmWs(t *testing.T) {
	t.Parallel()
	address := nodeServer(t, "wsserver")
	t.Run("echo", func(t *testing.T) {
		r := good(t, "ws://"+address+"/echo", "--conns", "50", "--rate", "200/s", "--for", "2s")
		if r.Messages.Received != r.Messages.Sent || r.Messages.Sent < 300 {
			t.Errorf("%+v", r.Messages)
		}
	})
	t.Run("broadcast", func(t *testing.T) {
		delivered(t, good(t, "ws://"+address+"/all", "--conns", "50", "--publish", "http://"+address+"/", "--publish-rate", "20/s", "--for", "2s"), 50)
	})
	t.Run("broadcast, frames", func(t *testing.T) {
		delivered(t, good(t, "ws://"+address+"/all", "--conns", "50", "--publish", "ws://"+address+"/all", "--publish-rate", "20/s", "--for", "2s"), 50)
	})
	// npm ws selects whatever subprotocol is offered first: that is no c100k.v1.
	t.Run("a topic", func(t *testing.T) {
		if _, code, output := load(t, "ws://"+address+"/all", "--topic", "a"); code != 2 || !strings.Contains(output, "{topic}") {
			t.Errorf("exit code %d\n%s", code, output)
		}
	})
}

func TestLoadSocketIO(t *testing.T) {
	t.Parallel()
	address := nodeServer(t, "socketio")
	for name, args := range map[string][]string{
		"topics":  {"--topic", "room", "--topics", "2", "--publish", "http://" + address + "/{topic}"},
		"by hand": {"--topic", "other", "--topics", "2", "--join", `["subscribe","{topic}"]`, "--publish", "http://" + address + "/{topic}", "--protocol", "socketio"},
	} {
		t.Run(name, func(t *testing.T) {
			r := good(t, append([]string{"http://" + address + "/socket.io/", "--conns", "40", "--publish-rate", "20/s", "--for", "2s"}, args...)...)
			delivered(t, r, 20)
			if r.Protocol != "socketio" {
				t.Errorf("protocol %s", r.Protocol)
			}
		})
	}
}

// hall is a test server: WebSockets at /ws, event streams at /sse. A posted message goes to all of
// them, or is lost, repeated or reordered.
type hall struct {
	send func(number int, message string) []string // what becomes of the message of that number, from 0

	mu      sync.Mutex // guards the fields below
	posts   int
	members map[chan string]bool
}

func (c *hall) join() chan string {
	m := make(chan string, 4096) // more than any test publishes
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[m] = true
	return m
}

func (c *hall) leave(m chan string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, m)
}

func (c *hall) post(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, message := range c.send(c.posts, string(body)) {
		for m := range c.members {
			m <- message
		}
	}
	c.posts++
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (c *hall) stream(w http.ResponseWriter, r *http.Request) {
	m := c.join()
	defer c.leave(m)
	w.Header().Set("Content-Type", "text/event-stream")
	for out := http.NewResponseController(w); out.Flush() == nil; {
		select {
		case message := <-m:
			if _, err := fmt.Fprintf(w, "data: %s\n\n", message); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func (c *hall) socket(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	m := c.join()
	defer c.leave(m)
	defer conn.Close()
	ended := make(chan struct{})
	go func(conn net.Conn) {
		defer close(ended)
		for {
			if _, _, err := wsutil.ReadClientData(conn); err != nil {
				return
			}
		}
	}(conn)
	for {
		select {
		case message := <-m:
			if wsutil.WriteServerText(conn, []byte(message)) != nil {
				return
			}
		case <-ended:
			return
		}
	}
}

// serveCrowd starts one; with send nil it delivers correctly.
func serveCrowd(t *testing.T, send func(int, string) []string) (address string) {
	t.Helper()
	if send == nil {
		send = func(_ int, message string) []string { return []string{message} }
	}
	c := &hall{send: send, members: map[chan string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /post", c.post)
	mux.HandleFunc("GET /sse", c.stream)
	mux.HandleFunc("GET /ws", c.socket)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestLoadNetHTTPStreams(t *testing.T) {
	t.Parallel()
	address := serveCrowd(t, nil)
	r := good(t, "http://"+address+"/sse", "--conns", "40", "--publish", "http://"+address+"/post", "--publish-rate", "30/s", "--for", "2s")
	delivered(t, r, 40)
}

// TestLoadCountsFaults: of every ten messages one is lost, one comes twice, one behind the next,
// and one is changed.
func TestLoadCountsFaults(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"ws://ADDRESS/ws", "http://ADDRESS/sse"} {
		t.Run(path[:4], func(t *testing.T) {
			t.Parallel()
			held := ""
			address := serveCrowd(t, func(number int, message string) []string {
				switch number % 10 {
				case 2:
					return nil
				case 4:
					return []string{message, message}
				case 6:
					held = message
					return nil
				case 7:
					return []string{message, held}
				case 8:
					return []string{message[:len(message)-5] + "#####"}
				}
				return []string{message}
			})
			const conns = 20
			r, code, output := load(t, strings.Replace(path, "ADDRESS", address, 1), "--conns", fmt.Sprint(conns), "--publish", "http://"+address+"/post",
				"--publish-rate", "50/s", "--for", "2s", "--settle", "1s", "--size", "100")
			if code != 0 && code != loadBottleneck {
				t.Fatalf("exit code %d\n%s", code, output)
			}
			lost, twice, behind, changed := 0, 0, 0, 0
			for number := range r.Messages.Published {
				switch number % 10 {
				case 2:
					lost++
				case 4:
					twice++
				case 6:
					if behind++; number == r.Messages.Published-1 {
						behind, lost = behind-1, lost+1 // the next never came, and so it did not either
					}
				case 8:
					changed++
				}
			}
			// A changed message counts as not received.
			m := r.Messages
			if lost == 0 || m.Lost != (lost+changed)*conns || m.Duplicated != twice*conns || m.Reordered != behind*conns || m.Corrupted != changed*conns {
				t.Errorf("lost %d, twice %d, reordered %d, changed %d; want %d, %d, %d, %d\n%s", m.Lost, m.Duplicated, m.Reordered, m.Corrupted,
					(lost+changed)*conns, twice*conns, behind*conns, changed*conns, output)
			}
		})
	}
}

// TestLoadTLS: a certificate without a known issuer is refused, but with --insecure.
func TestLoadTLS(t *testing.T) {
	t.Parallel()
	address := serveCrowd(t, nil)
	upstream, err := url.Parse("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(upstream))
	t.Cleanup(server.Close)
	secure := server.Listener.Addr().String()
	for _, target := range []string{"wss://" + secure + "/ws", "https://" + secure + "/sse"} {
		args := []string{target, "--conns", "20", "--publish", "https://" + secure + "/post", "--publish-rate", "20/s", "--for", "1s"}
		r := good(t, append(args, "--insecure")...)
		delivered(t, r, 20)
		if _, code, output := load(t, args...); code != loadUnreachable || !strings.Contains(output, "certificate") {
			t.Errorf("without --insecure: exit code %d\n%s", code, output)
		}
	}
}

// TestLoadGorilla is skipped until the rivals of the bench are there.
func TestLoadGorilla(t *testing.T) {
	t.Parallel()
	const peers = "../../bench/peers"
	if _, err := os.Stat(peers + "/gorilla"); err != nil {
		t.Skip("bench/peers has no gorilla server")
	}
	program := t.TempDir() + "/gorilla"
	build := exec.Command("go", "build", "-o", program, "./gorilla")
	build.Dir = peers
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	address := commandServer(t, exec.Command(program, "-listen", "127.0.0.1:0"))
	address = address[strings.LastIndexByte(address, ' ')+1:]
	if r := good(t, "ws://"+address+"/echo", "--conns", "50", "--rate", "200/s", "--for", "2s"); r.Messages.Received != r.Messages.Sent || r.Messages.Sent < 300 {
		t.Errorf("%+v", r.Messages)
	}
	delivered(t, good(t, "ws://"+address+"/broadcast", "--conns", "50", "--publish", "ws://"+address+"/broadcast", "--publish-rate", "20/s", "--for", "2s"), 50)
}
