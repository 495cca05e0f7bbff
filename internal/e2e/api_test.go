// curl as the client: every call of the admin port, and what it answers.

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// curl runs curl and returns status, media type and body.
func curl(t *testing.T, args ...string) (status int, mediaType, body string) {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not there: run internal/e2e/setup.sh")
	}
	args = append([]string{"-sS", "--max-time", "30", "--path-as-is", "-w", "\n%{http_code} %{content_type}"}, args...)
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	end := strings.LastIndexByte(string(out), '\n')
	code, mediaType, _ := strings.Cut(string(out[end+1:]), " ")
	if status, err = strconv.Atoi(code); err != nil {
		t.Fatalf("curl %q: %s", args, out)
	}
	return status, mediaType, string(out[:end])
}

func TestAPI(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	sub := n.upgrade(t, "/ws?topic=news")
	n.awaitSubscribers("news", 1)
	bad := func(code string) string { return `"code":"` + code + `"` }
	for _, test := range []struct {
		name   string
		args   []string // the last is a path
		status int
		want   string // a part of the body
		heard  string // what the subscriber gets
	}{
		{"text", []string{"-d", "hello", "/v1/topics/news"}, 200, `{"matched":1,"queued":1,"dropped":0}`, "hello"},
		{"JSON", []string{"-d", `{"a":1}`, "-H", "Content-Type: application/json", "/v1/topics/news"}, 200, `"matched":1`, `{"a":1}`},
		{"encoded", []string{"-d", "x", "/v1/topics/n%65ws"}, 200, `"matched":1`, "x"},
		{"empty", []string{"-X", "POST", "/v1/topics/news"}, 200, `"matched":1`, ""},
		{"nobody", []string{"-d", "x", "/v1/topics/nobody"}, 200, `"matched":0`, "-"},
		{"bad JSON", []string{"-d", `{"a":`, "-H", "Content-Type: application/json", "/v1/topics/news"}, 400, bad("bad_json"), "-"},
		{"bad UTF-8", []string{"--data-binary", "\xff", "-H", "Content-Type: text/plain", "/v1/topics/news"}, 400, bad("not_utf8"), "-"},
		{"charset", []string{"-d", "x", "-H", "Content-Type: text/plain; charset=latin1", "/v1/topics/news"}, 415, bad("charset"), "-"},
		{"too large", []string{"-d", strings.Repeat("x", 64<<10+1), "/v1/topics/news"}, 413, `"status":413`, "-"},
		{"bad topic", []string{"-d", "x", "/v1/topics/a%00b"}, 400, `"status":400`, "-"},
		{"bad escape", []string{"-d", "x", "/v1/topics/%zz"}, 400, "", "-"},
		{"long topic", []string{"-d", "x", "/v1/topics/" + strings.Repeat("x", 256)}, 400, bad("bad_topic"), "-"},
		{"publish", []string{"-d", `{"topic":"news","data":{"b":2}}`, "/v1/publish"}, 200, `"matched":1`, `{"b":2}`},
		{"publish string", []string{"-d", `{"topic":"news","data":"s"}`, "/v1/publish"}, 200, `"matched":1`, "s"},
		{"publish topics", []string{"-d", `{"topics":["news","b"],"data":"t"}`, "/v1/publish"}, 200, `"matched":1`, "t"},
		{"publish array", []string{"-d", `[{"topic":"news","data":"u"},{"data":1}]`, "/v1/publish"}, 200, `[{"matched":1,"queued":1,"dropped":0},{"error":{`, "u"},
		{"publish nothing", []string{"-d", ``, "/v1/publish"}, 400, `"status":400`, "-"},
		{"publish garbage", []string{"-d", `hello`, "/v1/publish"}, 400, `"status":400`, "-"},
		{"publish bytes", []string{"--data-binary", `{}`, "-H", "Content-Type: application/octet-stream", "/v1/publish"}, 415, `"status":415`, "-"},
		{"wrong method", []string{"-X", "DELETE", "/v1/topics/news"}, 405, bad("method_not_allowed"), "-"},
		{"publish GET", []string{"/v1/publish"}, 405, bad("method_not_allowed"), "-"},
		{"topic", []string{"/v1/topics/news"}, 200, `{"topic":"news","subscribers":1,"transports":{"websocket":1}}`, "-"},
		{"no topic", []string{"/v1/topics/nobody"}, 404, `"status":404`, "-"},
		{"topics", []string{"/v1/topics"}, 200, `{"topics":[{"topic":"news","subscribers":1,"transports":{"websocket":1}}]`, "-"},
		{"topics prefix", []string{"/v1/topics?prefix=ne"}, 200, `"topic":"news"`, "-"},
		{"topics other prefix", []string{"/v1/topics?prefix=x"}, 200, `{"topics":[]`, "-"},
		{"stats", []string{"/v1/stats"}, 200, `"connections":{"total":1,`, "-"},
		{"bad connection", []string{"-X", "DELETE", "/v1/connections/xyz"}, 400, bad("bad_connection_id"), "-"},
		{"no connection", []string{"-X", "DELETE", "/v1/connections/0123456789abcdef"}, 404, bad("no_such_connection"), "-"},
		{"healthz", []string{"/healthz"}, 200, "ok\n", "-"},
		{"readyz", []string{"/readyz"}, 200, "ok\n", "-"},
		{"pprof", []string{"/debug/pprof/"}, 200, "goroutine", "-"},
		{"goroutines", []string{"/debug/pprof/goroutine?debug=1"}, 200, "goroutine profile:", "-"},
		{"unknown", []string{"/v1/nothing"}, 404, bad("no_such_path"), "-"},
		{"foreign Host", []string{"-H", "Host: evil.example", "/v1/stats"}, 403, bad("foreign_host"), "-"},
		{"foreign Origin", []string{"-H", "Origin: http://evil.example", "-d", "x", "/v1/topics/news"}, 403, bad("foreign_origin"), "-"},
		{"end of the list", []string{"-d", "end", "/v1/topics/news"}, 200, `"matched":1`, "end"}, // nothing came before it that should not have
	} {
		t.Run(test.name, func(t *testing.T) {
			sub.t = t
			last := len(test.args) - 1
			args := append(append([]string{}, test.args[:last]...), "http://"+n.admin+test.args[last])
			status, mediaType, body := curl(t, args...)
			if status != test.status || !strings.Contains(body, test.want) {
				t.Errorf("%d %s, want %d %s", status, body, test.status, test.want)
			}
			// A target that is no URL is refused by net/http, in its own words.
			if status >= 400 && mediaType != "application/problem+json" && test.name != "bad escape" {
				t.Errorf("an error as %s", mediaType)
			}
			if test.heard != "-" {
				sub.expectText(test.heard)
			}
		})
	}
}

