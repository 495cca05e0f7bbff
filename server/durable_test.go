// Durable history over each transport: a node that starts again, and two nodes on one NATS server.

package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"c100k/broadcast"
	"c100k/internal/history"
	"c100k/internal/redistest"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// durable is the configuration of a node that keeps history in a directory.
func durable(dir string) Config {
	return Config{Dev: true, Admin: "127.0.0.1:0", History: []string{"h.>=5,1m"}, HistoryDir: dir, PublicTopics: []string{">"}, Loops: 1}
}

// storeTo publishes, and waits until the message is stored.
func storeTo(t *testing.T, s *Server, topic, text string) broadcast.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := s.PublishAll(ctx, topic, broadcast.Text, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if r.Position == (broadcast.Position{}) {
		t.Fatalf("%q has no position: %+v", text, r)
	}
	return r
}

func TestDurableHistory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "history")
	s := start(t, durable(dir))
	listener := dialWS(t, s.Addr().String(), "/ws?topic=h.a", subprotocol)
	expectAll(t, listener, `{"type":"welcome","conn":"CONN","offsets":{"h.a":"E.0"}}`)
	var at [8]broadcast.Position
	for i := range at {
		at[i] = storeTo(t, s, "h.a", fmt.Sprint(i)).Position
		expectAll(t, listener, fmt.Sprintf(`{"type":"message","topic":"h.a","data":"%d","offset":"E.%d"}`, i, i+1))
	}
	say(t, listener, `{"type":"publish","topic":"h.a","data":"own","id":7}`)
	// The acknowledgement and the message take different ways.
	pair := []string{read(t, listener), read(t, listener)}
	slices.Sort(pair)
	if !slices.Equal(pair, []string{`{"type":"ack","id":7,"matched":1}`, `{"type":"message","topic":"h.a","data":"own","offset":"E.9"}`}) {
		t.Fatal(pair)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start(t, durable(dir))
	c := dialWS(t, s.Addr().String(), "/ws", subprotocol)
	expectAll(t, c, `{"type":"welcome","conn":"CONN"}`)
	say(t, c, `{"type":"subscribe","topics":[{"topic":"h.a","after":"`+positionText(at[6])+`"}],"id":1}`)
	expectAll(t, c, `{"type":"ack","id":1,"offsets":{"h.a":"E.7"}}`, `{"type":"resumed","topic":"h.a","messages":2}`,
		`{"type":"message","topic":"h.a","data":"7","offset":"E.8"}`, `{"type":"message","topic":"h.a","data":"own","offset":"E.9"}`)
	for _, one := range []struct{ wish, want string }{
		{`"after":"` + positionText(at[1]) + `"`, `{"type":"reset","topic":"h.a","reason":"expired","offset":"E.9"}`},
		{`"after":"never-1.3"`, `{"type":"reset","topic":"h.a","reason":"epoch","offset":"E.9"}`},
		{`"after":"` + at[0].Epoch + `.1000"`, `{"type":"reset","topic":"h.a","reason":"unknown","offset":"E.9"}`},
		{`"after":"` + at[0].Epoch + `.18446744073709551615"`, `{"type":"reset","topic":"h.a","reason":"unknown","offset":"E.9"}`},
	} {
		c := dialWS(t, s.Addr().String(), "/ws", subprotocol)
		expectAll(t, c, `{"type":"welcome","conn":"CONN"}`)
		say(t, c, `{"type":"subscribe","topics":[{"topic":"h.a",`+one.wish+`}],"id":1}`)
		expectAll(t, c, `{"type":"ack","id":1,"offsets":{"h.a":"E.9"}}`, one.want)
	}
	bare := dialWS(t, s.Addr().String(), "/ws?topic=h.a&last=2")
	expectAll(t, bare, "7", "own")
	blocks, _ := events(t, s, "topic=h.a", positionText(at[6]), 3, nil)
	same(t, blocks, "id: E.7", "event: message|id: E.8|data: 7", "event: message|id: E.9|data: own")
}

