// The file of a result: there before anything is measured, and changed only when there is something
// to write.

package main

import (
	"errors"
	"io/fs"
	"os"
)

// resultFile is a file that a result goes to. What it held before stays until the first write: a
// run that comes to nothing costs nobody the result of yesterday.
type resultFile struct {
	file    *os.File
	made    bool // it was not there before
	written bool
}

// openResult makes sure that the file can be written to.
func openResult(path string) (*resultFile, error) {
	_, err := os.Stat(path)
	made := errors.Is(err, fs.ErrNotExist)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	return &resultFile{file: file, made: made}, nil
}

// Write is io.Writer's.
func (f *resultFile) Write(p []byte) (int, error) {
	if !f.written {
		f.written = true
		if info, err := f.file.Stat(); err == nil && info.Mode().IsRegular() { // a pipe has nothing in it to cut off
			if err := f.file.Truncate(0); err != nil {
				return 0, err
			}
		}
	}
	return f.file.Write(p)
}

// close gives the file back. One that was made for a result that there is not is removed.
func (f *resultFile) close() {
	if f.made && !f.written {
		_ = os.Remove(f.file.Name()) // it may have gone already
	}
	f.file.Close()
}
