// The client of clients/js, in Node and in Chromium, through a proxy that cuts, stalls and refuses.

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
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
			"--subscribe", "chat.>", "--subscribe", "plain.>", "--publish", "chat.>", "--history", "chat.>", "--presence", "chat.>")
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
	return serve(t, append([]string{"--token-key", key, "--require-token", "--history", "chat.>=100,5m", "--presence", "chat.>", "--api-key", "of-the-backend"}, args...)...), string(text)
}

func TestClient(t *testing.T) {
	t.Parallel()
	n, tokens := clientNode(t)
	script(t, n, "client", tokens)
}

// TestPhone: a network that drops again and again. C100K_E2E_PHONE=5m takes so long, a drop every
// 20 s, and is what make demo-phone does; without it each drop comes when there is something to
// miss.
func TestPhone(t *testing.T) {
	t.Parallel()
	drops, every := 3, 0
	if text := os.Getenv("C100K_E2E_PHONE"); text != "" {
		total, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		drops, every = int(total/phoneDrop), int(phoneDrop.Milliseconds())
	}
	n, tokens := clientNode(t)
	scriptFor(t, time.Duration(drops*every)*time.Millisecond+scriptPatience, n, "phone", tokens, strconv.Itoa(drops), strconv.Itoa(every))
}

// phoneDrop is how long a connection lives in TestPhone.
const phoneDrop = 20 * time.Second
