// Servers of Node judge: a cluster of two of them and two of ours does what a cluster of four of
// them does.

package cluster

import (
	"context"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"c100k/socketio"
)

// judge runs clusterjudge.mjs and returns what it prints.
func judge(t *testing.T, caller int, form string, servers []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append([]string{"clusterjudge.mjs", strconv.Itoa(caller), form}, servers...)...)
	cmd.Dir = scripts
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, errs.String(), out)
	}
	return string(out)
}

// differs are what is not compared.
var differs = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`"at":"(a|b|c|d|go)"`), `"at":""`},
	{regexp.MustCompile(`"host":"[^"]*"`), `"host":""`},
	{regexp.MustCompile(`[?&]t=[^&"]*`), ""},
	{regexp.MustCompile(`,"t":"[^"]*"`), ""},
	{regexp.MustCompile(`,"[0-9]{13}-[0-9]+"\]`), "]"}, // offsets
	{regexp.MustCompile(`"address":"(::ffff:)?127.0.0.1"`), `"address":""`},
}

func same(transcript string) string {
	for _, d := range differs {
		transcript = d.pattern.ReplaceAllString(transcript, d.by)
	}
	return transcript
}

// compare reports the first differences of two transcripts.
func compare(t *testing.T, ours, theirs string) {
	t.Helper()
	a, b := strings.Split(same(ours), "\n"), strings.Split(same(theirs), "\n")
	shown, title := 0, ""
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if strings.HasPrefix(y, "#") {
			title = y
		}
		if x != y && shown < 12 {
			t.Errorf("%s:\n ours: %s\n Node: %s", title, x, y)
			shown++
		}
	}
}

// variant is a cluster that is compared with one of four servers of Node.
type variant struct {
	options string // of the adapter of Node's servers
	join    func(t *testing.T, path string) (*Cluster, socketio.Options)
}

// judged compares clusters of two servers of Node and two of ours with one of four of Node: a
// server of Node calls, then one of ours. The servers of Node have different clients of Redis.
func judged(t *testing.T, form string, variants map[string]variant) {
	if raceEnabled {
		t.Skip("takes minutes with the race detector, which other tests of this package are for")
	}
	t.Parallel()
	clients := []string{"ioredis", "redis", "ioredis", "redis"}
	path := needRedis(t)
	theirs := make([]string, 4)
	for i := range theirs {
		theirs[i] = startNode(t, form, clients[i], path, string(rune('a'+i)), `{}`)
	}
	want := map[int]string{}
	for _, caller := range []int{0, 2} {
		want[caller] = judge(t, caller, form, theirs)
	}
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			path := needRedis(t)
			mixed := []string{startNode(t, form, clients[0], path, "a", v.options), startNode(t, form, clients[1], path, "b", v.options)}
			for range 2 {
				c, o := v.join(t, path)
				mixed = append(mixed, startGo(t, c, o).address)
			}
			for caller := range want {
				compare(t, judge(t, caller, form, mixed), want[caller])
			}
		})
	}
	if form != "redis" {
		return
	}
	t.Run("over a bus", func(t *testing.T) {
		var m memory
		ours := make([]string, 4)
		for i := range ours {
			c, _ := m.join(t, OverOptions{PartBytesMax: 512})
			ours[i] = startGo(t, c, socketio.Options{}).named(string(rune('a' + i))).address
		}
		compare(t, judge(t, 2, "over", ours), judge(t, 2, "over", theirs))
	})
}

func TestJudgeRedis(t *testing.T) {
	join := func(t *testing.T, path string) (*Cluster, socketio.Options) {
		c, err := Redis(t.Context(), RedisOptions{URL: redisURL(path)})
		if err != nil {
			t.Fatal(err)
		}
		return c, socketio.Options{}
	}
	judged(t, "redis", map[string]variant{
		"common answers":   {`{}`, join},
		"specific answers": {`{"publishOnSpecificResponseChannel":true,"requestsTimeout":30000}`, join},
	})
}

func TestJudgeSharded(t *testing.T) {
	variants := map[string]variant{}
	for _, mode := range []SubscriptionMode{Dynamic, DynamicPrivate, Static} {
		variants[string(mode)] = variant{`{"subscriptionMode":"` + string(mode) + `"}`, func(t *testing.T, path string) (*Cluster, socketio.Options) {
			c, err := Sharded(t.Context(), ShardedOptions{RedisOptions: RedisOptions{URL: redisURL(path)}, Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			return c, socketio.Options{}
		}}
	}
	judged(t, "redis-sharded", variants)
}

func TestJudgeStreams(t *testing.T) {
	join := func(count int, o socketio.Options) func(t *testing.T, path string) (*Cluster, socketio.Options) {
		return func(t *testing.T, path string) (*Cluster, socketio.Options) {
			c, err := Streams(t.Context(), StreamsOptions{RedisOptions: RedisOptions{URL: redisURL(path)}, Count: count})
			if err != nil {
				t.Fatal(err)
			}
			return c, o
		}
	}
	judged(t, "redis-streams", map[string]variant{
		"one stream": {`{}`, join(1, socketio.Options{})},
		"recovery":   {`{"recovery":true,"streamCount":2}`, join(2, socketio.Options{Recovery: &socketio.Recovery{}})},
	})
}
