// Who may call: the key, loopback peers, and what browsers and proxies try.

package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// access is the rule of one handler. Immutable after newAccess.
type access struct {
	key      func() string // the API key of the moment; "" is none
	loopback bool          // peers on loopback need no key
	guesses  *guesses
	hosts    map[string]bool // names that may stand in Host and Origin besides loopback's, as listed, lower case
}

func newAccess(c Config, loopback bool, log *slog.Logger) access {
	a := access{guesses: newGuesses(log), key: c.APIKey, loopback: loopback, hosts: make(map[string]bool, len(c.Hosts))}
	if a.key == nil {
		a.key = func() string { return "" }
	}
	for _, host := range c.Hosts {
		a.hosts[strings.ToLower(host)] = true
	}
	return a
}

// check is nil for a request that may go on. A key that is right opens everything; one that is
// wrong nothing, not even from loopback.
func (a *access) check(r *http.Request) *Problem {
	key := a.key()
	if key != "" && len(r.Header.Values("Authorization")) > 0 {
		addr, right := guesser(r), keyMatches(key, r)
		if right && len(key) >= UnguessableBytes {
			return nil // strangers behind the same proxy do not lock its owner out
		}
		if !a.guesses.allowed(addr) {
			return NewProblem(http.StatusTooManyRequests, "too_many_wrong_keys", "too many wrong API keys came from this address; try again later")
		}
		if !right {
			a.guesses.wrong(addr, r)
			return NewProblem(http.StatusUnauthorized, "bad_key", "the API key is not the right one; send it as Authorization: Bearer KEY")
		}
		return nil
	}
	if !a.loopback || !loopbackPeer(r) {
		if key == "" {
			return NewProblem(http.StatusForbidden, "no_key_configured",
				"this node has no API key, so that its API answers only on the admin port, and only peers on loopback; set --api-key or --api-key-file")
		}
		return NewProblem(http.StatusUnauthorized, "key_required", "an API key is required: Authorization: Bearer KEY")
	}
	return a.checkBrowser(r)
}

func keyMatches(key string, r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	scheme, given, _ := strings.Cut(values[0], " ")
	// Hashes are compared, in constant time: neither the key's bytes nor its length show in how long
	// the answer takes.
	want, got := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(strings.TrimLeft(given, " ")))
	// RFC 9110, 11.1: the scheme is case-insensitive.
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// loopbackPeer says whether the request was made on this machine: over loopback, or over a unix
// socket. One that a proxy on this machine passes on was not.
func loopbackPeer(r *http.Request) bool {
	if _, unix := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); !unix {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().Unmap().IsLoopback() {
			return false
		}
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	return true
}

// checkBrowser keeps web pages out of the API of the machine they are looked at on. A page cannot
// forge any of the three headers.
func (a *access) checkBrowser(r *http.Request) *Problem {
	// Host: with DNS rebinding the page's own name points to 127.0.0.1, and its requests are
	// same-origin; but Host still has the page's name.
	if !a.hostAllowed(r.Host) {
		return NewProblem(http.StatusForbidden, "foreign_host",
			"Host "+quoted(r.Host)+" is neither a loopback name or address nor listed; send the API key")
	}
	// Origin: a form or a fetch without preflight from any page reaches us.
	if origins := r.Header.Values("Origin"); len(origins) > 0 && !a.originAllowed(origins, r.Host) {
		return NewProblem(http.StatusForbidden, "foreign_origin",
			"Origin "+quoted(strings.Join(origins, ", "))+" may not use this API without its key")
	}
	// Sec-Fetch-Site: <img src="http://127.0.0.1:9100/debug/pprof/profile"> sends no Origin. A link
	// that somebody follows is let through.
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "cross-site" || site == "same-site" {
		followed := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
		if !followed && len(r.Header.Values("Origin")) == 0 {
			return NewProblem(http.StatusForbidden, "foreign_site", "a page of another site may not use this API without its key")
		}
	}
	return nil
}

// hostAllowed judges a Host header: loopback's names and addresses, and what Config.Hosts lists
// with or without a port.
func (a *access) hostAllowed(hostport string) bool {
	hostport = strings.ToLower(hostport)
	host := hostname(hostport)
	if a.hosts[hostport] || a.hosts[host] {
		return true
	}
	// RFC 6761, 6.3: localhost and all below it are loopback.
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// originAllowed lets through the page's own origin, which is the host that the request names, and
// what Config.Hosts lists.
func (a *access) originAllowed(origins []string, host string) bool {
	if len(origins) != 1 {
		return false
	}
	u, err := url.Parse(origins[0])
	if err != nil || u.Host == "" {
		return false // also "null", which sandboxed pages and files send
	}
	origin := strings.ToLower(u.Host)
	return strings.EqualFold(origin, host) || a.hosts[origin] || a.hosts[hostname(origin)]
}

// hostname is hostport without its port and without an IPv6 address's brackets.
func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
