// The dashboard in Chromium, and the API behind it, of a node of two workers.

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDashboard needs Chromium: node/dashboard.mjs drives it. With C100K_E2E_SHOTS=DIR it leaves
// screenshots of every page there.
func TestDashboard(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not there: run internal/e2e/setup.sh")
	}
	const apiKey, readKey = "the-api-key-of-this-test-is-long", "the-read-key-of-this-test-is-long"
	secret := strings.Repeat("s3cret-", 6)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	n := serve(t, "--workers", "2", "--loops", "1", "--token-key", file, "--public-topics", ">", "--api-key", apiKey, "--admin-read-key", readKey)
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	run := exec.CommandContext(ctx, "node", "node/dashboard.mjs", "ws://"+n.public, "http://"+n.admin, t.TempDir(), secret, apiKey, readKey)
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	complete := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		complete = report(t, lines.Text()) || complete
	}
	if err := run.Wait(); err != nil || !complete {
		t.Errorf("dashboard.mjs did not come to its end: %v\n%s", err, stderr.String())
	}
}
