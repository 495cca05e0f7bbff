// The programs of docs/migrate.md, cut out of its diffs: what stands there before and after runs.

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"c100k/internal/netlab"
)

var diffBlock = regexp.MustCompile("(?s)```diff\n--- ([a-z]+/[a-z]+\\.mjs)\n(.*?)```")

// sides writes both sides of every diff below dir, as before/NAME and after/NAME. A side without a
// line is a program that is not there.
func sides(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := diffBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 5 {
		t.Fatalf("docs/migrate.md has %d diffs", len(blocks))
	}
	for _, block := range blocks {
		var before, after strings.Builder
		for line := range strings.Lines(block[2]) {
			mark, code := line[0], line[1:]
			if mark != '+' {
				before.WriteString(code)
			}
			if mark != '-' {
				after.WriteString(code)
			}
		}
		for side, program := range map[string]string{"before": before.String(), "after": after.String()} {
			path := filepath.Join(dir, side, filepath.FromSlash(block[1]))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// packages has the programs of a directory find the Node packages of the tests, and our client.
func packages(t *testing.T, dir string) {
	t.Helper()
	modules := filepath.Join(dir, "node_modules")
	if err := os.Mkdir(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]string{"c100k": "../../clients/js", "ws": "node/node_modules/ws",
		"socket.io": "node/node_modules/socket.io", "socket.io-client": "node/node_modules/socket.io-client"} {
		to, err := filepath.Abs(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(modules, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	dir := t.TempDir()
	sides(t, dir)
	packages(t, dir)

	// application starts a server program and returns its address.
	application := func(program string, environ ...string) string {
		address := netlab.KeepPort(t)
		cmd := exec.Command("node", filepath.Join(dir, program))
		cmd.Env = append(os.Environ(), append(environ, "PORT="+address[strings.LastIndex(address, ":")+1:])...)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // a server has no other end
			_ = cmd.Wait()
		})
		eventually(t, program+" listens", func() error {
			p, err := tryDial(address)
			if err == nil {
				p.Close()
			}
			return err
		})
		return address
	}
	// client runs a client program to its end; it has heard what it has said.
	client := func(program, address string, environ ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, program), address)
		cmd.Env = append(os.Environ(), environ...)
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "heard hello\n" {
			t.Errorf("%s: %v, %q", program, err, out)
		}
	}

	client("before/ws/client.mjs", application("before/ws/server.mjs"))
	client("before/socketio/client.mjs", application("before/socketio/server.mjs"))

	secret := filepath.Join(dir, "secret")
	writeFile(t, secret, strings.Repeat("0123456789abcdef", 4)+"\n")
	mint := exec.Command(binary, "token", "mint", "--key", secret, "--sub", "u17", "--subscribe", "chat", "--publish", "chat", "--for", "1h")
	token, err := mint.Output()
	if err != nil {
		t.Fatal(err)
	}
	admin := netlab.KeepPort(t)
	app := application("after/ws/server.mjs", "NODE_ADMIN=http://"+admin)
	n := serve(t, "--public-topics", "chat", "--upstream", "http://"+app, "--admin", admin, "--token-key", secret, "--history", "chat=100,5m")
	client("after/ws/client.mjs", n.public)
	client("after/socketio/client.mjs", n.public, "TOKEN="+strings.TrimSpace(string(token)))
	client("after/centrifugo/client.mjs", n.public, "TOKEN="+strings.TrimSpace(string(token)))
}
