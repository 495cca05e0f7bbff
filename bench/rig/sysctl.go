// Kernel settings that a measurement changes, and puts back.

package rig

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Setting is a value for a file of /proc/sys or /sys.
type Setting struct {
	Path  string // "net.core.somaxconn", as sysctl names it, or a path from "/"
	Value string
}

func (s Setting) file() string {
	if strings.HasPrefix(s.Path, "/") {
		return s.Path
	}
	return "/proc/sys/" + strings.ReplaceAll(s.Path, ".", "/")
}

// ErrNotAllowed is returned by Change where this process may not change the settings of the
// machine.
var ErrNotAllowed = errors.New("needs root")

// Change sets all of them, and returns what puts them back as they were. Where one cannot be set,
// those before it are put back.
func Change(settings []Setting) (restore func() error, err error) {
	var before []Setting
	restore = func() error {
		var errs []error
		for _, s := range before {
			errs = append(errs, s.write())
		}
		before = nil
		return errors.Join(errs...)
	}
	for _, s := range settings {
		old, err := s.read()
		if err == nil {
			err = s.write()
		}
		if err != nil {
			return nil, errors.Join(err, restore())
		}
		before = append([]Setting{{s.Path, old}}, before...)
	}
	return restore, nil
}

// read takes the word in brackets where a file lists its choices: "always [madvise] never".
func (s Setting) read() (string, error) {
	text, err := os.ReadFile(s.file())
	if err != nil {
		return "", fmt.Errorf("read %s: %w", s.Path, err)
	}
	return chosen(strings.TrimSpace(string(text))), nil
}

func chosen(text string) string {
	if _, rest, found := strings.Cut(text, "["); found {
		word, _, _ := strings.Cut(rest, "]")
		return word
	}
	return text
}

func (s Setting) write() error {
	err := os.WriteFile(s.file(), []byte(s.Value), 0)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("set %s: %w", s.Path, ErrNotAllowed)
	}
	if err != nil {
		return fmt.Errorf("set %s to %q: %w", s.Path, s.Value, err)
	}
	return nil
}