func TestCloseConnection(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	c := n.upgrade(t, "/ws", "Sec-WebSocket-Protocol: c100k.v1")
	welcome, err := c.next()
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Conn string }
	if err := json.Unmarshal(welcome.Payload, &m); err != nil {
		t.Fatal(err)
	}
	if status, _, body := curl(t, "-X", "DELETE", "http://"+n.admin+"/v1/connections/"+m.Conn); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	c.expectClose(1008)
	c.expectEnd()
	n.eventually("the reason in the figures", func() error {
		if got := n.closedFor("websocket", "admin"); got != 1 {
			return fmt.Errorf("admin %d", got)
		}
		return nil
	})
	if status, _, _ := curl(t, "-X", "DELETE", "http://"+n.admin+"/v1/connections/"+m.Conn); status != 404 {
		t.Errorf("a second time: %d", status)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	c := n.upgrade(t, "/echo")
	c.echo("counted")
	s := n.stream(t, "/sse?topic=secret-topic")
	n.awaitSubscribers("secret-topic", 1)
	n.publish("secret-topic", "x")
	s.expectEvent("x")
	var body string
	for _, line := range []string{
		`c100k_connections\{transport="websocket"\} 1`, `c100k_connections\{transport="sse"\} 1`,
		`c100k_connections_opened_total\{transport="websocket"\} 1`, `c100k_messages_received_total 1`, `c100k_messages_sent_total [2-9]`,
		`c100k_received_bytes_total [1-9].*`, `c100k_sent_bytes_total [1-9].*`, `c100k_publish_fanout_seconds_count 1`, `c100k_outbox_bytes 0`,
		`c100k_slow_consumer_total\{action="disconnect"\} 0`, `c100k_loop_busy_seconds_total\{loop="0"\} .*`, `c100k_loop_turn_seconds_bucket\{le=".*`,
		`c100k_build_info\{.*\} 1`, `go_goroutines .*`, `process_open_fds .*`,
	} {
		pattern := regexp.MustCompile(`(?m)^` + line + `$`)
		n.eventually(line, func() error { // a loop shows its figures at the end of its turn
			if pattern.MatchString(body) {
				return nil
			}
			var status int
			var mediaType string
			if status, mediaType, body = curl(t, "http://"+n.admin+"/metrics"); status != 200 || !strings.HasPrefix(mediaType, "text/plain; version=0.0.4") {
				t.Errorf("%d %s", status, mediaType)
			}
			return errors.New("no such line")
		})
	}
	if strings.Contains(body, "secret-topic") {
		t.Error("a topic is a label")
	}
	// A connection that has gone is counted by its reason.
	c.frame(true, 8, nil)
	c.expectClose(1005)
	n.eventually("the end in the metrics", func() error {
		if _, _, body := curl(t, "http://"+n.admin+"/metrics"); !strings.Contains(body, `c100k_connections_closed_total{reason="peer",transport="websocket"} 1`) {
			return fmt.Errorf("not there")
		}
		return nil
	})
}

