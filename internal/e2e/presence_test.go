// Members of topics, over processes that are killed.

package e2e

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"

	"c100k/internal/netlab"
)

// awaitMembers waits until the node says that a topic has so many.
func (n *node) awaitMembers(topic string, want int) {
	n.t.Helper()
	n.eventually(fmt.Sprint(want, " members of ", topic), func() error {
		var page struct{ Count int }
		status, body := n.call("GET", "/v1/topics/"+topic+"/presence", "", nil)
		if err := json.Unmarshal(body, &page); err != nil || page.Count != want {
			return fmt.Errorf("%d %s, %v", status, body, err)
		}
		return nil
	})
}

// TestMembersOfKilled: the members of a worker that is killed vanish, and those of a node, also for
// who watches on another node. It takes the three seconds after which a node that says nothing is
// gone; how soon that is, internal/presence tests on a faked clock.
func TestMembersOfKilled(t *testing.T) {
	t.Parallel()
	address := netlab.KeepPort(t)
	startNATS(t, address)
	args := []string{"--dev", "--presence", "room.>", "--bus", "nats://s3cret@" + address}
	here, there := serve(t, args...), launchServing(t, append([]string{"--workers", "2"}, args...)...)
	there.mayLog("worker ended; it is started again")
	watcher := here.upgrade(t, "/ws", "Sec-WebSocket-Protocol: c100k.v1")
	watcher.text(`{"type":"presence","topic":"room.a","watch":true,"id":1}`)
	const size = 20
	for range size {
		there.upgrade(t, "/ws?topic=room.a")
	}
	// What the watcher is told, in the end.
	expectCount := func(want int) {
		t.Helper()
		for {
			f, err := watcher.next()
			if err != nil {
				t.Fatal(err)
			}
			var m struct {
				Type, Topic string
				Count       int
			}
			if err := json.Unmarshal(f.Payload, &m); err != nil {
				t.Fatal(err)
			}
			if m.Type == "presence" && m.Topic == "room.a" && m.Count == want {
				return
			}
		}
	}
	expectCount(size)
	here.awaitMembers("room.a", size)
	there.awaitMembers("room.a", size)
	rows := there.workers()
	left := size - rows[0].Connections
	if err := syscall.Kill(rows[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expectCount(left)
	here.awaitMembers("room.a", left)
	there.awaitMembers("room.a", left)
	rows = there.workers()
	there.signal(syscall.SIGKILL)
	for _, w := range rows {
		_ = syscall.Kill(w.PID, syscall.SIGKILL) // it may not have been started again yet
	}
	expectCount(0)
	here.awaitMembers("room.a", 0)
}
