// The reader of the log: the node keeps serving if it is gone, and if it does not read.

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReaderOfTheLog(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, r, w *os.File){
		"is gone": func(_ *testing.T, r, _ *os.File) { r.Close() },
		"does not read": func(t *testing.T, _, w *os.File) {
			// Another description of the same pipe, for the one that the node has must go on blocking.
			again, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer syscall.Close(again)
			for err == nil { // until the pipe is full
				_, err = syscall.Write(again, []byte("xxxxxxxxxxxxxxxx"))
			}
			if err != syscall.EAGAIN {
				t.Fatal(err)
			}
		},
	} {
		for _, workers := range []string{"1", "2"} {
			t.Run(name+", workers "+workers, func(t *testing.T) {
				t.Parallel()
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				defer w.Close()
				cmd := exec.Command(binary, serveArgs([]string{"--dev", "--workers", workers})...)
				cmd.Env, cmd.Stderr = without(os.Environ(), "C100K_"), w
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				defer func() { _ = cmd.Process.Kill() }()
				var serving logLine
				for lines := bufio.NewScanner(r); serving.Msg != "serving" && lines.Scan(); {
					_ = json.Unmarshal(lines.Bytes(), &serving)
				}
				spoil(t, r, w)
				client := http.Client{Timeout: patience}
				for range 20 { // each logs a line or more
					if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
						t.Fatal(err)
					}
					response, err := client.Post("http://"+serving.Admin+"/v1/topics/a", "text/plain", strings.NewReader("x"))
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-ended:
					if err != nil {
						t.Errorf("it ended with %v", err)
					}
				case <-time.After(patience):
					t.Error("it does not end")
				}
			})
		}
	}
}

// TestLogFileIsMovedAway does what logrotate does, to a node whose workers write the file too: the
// new one has a line of each process, and the old one no more.
func TestLogFileIsMovedAway(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c100k.log")
	cmd := exec.Command(binary, serveArgs([]string{"--dev", "--workers", "2", "--log-file", path})...)
	cmd.Env = without(os.Environ(), "C100K_")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(text)
	}
	await := func(path, what string) {
		t.Helper()
		eventually(t, what, func() error {
			if text := read(path); !strings.Contains(text, what) {
				return fmt.Errorf("the file has\n%s", text)
			}
			return nil
		})
	}
	await(path, `"msg":"serving"`)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	old := read(path + ".1")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(path, `"msg":"configuration reloaded"`)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	fresh := read(path)
	for _, want := range []string{`"msg":"stopped"`, `"worker":0`, `"worker":1`} {
		if !strings.Contains(fresh, want) {
			t.Errorf("no %s in the new file:\n%s", want, fresh)
		}
	}
	if now := read(path + ".1"); now != old {
		t.Errorf("the old file has more:\n%s", strings.TrimPrefix(now, old))
	}
}
