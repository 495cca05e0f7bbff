// Two nodes of one process, joined by a real NATS server: what is published on one reaches
// everybody on both, once.

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"
	natsserver "github.com/nats-io/nats-server/v2/server"

	"c100k/broadcast"
)

// startNATS runs a NATS server on loopback; port 0 takes a free one.
func startNATS(t *testing.T, port int) *natsserver.Server {
	t.Helper()
	if port == 0 {
		port = natsserver.RANDOM_PORT
	}
	n, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: port, Authorization: "s3cret", NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	if !n.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(func() { stopNATS(n) })
	return n
}

func stopNATS(n *natsserver.Server) {
	n.Shutdown()
	n.WaitForShutdown()
}

func portOfNATS(n *natsserver.Server) int { return n.Addr().(*net.TCPAddr).Port }

func busURL(n *natsserver.Server) string {
	return fmt.Sprintf("nats://s3cret@127.0.0.1:%d", portOfNATS(n))
}

// startPair starts two nodes that know of each other.
func startPair(t *testing.T, url string) [2]*Server {
	t.Helper()
	var pair [2]*Server
	for i := range pair {
		pair[i] = start(t, Config{Dev: true, Admin: "127.0.0.1:0", Bus: url, Loops: 1})
	}
	for _, s := range pair {
		eventually(t, "knows the other", func() bool { return s.readBus().Peers == 1 })
	}
	return pair
}

// audience is one connection of each kind on each node, all subscribed to topic "t".
type audience struct {
	bare, v1 []net.Conn
	sse      []*eventStream
}

func seat(t *testing.T, nodes ...*Server) *audience {
	t.Helper()
	a := &audience{}
	for _, s := range nodes {
		address := s.Addr().String()
		a.bare = append(a.bare, dialWS(t, address, "/ws?topic=t"))
		c := dialWS(t, address, "/ws?topic=t", subprotocol)
		if got, _, err := wsutil.ReadServerData(c); err != nil || !strings.Contains(string(got), `"welcome"`) {
			t.Fatalf("%q %v", got, err)
		}
		a.v1 = append(a.v1, c)
		a.sse = append(a.sse, openEvents(t, address, "/sse?topic=t"))
		eventually(t, "subscribed", func() bool { return subscribers(s, "t") == 3 })
	}
	return a
}

// hear expects the text from every connection, and nothing before it.
func (a *audience) hear(t *testing.T, text string) {
	t.Helper()
	for _, c := range a.bare {
		expectText(t, c, text)
	}
	for _, c := range a.v1 {
		expectText(t, c, `{"type":"message","topic":"t","data":"`+text+`"}`)
	}
	for _, s := range a.sse {
		s.expect(t, text)
	}
}

// eventStream reads a stream of events.
type eventStream struct {
	r   *http.Response
	ids map[string]bool
	buf []byte
}

func openEvents(t *testing.T, address, path string) *eventStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Body.Close() })
	return &eventStream{r: r, ids: map[string]bool{}}
}

// expect reads up to the next event with data.
func (s *eventStream) expect(t *testing.T, data string) {
	t.Helper()
	for {
		block, rest, found := strings.Cut(string(s.buf), "\n\n")
		if !found {
			chunk := make([]byte, 4096)
			n, err := s.r.Body.Read(chunk)
			if err != nil && n == 0 {
				t.Fatalf("the stream ends: %v", err)
			}
			s.buf = append(s.buf, chunk[:n]...)
			continue
		}
		s.buf = []byte(rest)
		var id, got string
		for line := range strings.Lines(block) {
			line = strings.TrimRight(line, "\n")
			if v, ok := strings.CutPrefix(line, "id: "); ok {
				id = v
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				got = v
			}
		}
		if id == "" {
			continue // a comment, or the retry time
		}
		if got != data || s.ids[id] {
			t.Fatalf("got %q under id %s (seen: %v), want %q", got, id, s.ids[id], data)
		}
		s.ids[id] = true
		return
	}
}

// until reads blocks up to one that is the text.
func (s *eventStream) until(t *testing.T, text string) {
	t.Helper()
	for {
		block, rest, found := strings.Cut(string(s.buf), "\n\n")
		if !found {
			chunk := make([]byte, 4096)
			n, err := s.r.Body.Read(chunk)
			if err != nil && n == 0 {
				t.Fatalf("the stream ends before %q: %v", text, err)
			}
			s.buf = append(s.buf, chunk[:n]...)
			continue
		}
		s.buf = []byte(rest)
		if block == text {
			return
		}
	}
}

