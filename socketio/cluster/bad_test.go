// What anybody who can write to Redis can send.

package cluster

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"c100k/socketio"

	"github.com/redis/rueidis"
)

// TestBadMessages: nothing of it ends a server, reaches a client, or stays in memory.
func TestBadMessages(t *testing.T) {
	path := needRedis(t)
	forms := map[string]func() (*Cluster, error){
		"redis": func() (*Cluster, error) { return Redis(t.Context(), RedisOptions{URL: redisURL(path), Key: "k"}) },
		"sharded": func() (*Cluster, error) {
			return Sharded(t.Context(), ShardedOptions{RedisOptions: RedisOptions{URL: redisURL(path), Key: "k"}})
		},
		"streams": func() (*Cluster, error) {
			return Streams(t.Context(), StreamsOptions{RedisOptions: RedisOptions{URL: redisURL(path), Key: "k"}, Stream: "k"})
		},
	}
	client, err := rueidis.NewClient(redisClient(path))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	long := strings.Repeat("r", 1<<20)
	bad := []string{
		"", "{", "\xff", "null", "\x93\xa1u\xc0\xc0", `{"type":99,"uid":"u","requestId":"r"}`, `{"type":5,"uid":"u","requestId":"r"}`,
		"\x93\xa1u\x82\xa4type\x02\xa4data" + strings.Repeat("\x91", 1<<20), "\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff",
		`{"type":2,"uid":"u","opts":{"rooms":["` + long + `"]},"rooms":["` + long + `"]}`,
		`{"type":3,"uid":"u","nsp":"/","data":{"packet":{"type":2,"data":["bad"]},"opts":{"rooms":["` + long + `"]}}}`,
		`{"type":3,"uid":"u","nsp":"/","data":{"packet":{"type":2,"data":["disconnect"]},"opts":{"rooms":[],"except":[],"flags":{}}}}`,
		`{"type":3,"uid":"u","nsp":"/other","data":{"packet":{"type":2,"data":["bad"]},"opts":{"rooms":[],"except":[],"flags":{}}}}`,
		`{"requestId":"unasked","sockets":[{"id":"x"}]}`, `{"type":8,"requestId":"unasked","clientCount":1e9}`,
		`{"type":8,"uid":"u","nsp":"/","data":{"requestId":"unasked","sockets":[]}}`,
		`{"type":12,"uid":"u","nsp":"/","data":{"requestId":"unasked","packet":{"_placeholder":true,"num":9}}}`,
		strings.Repeat("x", 100<<20),
	}
	for name, join := range forms {
		t.Run(name, func(t *testing.T) {
			c, err := join()
			if err != nil {
				t.Fatal(err)
			}
			s := startGo(t, c, socketio.Options{})
			uid := ""
			c.mu.RLock()
			for _, a := range c.bySub {
				if a.nsp == "/" {
					uid = a.uid
				}
			}
			c.mu.RUnlock()
			if n, err := s.io.Of("/").Servers(context.Background()); n != 1 || err != nil {
				t.Fatalf("%d servers, %v", n, err)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range 3 * len(bad) {
				for _, channel := range []string{"k#/#", "k#/#r#", "k-request#/#", "k-response#/#", "k-response#/#" + uid + "#", "k#/#" + uid + "#"} {
					b := client.B()
					message := bad[i%len(bad)]
					if i >= len(bad) && len(message) > 2<<20 {
						continue
					}
					command := b.Publish().Channel(channel).Message(message).Build()
					if name == "sharded" {
						command = b.Spublish().Channel(channel).Message(message).Build()
					}
					if err := client.Do(context.Background(), command).Error(); err != nil {
						t.Fatal(err)
					}
				}
				if name == "streams" && len(bad[i%len(bad)]) < 2<<20 {
					add := client.B().Xadd().Key("k").Id("*").FieldValue().FieldValue("uid", "u").FieldValue("nsp", "/").
						FieldValue("type", fmt.Sprint(i%15)).FieldValue("data", bad[i%len(bad)]).Build()
					if err := client.Do(context.Background(), add).Error(); err != nil {
						t.Fatal(err)
					}
				}
			}
			// It still does what it is asked, after all of that.
			// A server that heartbeats invented is forgotten when they have been quiet for a while.
			deadline := time.Now().Add(3 * patience)
			for n, err := s.io.Of("/").Servers(context.Background()); n != 1 || err != nil; n, err = s.io.Of("/").Servers(context.Background()) {
				if time.Now().After(deadline) {
					t.Fatalf("%d servers, %v", n, err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
				t.Errorf("%d bytes more in memory", grown)
			}
			if stats := c.Stats(); stats.Refused == 0 {
				t.Errorf("nothing was refused: %+v", stats)
			}
		})
	}
}
