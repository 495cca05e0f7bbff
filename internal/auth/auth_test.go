package auth

import (
	"testing"
	"time"
)

func TestPublic(t *testing.T) {
	for _, row := range []struct {
		pattern, topic string
		want           bool
	}{
		{"news", "news", true}, {"news", "news2", false}, {"news", "", false}, {"*", "", true}, {"*", "anything", true},
		{"a*", "a", true}, {"a*", "ba", false}, {"*a", "ba", true}, {"*a", "ab", false}, {"a*b", "ab", true}, {"a*b", "a", false},
		{"a*a", "a", false}, {"a*b*c", "a-b-b-c", true}, {"a*b*c", "a-c-b", false}, {"**", "x", true}, {"", "x", false},
		{"*ab*ab", "abab", true}, {"*ab*ab", "ab", false},
	} {
		r := &Public{Topics: []string{"other", row.pattern}}
		if got := r.MaySubscribe(row.topic); got != row.want {
			t.Errorf("pattern %q, topic %q: %v, want %v", row.pattern, row.topic, got, row.want)
		}
		if r.MayPublish(row.topic) {
			t.Errorf("pattern %q lets everybody publish", row.pattern)
		}
	}
	if r := (&Public{Everything: true}); !r.MaySubscribe("x") || !r.MayPublish("x") {
		t.Error("Everything does not allow everything")
	}
}

func TestPrincipal(t *testing.T) {
	all := &Public{Everything: true}
	for name, row := range map[string]struct {
		p    Principal
		want bool
	}{
		"without rights": {Principal{Subject: "a"}, false},
		"for ever":       {Principal{Rights: all}, true},
		"not yet over":   {Principal{Rights: all, Expires: time.Second + 1}, true},
		"over":           {Principal{Rights: all, Expires: time.Second}, false},
	} {
		if row.p.MaySubscribe("t", time.Second) != row.want || row.p.MayPublish("t", time.Second) != row.want {
			t.Errorf("%s: want %v", name, row.want)
		}
	}
}

func TestPrincipals(t *testing.T) {
	var s Principals
	if s.Add(nil) != 0 || s.At(0) != nil || s.Len() != 0 {
		t.Error("nobody has an entry")
	}
	s.Free(0)
	p, q := &Principal{Subject: "p"}, &Principal{Subject: "q"}
	i, j := s.Add(p), s.Add(q)
	if s.At(i) != p || s.At(j) != q || s.Len() != 2 {
		t.Error("not what was added")
	}
	s.Free(i)
	if s.Len() != 1 || s.Add(p) != i || s.At(j) != q {
		t.Error("a freed index is not used again")
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b", "axb")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		// A second matcher, which tries every length of every star.
		if len(pattern) > 12 || len(s) > 16 {
			return
		}
		var slow func(p, s string) bool
		slow = func(p, s string) bool {
			switch {
			case p == "":
				return s == ""
			case p[0] == '*':
				return slow(p[1:], s) || s != "" && slow(p, s[1:])
			}
			return s != "" && p[0] == s[0] && slow(p[1:], s[1:])
		}
		if got, want := match(pattern, s), slow(pattern, s); got != want {
			t.Errorf("pattern %q, topic %q: %v, want %v", pattern, s, got, want)
		}
	})
}
