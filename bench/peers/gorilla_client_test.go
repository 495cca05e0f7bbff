// gorilla/websocket as a client of the node, over TLS: here, because the node's module does not have
// it.

package peers

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gorilla/websocket"
)

// TestGorillaClient: messages of all sizes are echoed over each version of TLS, on new and resumed
// sessions, and the close is a clean one.
func TestGorillaClient(t *testing.T) {
	addr := startNode(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := &tls.Config{InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		for _, resumed := range []bool{false, true} {
			d := websocket.Dialer{TLSClientConfig: cfg, HandshakeTimeout: patience}
			c, _, err := d.Dial("wss://"+addr+"/echo", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if state := c.UnderlyingConn().(*tls.Conn).ConnectionState(); state.Version != version || state.DidResume != resumed {
				t.Errorf("%s, resumed %v; want %s, %v", tls.VersionName(state.Version), state.DidResume, tls.VersionName(version), resumed)
			}
			for _, size := range []int{0, 1, 125, 126, 16 << 10, 60_000} {
				m := bytes.Repeat([]byte{'a'}, size)
				if err := c.WriteMessage(websocket.TextMessage, m); err != nil {
					t.Fatal(err)
				}
				if kind, got, err := c.ReadMessage(); err != nil || kind != websocket.TextMessage || !bytes.Equal(got, m) {
					t.Fatalf("%d bytes: kind %d, %d bytes, %v", size, kind, len(got), err)
				}
			}
			if err := c.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				t.Errorf("the end is %v", err)
			}
		}
	}
}

// startNode runs a node with TLS until the test ends, and returns its address.
func startNode(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "c100k")
	build := exec.Command("go", "build", "-o", binary, "./cmd/c100k")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, "serve", "--dev", "--dev-tls", "--listen", "127.0.0.1:0", "--admin", "", "--drain", "0s", "--log-format", "json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Msg, Listen string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			go func() { // so that the node never waits for the reader of its log
				for lines.Scan() {
				}
			}()
			return line.Listen
		}
	}
	t.Fatal("the node does not serve")
	return ""
}
