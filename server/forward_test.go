// Polls at the wrong node.

package server

import (
	"net/http"
	"strings"
	"testing"

	"c100k/internal/netlab"
	"c100k/socketio"
)

func TestForwardedPolls(t *testing.T) {
	n := startNATS(t, 0)
	var nodes [3]*Server
	for i := range nodes {
		sio := socketio.New(socketio.Options{})
		sio.On("echo", func(text string, ack func(string)) { ack(text) })
		address := netlab.KeepPort(t)
		nodes[i] = start(t, Config{Dev: true, Listen: address, Admin: "127.0.0.1:0", Bus: busURL(n), Loops: 2, SocketIO: sio, Advertise: address})
	}
	for _, s := range nodes {
		eventually(t, "the nodes know each other", func() bool {
			f := s.forward.Load()
			f.mu.RLock()
			defer f.mu.RUnlock()
			return len(f.nodes) == 2
		})
	}
	home := poller(t, "http://"+nodes[0].Addr().String())
	at := func(i int) string {
		return strings.Replace(home, nodes[0].Addr().String(), nodes[i].Addr().String(), 1)
	}
	for _, way := range [][2]int{{1, 2}, {0, 1}, {2, 0}} {
		if status, said := text(t, "POST", at(way[0]), `421["echo","`+strings.Repeat("x", 9000)+`"]`); status != 200 || said != "ok" {
			t.Fatalf("POST at node %d: %d %s", way[0], status, said)
		}
		if status, said := text(t, "GET", at(way[1]), ""); status != 200 || !strings.HasPrefix(said, `431["xxx`) {
			t.Fatalf("GET at node %d: %d %.100s", way[1], status, said)
		}
	}
	// The connection of the other node goes on with a session of its own.
	poller(t, "http://"+nodes[1].Addr().String())
	// The upgrade, too.
	upgrade := dialWS(t, nodes[1].Addr().String(), sioPath+"?EIO=4&transport=websocket&sid="+home[strings.LastIndex(home, "=")+1:])
	say(t, upgrade, "2probe")
	expectText(t, upgrade, "3probe")
	upgrade.Close()

	// Nobody but a node may say that it forwards.
	for token, want := range map[string]int{"guessed": 403, "": 403, nodes[0].forward.Load().token: 200} {
		r, err := http.NewRequest("POST", home, strings.NewReader("3"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(forwardHeader, token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("token %q: %d, want %d", token, resp.StatusCode, want)
		}
	}
	// A node that is gone has no sessions.
	gone := poller(t, "http://"+nodes[2].Addr().String())
	_ = nodes[2].Close()
	status, said := text(t, "GET", strings.Replace(gone, nodes[2].cfg.Listen, nodes[1].Addr().String(), 1), "")
	if status != 400 || said != sessionUnknown {
		t.Errorf("a session of a node that is gone: %d %s", status, said)
	}
}

func TestAdvertiseIsChecked(t *testing.T) {
	if tagOf("a:1") == tagOf("b:1") || tagOf("") != 0 || tagOf("a:1") == 0 {
		t.Error("tags")
	}
	var nobody *forwarding
	if _, ok := nobody.target(7); ok {
		t.Error("a target without forwarding")
	}
}
