// What a terminal shows when a node has started.

package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"c100k/internal/version"
	"c100k/server"
)

// greeting says where the node is to be found, and what to try first. admin may be nil.
func greeting(c *server.Config, v version.Info, public, admin net.Addr) string {
	text := &strings.Builder{}
	site := reachable(public)
	fmt.Fprintf(text, "\n  c100k %s is running. Ctrl-C drains and stops it.\n\n", v.Version)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(text, "  %-8s"+format+"\n", append([]any{name}, args...)...)
	}
	if c.Dev {
		line("demo", "http://%s/          open it in two tabs", site)
	}
	line("public", "ws://%s/ws?topic=news", site)
	line("", "http://%s/sse?topic=news", site)
	if admin != nil {
		line("admin", "http://%s/metrics", reachable(admin))
	}
	if !c.Dev && len(c.PublicTopics) == 0 {
		line("", "no topic is open: --public-topics NAME opens some, --dev all of them")
	} else if admin != nil {
		line("try", "curl -d 'hello, all' http://%s/v1/topics/%s", reachable(admin), exampleTopic(c))
	}
	return text.String() + "\n"
}

// reachable is the address as this machine's user can type it: a wildcard address listens, but is
// nowhere.
func reachable(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil || !ap.Addr().IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", ap.Port())
}

// exampleTopic is the first topic that is open and that a shell takes without quotes.
func exampleTopic(c *server.Config) string {
	for _, topic := range c.PublicTopics {
		if !strings.ContainsAny(topic, "*?/ '\"$&") {
			return topic
		}
	}
	return "news"
}
