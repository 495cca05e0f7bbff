// `c100k load` against a node: every protocol, exact counts, and every exit code.

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"c100k/internal/netlab"
)

// Exit codes of load.
const (
	loadUnreachable = 3
	loadBottleneck  = 4
	loadThreshold   = 99
	loadInterrupted = 130
)

// loadResult is what the tests look at of a result.
type loadResult struct {
	Protocol    string
	Interrupted bool
	Connections struct {
		Wanted, Open int
		Opened       int
		Reconnected  int
		Failed, Lost map[string]int
	}
	Messages struct {
		Published, Sent, Received, Expected, Lost, Duplicated, Reordered, Corrupted, Foreign int
	}
	Connect, Echo, Deliver, Spread *struct{ Count int }
	Generator                      struct{ Processes int }
	Server                         *struct {
		Processes  int
		Trouble    string
		PerMessage float64 `json:"cpu_per_message_ms"`
	}
	Storms   []struct{ Dropped, Back int }
	CatchUp  *struct{ Count int }
	Recovery *struct {
		Cut, Recovered, Reset int
		Cuts                  []struct {
			Dropped int
			All     bool
		}
	}
	Verdict struct {
		Valid   bool
		Reasons []string
	}
}

// load runs `c100k load` to its end.
func load(t *testing.T, args ...string) (result loadResult, code int, output string) {
	t.Helper()
	return loadWith(t, nil, args...)
}

// loadWith runs it by a command of the test's own, such as a shell that sets limits.
func loadWith(t *testing.T, before []string, args ...string) (result loadResult, code int, output string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "result.json")
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	line := append(append(append([]string{}, before...), binary, "load"), append(args, "--json", path)...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(without(os.Environ(), "C100K_"), "GORACE=halt_on_error=1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return readLoadResult(t, path), cmd.ProcessState.ExitCode(), string(out)
}

// readLoadResult reads the document, where there is one.
func readLoadResult(t *testing.T, path string) (result loadResult) {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return result
	}
	var document struct {
		Format string
		Result *loadResult
	}
	if err == nil {
		err = json.Unmarshal(text, &document)
	}
	if err != nil || document.Format != "c100k-load" || document.Result == nil {
		t.Fatalf("the result cannot be read: %v\n%s", err, text)
	}
	return *document.Result
}

// good runs load against a correct server. On a busy machine the generator may be the bottleneck;
// the counts are exact even then.
func good(t *testing.T, args ...string) loadResult {
	t.Helper()
	r, code, output := load(t, args...)
	if code != 0 && code != loadBottleneck {
		t.Fatalf("exit code %d\n%s", code, output)
	}
	m := r.Messages
	if r.Connections.Open != r.Connections.Wanted || len(r.Connections.Failed) > 0 || len(r.Connections.Lost) > 0 {
		t.Errorf("connections %+v\n%s", r.Connections, output)
	}
	if m.Lost != 0 || m.Duplicated != 0 || m.Reordered != 0 || m.Corrupted != 0 || m.Received != m.Expected {
		t.Errorf("messages %+v\n%s", m, output)
	}
	return r
}

// delivered checks that every publish has reached every listener of its topic.
func delivered(t *testing.T, r loadResult, listeners int) {
	t.Helper()
	if m := r.Messages; m.Published == 0 || m.Received != m.Published*listeners || r.Deliver == nil || r.Deliver.Count != m.Received || r.Spread == nil || r.Spread.Count != m.Published {
		t.Errorf("%+v, deliver %+v, spread %+v: want each of %d listeners to have every message once", r.Messages, r.Deliver, r.Spread, listeners)
	}
}

func TestLoadEcho(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	r := good(t, "ws://"+n.public+"/echo", "--conns", "50", "--rate", "200/s", "--for", "2s", "--server-pid", strconv.Itoa(n.cmd.Process.Pid))
	if r.Messages.Sent < 300 || r.Messages.Received != r.Messages.Sent || r.Echo.Count != r.Messages.Received || r.Connect.Count != 50 {
		t.Errorf("%+v %+v", r.Messages, r.Echo)
	}
	if r.Server == nil || r.Server.Trouble != "" || r.Server.Processes != 1 || r.Server.PerMessage <= 0 {
		t.Errorf("server %+v", r.Server)
	}
}

func TestLoadClosedLoop(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	if r := good(t, "ws://"+n.public+"/echo", "--conns", "5", "--in-flight", "2", "--for", "1s", "--size", "1KiB", "--binary"); r.Messages.Received == 0 {
		t.Errorf("%+v", r.Messages)
	}
}