func TestAPIKey(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	writeFile(t, file, "first-secret\n")
	n := serve(t, "--dev", "--api-key-file", file)
	post := func(key string) int {
		args := []string{"-d", "x", "http://" + n.public + "/v1/topics/a"}
		if key != "" {
			args = append(args, "-H", "Authorization: Bearer "+key)
		}
		status, _, _ := curl(t, args...)
		return status
	}
	for key, want := range map[string]int{"": 401, "wrong-secret": 401, "first-secret": 200} {
		if got := post(key); got != want {
			t.Errorf("key %q on the public port: %d, want %d", key, got, want)
		}
	}
	if status, _, _ := curl(t, "-d", "x", "http://"+n.admin+"/v1/topics/a"); status != 200 {
		t.Errorf("loopback on the admin port: %d", status)
	}
	if status, _, _ := curl(t, "-d", "x", "-H", "X-Forwarded-For: 192.0.2.1", "http://"+n.admin+"/v1/topics/a"); status != 401 {
		t.Errorf("through a proxy on the admin port: %d", status)
	}
	// HUP reads the key again, all or nothing.
	writeFile(t, file, "second-secret\n")
	n.reload("configuration reloaded")
	if post("first-secret") != 401 || post("second-secret") != 200 {
		t.Error("the new key is not in force")
	}
	n.mayLog("configuration not reloaded")
	writeFile(t, file, "short\n")
	n.reload("configuration not reloaded")
	if post("second-secret") != 200 {
		t.Error("the old key did not stay")
	}
}

// reload sends HUP and waits for the log to say how it went.
func (n *node) reload(outcome string) {
	n.t.Helper()
	count := func() (c int) {
		for _, line := range n.log() {
			if strings.Contains(line.Msg, outcome) {
				c++
			}
		}
		return c
	}
	before := count()
	n.signal(1)
	n.eventually(outcome, func() error {
		if count() == before {
			return fmt.Errorf("not in the log:\n%s", n.output())
		}
		return nil
	})
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCommands walks through what the README says: sub and pub, beside a node.
func TestCommands(t *testing.T) {
	t.Parallel()
	n := serve(t, "--dev")
	sub := exec.CommandContext(t.Context(), binary, "sub", "--url", "ws://"+n.public+"/ws", "news", "--count", "2")
	var out strings.Builder
	sub.Stdout = &out
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	n.awaitSubscribers("news", 1)
	for _, data := range []string{"hello, all", `{"a":1}`} {
		answer, err := exec.CommandContext(t.Context(), binary, "pub", "--admin-url", "http://"+n.admin, "news", data).CombinedOutput()
		if err != nil || string(answer) != "matched 1\n" {
			t.Errorf("pub: %v %s", err, answer)
		}
	}
	done := make(chan error, 1)
	go func() { done <- sub.Wait() }()
	select {
	case err := <-done:
		if err != nil || out.String() != "hello, all\n{\"a\":1}\n" {
			t.Errorf("sub: %v %q", err, out.String())
		}
	case <-time.After(patience):
		t.Error("sub does not end")
	}
}
