// docs/api.md: every example that it shows is run, and answers what it says.

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// example is one call of docs/api.md in one language, with the answer that is shown for it.
type example struct {
	name, language, text, answer string
}

var codeBlock = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```")

// examples are the calls of docs/api.md in their order. The first blocks of Python and JavaScript
// are the function that the others of the language call. A block of JSON is the answer to those
// that stand between it and the answer before; answers do not reach beyond their section.
func examples(t *testing.T) (calls []example) {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash("../../docs/api.md"))
	if err != nil {
		t.Fatal(err)
	}
	preludes := map[string]string{}
	for section := range strings.SplitSeq(string(b), "\n## ") {
		title, _, _ := strings.Cut(section, "\n")
		answered := len(calls)
		for _, block := range codeBlock.FindAllStringSubmatch(section, -1) {
			language, text := block[1], block[2]
			if language == "json" {
				for i := answered; i < len(calls); i++ {
					calls[i].answer = text
				}
				answered = len(calls)
				continue
			}
			if _, has := preludes[language]; !has && language != "bash" {
				preludes[language] = text
				continue
			}
			calls = append(calls, example{name: fmt.Sprintf("%s/%s", title, language), language: language, text: preludes[language] + text})
		}
	}
	return calls
}

func TestAPIDocument(t *testing.T) {
	t.Parallel()
	calls := examples(t)
	if len(calls) < 25 {
		t.Fatalf("docs/api.md has %d calls", len(calls))
	}
	const key = "the-key-of-the-document"
	// The subscriber below answers no ping.
	n := serve(t, "--dev", "--api-key", key, "--history", "log.>=100,5m", "--ping-interval", "10m")
	n.upgrade(t, "/ws?topic=news")
	n.awaitSubscribers("news", 1)
	for _, call := range calls {
		t.Run(call.name, func(t *testing.T) {
			n, conn := n.in(t), ""
			if strings.Contains(call.text, "/v1/drain") {
				n = serve(t, "--dev", "--drain", "0s")
			}
			if strings.Contains(call.text, "CONN") {
				conn = n.welcomed(t)
			}
			command := map[string][]string{
				"bash":   {"bash", "-ec", "curl() { command curl -sS --max-time 30 \"$@\"; }\n" + call.text},
				"python": {"python3", "-c", call.text},
				"js":     {"node", "--input-type=module", "-e", call.text},
			}[call.language]
			path, err := exec.LookPath(command[0])
			if err != nil {
				t.Skipf("%s is missing: run internal/e2e/setup.sh", command[0])
			}
			for i := range command {
				command[i] = strings.NewReplacer("127.0.0.1:9100", n.admin, "127.0.0.1:8080", n.public).Replace(command[i])
			}
			cmd := exec.CommandContext(t.Context(), path, command[1:]...)
			cmd.Env = append(os.Environ(), "CONN="+conn, "KEY="+key)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(call.text, "DELETE") && conn != "" {
				if strings.TrimSpace(string(out)) != "" {
					t.Errorf("%s", out)
				}
				n.eventually("the end of the connection", func() error {
					if got := n.closedFor("websocket", "admin"); got == 0 {
						return fmt.Errorf("it is there still")
					}
					return nil
				})
				return
			}
			if call.answer == "" {
				return // the calls of /healthz and its neighbours
			}
			var got, want any
			if err := json.Unmarshal([]byte(call.answer), &want); err != nil {
				t.Fatalf("docs/api.md: %v in %s", err, call.answer)
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
			if err := shown(got, want); err != nil {
				t.Errorf("%v: %s, docs/api.md says %s", err, out, call.answer)
			}
		})
	}
}

// welcomed opens a connection of c100k.v1 and returns its id.
func (n *node) welcomed(t *testing.T) string {
	t.Helper()
	welcome, err := n.upgrade(t, "/ws", "Sec-WebSocket-Protocol: c100k.v1").next()
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Conn string }
	if err := json.Unmarshal(welcome.Payload, &m); err != nil || m.Conn == "" {
		t.Fatalf("%v: %s", err, welcome.Payload)
	}
	return m.Conn
}

// shown compares an answer with the one that the document shows, in which "…" stands for any value,
// and as a key for more members.
func shown(got, want any) error {
	switch want := want.(type) {
	case string:
		if want == "…" {
			return nil
		}
	case []any:
		have, ok := got.([]any)
		if !ok || len(have) != len(want) {
			return fmt.Errorf("%v is not %v", got, want)
		}
		for i := range want {
			if err := shown(have[i], want[i]); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		have, ok := got.(map[string]any)
		_, more := want["…"]
		if !ok || !more && len(have) != len(want) {
			return fmt.Errorf("%v is not %v", got, want)
		}
		for name, value := range want {
			member, has := have[name]
			if name != "…" && !has {
				return fmt.Errorf("%v has no %s", got, name)
			}
			if name != "…" {
				if err := shown(member, value); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		return nil
	}
	if got != want {
		return fmt.Errorf("%v is not %v", got, want)
	}
	return nil
}
