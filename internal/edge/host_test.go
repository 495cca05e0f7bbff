// Tests of the rules for Host.

package edge

import (
	"strings"
	"testing"
)

func TestHostRules(t *testing.T) {
	named, err := HostRules{}.With([]string{"Example.com", "*.push.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := LoopbackHosts().With([]string{"box"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		rules   HostRules
		allowed string
		refused string
	}{
		{"none", HostRules{}, "a example.com [::1]:80 evil.example", ""},
		{"names", named, "example.com EXAMPLE.COM:8080 a.push.example.com", "a.example.com push.example.com 127.0.0.1 localhost xexample.com"},
		{"loopback", dev, "localhost localhost:8080 a.localhost 127.0.0.1:8080 [::1]:8080 192.168.1.2 box", "evil.example localhost.evil.example 127.0.0.1.evil.example xlocalhost"},
	} {
		for _, host := range strings.Fields(tt.allowed) {
			if !tt.rules.Allowed([]byte(host)) {
				t.Errorf("%s: %s is refused", tt.name, host)
			}
		}
		for _, host := range strings.Fields(tt.refused) {
			refusal := tt.rules.Check(parsed(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"))
			if refusal == nil || refusal.Status != 421 || !strings.Contains(refusal.Reason, host) || !strings.Contains(refusal.Reason, "--host") {
				t.Errorf("%s: %s: %v", tt.name, host, refusal)
			}
		}
	}
	for _, bad := range []string{"", "a:80", "http://a", "a b", "*", "*.*", "a.*", "*.[::1]", ".example.com"} {
		if _, err := (HostRules{}).With([]string{bad}); err == nil {
			t.Errorf("%q is a rule", bad)
		}
	}
}

// TestHostOfEachRequest: the rules hold in the head role and for each later request.
func TestHostOfEachRequest(t *testing.T) {
	n := newNode(t, 0)
	n.cfg.Hosts = LoopbackHosts()
	p := n.Connect(headRole)
	p.Write([]byte(strings.Replace(offer(), "Host: h\r\n", "Host: evil.example\r\n", 1)))
	n.Settle()
	if res, _ := answer(t, p.Read(), "GET"); res.StatusCode != 421 {
		t.Error(res.Status)
	}
	here, there := head("GET / HTTP/1.1", "Host: localhost"), head("GET / HTTP/1.1", "Host: evil.example")
	c, s := scripted(here+there, 1<<20)
	c.listener.opt.Hosts = LoopbackHosts()
	if out, _ := readAll(c); out != here || !strings.HasPrefix(s.sent.String(), "HTTP/1.1 421 ") {
		t.Errorf("%q, %q", out, s.sent.String())
	}
}

func FuzzHost(f *testing.F) {
	f.Add("*.example.com", "a.example.com:80")
	f.Add("localhost", "[::1]:8080")
	f.Fuzz(func(t *testing.T, rule, host string) {
		rules, err := HostRules{}.With([]string{rule})
		if err != nil || !validHost([]byte(host)) {
			return
		}
		name, _ := splitPort([]byte(host))
		got := rules.Allowed([]byte(host))
		lowered, want := strings.ToLower(string(name)), strings.ToLower(strings.TrimSpace(rule))
		suffix, wild := strings.CutPrefix(want, "*")
		if wild {
			if got != (strings.HasSuffix(lowered, suffix) && len(lowered) > len(suffix)) {
				t.Errorf("rule %q, host %q: %t", rule, host, got)
			}
		} else if got != (lowered == want) {
			t.Errorf("rule %q, host %q: %t", rule, host, got)
		}
	})
}
