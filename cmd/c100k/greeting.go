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

// greeting says where the node is to be found, and what to try first. admin may be nil. fingerprint
// is that of a certificate made for this start, or empty.
func greeting(c *server.Config, v version.Info, public, admin net.Addr, fingerprint string) string {
	text := &strings.Builder{}
	site := reachable(public)
	fmt.Fprintf(text, "\n  c100k %s is running. Ctrl-C drains and stops it.\n\n", v.Version)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(text, "  %-8s"+format+"\n", append([]any{name}, args...)...)
	}
	ws, http, adminHTTP := "ws", "http", "http"
	if c.SpeaksTLS() {
		ws, http = "wss", "https"
	}
	if c.AdminTLSCert != "" {
		adminHTTP = "https"
	}
	if c.Dev {
		line("demo", "%s://%s/          open it in two tabs", http, site)
	}
	line("public", "%s://%s/ws?topic=news", ws, site)
	line("", "%s://%s/sse?topic=news", http, site)
	if fingerprint != "" {
		line("cert", "made for this start, so browsers ask and curl wants -k; SHA-256:")
		line("", "%s", fingerprint)
	}
	if admin != nil {
		line("admin", "%s://%s/metrics", adminHTTP, reachable(admin))
	}
	if !c.Dev && len(c.PublicTopics) == 0 {
		line("", "no topic is open: --public-topics NAME opens some, --dev all of them")
	} else if admin != nil {
		line("try", "curl -d 'hello, all' %s://%s/v1/topics/%s", adminHTTP, reachable(admin), exampleTopic(c))
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
