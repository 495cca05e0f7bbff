// HostRules: which values of Host a node answers.

package edge

import (
	"fmt"
	"net/netip"
	"strings"
)

// HostRules decides which values of Host are served. Without the check, a page at a name that its
// owner makes resolve to this node's address (DNS rebinding) has the node as its own host. The zero
// value allows every host. It is immutable; any goroutine may use it.
type HostRules struct {
	local bool
	names []string // in lower case; with a leading dot for subdomains
}

// LoopbackHosts allows the names of this machine for itself, localhost and its subdomains, and
// every IP address: an address in Host cannot be the name of a foreign page.
func LoopbackHosts() HostRules { return HostRules{local: true} }

// With returns h with further names: "example.com", or "*.example.com" for its subdomains. A port
// in Host is not compared.
func (h HostRules) With(names []string) (HostRules, error) {
	h.names = h.names[:len(h.names):len(h.names)]
	for _, given := range names {
		name := strings.ToLower(strings.TrimSpace(given))
		host, wild := strings.CutPrefix(name, "*.")
		bare, port := splitPort([]byte(host))
		if !validHost([]byte(host)) || host[0] == '.' || port != nil || strings.Contains(host, "*") || wild && bare[0] == '[' {
			return HostRules{}, fmt.Errorf("host %q: want a name such as example.com or *.example.com, without a port", given)
		}
		if wild {
			host = "." + host
		}
		h.names = append(h.names, host)
	}
	return h, nil
}

// Check judges the host of a parsed head. A request of HTTP/1.0 may have none; no browser sends
// one.
func (h *HostRules) Check(head *Head) *Refusal {
	host := head.Host()
	if len(host) == 0 || h.Allowed(host) {
		return nil
	}
	return RefuseHost.With("this node does not serve the host " + quoted(host) + "; --host allows it")
}

// Allowed judges one value of Host, with or without a port.
func (h *HostRules) Allowed(host []byte) bool {
	if !h.local && len(h.names) == 0 {
		return true
	}
	name, _ := splitPort(host)
	if h.local && (equalFold(name, "localhost") || isUnder(name, ".localhost") || isAddress(name)) {
		return true
	}
	for _, n := range h.names {
		if equalFold(name, n) || n[0] == '.' && isUnder(name, n) {
			return true
		}
	}
	return false
}

// isUnder tells whether name is a subdomain of domain, which begins with its dot.
func isUnder(name []byte, domain string) bool {
	return len(name) > len(domain) && equalFold(name[len(name)-len(domain):], domain)
}

func isAddress(name []byte) bool {
	text := string(name)
	if len(text) > 2 && text[0] == '[' {
		text = text[1 : len(text)-1]
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}