// A topic of which the log has nothing, because it was released, is read from the store while the
// request waits.
func TestResumeReadsTheStore(t *testing.T) {
	s := start(t, durable(t.TempDir()))
	var at [4]broadcast.Position
	forget := func() {
		s.past.store.Releasing("h.a")
		s.node.Hub().Release("h.a")
	}
	for i := range at {
		at[i] = storeTo(t, s, "h.a", fmt.Sprint(i)).Position
	}
	forget()
	blocks, _ := events(t, s, "topic=h.a", positionText(at[1]), 3, nil)
	same(t, blocks, "id: E.2", "event: message|id: E.3|data: 2", "event: message|id: E.4|data: 3")
	eventually(t, "the stream has ended", func() bool { return !s.node.Hub().Occupied("h.a") })
	forget()
	bare := dialWS(t, s.Addr().String(), "/ws?topic=h.a&rewind=30s")
	expectAll(t, bare, "0", "1", "2", "3")
	bare.Close()
	eventually(t, "the connection has ended", func() bool { return !s.node.Hub().Occupied("h.a") })
	forget()
	c := dialWS(t, s.Addr().String(), "/ws", subprotocol)
	expectAll(t, c, `{"type":"welcome","conn":"CONN"}`)
	say(t, c, `{"type":"subscribe","topics":[{"topic":"h.a","last":3}],"id":1}`)
	say(t, c, `{"type":"unsubscribe","topics":["h.b"],"id":2}`) // waits behind it
	expectAll(t, c, `{"type":"ack","id":1,"offsets":{"h.a":"E.1"}}`, `{"type":"resumed","topic":"h.a","messages":3}`)
	heard := read(t, c) + read(t, c) + read(t, c) + read(t, c)
	for _, want := range []string{`"data":"1"`, `"data":"2"`, `"data":"3"`, `{"type":"ack","id":2}`} {
		if !strings.Contains(heard, want) {
			t.Errorf("%s is not in %s", want, heard)
		}
	}
}

