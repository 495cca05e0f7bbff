// Socket.IO on a node: a program's own server, mounted ones, drain and kick. Real clients are in
// internal/e2e.

package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"c100k/broadcast"
	"c100k/internal/engineio"
	"c100k/internal/figures"
	"c100k/socketio"
)

// text asks for something and returns status and body.
func text(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	p, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(p)
}

// poller opens a session over polling and joins "/"; the result is the address for all that
// follows.
func poller(t *testing.T, url string) string {
	t.Helper()
	url += sioPath + "?EIO=4&transport=polling"
	status, open := text(t, "GET", url, "")
	if status != 200 {
		t.Fatalf("%d %s", status, open)
	}
	url += "&sid=" + strings.Split(open, `"`)[3]
	if status, said := text(t, "POST", url, "40"); status != 200 {
		t.Fatalf("%d %s", status, said)
	}
	if _, said := text(t, "GET", url, ""); !strings.HasPrefix(said, "40{") {
		t.Fatalf("joined: %s", said)
	}
	return url
}

// A mounted node serves its own paths also to clients that poll, and gives the rest of their
// connections back.
func TestMountedSocketIO(t *testing.T) {
	s, mux := mount(t, Config{Dev: true, Loops: 2})
	mux.Handle(sioPath, s.Handler())
	foreign := httptest.NewServer(mux)
	defer foreign.Close()
	url := poller(t, foreign.URL)
	if _, body := text(t, "GET", foreign.URL+"/", ""); body != "theirs" {
		t.Errorf("their page: %q", body)
	}
	text(t, "POST", url, `420["subscribe","t"]`)
	if _, got := text(t, "GET", url, ""); got != `430[{"ok":true}]` {
		t.Errorf("got %s", got)
	}
	if _, err := s.Publish("t", broadcast.Binary, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	if _, got := text(t, "GET", url, ""); got != `451-["message",{"topic":"t","data":{"_placeholder":true,"num":0}}]`+"\x1e"+"bAQIDBA==" {
		t.Errorf("got %q", got)
	}
	if info, _ := (adminNode{s}).Topic("t"); fmt.Sprint(info.Transports) != "map[socketio:1]" {
		t.Errorf("transports %v", info.Transports)
	}
	if status, body := text(t, "GET", foreign.URL+sioPath+"socket.io.min.js", ""); status != 200 || !strings.Contains(body, "Socket.IO v"+socketio.ClientVersion) {
		t.Errorf("script: %d", status)
	}
	if n := (adminNode{s}).Stats().At(figures.KeyOpen).Family["socketio"]; n != 1 {
		t.Errorf("%v connections", n)
	}
}

// Leaving "/" ends the subscriptions of a client that stays connected.
func TestSocketIOLeaves(t *testing.T) {
	s, mux := mount(t, Config{Dev: true, Loops: 1})
	mux.Handle(sioPath, s.Handler())
	foreign := httptest.NewServer(mux)
	defer foreign.Close()
	url := poller(t, foreign.URL)
	text(t, "POST", url, `42["subscribe",["t","u"]]`)
	eventually(t, "subscribed", func() bool { return subscribers(s, "u") == 1 })
	text(t, "POST", url, "41")
	eventually(t, "gone", func() bool { return subscribers(s, "t")+subscribers(s, "u") == 0 })
}

// What needs a right is refused without it, and what is off is not there.
func TestSocketIORights(t *testing.T) {
	s, mux := mount(t, Config{Loops: 1, PublicTopics: []string{"open"}})
	mux.Handle(sioPath, s.Handler())
	foreign := httptest.NewServer(mux)
	defer foreign.Close()
	url := poller(t, foreign.URL)
	for event, want := range map[string]string{
		`["subscribe","open"]`:            `[{"ok":true}]`,
		`["subscribe","secret"]`:          `[{"ok":false,"code":"forbidden","message":"you may not subscribe to \"secret\""}]`,
		`["subscribe",["open","secret"]]`: `[{"ok":false,"code":"forbidden","message":"you may not subscribe to \"secret\""}]`,
		`["publish","open",1]`:            `[{"ok":false,"code":"forbidden","message":"you may not publish to \"open\""}]`,
	} {
		text(t, "POST", url, "420"+event)
		if _, got := text(t, "GET", url, ""); got != "430"+want {
			t.Errorf("%s: %s, want %s", event, got, want)
		}
	}
	off, mux := mount(t, Config{Loops: 1, NoSocketIO: true})
	mux.Handle(sioPath, off.Handler())
	other := httptest.NewServer(mux)
	defer other.Close()
	for _, path := range []string{sioPath, sioPath + "socket.io.js"} {
		if status, _ := text(t, "GET", other.URL+path, ""); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// A program's own server stands in the place of the node's, and hears of drain and kick in Node's
// words.
func TestOwnSocketIO(t *testing.T) {
	for name, end := range map[string]func(*Server, *socketio.Socket){
		"server shutting down": func(s *Server, _ *socketio.Socket) { s.beginDrain() },
		"forced server close": func(s *Server, socket *socketio.Socket) {
			if found, err := (adminNode{s}).CloseConnection(socket.Conn()); !found || err != nil {
				t.Error("no such connection", err)
			}
		},
	} {
		sio := socketio.New(socketio.Options{})
		sockets, reasons := make(chan *socketio.Socket, 1), make(chan socketio.Reason, 1)
		sio.OnConnection(func(socket *socketio.Socket) { sockets <- socket })
		sio.Of("/").OnDisconnect(func(_ *socketio.Socket, r socketio.Reason) { reasons <- r })
		s, mux := mount(t, Config{Dev: true, SocketIO: sio, Drain: 100 * time.Millisecond})
		mux.Handle(sioPath, s.Handler())
		foreign := httptest.NewServer(mux)
		poller(t, foreign.URL)
		end(s, <-sockets)
		if r := <-reasons; string(r) != name {
			t.Errorf("reason %q, want %q", r, name)
		}
		foreign.Close()
	}
}

func TestSIOGap(t *testing.T) {
	if got := string(appendSIOGap(nil, engineio.FormV4, "a\"b", 17)); !strings.HasSuffix(got, `42["gap",{"topic":"a\"b","missed":17}]`) {
		t.Errorf("got %q", got)
	}
}
