// Chromium as the client: node/browser.mjs drives it, and asks for restarts of the node.

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"c100k/internal/netlab"
)

// TestBrowser needs Chromium. With C100K_E2E_SHOTS=DIR it leaves screenshots of the demo page
// there.
func TestBrowser(t *testing.T) {
	t.Parallel()
	browser(t, "browser", []string{"--dev", "--compress", "on"})
}

// TestBrowserOverTLS is the same over https: and wss:, with a certificate made for each start, and
// with a history that outlives the node.
func TestBrowserOverTLS(t *testing.T) {
	t.Parallel()
	browser(t, "browser", []string{"--dev", "--dev-tls", "--compress", "on", "--history", ">=100,5m", "--history-dir", t.TempDir()}, "keeps")
}

// browser runs node/NAME.mjs, which drives Chromium, and restarts the node when the script says so.
// more is for the script.
func browser(t *testing.T, name string, args []string, more ...string) {
	t.Helper()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not there: run internal/e2e/setup.sh")
	}
	// The page's addresses must not change over the restart, and it shows the admin port as it was
	// configured.
	public, admin := netlab.KeepPort(t), netlab.KeepPort(t)
	scheme := "ws"
	if slices.Contains(args, "--dev-tls") {
		scheme = "wss"
	}
	args = append(args, "--listen", public, "--admin", admin)
	n := serve(t, args...)
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	run := exec.CommandContext(ctx, "node", "node/"+name+".mjs", scheme+"://"+n.public, "http://"+n.admin, t.TempDir())
	run.Args = append(run.Args, more...)
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
		line := lines.Text()
		if line == "restart" {
			n.signal(syscall.SIGTERM)
			if code := n.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			n = serve(t, args...)
			continue
		}
		complete = report(t, line) || complete
	}
	if err := run.Wait(); err != nil || !complete {
		t.Errorf("%s.mjs did not come to its end: %v\n%s", name, err, stderr.String())
	}
}

// report makes a subtest of a line that a script wrote, and tells whether it was the last one.
func report(t *testing.T, line string) (end bool) {
	switch bad, isBad := strings.CutPrefix(line, "not ok "); {
	case line == "end":
		return true
	case isBad:
		what, why, _ := strings.Cut(bad, ": ")
		t.Run(what, func(t *testing.T) { t.Error(why) })
	case strings.HasPrefix(line, "ok "):
		t.Run(strings.TrimPrefix(line, "ok "), func(*testing.T) {})
	default:
		t.Log(line)
	}
	return false
}
