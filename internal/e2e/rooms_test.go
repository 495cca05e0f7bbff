// examples/rooms behind a node, with Chromium: a backend that logs users in and decides by hooks.

package e2e

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"c100k/internal/netlab"
)

// TestRooms needs Chromium. With C100K_E2E_SHOTS=DIR it leaves screenshots there.
func TestRooms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tokenKey, hookKey := filepath.Join(dir, "token.key"), filepath.Join(dir, "hook.key")
	for i, path := range []string{tokenKey, hookKey} {
		if err := os.WriteFile(path, []byte(strings.Repeat(string(rune('a'+i)), 64)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "rooms")
	if out, err := exec.Command("go", "build", "-o", program, "c100k/examples/rooms").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	backend := netlab.KeepPort(t)
	ctx, stop := context.WithCancel(context.Background())
	run := exec.CommandContext(ctx, program, "--listen", backend, "--token-key", tokenKey, "--hook-secret", hookKey)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = run.Wait() })
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", backend); err == nil {
			c.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	hook := "http://" + backend + "/hook"
	browser(t, "rooms", []string{"--upstream", "http://" + backend, "--token-key", tokenKey, "--token-cookie", "rooms",
		"--hook-subscribe", hook, "--hook-publish", hook, "--hook-secret-file", hookKey})
}
