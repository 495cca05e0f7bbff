// Durable history on a disk that is full, cannot be written, or has damaged files.

package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"c100k/broadcast"
	"c100k/internal/history"
)

// smallDisk mounts a file system of so many bytes. It needs the right to.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("mount a file system of its own: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestHistoryDiskFull(t *testing.T) {
	for _, sync := range []string{"100ms", "always"} {
		t.Run(sync, func(t *testing.T) {
			dir := smallDisk(t, 8<<20)
			ballast := filepath.Join(dir, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			c := durable(filepath.Join(dir, "history"))
			c.History, c.HistorySync = []string{"h.>=10000,1h"}, sync
			s := start(t, c)
			var acked []broadcast.Position
			var refused error
			for len(acked) < 1000 && refused == nil {
				text := fmt.Sprintf("%d %s", len(acked), strings.Repeat("x", 20_000))
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				r, err := s.PublishAll(ctx, "h.a", broadcast.Text, []byte(text))
				cancel()
				if refused = err; err == nil {
					acked = append(acked, r.Position)
				}
			}
			t.Log(len(acked), refused)
			if refused == nil || !errors.Is(refused, history.ErrAway) && !errors.Is(refused, history.ErrUnsure) {
				t.Fatalf("the disk is full, and a publish gets %v", refused)
			}
			if s.past.ready() == nil {
				t.Error("a node that cannot store is ready")
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = start(t, c)
			page, err := s.past.store.Page(t.Context(), "h.a", broadcast.Position{}, 10_000, false)
			if err != nil {
				t.Fatal(err)
			}
			kept := map[uint64]bool{}
			for _, m := range page.Messages {
				kept[m.Position.Offset] = true
			}
			for i, at := range acked {
				if !kept[at.Offset] {
					t.Errorf("message %d of %d is lost", i, len(acked))
				}
			}
			storeTo(t, s, "h.a", "there is room again")
		})
	}
}

func TestHistoryReadOnly(t *testing.T) {
	dir := smallDisk(t, 1<<20)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "history")} {
		if _, err := New(durable(path)); !errors.Is(err, ErrHistory) || !strings.Contains(err.Error(), "read-only file system") {
			t.Errorf("%v", err)
		}
	}
}

// A byte of a file is another one than was written. What is whole is kept, what is not is said, and
// its position is given to no other message.
func TestHistoryFileDamaged(t *testing.T) {
	for _, clean := range []bool{true, false} { // the node ended in order; it was killed
		c := durable(t.TempDir())
		c.History = []string{"h.>=1000,1h"}
		s := start(t, c)
		var at [50]broadcast.Position
		for i := range at {
			at[i] = storeTo(t, s, "h.a", fmt.Sprintf("message %02d", i)).Position
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(c.HistoryDir, "jetstream", "*", "streams", "*", "msgs", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if i := bytes.Index(text, []byte("message 20")); i >= 0 {
				text[i] ^= 1
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
			} else if !clean && strings.HasSuffix(file, "index.db") {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
		}
		var log lockedBuffer
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		s = start(t, c)
		damaged := func() bool {
			return strings.Contains(log.text(), "cannot be read") || strings.Contains(log.text(), "are gone")
		}
		eventually(t, "it is said", damaged)
		page, err := s.past.store.Page(t.Context(), "h.a", broadcast.Position{}, 1000, false)
		if err != nil || len(page.Messages) < 20 {
			t.Fatalf("%d messages are left, %v", len(page.Messages), err)
		}
		for _, m := range page.Messages {
			if want := fmt.Sprintf("message %02d", m.Position.Offset-at[0].Offset); string(m.Payload) != want || want == "message 20" {
				t.Errorf("%q, want %q", m.Payload, want)
			}
		}
		next := storeTo(t, s, "h.a", "next").Position
		for _, old := range at {
			if next == old {
				t.Errorf("position %v is given again", old)
			}
		}
		// Of those who have missed the damaged message, nobody gets the rest as if it were all.
		blocks, _ := events(t, s, "topic=h.a", positionText(at[10]), 2, nil)
		if !strings.HasPrefix(blocks[1], "event: reset|") {
			t.Errorf("%q", blocks)
		}
	}
}
