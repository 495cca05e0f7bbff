// A log file that is moved away, taken away, or on a full disk.

package logqueue

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFileIsOpenedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	path := filepath.Join(dir, "c100k.log")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	line := func(err error) []byte { return []byte("trouble\n") }
	f, err := OpenFile(path, line)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenFile(path, line) // of another process
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	write := func(f *File, text string) {
		t.Helper()
		if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	content := func(path, want string) {
		t.Helper()
		if got, err := os.ReadFile(path); string(got) != want {
			t.Errorf("%s: %q, %v, want %q", filepath.Base(path), got, err, want)
		}
	}
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	write(f, "a\n")
	write(second, "b\n")
	move(path, path+".1")
	write(second, "c\n")
	write(f, "d\n")
	content(path+".1", "a\nb\n")
	content(path, "c\nd\n")

	if err := os.Truncate(path, 0); err != nil { // copytruncate of logrotate
		t.Fatal(err)
	}
	write(f, "e\n")
	content(path, "e\n")

	// While the name cannot be opened, the old file gets the lines, and says why, once.
	move(dir, dir+".away")
	write(f, "f\n")
	write(f, "g\n")
	content(dir+".away/c100k.log", "e\ntrouble\nf\ng\n")
	move(dir+".away", dir)
	write(f, "h\n")
	content(path, "e\ntrouble\nf\ng\nh\n")

	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("late\n")); err == nil {
		t.Error("a closed file takes a line")
	}
	if _, err := OpenFile(filepath.Join(dir, "no", "such"), line); err == nil {
		t.Error("a file in no directory was opened")
	}
}

// TestFullDisk: the service goes on, and the log does when there is room.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full: ", err)
	}
	path := filepath.Join(t.TempDir(), "log")
	f, err := OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	room := f.file
	f.file = full
	w := New(f, note)
	for range 3 {
		if _, err := w.Write([]byte("lost\n")); err != nil {
			t.Fatal(err)
		}
	}
	until(t, func() bool { return w.waiting.Load() == 0 })
	f.mu.Lock()
	f.file, f.torn = room, true
	_, _ = room.WriteString("half a li")
	f.mu.Unlock()
	_, _ = w.Write([]byte("kept\n"))
	if !w.Close(patience) {
		t.Fatal("it does not end")
	}
	_ = full.Close()
	if got, _ := os.ReadFile(path); string(got) != "half a li\nkept\ndropped 3\n" {
		t.Errorf("%q", got)
	}
	_ = f.Close()
}
