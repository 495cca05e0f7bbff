// Tests of `pub` against an HTTP server that answers as a node does.

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestPub(t *testing.T) {
	type request struct{ path, kind, key, body string }
	var got request
	status, kind, answer := 200, "application/json", `{"matched":3,"queued":3,"dropped":0}`
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = request{r.Method + " " + r.URL.EscapedPath(), r.Header.Get("Content-Type"), r.Header.Get("Authorization"), string(body)}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer node.Close()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const text, problem = "text/plain; charset=utf-8", "application/problem+json"

	tests := []struct {
		name         string
		args         []string
		env, stdin   string
		status       int
		kind, answer string
		want         request
		code         int
		output       string // all of stdout, or part of stderr
	}{
		{name: "text", args: []string{"news", "hello"}, want: request{"POST /v1/topics/news", text, "", "hello"}, output: "matched 3\n"},
		{name: "empty", args: []string{"news", ""}, want: request{"POST /v1/topics/news", text, "", ""}, output: "matched 3\n"},
		{name: "JSON", args: []string{"news", `{"a":1}`, "--json"}, want: request{"POST /v1/topics/news", "application/json", "", `{"a":1}`}, output: "matched 3\n"},
		{name: "bytes", args: []string{"news", "a", "--binary"}, want: request{"POST /v1/topics/news", "application/octet-stream", "", "a"}, output: "matched 3\n"},
		{name: "input", args: []string{"news"}, stdin: "line\n", want: request{"POST /v1/topics/news", text, "", "line\n"}, output: "matched 3\n"},
		{name: "input by dash", args: []string{"news", "-"}, stdin: "\xff\x00", want: request{"POST /v1/topics/news", "application/octet-stream", "", "\xff\x00"}, output: "matched 3\n"},
		{name: "escaped", args: []string{"a/b c?ü", "x"}, want: request{"POST /v1/topics/a%2Fb%20c%3F%C3%BC", text, "", "x"}, output: "matched 3\n"},
		{name: "dots", args: []string{"..", "x"}, want: request{"POST /v1/topics/%2E%2E", text, "", "x"}, output: "matched 3\n"},
		{name: "key", args: []string{"a", "x", "--api-key", "long-enough"}, want: request{"POST /v1/topics/a", text, "Bearer long-enough", "x"}, output: "matched 3\n"},
		{name: "key in a file", args: []string{"a", "x"}, env: "C100K_API_KEY_FILE=" + key, want: request{"POST /v1/topics/a", text, "Bearer from-a-file", "x"}, output: "matched 3\n"},
		{name: "dropped", args: []string{"a", "x"}, answer: `{"matched":3,"queued":2,"dropped":1}`, want: request{"POST /v1/topics/a", text, "", "x"}, output: "matched 3, queued 2, dropped 1\n"},
		{name: "repeated", args: []string{"a", "x", "--repeat", "3", "--rate", "1000/s"}, want: request{"POST /v1/topics/a", text, "", "x"}, output: "published 3, matched 9\n"},

		{name: "problem", args: []string{"a", "x"}, status: 401, kind: problem, answer: `{"title":"Unauthorized","detail":"a key is needed"}`, code: 1, output: "c100k: Unauthorized: a key is needed (HTTP 401)\n"},
		{name: "problem without detail", args: []string{"a", "x"}, status: 503, kind: problem, answer: `{"title":"Draining"}`, code: 1, output: "c100k: Draining (HTTP 503)\n"},
		{name: "a text", args: []string{"a", "x"}, status: 404, kind: "text/plain", answer: "404 page not found\n", code: 1, output: "c100k: 404 page not found (HTTP 404)\n"},
		{name: "a page", args: []string{"a", "x"}, status: 502, kind: "text/html", answer: "<html>", code: 1, output: "c100k: the server answers HTTP 502 Bad Gateway\n"},
		{name: "an escape sequence", args: []string{"a", "x"}, status: 400, kind: "text/plain", answer: "\x1b[2J", code: 1, output: `\x1b[2J`},
		{name: "another server", args: []string{"a", "x"}, answer: "hello", code: 1, output: "did not answer as a node does"},
	}
	for _, test := range tests {
		status, kind, answer = 200, "application/json", `{"matched":3,"queued":3,"dropped":0}`
		if test.status != 0 {
			status, kind = test.status, test.kind
		}
		if test.answer != "" {
			answer = test.answer
		}
		p := newProgram(append([]string{"pub", "--admin-url", node.URL + "/"}, test.args...)...)
		p.environ, p.stdin = strings.Fields(test.env), strings.NewReader(test.stdin)
		code, out, errs := p.exec(t)
		if code != test.code || code == 0 && out != test.output || code != 0 && !strings.Contains(errs, test.output) {
			t.Errorf("%s: exit code %d, want %d and %q: %s%s", test.name, code, test.code, test.output, out, errs)
		}
		if test.code == 0 && got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestPubUntilInterrupted(t *testing.T) {
	var published atomic.Int32
	enough := make(chan struct{})
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if published.Add(1) == 5 {
			close(enough)
		}
		io.WriteString(w, `{"matched":1,"queued":1}`)
	}))
	defer node.Close()
	p := newProgram("pub", "a", "x", "--repeat", "0", "--admin-url", node.URL)
	code := p.start(t)
	<-enough
	p.signal <- syscall.SIGINT
	if got := <-code; got != 0 || !strings.HasPrefix(p.out.String(), "published ") {
		t.Errorf("exit code %d: %s%s", got, p.out, p.err)
	}
}

func TestPubUnreachable(t *testing.T) {
	node := httptest.NewServer(http.NotFoundHandler())
	url := node.URL
	node.Close()
	code, _, errs := newProgram("pub", "a", "x", "--admin-url", url).exec(t)
	if code != 1 || !strings.Contains(errs, "nobody listens at "+url) {
		t.Errorf("exit code %d: %s", code, errs)
	}
	p := newProgram("pub", "a", "--admin-url", url)
	p.terminal = func(any) bool { return true }
	if _, _, errs := p.exec(t); !strings.Contains(errs, "reading from the terminal") {
		t.Error(errs)
	}
}
