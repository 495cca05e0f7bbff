// Builds the program under test, once for all tests.

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is the program under test.
var binary string

// patience is how long a test waits for something that has to happen. It does not measure speed:
// two busy cores and the race detector must not make a test fail.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "c100k-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "c100k")
	args := []string{"build", "-o", binary}
	if os.Getenv(layerVariable) != "" {
		args = append(args, "-tags", "layertest")
	}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "c100k/cmd/c100k")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