// With HistorySync always the node answers when the message is on the disk.
func TestHistorySyncAlways(t *testing.T) {
	c := durable(t.TempDir())
	c.HistorySync = "always"
	s := start(t, c)
	for i := range 3 {
		storeTo(t, s, "h.a", fmt.Sprint(i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start(t, c)
	expectAll(t, dialWS(t, s.Addr().String(), "/ws?topic=h.a&last=5"), "0", "1", "2")
}

func TestHistoryDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	start(t, durable(dir))
	_, err := New(durable(dir))
	if !errors.Is(err, ErrHistory) || !strings.Contains(err.Error(), fmt.Sprintf("is in use by another node (process %d)", os.Getpid())) {
		t.Errorf("%v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(durable(file)); !errors.Is(err, ErrHistory) || !strings.Contains(err.Error(), "cannot be made") {
		t.Errorf("a file: %v", err)
	}
	if _, err := New(durable("/proc/history")); !errors.Is(err, ErrHistory) {
		t.Errorf("where nothing can be written: %v", err)
	}
}

func TestHistorySettings(t *testing.T) {
	for name, c := range map[string]Config{
		"a directory without rules": {HistoryDir: "x"},
		"a directory and a bus":     {History: []string{"h.>=5,1m"}, HistoryDir: "x", Bus: "nats://127.0.0.1:4222"},
		"a time that is too short":  {HistorySync: "1ms"},
		"no time":                   {HistorySync: "soon"},
		"more than half the memory": {Memory: 64 << 20, HistoryBytes: 33 << 20},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("%s: it is valid", name)
		}
	}
	for _, sync := range []string{"always", "off", "10ms", "1h", ""} {
		if err := (&Config{HistorySync: sync}).Validate(); err != nil {
			t.Errorf("%q: %v", sync, err)
		}
	}
	if c := (Config{Memory: 64 << 20}).WithDefaults(); c.HistoryBytes != 16<<20 {
		t.Errorf("a quarter of 64 MiB is %d", c.HistoryBytes)
	}
}

// startJetStream runs a NATS server with JetStream on loopback; port 0 takes a free one.
func startJetStream(t *testing.T, dir string, port int) *natsserver.Server {
	t.Helper()
	if port == 0 {
		port = natsserver.RANDOM_PORT
	}
	n, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: port, Authorization: "s3cret", NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 1 << 20, DisableJetStreamBanner: true,
	})
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

// Nodes on one NATS server, or one Redis, number alike: a client goes on at another one.
func TestHistoryOverBus(t *testing.T) {
	t.Run("nats", func(t *testing.T) {
		dir := t.TempDir()
		n := startJetStream(t, dir, 0)
		port := portOfNATS(n)
		testHistoryOverBus(t, busURL(n), func() { stopNATS(n) }, func() { startJetStream(t, dir, port) })
	})
	t.Run("redis", func(t *testing.T) {
		r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		testHistoryOverBus(t, r.URL(), r.Kill, func() { r.Start(t) })
	})
}

// storedMessage is what a client of c100k.v1 reads of a message; its offset is checked and left
// out.
func storedMessage(t *testing.T, c net.Conn, last *uint64) string {
	t.Helper()
	got := read(t, c)
	before, digits, _ := strings.Cut(got, `"E.`)
	offset, err := strconv.ParseUint(strings.TrimSuffix(digits, `"}`), 10, 64)
	if err != nil || offset <= *last {
		t.Fatalf("%s behind offset %d", got, *last)
	}
	*last = offset
	return before
}

func testHistoryOverBus(t *testing.T, url string, stop, begin func()) {
	var pair [2]*Server
	for i := range pair {
		pair[i] = start(t, Config{Dev: true, Admin: "127.0.0.1:0", Bus: url, Loops: 1, History: []string{"h.>=5,1m"}, PublicTopics: []string{">"}})
	}
	for _, s := range pair {
		eventually(t, "knows the other", func() bool { return s.readBus().Peers == 1 })
	}
	listeners, last := [2]net.Conn{}, [2]uint64{}
	for i, s := range pair {
		listeners[i] = dialWS(t, s.Addr().String(), "/ws?topic=h.a", subprotocol)
		if got := read(t, listeners[i]); !strings.Contains(got, `"offsets":{"h.a":"E.`) {
			t.Fatal(got)
		}
	}
	var at [6]broadcast.Position
	for i := range at {
		r := storeTo(t, pair[i%2], "h.a", fmt.Sprint(i))
		if r.Matched != 2 {
			t.Errorf("matched %d of 2", r.Matched)
		}
		at[i] = r.Position
	}
	for i, c := range listeners {
		for k := range at {
			if got := storedMessage(t, c, &last[i]); got != fmt.Sprintf(`{"type":"message","topic":"h.a","data":"%d","offset":`, k) || last[i] != at[k].Offset {
				t.Errorf("%s at %d, want %d at %v", got, last[i], k, at[k])
			}
		}
	}
	for _, s := range pair {
		blocks, ids := events(t, s, "topic=h.a", positionText(at[3]), 3, nil)
		same(t, ids, positionText(at[3]), positionText(at[4]), positionText(at[5]))
		for k, want := range []string{"", "data: 4", "data: 5"} {
			if !strings.HasSuffix(blocks[k], want) {
				t.Errorf("%q", blocks)
			}
		}
	}
	stop()
	eventually(t, "the store is away", func() bool { return pair[0].past.ready() != nil })
	if _, err := pair[0].PublishAll(t.Context(), "h.a", broadcast.Text, []byte("away")); !errors.Is(err, history.ErrAway) {
		t.Errorf("%v", err)
	}
	answer, err := http.Post("http://"+pair[0].AdminAddr().String()+"/v1/topics/h.a", "text/plain", strings.NewReader("away"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", answer.StatusCode)
	}
	begin()
	eventually(t, "the store is back", func() bool { return pair[0].past.ready() == nil && pair[1].past.ready() == nil })
	if _, err := pair[1].Publish("h.a", broadcast.Text, []byte("back")); err != nil { // the bus may need a moment more
		t.Fatal(err)
	}
	for i, c := range listeners {
		if got := storedMessage(t, c, &last[i]); !strings.Contains(got, `"data":"back"`) {
			t.Error(got)
		}
	}
}
