package auth

import (
	"slices"
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, row := range []struct {
		pattern, sub, topic string
		want                bool
	}{
		{"news", "", "news", true}, {"news", "", "news2", false}, {"news", "", "new", false}, {"news", "", "news.a", false}, {"a.b", "", "a", false},
		{"*", "", "a", true}, {"*", "", "a.b", false}, {"a.*", "", "a.b", true}, {"a.*", "", "a", false}, {"a.*", "", "a.b.c", false}, {"*.b", "", "a.b", true},
		{"*.b", "", "a.c", false}, {"a.*.c", "", "a.b.c", true}, {"a.*.c", "", "a.b.d", false}, {"a.*.c", "", "a.c", false}, {"*.*", "", "a.b", true},
		{">", "", "a", true}, {">", "", "a.b.c", true}, {">", "", ".", true}, {"a.>", "", "a", false}, {"a.>", "", "a.b", true}, {"a.>", "", "a.b.c", true},
		{"a.>", "", "ab.c", false}, {"a.*.>", "", "a.b", false}, {"a.*.>", "", "a.b.c", true}, {"*.>", "", "a", false}, {"*.>", "", "a.b", true},
		// A wildcard matches an empty level: a list that denies has no hole.
		{"a.>", "", "a.", true}, {"a.*", "", "a.", true}, {"*", "", "", true}, {"a.*.c", "", "a..c", true}, {"a.>", "", "a..b", true},
		{"user.{sub}", "u1", "user.u1", true}, {"user.{sub}", "u1", "user.u2", false}, {"user.{sub}", "u1", "user.u1.x", false}, {"user.{sub}", "u1", "user.", false},
		{"user.{sub}.>", "u1", "user.u1.x", true}, {"user.{sub}.>", "u1", "user.u1", false}, {"dm-{sub}-{sub}", "u1", "dm-u1-u1", true}, {"dm-{sub}-{sub}", "u1", "dm-u1-u2", false},
		{"{sub}", "u1", "u1", true}, {"{sub}", "u1", "u11", false}, {"{sub}.{sub}", "a", "a.a", true}, {"x.{sub}", "", "x.", false}, {"x.{sub}", "", "x.{sub}", false},
	} {
		p, err := ParsePattern(row.pattern)
		if err != nil {
			t.Fatalf("pattern %q: %v", row.pattern, err)
		}
		if got := p.Match(row.topic, row.sub); got != row.want {
			t.Errorf("pattern %q, subject %q, topic %q: %v, want %v", row.pattern, row.sub, row.topic, got, row.want)
		}
	}
	var none Pattern
	if none.Match("", "") || none.Match("a", "a") {
		t.Error("the zero value matches")
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for pattern, want := range map[string]string{
		"": "it is empty", ".": "a level is empty", "a.": "a level is empty", ".a": "a level is empty", "a..b": "a level is empty",
		">.a": "must be the last", "a.>.b": "must be the last", "a.b>": "must be alone", ">a": "must be alone",
		"a*": "write a and a.> if levels were meant", "chat.a*": "write chat.a and chat.a.>", "*a": "must be alone", "a*b": "must be alone", "**": "must be alone", "a.*{sub}": "must be alone",
		"a\n": "control characters", "\xff": "UTF-8", strings.Repeat("a", 256): "256 bytes", "user.{id}": "only variable is {sub}",
	} {
		if _, err := ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pattern %q: %v, want %q", pattern, err, want)
		}
	}
	if _, err := ParsePublic("user.{sub}"); err == nil || !strings.Contains(err.Error(), "need none") {
		t.Errorf("public {sub}: %v", err)
	}
}

// Who used the old star is told what to write.
func TestOldStar(t *testing.T) {
	for pattern, want := range map[string]string{
		"*": "write > for all topics", "chat.*": "write chat.> if it should", "a.*.b": "no longer any run", "news": "", "a.>": "", "a*": "",
	} {
		if got := OldStar(pattern); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", pattern, got, want)
		}
	}
}

// Whatever a subject contains, it is one level, and that of no other subject.
func TestSubjectLevel(t *testing.T) {
	levels := map[string]string{}
	for _, sub := range []string{"u1", "a.b", "a", "*", ">", "%2E", "a%2Eb", ".", "{sub}", "ann@example.com", "ü", " "} {
		level, err := SubjectLevel(sub)
		if err != nil || strings.ContainsAny(level, ".*>") || level == "" {
			t.Errorf("%q: %q %v", sub, level, err)
		}
		if other, twice := levels[level]; twice {
			t.Errorf("%q and %q are both %q", sub, other, level)
		}
		levels[level] = sub
	}
	for _, sub := range []string{"", "a\x00", "\xff", strings.Repeat("a", SubjectBytesMax+1)} {
		if _, err := SubjectLevel(sub); err == nil {
			t.Errorf("%q is a subject", sub)
		}
	}
	// A subject > does not make everything of a pattern.
	p := principal(t, &Identity{Subject: ">", Lists: Lists{Subscribe: []string{"user.{sub}", "room.{sub}.>"}}})
	for topic, want := range map[string]bool{"user.a": false, "user.>": false, "user.%3E": true, "user.%3E.a": false, "room.%3E.a": true, "room.a.b": false} {
		if p.May(Subscribe, topic, 0) != want {
			t.Errorf("%s: want %v", topic, want)
		}
	}
	// Nor does one with a dot read what is another's.
	p = principal(t, &Identity{Subject: "a", Lists: Lists{Subscribe: []string{"user.{sub}.>"}}})
	other := principal(t, &Identity{Subject: "a.b", Lists: Lists{Subscribe: []string{"user.{sub}.>"}, Join: []string{"user.{sub}.inbox"}}})
	if topic := other.AppendJoin(nil)[0]; !other.May(Subscribe, topic, 0) || p.May(Subscribe, topic, 0) {
		t.Errorf("topic %s", topic)
	}
}

// slowMatch matches level by level, by recursion.
func slowMatch(pattern, topic []string, sub string) bool {
	switch {
	case len(pattern) == 0 || len(topic) == 0:
		return len(pattern) == len(topic)
	case pattern[0] == ">":
		return true
	case pattern[0] != "*" && strings.ReplaceAll(pattern[0], "{sub}", sub) != topic[0]:
		return false
	}
	return slowMatch(pattern[1:], topic[1:], sub)
}

func FuzzPattern(f *testing.F) {
	f.Add("a.*.>", "u1", "a.b.c")
	f.Add("user.{sub}", ">", "user.x")
	f.Add("{sub}{sub}", "aa", "aaaa")
	f.Add("a.>", ".", "a.")
	f.Fuzz(func(t *testing.T, pattern, sub, topic string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		level, err := SubjectLevel(sub)
		if err != nil {
			level = ""
		}
		levels := strings.Split(pattern, ".")
		want := slowMatch(levels, strings.Split(topic, "."), level) && (level != "" || !p.HasSubject())
		if got := p.Match(topic, level); got != want {
			t.Errorf("pattern %q, subject %q, topic %q: %v, want %v", pattern, sub, topic, got, want)
		}
		// A pattern without wildcards matches one topic.
		if !slices.Contains(levels, "*") && !slices.Contains(levels, ">") && want {
			if only := strings.ReplaceAll(pattern, "{sub}", level); only != topic {
				t.Errorf("pattern %q, subject %q matches %q and not only %q", pattern, sub, topic, only)
			}
		}
	})
}
