// URLs of Redis: those that are taken, and what is said of the others.

package redisurl

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		hosts                        []string
		user, password, master, rest string
		database                     int
		secure, cluster              bool
	}{
		"redis://h":                  {hosts: []string{"h:6379"}},
		"redis://h:1/7?prefix=blue":  {hosts: []string{"h:1"}, database: 7, rest: "blue"},
		"redis://[::1]":              {hosts: []string{"[::1]:6379"}},
		"redis://[::1]:1":            {hosts: []string{"[::1]:1"}},
		"redis://:se%40cret@h":       {hosts: []string{"h:6379"}, password: "se@cret"},
		"rediss://user:s@h:2/":       {hosts: []string{"h:2"}, user: "user", password: "s", secure: true},
		"redis-sentinel://a,b:1/m":   {hosts: []string{"a:26379", "b:1"}, master: "m"},
		"redis-sentinel://:p@a/m/3":  {hosts: []string{"a:26379"}, master: "m", database: 3, password: "p"},
		"rediss-sentinel://a/m":      {hosts: []string{"a:26379"}, master: "m", secure: true},
		"rediss-cluster://a":         {hosts: []string{"a:6379"}, cluster: true, secure: true},
		"unix:///run/redis.sock":     {hosts: []string{"/run/redis.sock"}},
		"redis-cluster://a:1,[::2]":  {hosts: []string{"a:1", "[::2]:6379"}, cluster: true},
		"redis-cluster://u:p@a,b:7/": {hosts: []string{"a:6379", "b:7"}, cluster: true, user: "u", password: "p"},
	} {
		u, err := Read(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		o := u.Option
		if !slices.Equal(o.InitAddress, want.hosts) || o.Username != want.user || o.Password != want.password || o.SelectDB != want.database ||
			o.Sentinel.MasterSet != want.master || u.Prefix != want.rest || u.Cluster != want.cluster || (o.TLSConfig != nil) != want.secure {
			t.Errorf("%s: %+v %+v", text, u, o)
		}
		if !Is(text) {
			t.Errorf("%s: Is says no", text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "h:6379", "unix://", "unix://host/x", "unix:///x?db=1", "http://h", "redis://", "redis://a,b", "redis://h:0", "redis://h:70000", "redis://h:x", "redis://h/x", "redis://h/-1",
		"redis://h/1/2", "redis://h?db=1", "redis://h?prefix=", "redis://h?prefix=a&prefix=b", "redis://h?prefix=%7Bx%7D", "redis://h#x",
		"redis://s3cret@h", "redis://user:@h", "redis://:s3cret@", "redis-sentinel://a,b", "redis-sentinel://a/m/1/2", "redis-cluster://a/1",
		"redis-cluster://a,", "redis-cluster://" + strings.Repeat("h,", 64) + "h", "redis://:%zz@h",
		"redis://h?prefix=" + strings.Repeat("x", 65),
	} {
		if u, err := Read(text); err == nil {
			t.Errorf("%s: %+v", text, u.Option)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %q tells a secret", text, err)
		}
	}
}

func TestRedacted(t *testing.T) {
	for text, want := range map[string]string{
		"redis://h:1":                            "redis://h:1",
		"redis://:s3cret@h:1/2":                  "redis://:xxxxx@h:1/2",
		"redis-sentinel://user:s3@cret@a,b:1/m?": "redis-sentinel://user:xxxxx@a,b:1/m?",
		"s3cret":                                 "(not a URL)",
	} {
		if got := Redacted(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// FuzzParse: what is taken has hosts, and no secret is in the redacted form.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"redis://:p@h:1/2?prefix=x", "rediss://h", "redis-sentinel://a,b/m/1", "redis-cluster://u:p@a,b", "redis://[::1]:1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Read(text)
		if err != nil {
			return
		}
		if len(u.Option.InitAddress) == 0 || !Is(text) {
			t.Errorf("%+v", u.Option)
		}
		if p := u.Option.Password; len(p) > 8 && !strings.Contains("redis-sentinel://xxxxx", p) && strings.Count(text, p) == 1 && strings.Contains(Redacted(text), p) {
			t.Errorf("%q tells %q", Redacted(text), p)
		}
	})
}
