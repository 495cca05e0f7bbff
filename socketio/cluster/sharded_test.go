// Who is woken by a broadcast into a room.

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"c100k/socketio"

	"github.com/redis/rueidis"
)

// TestShardedWakesMembersOnly: with dynamic subscriptions a broadcast into a room goes to the
// servers with members only.
func TestShardedWakesMembersOnly(t *testing.T) {
	path := needRedis(t)
	client, err := rueidis.NewClient(redisClient(path))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var servers [4]*goServer
	for i := range servers {
		c, err := Sharded(t.Context(), ShardedOptions{RedisOptions: RedisOptions{URL: redisURL(path)}})
		if err != nil {
			t.Fatal(err)
		}
		servers[i] = startGo(t, c, socketio.Options{})
	}
	member := dialPoll(t, servers[2].address)
	if err := servers[0].io.In(member.id).SocketsJoin("r"); err != nil {
		t.Fatal(err)
	}
	subscribers := func() string {
		n, err := client.Do(context.Background(), client.B().PubsubShardnumsub().Channel("socket.io#/#r#").Build()).ToAny()
		return fmt.Sprint(n, err)
	}
	deadline := time.Now().Add(patience)
	for subscribers() != "[socket.io#/#r# 1] <nil>" {
		if time.Now().After(deadline) {
			t.Fatal(subscribers())
		}
		time.Sleep(time.Millisecond)
	}
	// The message that asks for the socket to join is for every server. It may reach the others later.
	before := [4]Stats{}
	for i, s := range servers[1:] {
		for before[i+1].Received == 0 {
			if time.Now().After(deadline) {
				t.Fatalf("server %d did not hear that a socket is to join", i+1)
			}
			time.Sleep(time.Millisecond)
			before[i+1] = s.cluster.Stats()
		}
	}
	for range 10 {
		if err := servers[0].io.To("r").Emit("m"); err != nil {
			t.Fatal(err)
		}
	}
	for got := 0; got < 10; {
		got += member.events("m")
	}
	for i, s := range servers {
		want := uint64(0)
		if i == 2 {
			want = 10
		}
		if n := s.cluster.Stats().Received - before[i].Received; n != want {
			t.Errorf("server %d was woken %d times, want %d", i, n, want)
		}
	}
	// The channel is left with the room.
	if err := servers[0].io.In("r").SocketsLeave("r"); err != nil {
		t.Fatal(err)
	}
	for subscribers() != "[socket.io#/#r# 0] <nil>" {
		if time.Now().After(deadline) {
			t.Fatal(subscribers())
		}
		time.Sleep(time.Millisecond)
	}
}

// TestNodeHangs: a server of Node that hangs does not delay a request until its timeout, and is
// counted. TestSilentServer has the times.
func TestNodeHangs(t *testing.T) {
	path := needRedis(t)
	cmd, _ := startNodeProcess(t, "redis", "ioredis", path, "a")
	startNode(t, "redis", "redis", path, "b")
	c, err := Redis(t.Context(), RedisOptions{URL: redisURL(path), RequestTimeout: time.Hour}) // nobody waits for it
	if err != nil {
		t.Fatal(err)
	}
	io := startGo(t, c, socketio.Options{}).io
	ctx := context.Background()
	deadline := time.Now().Add(patience)
	for n, err := io.Of("/").Servers(ctx); n != 3 || err != nil; n, err = io.Of("/").Servers(ctx) {
		if time.Now().After(deadline) {
			t.Fatalf("%d servers, %v", n, err)
		}
	}
	if err := cmd.Process.Signal(sigStop); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it hangs", func() bool { // a signal takes effect when it is seen
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		return err == nil && strings.HasPrefix(state, "T")
	})
	for range 2 {
		if _, err := io.FetchSockets(ctx); !errors.Is(err, socketio.ErrPartial) {
			t.Errorf("while it hangs: %v", err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, err := io.FetchSockets(ctx); err != nil; _, err = io.FetchSockets(ctx) {
		if time.Now().After(deadline) {
			t.Fatalf("after it has died: %v", err)
		}
	}
}
