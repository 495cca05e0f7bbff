// The events on disk that the backend has not taken.
//
// A directory has files of lines, "%016x.events" by their order, and a file "taken" with the number
// of the first file and how many of its bytes were taken. A file is deleted when all of it was
// taken. What was written survives the end of the process; a power failure may lose the last
// seconds. "taken" is written after the backend has taken a batch, so a batch may be sent twice,
// and none is left out.

package hooks

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// spool is a queue on disk. One goroutine.
type spool struct {
	dir   string
	lock  *os.File
	taken *os.File

	files  []segment // in their order; the last is written to
	at     int64     // bytes of the first file that were taken
	out    *os.File  // the last file
	buffer *bufio.Writer
	count  int
	size   int64 // bytes of all files that were not taken
	peeked []int // lengths of the lines of the last peek, with their line breaks
}

type segment struct {
	number uint64
	size   int64
}

const segmentSuffix = ".events"

// openSpool opens the queue in a directory, which it makes if it is not there. Two processes cannot
// have the same one.
func openSpool(dir string) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &spool{dir: dir}
	var err error
	if s.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err = unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = s.lock.Close()
		return nil, fmt.Errorf("%s: another process uses it: %w", dir, err)
	}
	if err = s.load(); err != nil {
		_ = s.close()
		return nil, err
	}
	return s, nil
}

func (s *spool) path(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016x%s", number, segmentSuffix))
}

// load reads what an earlier process has left.
func (s *spool) load() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), segmentSuffix)
		number, err := strconv.ParseUint(name, 16, 64)
		if !is || err != nil {
			continue
		}
		s.files = append(s.files, segment{number: number})
	}
	slices.SortFunc(s.files, func(a, b segment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	if s.taken, err = os.OpenFile(filepath.Join(s.dir, "taken"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := s.readTaken(); err != nil {
		return err
	}
	for i := range s.files {
		if err := s.measure(i); err != nil {
			return err
		}
	}
	return s.begin()
}

// readTaken drops what was taken. A "taken" that says nothing sensible is ignored: then batches are
// sent again.
func (s *spool) readTaken() error {
	text, err := io.ReadAll(io.LimitReader(s.taken, 64))
	if err != nil {
		return err
	}
	var number uint64
	var at int64
	if n, _ := fmt.Sscanf(string(text), "%x %d", &number, &at); n != 2 || at < 0 {
		return nil
	}
	for len(s.files) > 0 && s.files[0].number < number {
		if err := os.Remove(s.path(s.files[0].number)); err != nil {
			return err
		}
		s.files = s.files[1:]
	}
	if len(s.files) > 0 && s.files[0].number == number {
		s.at = at
	}
	return nil
}

// measure counts the lines of a file, and cuts off one that was not written whole.
func (s *spool) measure(i int) error {
	text, err := os.ReadFile(s.path(s.files[i].number))
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(text, '\n') + 1)
	if whole < int64(len(text)) {
		if err := os.Truncate(s.path(s.files[i].number), whole); err != nil {
			return err
		}
	}
	from := int64(0)
	if i == 0 {
		s.at = min(s.at, whole)
		from = s.at
	}
	s.files[i].size = whole
	s.count += bytes.Count(text[from:whole], []byte{'\n'})
	s.size += whole - from
	return nil
}

// begin begins a new file.
func (s *spool) begin() error {
	number := uint64(1)
	if n := len(s.files); n > 0 {
		number = s.files[n-1].number + 1
	}
	out, err := os.OpenFile(s.path(number), os.O_WRONLY|os.O_CREATE|os.O_APPEND|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	s.files = append(s.files, segment{number: number})
	s.out, s.buffer = out, bufio.NewWriterSize(out, 64<<10)
	return s.dropTaken()
}

func (s *spool) push(line []byte) bool {
	n := int64(len(line) + 1)
	if s.size+n > SpoolBytesMax || n > eventBytesMax {
		return false
	}
	if s.files[len(s.files)-1].size >= segmentBytes && s.turn() != nil {
		return false
	}
	// A Writer that has failed keeps failing: flush says it.
	_, _ = s.buffer.Write(line)
	if s.buffer.WriteByte('\n') != nil {
		return false
	}
	s.files[len(s.files)-1].size += n
	s.count++
	s.size += n
	return true
}

// turn ends the file that is written to, and begins the next.
func (s *spool) turn() error {
	if err := errors.Join(s.buffer.Flush(), s.out.Close()); err != nil {
		return err
	}
	return s.begin()
}

// flush writes what was pushed. After an error the file that was written to is left as it is, and
// the lines that are not in it are gone.
func (s *spool) flush() error {
	err := s.buffer.Flush()
	if err == nil {
		return nil
	}
	_ = s.out.Close()
	s.files[len(s.files)-1].size = 0
	s.count, s.size = 0, 0
	for i := range s.files {
		if again := s.measure(i); again != nil {
			return errors.Join(err, again)
		}
	}
	return errors.Join(err, s.begin())
}

func (s *spool) peek(dst [][]byte) ([][]byte, error) {
	s.peeked = s.peeked[:0]
	if s.count == 0 {
		return dst, nil
	}
	f, err := os.Open(s.path(s.files[0].number))
	if err != nil {
		return dst, err
	}
	defer f.Close()
	buf := make([]byte, batchBytesMax+eventBytesMax)
	n, err := f.ReadAt(buf, s.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return dst, err
	}
	rest := buf[:n]
	size := 0
	for len(s.peeked) < batchEventsMax && size <= batchBytesMax {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			break
		}
		dst = append(dst, rest[:end])
		s.peeked = append(s.peeked, end+1)
		size += end + 1
		rest = rest[end+1:]
	}
	if len(s.peeked) == 0 {
		return dst, fmt.Errorf("%s: no whole line at byte %d", s.path(s.files[0].number), s.at)
	}
	return dst, nil
}

func (s *spool) pop(n int) error {
	for _, length := range s.peeked[:n] {
		s.at += int64(length)
		s.size -= int64(length)
		s.count--
	}
	s.peeked = s.peeked[n:]
	return s.dropTaken()
}

// dropTaken deletes the files that were taken, and notes how far that goes.
func (s *spool) dropTaken() error {
	var errs []error
	for len(s.files) > 1 && s.at >= s.files[0].size {
		errs = append(errs, os.Remove(s.path(s.files[0].number)))
		s.files, s.at = s.files[1:], 0
	}
	text := fmt.Sprintf("%016x %020d\n", s.files[0].number, s.at)
	_, err := s.taken.WriteAt([]byte(text), 0)
	return errors.Join(append(errs, err)...)
}

func (s *spool) len() int     { return s.count }
func (s *spool) bytes() int64 { return s.size }

func (s *spool) close() error {
	var errs []error
	if s.buffer != nil {
		errs = append(errs, s.buffer.Flush(), s.out.Close())
	}
	if s.taken != nil {
		errs = append(errs, s.taken.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}
