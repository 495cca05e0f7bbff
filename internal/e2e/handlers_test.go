// A program's own handlers (package websocket) with real clients: npm ws and Chromium.

package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"c100k/internal/netlab"
)

// buildProgram builds a program of this module, and returns its file.
func buildProgram(t *testing.T, path string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), filepath.Base(path))
	args := []string{"build", "-o", file}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, path)...).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", path, err, out)
	}
	return file
}

// at is a server that is no node, as script wants it.
func at(address string) *node { return &node{process: &process{public: address}} }

// TestHandlers runs each way to run a server against the scripts that nodes are tested with, and
// against one of its own that needs Chromium.
func TestHandlers(t *testing.T) {
	t.Parallel()
	program := buildProgram(t, "c100k/internal/e2e/handlers")
	for _, way := range []string{"mounted", "alone", "node"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			n := at(commandServer(t, exec.Command(program, "--way", way)))
			script(t, n, "messages", strconv.Itoa(64<<10), "deflate", "handlers")
			script(t, n, "closing", "handlers")
			if _, err := exec.LookPath("chromium"); err != nil {
				t.Skip("chromium is not there: run internal/e2e/setup.sh")
			}
			script(t, n, "handlers", t.TempDir())
		})
	}
}

// TestChat needs Chromium. With C100K_E2E_SHOTS=DIR it leaves screenshots there.
func TestChat(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not there: run internal/e2e/setup.sh")
	}
	address := netlab.KeepPort(t)
	chat := launch(t, exec.Command(buildProgram(t, "c100k/examples/chat"), "-listen", address))
	chat.eventually("listening", func() error {
		if !strings.Contains(chat.output(), "listening on") {
			return errors.New("not yet: " + chat.output())
		}
		return nil
	})
	script(t, at(address), "chat", t.TempDir())
	chat.signal(syscall.SIGTERM)
	if code := chat.wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, chat.output())
	}
}
