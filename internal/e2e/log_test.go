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
