// Package emitter, obeyed by a server of Node and one of this package.

package cluster

import (
	"testing"
	"time"

	"c100k/socketio"
	"c100k/socketio/emitter"

	"github.com/redis/rueidis"
)

func TestEmitter(t *testing.T) {
	path := needRedis(t)
	c, err := Redis(t.Context(), RedisOptions{URL: redisURL(path)})
	if err != nil {
		t.Fatal(err)
	}
	ours := startGo(t, c, socketio.Options{})
	clients := []*pollClient{dialPoll(t, startNode(t, "redis", "redis", path, "a")), dialPoll(t, ours.address)}
	client, err := rueidis.NewClient(redisClient(path))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, e := t.Context(), emitter.New(client, emitter.Options{})
	// Both subscribe on their own time.
	for deadline := time.Now().Add(patience); ; {
		n, err := e.Emit(ctx, "all", 1, []byte{1})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d servers, %v", n, err)
		}
		if n == 2 {
			break
		}
	}
	for _, c := range clients {
		if _, err := e.To(c.id).SocketsJoin(ctx, "r"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.In("r").Except(clients[0].id).Emit(ctx, "ours"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.In("r").Volatile().Compress(false).Except(clients[1].id).Emit(ctx, "theirs"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Emit(ctx, "end"); err != nil {
		t.Fatal(err)
	}
	want := []string{"theirs", "ours"}
	for i, c := range clients {
		own, other, end := 0, 0, 0
		for end == 0 {
			text := c.do("GET", "")
			own += count(text, want[i])
			other += count(text, want[1-i])
			end += count(text, "end")
		}
		// Node drops a volatile event while no poll waits.
		if other != 0 || i == 1 && own != 1 {
			t.Errorf("client %d: %d for it, %d for the other", i, own, other)
		}
	}
	if _, err := e.Emit(ctx, "disconnect"); err == nil {
		t.Error("a reserved event was emitted")
	}
	if _, err := e.Of("some").Emit(ctx, "m", make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}
