// npm socket.io-client, 4 and 2, as the clients of a node.

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"c100k/internal/netlab"
)

func TestSocketIO(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"plain": nil, "compressed": {"--compress", "on"}, "io=syscall": {"--io", "syscall"}, "one loop": {"--loops", "1"},
		"three workers": {"--workers", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := serve(t, append([]string{"--dev", "--socketio-v2"}, args...)...)
			script(t, n, "siotopics")
		})
	}
}

// TestSocketIOWorkers: a client of several workers lives on one of them, whichever gets its
// requests.
func TestSocketIOWorkers(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"plain": nil, "two loops, io=syscall": {"--loops", "2", "--io", "syscall"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := serve(t, append([]string{"--dev", "--socketio-v2", "--workers", "3"}, args...)...)
			n.mayLog("worker ended; it is started again")
			script(t, n, "siomoves")
		})
	}
}

// TestSocketIOBrowser needs Chromium.
func TestSocketIOBrowser(t *testing.T) {
	t.Parallel()
	browser(t, "siobrowser", []string{"--dev", "--static", "testdata/page", "--drain", "500ms"})
}

// TestSocketIOTokens: clients that say who they are, on one process and on several.
func TestSocketIOTokens(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"one process": nil, "two workers": {"--workers", "2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := serve(t, append([]string{"--token-key", key, "--socketio-v2", "--ping-interval", "1s", "--ping-timeout", patience.String()}, args...)...)
			script(t, n, "siotokens", secret)
		})
	}
}

// TestSocketIORecovery: the stock client comes back to other workers, and to other nodes.
func TestSocketIORecovery(t *testing.T) {
	t.Parallel()
	history := []string{"--dev", "--history", "chat.>=100,5m"}
	t.Run("workers", func(t *testing.T) {
		t.Parallel()
		n := serve(t, append([]string{"--workers", "2"}, history...)...)
		n.mayLog("worker ended; it is started again")
		script(t, n, "siorecover", "[]")
	})
	t.Run("nodes", func(t *testing.T) {
		t.Parallel()
		address := netlab.KeepPort(t)
		startNATS(t, address, t.TempDir())
		history := append([]string{"--bus", "nats://s3cret@" + address}, history...)
		here, there := serve(t, history...), serve(t, history...)
		script(t, here, "siorecover", `[["`+there.public+`","`+there.admin+`"]]`)
	})
}