func TestLoadSubscribe(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	ws, sse, http := "ws://"+n.public+"/ws", "http://"+n.public+"/sse?topic={topic}", "http://"+n.admin+"/v1/topics/{topic}"
	for name, test := range map[string]struct {
		args     []string
		protocol string
	}{
		"raw":               {[]string{ws + "?topic={topic}", "--publish", http}, "raw"},
		"c100k.v1":          {[]string{ws, "--publish", http}, "c100k.v1"},
		"c100k.v1 for both": {[]string{ws, "--publish", ws}, "c100k.v1"},
		"sse":               {[]string{sse, "--publish", http}, "sse"},
		"sse, frames":       {[]string{sse, "--publish", ws + "?topic={topic}"}, "sse"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := strings.ReplaceAll(name, " ", "-")
			r := good(t, append(test.args, "--topic", topic, "--topics", "2", "--conns", "40", "--publish-rate", "40/s", "--for", "2s", "--size", "200")...)
			delivered(t, r, 20)
			if r.Protocol != test.protocol {
				t.Errorf("protocol %s, want %s", r.Protocol, test.protocol)
			}
		})
	}
}

func TestLoadBroadcast(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	delivered(t, good(t, "ws://"+n.public+"/broadcast", "--conns", "30", "--publish", "ws://"+n.public+"/broadcast", "--publish-rate", "30/s", "--for", "1s"), 30)
}

// TestLoadSplits: if one process may not open enough files, several are started, and their results
// are added up.
func TestLoadSplits(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	args := []string{"ws://" + n.public + "/ws?topic=a", "--conns", "100", "--publish", "http://" + n.admin + "/v1/topics/a", "--publish-rate", "40/s", "--for", "2s"}
	for name, run := range map[string]func() (loadResult, int, string){
		"by hand": func() (loadResult, int, string) { return load(t, append(args, "--conns-per-process", "40")...) },
		"by ulimit -n": func() (loadResult, int, string) {
			return loadWith(t, []string{"sh", "-c", `ulimit -n 300; exec "$@"`, "sh"}, args...)
		},
	} {
		r, code, output := run()
		if r.Generator.Processes != 3 || r.Connections.Open != 100 || r.Messages.Lost != 0 {
			t.Errorf("%s: %d processes, %+v, exit code %d\n%s", name, r.Generator.Processes, r, code, output)
		}
		delivered(t, r, 100)
	}
}

func TestLoadModes(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		if r := good(t, "ws://"+n.public+"/ws?topic=a", "--mode", "idle", "--conns", "200", "--for", "1s"); r.Connections.Opened != 200 {
			t.Errorf("%+v", r.Connections)
		}
	})
	t.Run("churn", func(t *testing.T) {
		t.Parallel()
		r, code, output := load(t, "ws://"+n.public+"/echo", "--mode", "churn", "--conns", "20", "--rate", "100/s", "--for", "2s")
		if code != 0 && code != loadBottleneck || r.Connections.Opened < 100 || r.Connections.Opened > 320 {
			t.Errorf("exit code %d, %+v\n%s", code, r.Connections, output)
		}
	})
	t.Run("storm", func(t *testing.T) {
		t.Parallel()
		r, code, output := load(t, "ws://"+n.public+"/ws?topic=a", "--mode", "storm", "--conns", "200", "--storms", "2", "--storm-every", "1s", "--for", "1s")
		if code != 0 && code != loadBottleneck || len(r.Storms) != 2 || r.Storms[1].Back != 200 || r.Connections.Reconnected != 400 {
			t.Errorf("exit code %d, %+v %+v\n%s", code, r.Storms, r.Connections, output)
		}
	})
	t.Run("publish", func(t *testing.T) {
		t.Parallel()
		r, code, output := load(t, "ws://"+n.public+"/ws", "--mode", "publish", "--topic", "p", "--conns", "10", "--rate", "100/s", "--for", "2s")
		if code != 0 && code != loadBottleneck || r.Messages.Sent < 100 || r.Messages.Lost != 0 {
			t.Errorf("exit code %d, %+v\n%s", code, r.Messages, output)
		}
	})
	t.Run("slow-reader", func(t *testing.T) {
		t.Parallel()
		r, code, output := load(t, "ws://"+n.public+"/ws?topic=s", "--mode", "slow-reader", "--slow-share", "20%", "--conns", "50",
			"--publish", "http://"+n.admin+"/v1/topics/s", "--for", "1s")
		if code != 0 && code != loadBottleneck || r.Messages.Received != 40*r.Messages.Published {
			t.Errorf("exit code %d, %+v\n%s", code, r.Messages, output)
		}
	})
}

