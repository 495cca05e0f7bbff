// A log whose reader does not read, comes back, or is gone.

package logqueue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

func note(n uint64) []byte { return fmt.Appendf(nil, "dropped %d\n", n) }

func TestLinesInOrder(t *testing.T) {
	out := new(bytes.Buffer)
	w := New(out, note)
	line := []byte("line 0\n")
	for i := range 10 {
		line[5] = byte('0' + i) // the queue has a copy
		if n, err := w.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if !w.Close(patience) {
		t.Fatal("it does not end")
	}
	if got := strings.ReplaceAll(out.String(), "\n", " "); got != "line 0 line 1 line 2 line 3 line 4 line 5 line 6 line 7 line 8 line 9 " {
		t.Errorf("%q", got)
	}
	if _, err := w.Write(line); err != nil || w.Dropped() != 1 {
		t.Errorf("after the end: %v, %d dropped", err, w.Dropped())
	}
}

// TestReaderThatDoesNotRead: writing does not block, neither does the end, and what was dropped is
// said when the reader reads again.
func TestReaderThatDoesNotRead(t *testing.T) {
	for name, size := range map[string]int{"many lines": 1, "long lines": bytesMax / 8} {
		t.Run(name, func(t *testing.T) {
			r, pipe := io.Pipe()
			w := New(pipe, note)
			line := bytes.Repeat([]byte("x"), size)
			const more = 100
			for range linesMax + more {
				_, _ = w.Write(line)
			}
			if w.Dropped() < more-1 { // one is being written
				t.Errorf("%d dropped", w.Dropped())
			}
			if waiting := w.waiting.Load(); waiting > bytesMax {
				t.Errorf("%d bytes wait", waiting)
			}
			if w.Close(0) {
				t.Error("it has ended, and nobody has read")
			}
			all := make(chan string)
			go func() {
				text, _ := io.ReadAll(r)
				all <- string(text)
			}()
			if !w.Close(patience) {
				t.Fatal("it does not end when somebody reads")
			}
			pipe.Close()
			if text := <-all; strings.Count(text, "dropped ") != 1 || !strings.Contains(text, fmt.Sprintf("dropped %d\n", w.Dropped())) {
				t.Errorf("it does not say what was dropped: %.100q", text)
			}
		})
	}
}

// until waits for a condition.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// broken fails until it is mended.
type broken struct {
	out    bytes.Buffer
	mended bool
}

func (b *broken) Write(p []byte) (int, error) {
	if !b.mended {
		return 0, errors.New("broken pipe")
	}
	return b.out.Write(p)
}

func TestReaderThatIsGone(t *testing.T) {
	b := new(broken)
	w := New(b, note)
	_, _ = w.Write([]byte("lost\n"))
	_, _ = w.Write([]byte("lost\n"))
	until(t, func() bool { return w.waiting.Load() == 0 }) // both have failed
	b.mended = true
	_, _ = w.Write([]byte("kept\n"))
	if !w.Close(patience) {
		t.Fatal("it does not end")
	}
	if got := b.out.String(); got != "kept\ndropped 2\n" {
		t.Errorf("%q", got)
	}
}
