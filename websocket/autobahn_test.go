package websocket_test

import (
	"cmp"
	"context"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"c100k/internal/autobahn"
	"c100k/server"
	"c100k/websocket"
)

// The cases of the Autobahn test suite, in each of the ways to run a server and on the endpoint
// /echo of a node: the results are the same. C100K_AUTOBAHN=1000 sends as many messages as the
// suite does. The race detector makes large messages slow, so with it they are left out.
func TestAutobahn(t *testing.T) {
	messages, err := strconv.Atoi(cmp.Or(os.Getenv("C100K_AUTOBAHN"), "2"))
	if err != nil {
		t.Fatal(err)
	}
	cases := autobahn.Cases(messages)
	if raced() {
		cases = slices.DeleteFunc(cases, func(c autobahn.Case) bool {
			return strings.HasPrefix(c.ID, "9.") || strings.HasPrefix(c.ID, "12.") || strings.HasPrefix(c.ID, "13.")
		})
	}
	all := map[string]map[string]autobahn.Outcome{}
	play := func(t *testing.T, way, url string) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		outcomes, sums := map[string]autobahn.Outcome{}, map[autobahn.Outcome]int{}
		for _, r := range autobahn.Play(ctx, url, cases) {
			outcomes[r.Case] = r.Outcome
			sums[r.Outcome]++
			if r.Err != nil || r.Outcome == autobahn.Unimplemented {
				t.Errorf("case %s: %s: %v", r.Case, r.Outcome, r.Err)
			}
		}
		t.Log(sums)
		all[way] = outcomes
	}
	const most = 16 << 20 // of 9.1.6
	t.Run("the node's own", func(t *testing.T) {
		s, err := server.New(server.Config{Dev: true, MaxMessage: most, Outbox: 2 * most, Compress: true, MaxConns: 100})
		if err != nil {
			t.Fatal(err)
		}
		ln := listen(t)
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ln) }()
		defer func() {
			s.Close()
			<-ended
		}()
		play(t, "", "ws://"+ln.Addr().String()+"/echo")
	})
	for way, run := range ways {
		t.Run(way, func(t *testing.T) {
			wss := websocket.New(websocket.Options{Compress: true, MaxMessage: most, Outbox: 2 * most})
			wss.OnMessage(func(c *websocket.Conn, m websocket.Message) { c.Send(m) })
			play(t, way, run(t, wss))
			for id, outcome := range all[way] {
				if node := all[""][id]; outcome != node {
					t.Errorf("case %s: %s, on the node %s", id, outcome, node)
				}
			}
		})
	}
}

// raced tells whether the test is built with the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
