// The program that runs, to be started again.

package procfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// selfExe is the very file that runs, also where another has been put in its place.
const selfExe = "/proc/self/exe"

// startedAs is the path that this program was started by, read before anything can change the
// working directory.
var startedAs, startedAsErr = absolute(os.Args[0])

func absolute(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// Program is the path by which this program can be started again: the file that runs, or, where
// /proc is not mounted, the path that it was started by. Any goroutine.
func Program() (string, error) { return programOf(selfExe, startedAs, startedAsErr) }

func programOf(self, started string, startedErr error) (string, error) {
	_, err := os.Stat(self)
	switch {
	case err == nil:
		return self, nil
	case startedErr != nil:
		return "", fmt.Errorf("find this program to start it again: %w", errors.Join(err, startedErr))
	}
	return started, nil
}
