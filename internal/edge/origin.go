// OriginRules: which web pages may use the node, by the Origin header field (RFC 6454; RFC 6455,
// section 10.2).

package edge

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// OriginRules decides which values of Origin are allowed. The zero value allows the host of the
// request. It is immutable; any goroutine may use it.
type OriginRules struct {
	listed   bool // there are rules, so the same host is allowed only if one says so
	all      bool
	sameHost bool
	null     bool
	rules    []originRule
}

// originRule allows one origin, or the subdomains of one.
type originRule struct {
	scheme string // in lower case; "": http and https
	host   string // in lower case; with a leading dot for its subdomains
	port   string // "": the scheme's default; "*": any
}

// anyPort in a rule stands for all ports.
const anyPort = "*"

// ParseOriginRules reads a list of rules:
//
//	https://example.com      this origin; :8443 behind it for another port, :* for any
//	https://*.example.com    all subdomains of example.com, not itself
//	example.com, *.x.org     the same for http and https
//	same-host                the host of the request: the default where the list is empty
//	null                     pages without an origin: files, sandboxed frames
//	*                        everybody
func ParseOriginRules(list []string) (OriginRules, error) {
	rules := OriginRules{listed: len(list) > 0}
	for _, text := range list {
		switch lowered := strings.ToLower(strings.TrimSpace(text)); lowered {
		case "*":
			rules.all = true
		case "same-host":
			rules.sameHost = true
		case "null":
			rules.null = true
		default:
			rule, err := parseOriginRule(lowered)
			if err != nil {
				return OriginRules{}, fmt.Errorf("origin %q: %w", text, err)
			}
			rules.rules = append(rules.rules, rule)
		}
	}
	return rules, nil
}

func parseOriginRule(text string) (rule originRule, err error) {
	rest := text
	if scheme, after, found := strings.Cut(text, "://"); found {
		if !validScheme([]byte(scheme)) {
			return rule, fmt.Errorf("%q is not a scheme", scheme)
		}
		rule.scheme, rest = scheme, after
	}
	switch {
	case rest == "":
		return rule, fmt.Errorf("the host is missing")
	case strings.ContainsAny(rest, "/?#"):
		return rule, fmt.Errorf("an origin ends with its host and port, without a path or a slash")
	}
	if before, found := strings.CutSuffix(rest, ":"+anyPort); found {
		rule.port, rest = anyPort, before
	}
	subdomains := strings.HasPrefix(rest, "*.")
	rest = strings.TrimPrefix(rest, "*.")
	if strings.Contains(rest, "*") {
		return rule, fmt.Errorf("* may stand alone, as the whole first label of the host, or as the port")
	}
	if !validHost([]byte(rest)) || rest[0] == '.' || rule.port == anyPort && hasPort(rest) {
		return rule, fmt.Errorf("%q is not a host with an optional port", rest)
	}
	name, port := splitPort([]byte(rest))
	if subdomains && name[0] == '[' {
		return rule, fmt.Errorf("an address has no subdomains")
	}
	rule.host = string(name)
	if subdomains {
		rule.host = "." + rule.host
	}
	if rule.port == "" {
		rule.port = string(effectivePort([]byte(rule.scheme), port))
	}
	return rule, nil
}

func hasPort(host string) bool {
	_, port := splitPort([]byte(host))
	return port != nil
}

// Check judges the Origin of a parsed head. A client without Origin is allowed: it is not a
// browser, and it could have sent any value. Two Origin fields are refused.
func (o *OriginRules) Check(h *Head) *Refusal {
	origin, n := h.Origin()
	switch {
	case n == 0:
		return nil
	case n > 1:
		return RefuseOrigin.With("more than one Origin header field")
	case !o.Allowed(origin, h.Host()):
		return OriginRefusal(string(origin))
	}
	return nil
}

// OriginRefusal is RefuseOrigin for one origin, with the flag that would allow it.
func OriginRefusal(origin string) *Refusal {
	return RefuseOrigin.With("the Origin " + quoted([]byte(origin)) + " is not allowed here; --origin allows it")
}

// All tells whether every origin is allowed: then no answer may allow credentials, because any page
// could use those of any visitor.
func (o *OriginRules) All() bool { return o.all }

// quotedBytesMax bounds what an answer or a log line repeats of a header field, in bytes.
const quotedBytesMax = 200

// quoted is a value of a request in quotes, shortened and in ASCII.
func quoted(value []byte) string {
	if len(value) > quotedBytesMax {
		return strconv.QuoteToASCII(string(value[:quotedBytesMax])) + "..."
	}
	return strconv.QuoteToASCII(string(value))
}

// Allowed judges the value of one Origin field in a request to host (a name, with the port if one
// was given). It allocates nothing.
func (o *OriginRules) Allowed(origin, host []byte) bool {
	if o.all {
		return true
	}
	if string(origin) == "null" {
		return o.null
	}
	scheme, name, port, ok := splitOrigin(origin)
	if !ok {
		return false
	}
	if (!o.listed || o.sameHost) && sameHost(scheme, name, port, host) {
		return true
	}
	for i := range o.rules {
		if o.rules[i].matches(scheme, name, port) {
			return true
		}
	}
	return false
}

// splitOrigin splits a serialized origin: RFC 6454, 6.2. The port is the scheme's default if none
// is written.
func splitOrigin(p []byte) (scheme, name, port []byte, ok bool) {
	end := bytes.Index(p, []byte("://"))
	if end < 0 || !validScheme(p[:end]) || !validHost(p[end+3:]) {
		return nil, nil, nil, false
	}
	name, port = splitPort(p[end+3:])
	return p[:end], name, effectivePort(p[:end], port), true
}

// validScheme is RFC 3986, 3.1.
func validScheme(p []byte) bool {
	for i, b := range p {
		letter := 'a' <= lower(b) && lower(b) <= 'z'
		if !letter && (i == 0 || classes[b]&inDigits == 0 && b != '+' && b != '-' && b != '.') {
			return false
		}
	}
	return len(p) > 0
}

var (
	portHTTP  = []byte("80")
	portHTTPS = []byte("443")
)

// effectivePort is the port that is written, which begins with its colon, or else the scheme's
// default.
func effectivePort(scheme, port []byte) []byte {
	switch {
	case len(port) > 1:
		return port[1:]
	case equalFold(scheme, "http"):
		return portHTTP
	case equalFold(scheme, "https"):
		return portHTTPS
	}
	return nil
}

// sameHost tells whether an origin has the host and port of the request. The scheme is taken from
// the origin, because behind a proxy that terminates TLS the request is plain HTTP.
func sameHost(scheme, name, port, host []byte) bool {
	if len(host) == 0 || !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return false
	}
	hostName, hostPort := splitPort(host)
	return bytes.EqualFold(hostName, name) && bytes.Equal(effectivePort(scheme, hostPort), port)
}

func (r *originRule) matches(scheme, name, port []byte) bool {
	if r.scheme == "" {
		if !equalFold(scheme, "http") && !equalFold(scheme, "https") {
			return false
		}
	} else if !equalFold(scheme, r.scheme) {
		return false
	}
	return r.matchesPort(scheme, port) && r.matchesHost(name)
}

func (r *originRule) matchesPort(scheme, port []byte) bool {
	switch r.port {
	case anyPort:
		return true
	case "":
		return bytes.Equal(port, effectivePort(scheme, nil))
	}
	return string(port) == r.port
}

func (r *originRule) matchesHost(name []byte) bool {
	if r.host[0] != '.' {
		return equalFold(name, r.host)
	}
	return len(name) > len(r.host) && equalFold(name[len(name)-len(r.host):], r.host)
}
