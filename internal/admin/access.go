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
	"time"
)

// access is the rule of one handler. Immutable after newAccess.
type access struct {
	key      func() string // the API key of the moment; "" is none
	readKey  func() string // likewise, of those who only read
	sessions *sessions
	loopback bool // peers on loopback need no key
	guesses  *guesses
	hosts    map[string]bool // names that may stand in Host and Origin besides loopback's, as listed, lower case
}

func newAccess(c Config, loopback bool, log *slog.Logger) access {
	a := access{guesses: newGuesses(log), sessions: &sessions{now: time.Now}, key: c.APIKey, readKey: c.ReadKey, loopback: loopback, hosts: make(map[string]bool, len(c.Hosts))}
	if a.key == nil {
		a.key = func() string { return "" }
	}
	if a.readKey == nil {
		a.readKey = func() string { return "" }
	}
	for _, host := range c.Hosts {
		a.hosts[strings.ToLower(host)] = true
	}
	return a
}

// judge says what the caller may do; a request that may do nothing gets a problem. A key that is
// right opens what it is for; one that is wrong nothing, not even from loopback.
func (a *access) judge(r *http.Request) (role, *Problem) {
	key, readKey := a.key(), a.readKey()
	if (key != "" || readKey != "") && len(r.Header.Values("Authorization")) > 0 {
		return a.tryKey(r, bearer(r))
	}
	if s := a.session(r); s != nil {
		if !reads(r) && !s.mayChange(r) {
			return roleNone, NewProblem(http.StatusForbidden, "csrf", "a page that has logged in sends its requests with the header "+csrfHeader)
		}
		return s.may, a.checkOrigin(r)
	}
	if !a.loopback || !loopbackPeer(r) {
		if key == "" && readKey == "" {
			return roleNone, NewProblem(http.StatusForbidden, "no_key_configured",
				"this node has no API key, so that its API answers only on the admin port, and only peers on loopback; set --api-key or --api-key-file")
		}
		return roleNone, NewProblem(http.StatusUnauthorized, "key_required", "an API key is required: Authorization: Bearer KEY")
	}
	if problem := a.checkBrowser(r); problem != nil {
		return roleNone, problem
	}
	return roleFull, nil
}

// reads tells whether a request only reads.
func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// session is the session of a request whose key is still a key; nil without one.
func (a *access) session(r *http.Request) *session {
	s := a.sessions.of(r)
	if s == nil || a.roleOf(s.key) != s.may {
		return nil
	}
	return s
}

// roleOf is what a key is for.
func (a *access) roleOf(given string) role {
	switch {
	case same(a.key(), given):
		return roleFull
	case same(a.readKey(), given):
		return roleRead
	}
	return roleNone
}

// tryKey is roleOf for a caller who may not try too often.
func (a *access) tryKey(r *http.Request, given string) (role, *Problem) {
	addr, may := guesser(r), a.roleOf(given)
	if may != roleNone && len(given) >= UnguessableBytes {
		return may, nil // strangers behind the same proxy do not lock its owner out
	}
	if !a.guesses.allowed(addr) {
		return roleNone, NewProblem(http.StatusTooManyRequests, "too_many_wrong_keys", "too many wrong API keys came from this address; try again later")
	}
	if may == roleNone {
		a.guesses.wrong(addr, r)
		return roleNone, NewProblem(http.StatusUnauthorized, "bad_key", "the API key is not the right one; send it as Authorization: Bearer KEY")
	}
	return may, nil
}

// bearer is the key of the header Authorization; empty if it is none.
func bearer(r *http.Request) string {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, given, _ := strings.Cut(values[0], " ")
	// RFC 9110, 11.1: the scheme is case-insensitive.
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(given, " ")
}

// same compares a key that is configured, if there is one, with one that was given.
func same(key, given string) bool {
	// Hashes are compared, in constant time: neither the key's bytes nor its length show in how long
	// the answer takes.
	want, got := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(given))
	return key != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
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
	if problem := a.checkOrigin(r); problem != nil {
		return problem
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

// checkOrigin: a form or a fetch without preflight from any page reaches us.
func (a *access) checkOrigin(r *http.Request) *Problem {
	if origins := r.Header.Values("Origin"); len(origins) > 0 && !a.originAllowed(origins, r.Host) {
		return NewProblem(http.StatusForbidden, "foreign_origin",
			"Origin "+quoted(strings.Join(origins, ", "))+" may not use this API without its key")
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
