// Tests of the rules for origins.

package edge

import (
	"net/url"
	"strings"
	"testing"
)

func TestOriginRules(t *testing.T) {
	for _, tt := range []struct {
		rules, origin, host string
		want                bool
	}{
		{"", "http://example.com", "example.com", true},
		{"", "https://example.com", "example.com", true},
		{"", "http://EXAMPLE.com", "example.COM", true},
		{"", "http://example.com:80", "example.com", true},
		{"", "http://example.com", "example.com:80", true},
		{"", "https://example.com", "example.com:443", true},
		{"", "https://example.com", "example.com:", true},
		{"", "http://example.com:8080", "example.com:8080", true},
		{"", "http://[::1]:8080", "[::1]:8080", true},
		{"", "http://[::1]", "[::1]", true},
		{"", "https://example.com", "example.com:80", false},
		{"", "http://example.com:8080", "example.com", false},
		{"", "http://example.com", "example.com:8080", false},
		{"", "http://evil.com", "example.com", false},
		{"", "http://example.com.evil.com", "example.com", false},
		{"", "http://evilexample.com", "example.com", false},
		{"", "capacitor://localhost", "localhost", false},
		{"", "null", "example.com", false},
		{"", "", "example.com", false},
		{"", "example.com", "example.com", false},
		{"", "http://example.com/", "example.com", false},
		{"", "http://user@example.com", "example.com", false},
		{"", "http://", "", false},
		{"", "http://example.com", "", false},
		{"", "http://a http://example.com", "example.com", false},

		{"*", "http://evil.com", "example.com", true},
		{"*", "null", "example.com", true},
		{"null", "null", "example.com", true},
		{"null", "http://example.com", "example.com", false},
		{"same-host", "http://example.com", "example.com", true},
		{"same-host,https://a.b", "https://a.b", "example.com", true},

		{"https://a.example.com", "https://a.example.com", "x", true},
		{"https://a.example.com", "https://A.Example.Com:443", "x", true},
		{"https://A.example.com:443", "https://a.example.com", "x", true},
		{"https://a.example.com", "http://a.example.com", "x", false},
		{"https://a.example.com", "https://a.example.com:8443", "x", false},
		{"https://a.example.com", "https://x", "x", false},
		{"https://a.example.com:8443", "https://a.example.com:8443", "x", true},
		{"http://localhost:*", "http://localhost:5173", "x", true},
		{"http://localhost:*", "http://localhost", "x", true},
		{"http://localhost:*", "https://localhost:5173", "x", false},
		{"http://localhost:*", "http://localhost.evil.com:1", "x", false},

		{"https://*.example.com", "https://a.example.com", "x", true},
		{"https://*.example.com", "https://a.b.example.com", "x", true},
		{"https://*.example.com", "https://example.com", "x", false},
		{"https://*.example.com", "https://.example.com", "x", false},
		{"https://*.example.com", "https://evilexample.com", "x", false},
		{"https://*.example.com", "http://a.example.com", "x", false},
		{"https://*.example.com", "https://a.example.com:8443", "x", false},
		{"https://*.example.com:8443", "https://a.example.com:8443", "x", true},
		{"*.example.com", "http://a.example.com", "x", true},
		{"*.example.com", "https://a.example.com", "x", true},
		{"*.example.com", "ftp://a.example.com", "x", false},
		{"example.com", "https://example.com", "x", true},
		{"example.com:8080", "http://example.com:8080", "x", true},
		{"capacitor://localhost", "capacitor://localhost", "x", true},
		{"chrome-extension://abc", "chrome-extension://abc", "x", true},
	} {
		var list []string
		if tt.rules != "" {
			list = strings.Split(tt.rules, ",")
		}
		rules, err := ParseOriginRules(list)
		if err != nil {
			t.Fatalf("%q: %v", tt.rules, err)
		}
		if got := rules.Allowed([]byte(tt.origin), []byte(tt.host)); got != tt.want {
			t.Errorf("rules %q, Origin %q, Host %q: %t", tt.rules, tt.origin, tt.host, got)
		}
	}
}

func TestParseOriginRulesRefuses(t *testing.T) {
	for rule, want := range map[string]string{
		"":                       "host is missing",
		"https://":               "host is missing",
		"https://example.com/":   "without a path",
		"https://example.com/x":  "without a path",
		"1http://example.com":    "not a scheme",
		"://example.com":         "not a scheme",
		"https://a.*.com":        "may stand alone",
		"https://a*.example.com": "may stand alone",
		"https://*":              "may stand alone",
		"https://*.*.com":        "may stand alone",
		"exa mple.com":           "not a host",
		"example.com:99999":      "not a host",
		"example.com:80:*":       "not a host",
		"https://*.[::1]":        "no subdomains",
		"*.":                     "not a host",
		".example.com":           "not a host",
		"*..example.com":         "not a host",
	} {
		_, err := ParseOriginRules([]string{"https://good.example", rule})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want: %s", rule, err, want)
		}
	}
}

func TestOriginCheck(t *testing.T) {
	var rules OriginRules
	for _, tt := range []struct {
		origins string
		want    *Refusal
	}{
		{"", nil},
		{"Origin: http://h\r\n", nil},
		{"Origin: http://evil\r\n", RefuseOrigin},
		{"Origin:\r\n", RefuseOrigin},
		{"Origin: http://h\r\norigin: http://h\r\n", RefuseOrigin},
	} {
		if got := rules.Check(parsed(t, "GET / HTTP/1.1\r\nHost: h\r\n"+tt.origins+"\r\n")); got != tt.want && !got.Is(tt.want) {
			t.Errorf("%q: %v", tt.origins, got)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("https://*.example.com:8443", "https://a.example.com:8443", "example.com")
	f.Add("example.com", "http://EXAMPLE.com", "[::1]:80")
	f.Add("http://localhost:*", "null", "")
	f.Fuzz(func(t *testing.T, rule, origin, host string) {
		var same OriginRules
		if same.Allowed([]byte(origin), []byte(host)) {
			// Whatever may be allowed for the same host: net/url sees that host in the origin, too.
			u, err := url.Parse(origin)
			if err != nil || !strings.EqualFold(u.Hostname(), (&url.URL{Host: host}).Hostname()) || u.Path != "" || u.User != nil {
				t.Errorf("Origin %q is allowed at Host %q: %v", origin, host, err)
			}
		}
		rules, err := ParseOriginRules([]string{rule})
		if err != nil || rules.all || rules.null || rules.sameHost {
			return
		}
		if rules.Allowed([]byte(origin), []byte(host)) {
			name := strings.TrimPrefix(rules.rules[0].host, ".")
			u, err := url.Parse(origin)
			if err != nil || !strings.HasSuffix(strings.ToLower(u.Host[:len(u.Host)-len(portOf(u))]), name) {
				t.Errorf("rule %q allows %q", rule, origin)
			}
		}
	})
}

// portOf is the port of a URL with its colon.
func portOf(u *url.URL) string {
	if i := strings.LastIndexByte(u.Host, ':'); i > strings.LastIndexByte(u.Host, ']') {
		return u.Host[i:]
	}
	return ""
}