func TestLoadExitCodes(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	echo, nobody := "ws://"+n.public+"/echo", "ws://"+netlab.KeepPort(t)+"/echo"
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nobody there":   {[]string{nobody}, loadUnreachable, "nobody listens there"},
		"no such path":   {[]string{"ws://" + n.public + "/nothing"}, loadUnreachable, "HTTP 404"},
		"no stream":      {[]string{"http://" + n.public + "/"}, loadUnreachable, "no event stream"},
		"a bound broken": {[]string{echo, "--conns", "5", "--for", "500ms", "--fail-if", "connect.max > 1ns", "--fail-if", "lost > 0"}, loadThreshold, "BROKEN"},
		"too much":       {[]string{echo, "--conns", "5", "--for", "1s", "--rate", "10000000/s"}, loadBottleneck, "INVALID"},
		"no topic":       {[]string{"http://" + n.public + "/events", "--topic", "a"}, 2, "topic={topic}"},
		"no URL":         {nil, 2, "needs one URL"},
		"bad bound":      {[]string{echo, "--fail-if", "deliver.p9 > 1s"}, 2, "did you mean deliver.p90?"},
		"bad header":     {[]string{echo, "--header", "x"}, 2, "'Name: value'"},
		"bad mode":       {[]string{echo, "--mode", "ecko"}, 2, "did you mean echo?"},
		"bad file":       {[]string{echo, "--report", "/nowhere/at/all.html"}, 1, "/nowhere/at/all.html"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, code, output := load(t, test.args...)
			// If the generator is the bottleneck, no bound is checked: the machine was busy.
			if code != test.code && !(code == loadBottleneck && test.code == loadThreshold) || !strings.Contains(output, test.want) {
				t.Errorf("exit code %d, want %d and %q\n%s", code, test.code, test.want, output)
			}
		})
	}
}

func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	path := filepath.Join(t.TempDir(), "result.json")
	cmd := exec.Command(binary, "load", "ws://"+n.public+"/echo", "--conns", "20", "--rate", "100/s", "--for", "1h", "--json", path)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, if all went well
	signalled := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if !signalled && strings.Contains(lines.Text(), "p99") {
			signalled = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // the exit code tells
	r := readLoadResult(t, path)
	if code := cmd.ProcessState.ExitCode(); code != loadInterrupted || !r.Interrupted || r.Messages.Received == 0 || r.Messages.Lost != 0 {
		t.Errorf("exit code %d, %+v", code, r)
	}
	if !strings.Contains(stdout.String(), "interrupted") {
		t.Errorf("the summary does not say so:\n%s", &stdout)
	}
}

// TestLoadEndsWithItsParent: processes of a run end with their parent.
func TestLoadEndsWithItsParent(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	cmd := exec.Command(binary, "load", "ws://"+n.public+"/ws?topic=a", "--mode", "idle", "--conns", "20", "--for", "1h")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.awaitSubscribers("a", 20)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	n.awaitSubscribers("a", 0)
}

func TestLoadFiles(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b"} {
		_, code, output := load(t, "ws://"+n.public+"/echo", "--conns", "10", "--rate", "100/s", "--for", "5s", "--report", file(name+".html"), "--hdr", file(name+".hdr"))
		if code != 0 && code != loadBottleneck {
			t.Fatalf("exit code %d\n%s", code, output)
		}
		cmd := exec.Command(binary, "load", "ws://"+n.public+"/echo", "--conns", "10", "--rate", "100/s", "--for", "5s", "--json", "-")
		out, err := cmd.Output()
		if code := cmd.ProcessState.ExitCode(); code != 0 && code != loadBottleneck {
			t.Fatal(err)
		}
		writeFile(t, file(name+".json"), string(out))
	}
	for name, want := range map[string]string{"a.html": "<!doctype html>", "b.hdr": "#[Histogram log format version"} {
		if text, err := os.ReadFile(file(name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, no %s", name, err, want)
		}
	}
	out, err := exec.Command(binary, "load", "compare", file("a.json"), file("b.json")).CombinedOutput()
	for _, want := range []string{"latency p99, each second", "ratio", "p=", "echo.p99", "connect.max"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("compare: %v, no %q\n%s", err, want, out)
		}
	}
	if out, err := exec.Command(binary, "load", "compare", file("a.html"), file("b.json")).CombinedOutput(); err == nil || !strings.Contains(string(out), "no result of c100k load") {
		t.Errorf("a page is compared: %v %s", err, out)
	}
}

// TestLoadPage looks at the page of a run in Chromium. With C100K_E2E_SHOTS=DIR it leaves
// screenshots there.
func TestLoadPage(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("node/node_modules"); err != nil {
		t.Skip("the Node packages are not there: run internal/e2e/setup.sh")
	}
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not there: run internal/e2e/setup.sh")
	}
	n := serve(t, "--dev")
	path := filepath.Join(t.TempDir(), "page.html")
	_, code, output := load(t, "ws://"+n.public+"/ws?topic={topic}", "--topic", "<img src=x onerror=alert(1)>", "--conns", "50", "--publish", "http://"+n.admin+"/v1/topics/{topic}",
		"--for", "3s", "--server-pid", strconv.Itoa(n.cmd.Process.Pid), "--fail-if", "lost > 0", "--report", path)
	if code != 0 && code != loadBottleneck {
		t.Fatalf("exit code %d\n%s", code, output)
	}
	ctx, cancel := context.WithTimeout(t.Context(), scriptPatience)
	defer cancel()
	run := exec.CommandContext(ctx, "node", "node/report.mjs", path, t.TempDir())
	var stderr bytes.Buffer
	run.Stderr = &stderr
	out, err := run.Output()
	complete := false
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		complete = report(t, lines.Text()) || complete
	}
	if err != nil || !complete {
		t.Errorf("report.mjs did not come to its end: %v\n%s", err, &stderr)
	}
}
