// npm ws as the client: each script of node/ is one group of tests, which it reports line by line.

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// scriptPatience bounds a whole script. Its tests and their waits have deadlines of their own.
const scriptPatience = 5 * time.Minute

// script runs node/NAME.mjs against a node, and each line "ok …" or "not ok …" of it as a subtest.
func script(t *testing.T, n *node, name string, args ...string) {
	t.Helper()
	scriptFor(t, scriptPatience, n, name, args...)
}

// scriptFor is script with another deadline, which one test of it may take as a whole.
func scriptFor(t *testing.T, within time.Duration, n *node, name string, args ...string) {
	t.Helper()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	run := exec.CommandContext(ctx, "node", append([]string{"node/" + name + ".mjs", "ws://" + n.public, "http://" + n.admin}, args...)...)
	if within > scriptPatience {
		run.Env = append(os.Environ(), "C100K_E2E_PATIENCE="+strconv.Itoa(int(within.Milliseconds())))
	}
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	complete := false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		complete = report(t, lines.Text()) || complete
	}
	if err != nil || !complete {
		t.Errorf("%s.mjs did not come to its end: %v\n%s", name, err, stderr.String())
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"plain": nil, "compressed": {"--compress", "on"}, "io=syscall": {"--io", "syscall"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deflate := "plain"
			if name == "compressed" {
				deflate = "deflate"
			}
			n := serve(t, append([]string{"--dev"}, args...)...)
			script(t, n, "messages", strconv.Itoa(64<<10), deflate)
		})
		t.Run(name+", 2 MiB", func(t *testing.T) {
			t.Parallel()
			deflate := "plain"
			if name == "compressed" {
				deflate = "deflate"
			}
			n := serve(t, append([]string{"--dev", "--max-message", "2MiB", "--outbox", "8MiB"}, args...)...)
			script(t, n, "messages", strconv.Itoa(2<<20), deflate)
		})
	}
}

func TestClosing(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	script(t, n, "closing")
}

func TestTopics(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	n := serve(t, "--dev")
	script(t, n, "topics")
}

func TestKinds(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	script(t, n, "kinds")
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	clients := 500
	if raceEnabled {
		clients = 200
	}
	script(t, n, "crowd", strconv.Itoa(clients))
}
