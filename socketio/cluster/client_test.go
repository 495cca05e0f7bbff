// A client that polls.

package cluster

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

const sigStop = syscall.SIGSTOP

// pollClient has joined "/".
type pollClient struct {
	t            testing.TB
	url, id, pid string
	early        string // what came before it had joined
}

// dialPoll connects a client; auth is what it sends when it joins.
func dialPoll(t testing.TB, address string, auth ...string) *pollClient {
	t.Helper()
	c := &pollClient{t: t, url: "http://" + address + "/socket.io/?EIO=4&transport=polling"}
	c.url += "&sid=" + strings.Split(c.do("GET", ""), `"`)[3]
	c.do("POST", "40"+strings.Join(auth, ""))
	early, joined, found := "", "", false
	for !found { // 40{"sid":"…","pid":"…"}
		early, joined, found = strings.Cut(c.do("GET", ""), `40{"sid"`)
		c.early += early
	}
	parts := strings.Split(joined, `"`)
	if c.id = parts[1]; len(parts) > 5 {
		c.pid = parts[5]
	}
	return c
}

// leave closes the connection, as a network that fails.
func (c *pollClient) leave() { c.do("POST", "1") }

func (c *pollClient) do(method, body string) string {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		c.t.Fatalf("%s: %d %s, %v", method, resp.StatusCode, p, err)
	}
	return string(p)
}

// events polls once, and counts the events of a name.
func (c *pollClient) events(name string) int {
	c.t.Helper()
	return count(c.do("GET", ""), name)
}

// count counts the events of a name in what a poll got.
func count(text, name string) int { return strings.Count(text, `42["`+name+`"`) }