// Whatever the way a message is published, and on whichever node: everybody gets it, once, and who
// asks is told how many.
func TestNodesAreJoined(t *testing.T) {
	n := startNATS(t, 0)
	pair := startPair(t, busURL(n))
	a := seat(t, pair[:]...)
	for i, s := range pair {
		name := fmt.Sprint("node ", i, ": ")

		text := name + "from Go"
		if r, err := s.Publish("t", broadcast.Text, []byte(text)); err != nil || r.Matched != 3 {
			t.Errorf("Publish: %+v %v, want the 3 of this node", r, err)
		}
		a.hear(t, text)

		text = name + "from Go, counted"
		if r, err := s.PublishAll(t.Context(), "t", broadcast.Text, []byte(text)); err != nil || r != (broadcast.Result{Matched: 6, Queued: 6}) {
			t.Errorf("PublishAll: %+v %v, want the 6 of both nodes", r, err)
		}
		a.hear(t, text)

		text = name + "over the API"
		if got := post(t, s, "/v1/topics/t", "text/plain", text); got != `{"matched":6,"queued":6,"dropped":0}` {
			t.Errorf("POST /v1/topics/t: %s", got)
		}
		a.hear(t, text)

		got := post(t, s, "/v1/publish", "application/json", `[{"topic":"t","data":"one"},{"topics":["t","t"],"data":"two"},{"topic":"","data":1}]`)
		if !strings.HasPrefix(got, `[{"matched":6,"queued":6,"dropped":0},{"matched":12,"queued":12,"dropped":0},{"error":`) {
			t.Errorf("POST /v1/publish: %s", got)
		}
		a.hear(t, "one")
		a.hear(t, "two")
		a.hear(t, "two")

		text = name + "from a bare client"
		say(t, a.bare[i], text)
		a.hear(t, text)

		publisher := dialWS(t, s.Addr().String(), "/ws", subprotocol)
		if _, _, err := wsutil.ReadServerData(publisher); err != nil {
			t.Fatal(err)
		}
		text = name + "from a c100k.v1 client"
		say(t, publisher, `{"type":"publish","topic":"t","data":"`+text+`","id":"x"}`)
		expectText(t, publisher, `{"type":"ack","id":"x","matched":6}`)
		a.hear(t, text)
		// Who gives no id is not made to wait, and hears of this node's.
		say(t, publisher, `{"type":"publish","topic":"t","data":"`+text+`"}`)
		expectText(t, publisher, `{"type":"ack","matched":3}`)
		a.hear(t, text)
	}
}

// The room of /broadcast is one for all nodes.
func TestBroadcastRoomIsShared(t *testing.T) {
	n := startNATS(t, 0)
	pair := startPair(t, busURL(n))
	var room []net.Conn
	for _, s := range pair {
		c := dialWS(t, s.Addr().String(), "/broadcast")
		say(t, c, "here") // it comes back when it is in the room
		expectText(t, c, "here")
		room = append(room, c)
	}
	say(t, room[1], "hello")
	for _, c := range room {
		for got := "here"; got != "hello"; { // of the other, too, if it came late enough or early enough
			p, _, err := wsutil.ReadServerData(c)
			if got = string(p); err != nil || got != "here" && got != "hello" {
				t.Fatalf("%q %v", got, err)
			}
		}
	}
}

func post(t *testing.T, s *Server, path, contentType, body string) string {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Post("http://"+s.AdminAddr().String()+path, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%s: %d %s %v", path, r.StatusCode, answer, err)
	}
	return strings.TrimSpace(string(answer))
}

