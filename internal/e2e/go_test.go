// docs/go.md: the program and the lines of go.mod that it shows, built as another module.

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// blocks are the code blocks of a document in one language; "" for those that name none.
func blocks(t *testing.T, name, language string) (found []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(b), "\n```")
	for i := 1; i < len(parts); i += 2 {
		if first, rest, _ := strings.Cut(parts[i], "\n"); first == language {
			found = append(found, rest+"\n")
		}
	}
	return found
}

// TestOtherModule builds what docs/go.md shows, with c100k as the folder beside it. Nothing is
// downloaded: the modules of c100k are there.
func TestOtherModule(t *testing.T) {
	t.Parallel()
	mod, program := blocks(t, "go.md", ""), blocks(t, "go.md", "go")
	if len(mod) == 0 || len(program) == 0 {
		t.Fatal("docs/go.md shows no go.mod, or no program")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	dir := filepath.Join(work, "push")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(work, "c100k")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"go.mod": mod[0], "main.go": program[0]} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"get", "."}, {"build", "-o", os.DevNull, "."}} {
		command := exec.Command("go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOPROXY=off", "GOSUMDB=off", "GOFLAGS=-trimpath", "GOWORK=off")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
