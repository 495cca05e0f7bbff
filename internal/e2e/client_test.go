// The client of clients/js, in Node and in Chromium, through a proxy that cuts, stalls and refuses.

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// clientNode is a node with history below chat. and tokens, and three tokens of user u1 for
// its topics, as JSON.
func clientNode(t *testing.T, args ...string) (n *node, tokens string) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "token.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	var list []string
	for range 3 {
		mint := exec.Command(binary, "token", "mint", "--key", key, "--sub", "u1", "--for", "1h",
			"--subscribe", "chat.>", "--subscribe", "plain.>", "--publish", "chat.>", "--history", "chat.>")
		mint.Env = []string{} // of the test's own variables it would say that it does not know them
		out, err := mint.Output()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.TrimSpace(string(out)))
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, append([]string{"--token-key", key, "--require-token", "--history", "chat.>=100,5m"}, args...)...), string(text)
}

func TestClient(t *testing.T) {
	t.Parallel()
	n, tokens := clientNode(t)
	script(t, n, "client", tokens)
}
