// The directory of a store: made, checked, and owned by one process at a time.

package natsd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ownedDir is a directory that this process has to itself. A nil one has nothing to release.
type ownedDir struct {
	path      string
	lock      *os.File // nil: a directory of our own that nobody else knows
	temporary bool
}

// ownDir makes path if it is not there, and takes it. Without a path it makes a directory that ends
// with the process.
func ownDir(path string) (*ownedDir, error) {
	if path == "" {
		path, err := os.MkdirTemp("", "c100k-history-")
		if err != nil {
			return nil, fmt.Errorf("make a directory for history: %w", err)
		}
		return &ownedDir{path: path, temporary: true}, nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("the directory for history: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the directory for history cannot be made: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the directory for history cannot be written: %w", err)
	}
	if err := take(lock, path); err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &ownedDir{path: path, lock: lock}, nil
}

// take locks the directory, and writes who has it. The kernel takes the lock back when the process
// ends, however it ends.
func take(lock *os.File, path string) error {
	err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		text, _ := io.ReadAll(io.LimitReader(lock, lockTextMax))
		return fmt.Errorf("the directory for history, %s, is in use by another node (process %s)", path, strings.TrimSpace(string(text)))
	case err != nil:
		return fmt.Errorf("lock the directory for history, %s: %w", path, err)
	}
	text := fmt.Appendf(nil, "%d\n", os.Getpid())
	if _, err = lock.WriteAt(text, 0); err == nil {
		err = lock.Truncate(int64(len(text)))
	}
	if err != nil {
		return fmt.Errorf("the directory for history cannot be written: %w", err)
	}
	return nil
}

func (d *ownedDir) release() {
	switch {
	case d == nil:
	case d.temporary:
		if err := os.RemoveAll(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return // the next cleaning of the temporary directory takes it
		}
	default:
		_ = d.lock.Close()
	}
}