// Under load from both sides: each publisher's messages come in its order, none twice, none is
// lost; every ack comes, once, and says 2.
func TestOrderOverTheBus(t *testing.T) {
	n := startNATS(t, 0)
	pair := startPair(t, busURL(n))
	const messages = 3000
	var listeners, publishers [2]net.Conn
	for i, s := range pair {
		listeners[i] = dialWS(t, s.Addr().String(), "/ws?topic=t")
		publishers[i] = dialWS(t, s.Addr().String(), "/ws", subprotocol)
		if _, _, err := wsutil.ReadServerData(publishers[i]); err != nil {
			t.Fatal(err)
		}
		eventually(t, "subscribed", func() bool { return subscribers(s, "t") == 1 })
	}
	ended := make(chan error, 4)
	for i := range pair {
		go func() { ended <- publishMany(publishers[i], i, messages) }()
		go func() { ended <- hearMany(listeners[i], len(pair), messages) }()
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range pair {
		// A message is counted when it has been handed on, which may be a moment after it has arrived.
		eventually(t, "all are counted", func() bool { b := s.readBus(); return b.Sent == messages && b.Received == messages })
		if b := s.readBus(); b.Missed != 0 || b.Unsent != 0 {
			t.Errorf("%+v", b)
		}
	}
}

// publishMany keeps some publishes on the way, and checks the acks.
func publishMany(c net.Conn, publisher, messages int) error {
	acked := make([]bool, messages)
	sent := 0
	for done := 0; done < messages; {
		for ; sent < messages && sent-done < 100; sent++ {
			command := fmt.Sprintf(`{"type":"publish","topic":"t","data":"%d %d","id":%d}`, publisher, sent, sent)
			if err := wsutil.WriteClientText(c, []byte(command)); err != nil {
				return err
			}
		}
		got, _, err := wsutil.ReadServerData(c)
		if err != nil {
			return err
		}
		var a struct {
			Type        string
			ID, Matched int
		}
		if err := json.Unmarshal(got, &a); err != nil || a.Type != "ack" || a.Matched != 2 || acked[a.ID] {
			return fmt.Errorf("%s: %v", got, err)
		}
		acked[a.ID] = true
		done++
	}
	return nil
}

func hearMany(c net.Conn, publishers, messages int) error {
	next := make([]int, publishers)
	for range publishers * messages {
		got, _, err := wsutil.ReadServerData(c)
		if err != nil {
			return err
		}
		var publisher, number int
		if _, err := fmt.Sscan(string(got), &publisher, &number); err != nil {
			return err
		}
		if number != next[publisher] {
			return fmt.Errorf("message %d of publisher %d; expected %d", number, publisher, next[publisher])
		}
		next[publisher]++
	}
	return nil
}

// A node that loses the bus says so, serves those it has, counts what it could not send, and comes
// back by itself.
func TestBusIsLost(t *testing.T) {
	n := startNATS(t, 0)
	port := portOfNATS(n)
	pair := startPair(t, busURL(n))
	here, there := pair[0], pair[1]
	local := dialWS(t, here.Addr().String(), "/ws?topic=t")
	remote := dialWS(t, there.Addr().String(), "/ws?topic=t")
	eventually(t, "subscribed", func() bool { return subscribers(here, "t")+subscribers(there, "t") == 2 })

	stopNATS(n)
	eventually(t, "lost", func() bool { return !here.readBus().Connected && !there.readBus().Connected })
	status, text := ready(t, here)
	if status != 503 || !strings.Contains(text, "bus: connection lost") {
		t.Errorf("readyz: %d %s", status, text)
	}
	r, err := here.PublishAll(t.Context(), "t", broadcast.Text, []byte("alone"))
	if !errors.Is(err, ErrPartial) || r.Matched != 1 {
		t.Errorf("%+v %v, want the one that is known, and ErrPartial", r, err)
	}
	expectText(t, local, "alone")
	publisher := dialWS(t, here.Addr().String(), "/ws?topic=none", subprotocol)
	if _, _, err := wsutil.ReadServerData(publisher); err != nil {
		t.Fatal(err)
	}
	say(t, publisher, `{"type":"publish","topic":"t","data":"alone too","id":1}`)
	expectText(t, publisher, `{"type":"ack","id":1,"matched":1,"partial":true,"nodes_unreached":1}`)
	expectText(t, local, "alone too")
	sio := dialWS(t, here.Addr().String(), "/socket.io/?EIO=4&transport=websocket")
	if _, _, err := wsutil.ReadServerData(sio); err != nil { // the open packet
		t.Fatal(err)
	}
	say(t, sio, "40")
	if _, _, err := wsutil.ReadServerData(sio); err != nil {
		t.Fatal(err)
	}
	say(t, sio, `421["publish","t","alone three"]`)
	expectText(t, sio, `431[{"ok":true,"matched":1,"partial":true,"nodes_unreached":1}]`)
	expectText(t, local, "alone three")
	if b := here.readBus(); b.Unsent != 3 {
		t.Errorf("%+v, want 3 unsent", b)
	}

	startNATS(t, port)
	eventually(t, "back", func() bool { return here.readBus().Connected && there.readBus().Connected })
	if status, text := ready(t, here); status != 200 {
		t.Errorf("readyz: %d %s", status, text)
	}
	eventually(t, "counted by both", func() bool {
		r, err := here.PublishAll(t.Context(), "together", broadcast.Text, nil)
		return err == nil && r.Matched == 0 && here.readBus().Peers == 1
	})
	if r, err := here.PublishAll(t.Context(), "t", broadcast.Text, []byte("together")); err != nil || r.Matched != 2 {
		t.Errorf("%+v %v", r, err)
	}
	expectText(t, local, "together")
	expectText(t, remote, "together")
}

// TestPartialPublish: while the bus is lost, a publish says that it did not reach the other nodes,
// and how many; a node is ready then only if it was told so.
func TestPartialPublish(t *testing.T) {
	n := startNATS(t, 0)
	pair := startPair(t, busURL(n))
	third := start(t, Config{Dev: true, Admin: "127.0.0.1:0", Bus: busURL(n), Loops: 1, ReadyWithoutBus: true})
	eventually(t, "known", func() bool { return pair[0].readBus().Peers == 2 && third.readBus().Peers == 2 })
	publish := func(want string) {
		t.Helper()
		if got := post(t, pair[0], "/v1/topics/t", "text/plain", "x"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	publish(`{"matched":0,"queued":0,"dropped":0}`)
	stopNATS(n)
	eventually(t, "lost", func() bool { return !pair[0].readBus().Connected && !third.readBus().Connected })
	publish(`{"matched":0,"queued":0,"dropped":0,"partial":true,"nodes_unreached":2}`)
	if got := post(t, pair[0], "/v1/publish", "application/json", `[{"topics":["t","u"],"data":1}]`); got != `[{"matched":0,"queued":0,"dropped":0,"partial":true,"nodes_unreached":2}]` {
		t.Errorf("got %s", got)
	}
	if status, _ := ready(t, pair[0]); status != 503 {
		t.Errorf("readyz: %d", status)
	}
	if status, text := ready(t, third); status != 200 || !strings.HasPrefix(text, "ok\nbus: connection lost") {
		t.Errorf("readyz with ReadyWithoutBus: %d %s", status, text)
	}
}

func ready(t *testing.T, s *Server) (int, string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + s.AdminAddr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func TestBusCannotBeReached(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close() // nobody listens there now
	for _, url := range []string{"nats://s3cret@" + address, "nats://s3cret@" + address + "/"} {
		s, err := New(Config{Bus: url, Loops: 1})
		if err == nil {
			s.Close()
			t.Fatal("a bus that is not there")
		}
		if !errors.Is(err, ErrBus) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
	wrong := strings.Replace(busURL(startNATS(t, 0)), "s3cret", "guessed", 1)
	if _, err := New(Config{Bus: wrong, Loops: 1}); !errors.Is(err, ErrBus) || strings.Contains(err.Error(), "guessed") {
		t.Errorf("a wrong token: %v", err)
	}
}

// Alone on the bus there is nobody to wait for, and a bad topic is told at once.
func TestPublishAllAlone(t *testing.T) {
	s := start(t, Config{Bus: busURL(startNATS(t, 0)), Loops: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if r, err := s.PublishAll(ctx, "t", broadcast.Text, nil); err != nil || r.Matched != 0 {
		t.Errorf("alone on the bus: %+v %v", r, err)
	}
	if _, err := s.PublishAll(ctx, "", broadcast.Text, nil); !errors.Is(err, broadcast.ErrTopicEmpty) {
		t.Errorf("no topic: %v", err)
	}
}

// TestPublishOfOtherKind: a Go program cannot publish what would end the connections of
// subscribers.
func TestPublishOfOtherKind(t *testing.T) {
	s := start(t, Config{Dev: true, Loops: 1})
	for _, tc := range []struct {
		kind    broadcast.Kind
		payload string
		ok      bool
	}{
		{broadcast.JSON, "\"\xf2\x90\xc3|\"", false}, {broadcast.JSON, `{"a":1} x`, false}, {broadcast.JSON, "", false},
		{broadcast.Text, "\xff", false}, {broadcast.Binary, "\xff", true}, {broadcast.Text, "ü", true}, {broadcast.JSON, `["ü"]`, true},
	} {
		_, err := s.Publish("t", tc.kind, []byte(tc.payload))
		_, all := s.PublishAll(t.Context(), "t", tc.kind, []byte(tc.payload))
		if (err == nil) != tc.ok || errors.Is(err, ErrPayload) == tc.ok || (all == nil) != tc.ok {
			t.Errorf("%v %q: %v, %v", tc.kind, tc.payload, err, all)
		}
	}
}
