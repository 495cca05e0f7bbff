// Limits: what happens to who comes when the node is full.

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMaxConns(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	for name, test := range map[string]struct {
		args   []string
		status int
		reason string // label in the figures
	}{
		"in all":     {[]string{"--max-conns", "5"}, 503, "over_capacity"},
		"an address": {[]string{"--max-conns-per-ip", "5"}, 429, "per_address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := serve(t, append([]string{"--dev"}, test.args...)...)
			var inside []*peer
			for range 5 {
				inside = append(inside, n.upgrade(t, "/echo"))
			}
			for _, request := range []string{upgradeRequest("/echo"), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /sse?topic=a HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
				p := dial(t, n.public)
				p.send(request)
				if header, _ := p.expectRefusal(test.status); header.Get("Retry-After") == "" {
					t.Errorf("no Retry-After: %v", header)
				}
			}
			silent := dial(t, n.public) // says nothing, and is told nevertheless
			silent.expectRefusal(test.status)
			for _, p := range inside {
				p.echo("still here")
			}
			n.eventually("all are counted", func() error {
				if got := n.stats().Rejected[test.reason]; got != 4 {
					return fmt.Errorf("%d as %s", got, test.reason)
				}
				return nil
			})
			inside[0].Close()
			n.eventually("one place is free", func() error {
				p, err := tryDial(n.public)
				if err != nil {
					return err
				}
				defer p.Close()
				return p.shakeHands("/echo")
			})
		})
	}
}

// TestOverLimitStorm: many at once beyond the limit, and none of them is cut off without a word.
func TestOverLimitStorm(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	n := serve(t, "--dev", "--max-conns", "3")
	for range 3 {
		n.upgrade(t, "/echo")
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 40 {
				p, err := tryDial(n.public)
				if err != nil {
					t.Error(err)
					return
				}
				if err := p.shakeHands("/echo"); err == nil || !strings.Contains(err.Error(), "503") {
					t.Errorf("want 503, got: %v", err)
				}
				p.Close()
			}
		})
	}
	wg.Wait()
}

// TestFileLimit takes the descriptors away from a node that runs: those who are there are served
// on, those who come are refused without the node spinning, and it accepts again when there are
// descriptors.
func TestFileLimit(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	n := serve(t, "--dev")
	inside := n.upgrade(t, "/echo")
	inside.echo("before")
	pid := n.cmd.Process.Pid
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Skipf("prlimit: %v", err)
	}
	few := unix.Rlimit{Cur: uint64(openFiles(t, pid) + 10), Max: before.Max}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	var outside []*peer
	for range 100 {
		outside = append(outside, dial(t, n.public)) // the kernel takes them into the backlog
	}
	n.eventually("the node notices", func() error {
		if !n.logged("no descriptor left") {
			return errors.New("not in the log")
		}
		return nil
	})
	cpu := cpuTime(t, pid)
	start := time.Now()
	echoes := 0
	for ; time.Since(start) < time.Second; echoes++ {
		inside.echo("while there is none left")
	}
	took := time.Since(start) // the last echo may have taken long
	if used := cpuTime(t, pid) - cpu; used > took*9/10 {
		t.Errorf("%v of CPU in %v, for %d echoes", used, took, echoes)
	}
	for _, p := range outside {
		p.Close()
	}
	n.eventually("it accepts again", func() error {
		p, err := tryDial(n.public)
		if err != nil {
			return err
		}
		defer p.Close()
		return p.shakeHands("/echo")
	})
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	inside.echo("after")
	n.eventually("all places are free again", func() error {
		if got := n.stats().Connections.Total; got != 1 {
			return fmt.Errorf("%d connections", got)
		}
		return nil
	})
}

// TestUlimit starts a node where hardly a file may be opened: it says what it can hold, and holds
// it.
func TestUlimit(t *testing.T) {
	oneProcess(t)
	t.Parallel()
	args := append([]string{"-c", `ulimit -n 140 && exec "$0" "$@"`, binary}, serveArgs([]string{"--dev"})...)
	n := serveWith(t, exec.Command("sh", args...))
	var inside []*peer
	for range 12 { // 140 less the reserve
		p := n.upgrade(t, "/echo")
		p.echo("hello")
		inside = append(inside, p)
	}
	for range 50 {
		p := dial(t, n.public)
		p.send(upgradeRequest("/echo"))
		p.expectRefusal(503)
	}
	for _, p := range inside {
		p.echo("still here")
	}
	asked := exec.Command("sh", append([]string{"-c", `ulimit -n 140 && exec "$0" "$@"`, binary}, serveArgs([]string{"--max-conns", "1000"})...)...)
	out, err := asked.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "ulimit -n") {
		t.Errorf("more than there can be: %v %s", err, out)
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// cpuTime is what a process has used so far, in user and kernel mode.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime, in ticks of 10 ms
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += v
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// TestExitCodes: what serve ends with when it cannot begin.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	bad := t.TempDir() + "/bad.yaml"
	writeFile(t, bad, "listen: 127.0.0.1:0\nmax-mesage: 1MiB\n")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown flag":    {[]string{"serve", "--liste", "x"}, 2, "listen"},
		"an unknown command": {[]string{"serv"}, 2, "serve"},
		"a bad value":        {[]string{"serve", "--max-message", "many"}, 2, "max-message"},
		"a bad file":         {[]string{"serve", "--config", bad}, 78, "max-message"},
		"a taken port":       {[]string{"serve", "--listen", n.public, "--admin", ""}, 3, n.public},
		"a taken admin port": {[]string{"serve", "--listen", "127.0.0.1:0", "--admin", n.admin}, 3, n.admin},
	} {
		out, err := exec.CommandContext(t.Context(), binary, test.args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != test.code || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: %v, want %d and %q\n%s", name, err, test.code, test.want, out)
		}
	}
	n.signal(syscall.SIGHUP) // nothing has changed
	n.eventually("the reload", func() error {
		if !n.logged("configuration reloaded") {
			return errors.New(n.output())
		}
		return nil
	})
}
