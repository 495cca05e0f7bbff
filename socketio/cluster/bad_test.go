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
			// What is in a pool takes two collections, and what is being read has its time.
			grown := int64(0)
			for {
				runtime.GC()
				runtime.ReadMemStats(&after)
				if grown = int64(after.HeapAlloc) - int64(before.HeapAlloc); grown <= 16<<20 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d bytes more in memory", grown)
				}
			}
			if stats := c.Stats(); stats.Refused == 0 {
				t.Errorf("nothing was refused: %+v", stats)
			}
		})
	}
}

// TestOtherKey: two clusters on one Redis with different keys do not hear each other, not even
// where one key begins with the other.
func TestOtherKey(t *testing.T) {
	t.Parallel()
	path := needRedis(t)
	for _, form := range []string{"redis", "redis-sharded", "redis-streams"} {
		t.Run(form, func(t *testing.T) {
			var crews []*crew
			for _, key := range []string{"k", "k#", "kk"} {
				o := RedisOptions{URL: redisURL(path), Key: form + key}
				var servers []string
				for range 2 {
					var s *goServer
					if form == "redis-streams" {
						c, err := Streams(t.Context(), StreamsOptions{RedisOptions: o, Stream: o.Key})
						if err != nil {
							t.Fatal(err)
						}
						s = startGo(t, c, socketio.Options{})
					} else {
						s = joinAs(t, form, o)
					}
					servers = append(servers, s.address)
				}
				c := newCrew(t, servers...)
				c.events = 1000 * (len(crews) + 1)
				crews = append(crews, c)
			}
			for _, c := range crews {
				c.settle()
			}
			for i, c := range crews {
				c.check()
				name := fmt.Sprint("event", c.events, "-")
				for k, other := range crews {
					for _, f := range other.clients {
						if n := f.count(name); k != i && n > 0 {
							t.Errorf("an event of cluster %d came to cluster %d", i, k)
						}
					}
				}
			}
		})
	}
}

// TestRepeatedAnswers: answers that nobody asked for, that come twice, or that come from a server
// that has answered, change no result.
func TestRepeatedAnswers(t *testing.T) {
	path := needRedis(t)
	client, err := rueidis.NewClient(redisClient(path))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	first, second := joinAs(t, "redis", RedisOptions{URL: redisURL(path)}), joinAs(t, "redis", RedisOptions{URL: redisURL(path)})
	newCrew(t, first.address, second.address).settle()
	// Somebody repeats every answer three times.
	ctx, cancel := context.WithCancel(t.Context())
	repeated := make(chan struct{})
	go func() {
		defer close(repeated)
		other, release := client.Dedicate()
		defer release()
		seen := map[string]bool{}
		_ = other.Receive(ctx, other.B().Psubscribe().Pattern("socket.io-response#/#*").Build(), func(m rueidis.PubSubMessage) {
			if seen[m.Message] {
				return
			}
			seen[m.Message] = true
			for range 3 {
				_ = client.Do(ctx, client.B().Publish().Channel(m.Channel).Message(m.Message).Build()).Error()
			}
		}) // until ctx ends
	}()
	for range 20 {
		if list, err := first.io.FetchSockets(t.Context()); err != nil || len(list) != 2 {
			t.Errorf("%d sockets, %v", len(list), err)
		}
		if answers, err := first.io.ServerSideEmitWithAck(t.Context(), "ask", 1); err != nil || len(answers) != 1 {
			t.Errorf("%d answers, %v", len(answers), err)
		}
	}
	cancel()
	<-repeated
}
