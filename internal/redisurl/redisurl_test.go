package redisurl

import (
	"fmt"
	"testing"
)

func TestParse(t *testing.T) {
	for raw, want := range map[string]string{
		"redis://127.0.0.1:7000":            `[127.0.0.1:7000]  "" "" tls=false single=true`,
		"redis://u:p@h/3":                   `[h:6379]  "u" "p" tls=false single=true`,
		"rediss://h:7000":                   `[h:7000]  "" "" tls=true single=true`,
		"redis-sentinel://a:1,b/main":       `[a:1 b:26379] main "" "" tls=false single=false`,
		"rediss-sentinel://:p%40@a/main":    `[a:26379] main "" "p@" tls=true single=false`,
		"redis-cluster://u:p@a,b:2,[::1]:3": `[a:6379 b:2 [::1]:3]  "u" "p" tls=false single=false`,
		"unix:///run/redis.sock":            `[/run/redis.sock]  "" "" tls=false single=true`,
		"redis-sentinel://a:1,b":            "",
		"redis-cluster://":                  "",
		"redis-cluster://a,,b":              "",
		"redis-other://a":                   "",
		"nats://a":                          "",
		"127.0.0.1:6379":                    "",
		"":                                  "",
	} {
		o, err := Parse(raw)
		got := ""
		if err == nil {
			got = fmt.Sprintf("%v %s %q %q tls=%v single=%v", o.InitAddress, o.Sentinel.MasterSet, o.Username, o.Password, o.TLSConfig != nil, o.ForceSingleClient)
		}
		if got != want {
			t.Errorf("%q: %s, %v, want %s", raw, got, err, want)
		}
	}
}

func TestRedacted(t *testing.T) {
	for raw, want := range map[string]string{
		"redis://h": "redis://h", "redis://u:p@h": "redis://u:xxxxx@h", "redis-cluster://:p:@q@a,b": "redis-cluster://:xxxxx@a,b", "redis://u@h": "redis://u@h",
	} {
		if got := Redacted(raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
