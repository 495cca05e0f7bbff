// The files and directories that a configuration names, apart from keys and certificates.

package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"c100k/internal/natsd"
)

// CheckPaths looks at the files and directories that the fields Static, ClusterSecretFile,
// BusCreds, StateDir and HistoryDir name, as a start would, and says what is wrong with them: an
// errors.Join of *SettingError, or nil. It changes nothing: a directory that a start makes must
// only be one that can be there. Any goroutine; reads files.
func (c *Config) CheckPaths() error {
	var errs []error
	check := func(field, path string, look func(string) error) {
		if path == "" {
			return
		}
		if err := look(path); err != nil {
			errs = append(errs, &SettingError{field, err})
		}
	}
	check("Static", c.Static, func(path string) error {
		root, err := os.OpenRoot(path)
		if err != nil {
			return err
		}
		return root.Close()
	})
	check("ClusterSecretFile", c.ClusterSecretFile, func(path string) error {
		_, err := natsd.ReadSecret(path)
		return err
	})
	check("BusCreds", c.BusCreds, readable)
	check("StateDir", c.StateDir, makeable)
	check("HistoryDir", c.HistoryDir, makeable)
	return errors.Join(errs...)
}

// readable tells why a file cannot be read.
func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// makeable tells why a directory is not there and cannot be made: something on the way to it is no
// directory, or takes no entries.
func makeable(path string) error {
	at, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at):
			at = filepath.Dir(at)
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is no directory", at)
		}
		if err := unix.Access(at, unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("%s takes no new files: %w", at, err)
		}
		return nil
	}
}
