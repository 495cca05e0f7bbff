// The file of a log, which may be moved away and taken anew while it is written.

package logqueue

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// File is a file that is appended to under one name: when the name has come to mean another file,
// or none, as after logrotate has moved it, the next Write opens it again. Several processes may
// write to one: a line is one write. Any goroutine.
type File struct {
	// immutable after OpenFile
	path    string
	trouble func(err error) []byte

	mu     sync.Mutex // guards the fields below
	file   *os.File
	info   fs.FileInfo // of file
	torn   bool        // the last line is not whole
	failed bool        // the name cannot be opened, and the old file says so
	closed bool
}

// fileMode lets the group read a log, and others not: it has addresses and names of users.
const fileMode = 0o640

// OpenFile opens the file of that name, which is made if there is none. trouble makes the line that
// the old file gets where the name cannot be opened again.
func OpenFile(path string, trouble func(err error) []byte) (*File, error) {
	f := &File{path: path, trouble: trouble}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// open opens the name.
func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if f.file != nil {
		_ = f.file.Close() // what it was given has been written
	}
	f.file, f.info, f.torn, f.failed = file, info, false, false
	return nil
}

// Write appends a line to the file that the name means now. Where it cannot be opened, the line
// goes to the old one.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, fs.ErrClosed
	}
	if info, err := os.Stat(f.path); err != nil || !os.SameFile(info, f.info) {
		if err := f.open(); err != nil && !f.failed {
			f.failed = true
			_, _ = f.append(f.trouble(err)) // the line itself says whether this file takes anything
		}
	}
	return f.append(line)
}

// append writes a line to the open file. Behind a part of a line, which a full disk leaves, it
// begins a new one.
func (f *File) append(line []byte) (int, error) {
	if f.torn {
		if _, err := f.file.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		f.torn = false
	}
	n, err := f.file.Write(line)
	f.torn = n > 0 && n < len(line)
	return n, err
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return f.file.Close()
}
