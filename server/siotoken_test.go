// Who clients of Socket.IO are: tokens in each namespace, their end, and what the backend hears.

package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"c100k/internal/topicws"
	"c100k/netpoll"
	"c100k/socketio"
)

// sioConn is a client of Socket.IO on a WebSocket.
type sioConn struct {
	net.Conn
	t *testing.T
}

// dialSIO opens a session; query is added to that of the protocol.
func dialSIO(t *testing.T, s *Server, query string) sioConn {
	t.Helper()
	c := sioConn{dialWS(t, s.Addr().String(), sioPath+"?EIO=4&transport=websocket"+query), t}
	if open := c.read(); !strings.HasPrefix(open, "0{") {
		t.Fatal(open)
	}
	return c
}

func (c sioConn) send(packet string) {
	c.t.Helper()
	if err := wsutil.WriteClientText(c, []byte(packet)); err != nil {
		c.t.Fatal(err)
	}
}

// read is the next packet that is no ping.
func (c sioConn) read() string {
	c.t.Helper()
	for {
		p, err := wsutil.ReadServerText(c)
		if err != nil {
			c.t.Fatal(err)
		}
		if string(p) != "2" {
			return string(p)
		}
	}
}

// expect reads packets that begin so.
func (c sioConn) expect(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.read(); !strings.HasPrefix(got, want) {
			c.t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func (c sioConn) call(packet, answer string) {
	c.t.Helper()
	c.send(packet)
	c.expect(answer)
}

// login is a CONNECT with a token; namespace is empty or ends with a comma.
func login(namespace, token string) string { return `40` + namespace + `{"token":"` + token + `"}` }

// A client says who it is by auth.token, or with the request that opens its connection.
func TestSocketIOTokens(t *testing.T) {
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, RequireToken: true, Loops: 1})
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"room.{sub}"}})
	for _, tt := range []struct{ query, packet, want string }{
		{"", "40", `44{"message":"this node needs a token`},
		{"", `40{"token":"x"}`, `44{"message":"the token is not a JWT","data":{"code":"unauthorized","message":"the token is not a JWT"}}`},
		{"", `40{"token":7}`, `44{"message":"auth.token is a string`},
		{"", login("", ""), `44{"message":"the token is not a JWT"`},
		{"", login("", mint(t, "u1", -time.Hour, lists{})), `44{"message":"the token has expired","data":{"code":"token_expired"`},
		{"", login("", token), `40{"sid":"`},
		{"&access_token=" + token, "40", `40{"sid":"`},
		{"&access_token=" + token, `40{"token":"the first place counts"}`, `40{"sid":"`},
	} {
		dialSIO(t, s, tt.query).call(tt.packet, tt.want)
	}
	c := dialSIO(t, s, "")
	c.call(login("", token), `40{"sid":"`)
	c.call(`420["subscribe","room.u1"]`, `430[{"ok":true}]`)
	c.call(`421["subscribe","room.u2"]`, `431[{"ok":false,"code":"forbidden","message":"you may not subscribe to \"room.u2\""}]`)
	c.call(`422["publish","room.u1",1]`, `432[{"ok":false,"code":"forbidden","message":"you may not publish to \"room.u1\""}]`)
}

// A token of the request that is not valid is refused with it, also where its key takes time.
func TestSocketIOBadRequestToken(t *testing.T) {
	_, public := newES256(t)
	for name, keys := range map[string]string{"secret": tokenSecret, "public key": public} {
		s := start(t, Config{TokenKeys: []string{keyFile(t, keys)}, Loops: 1})
		for _, transport := range []string{"polling", "websocket"} {
			request := "GET " + sioPath + "?EIO=4&transport=" + transport + "&access_token=x.y.z HTTP/1.1\r\nHost: h\r\n\r\n"
			if transport == "websocket" {
				request = handshake(sioPath+"?EIO=4&transport=websocket&access_token=x.y.z", "")
			}
			if res, body := ask(t, s, request); res.StatusCode != 401 || !strings.Contains(body, "token") {
				t.Errorf("%s, %s: %s %s", name, transport, res.Status, body)
			}
		}
	}
}

// Rights end while a client is connected: it is told, and has to leave.
func TestSocketIOExpires(t *testing.T) {
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, Loops: 1})
	c := dialSIO(t, s, "")
	c.call(login("", mint(t, "u2", 1500*time.Millisecond, lists{"join": []string{"a"}})), "40{")
	if n := subscribers(s, "a"); n != 1 {
		t.Errorf("it has joined %d topics", n)
	}
	c.expect(`42["expired"]`, "41")
	expectClosed(t, c, 4401, "token expired")
}

// In each namespace the program's middlewares see whom the client speaks for there. What is taken
// back ends what it allowed, and nothing else.
func TestSocketIONamespaces(t *testing.T) {
	io := socketio.New(socketio.Options{})
	var mu sync.Mutex
	var seen []string
	left := make(chan string, 8)
	for _, name := range []string{"/", "/a", "/b"} {
		io.Of(name).Use(func(h *socketio.Handshake) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, name+" "+h.Subject())
			return nil
		})
		io.Of(name).OnDisconnect(func(socket *socketio.Socket, reason socketio.Reason) {
			left <- name + " " + socket.Subject() + " " + string(reason)
		})
	}
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, SocketIO: io, Admin: "127.0.0.1:0", Loops: 2})
	tokens := map[string]string{}
	for _, sub := range []string{"ann", "bob"} {
		tokens[sub] = mint(t, sub, time.Hour, lists{}, "jti", sub)
	}
	c := dialSIO(t, s, "")
	c.call("40", "40{")
	c.call(login("/a,", tokens["ann"]), "40/a,{")
	c.call(login("/b,", tokens["bob"]), "40/b,{")
	c.call(login("/c,", tokens["bob"]), `44/c,{"message":"Invalid namespace"`)
	mu.Lock()
	if want := []string{"/ ", "/a ann", "/b bob"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
	mu.Unlock()
	if status, body := api(t, s, "POST", "/v1/revocations", `{"jti":"ann"}`); status != 200 {
		t.Fatal(status, body)
	}
	c.expect(`42/a,["revoked"]`, "41/a,")
	if got, want := <-left, "/a ann server namespace disconnect"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
	c.call(login("/a,", tokens["ann"]), `44/a,{"message":"the token was revoked","data":{"code":"token_revoked"`)
	// A client that is in no other namespace loses its connection.
	only := dialSIO(t, s, "")
	only.call(login("/b,", tokens["bob"]), "40/b,{")
	if status, body := api(t, s, "POST", "/v1/revocations", `{"sub":"bob"}`); status != 200 {
		t.Fatal(status, body)
	}
	c.expect(`42/b,["revoked"]`, "41/b,")
	only.expect(`42/b,["revoked"]`, "41/b,")
	expectClosed(t, only, 4403, "token revoked")
	// An operator closes the connections of a user, whatever else they are in.
	eve := dialSIO(t, s, "")
	eve.call("40", "40{")
	eve.call(login("/a,", mint(t, "eve", time.Hour, lists{})), "40/a,{")
	if status, body := api(t, s, "DELETE", "/v1/users/eve/connections", ""); status >= 300 {
		t.Fatal(status, body)
	}
	expectClosed(t, eve, ws.StatusPolicyViolation, "closed by operator")
	c.call(login("/b,", mint(t, "eve", time.Hour, lists{})), "40/b,{") // its connection has remained
}

// A user has so many connections, in however many namespaces each is.
func TestSocketIOConnsPerUser(t *testing.T) {
	io := socketio.New(socketio.Options{})
	io.Of("/a")
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, SocketIO: io, MaxConnsPerUser: 1, Loops: 2})
	token := mint(t, "ann", time.Hour, lists{})
	first, second := dialSIO(t, s, ""), dialSIO(t, s, "")
	first.call(login("", token), "40{")
	first.call(login("/a,", token), "40/a,{")
	const tooMany = `44{"message":"too many connections of this user`
	second.call(login("", token), tooMany)
	second.call(login("", mint(t, "bob", time.Hour, lists{})), "40{")
	// It counts as long as it is in one of the namespaces.
	first.send("41")
	third := dialSIO(t, s, "")
	third.call(login("", token), tooMany)
	first.Close()
	eventually(t, "the place is free", func() bool {
		third.send(login("", token))
		return strings.HasPrefix(third.read(), "40{")
	})
}

// The backend hears of clients that have joined, with their subject, and of their end.
func TestSocketIOEvents(t *testing.T) {
	events := make(chan string, 16)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var batch struct {
			Events []struct{ Type, Conn, Sub, Transport, Address, Reason string }
		}
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, &batch); err != nil {
			t.Error(err)
		}
		for _, e := range batch.Events {
			if e.Conn == "" {
				t.Errorf("%s", text)
			}
			events <- fmt.Sprint(e.Type, " ", e.Sub, " ", e.Transport, " ", e.Address, " ", e.Reason)
		}
	}))
	defer backend.Close()
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, HookEvents: backend.URL, Loops: 1})
	silent := dialSIO(t, s, "")
	c := dialSIO(t, s, "")
	c.call(login("", mint(t, "ann", time.Hour, lists{})), "40{")
	c.Close()
	silent.Close()
	for _, want := range []string{"connect ann socketio 127.0.0.1 ", "disconnect ann socketio  peer"} {
		if got := <-events; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
}

// The backend decides about the client, and about each command. Those behind one that waits wait
// too, and are done in their order.
func TestSocketIOHooks(t *testing.T) {
	release := make(chan struct{})
	b := newJudge(t, func(q hookQuestion) string {
		switch {
		case q.Transport != "socketio":
			t.Errorf("transport %q", q.Transport)
		case q.Type == "connect" && q.Sub == "eve":
			return `{"allow":false,"reason":"Eve has been banned."}`
		case q.Type == "connect":
			return `{"allow":true,"sub":"ann"}`
		case q.Topics[0] == "slow":
			<-release
		case q.Topics[0] == "secret":
			return `{"allow":false,"reason":"Not this room."}`
		case q.Topics[0] == "broken":
			return `no`
		}
		return `{"allow":true}`
	})
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, HookConnect: b.URL, HookSubscribe: b.URL, HookPublish: b.URL, HookTimeout: patience, Loops: 1})
	dialSIO(t, s, "").call(login("", mint(t, "eve", time.Hour, lists{})), `44{"message":"Eve has been banned.","data":{"code":"hook_denied"`)
	c := dialSIO(t, s, "")
	c.call("40", "40{")
	c.call(`421["subscribe","secret"]`, `431[{"ok":false,"code":"forbidden","message":"Not this room."}]`)
	c.call(`422["subscribe","broken"]`, `432[{"ok":false,"code":"unavailable"`)
	c.call(`423["publish","secret","x"]`, `433[{"ok":false,"code":"forbidden","message":"Not this room."}]`)
	c.send(`424["subscribe","slow"]`)
	c.send(`425["publish","slow",{"n":1}]`)
	c.send(`426["unsubscribe","other"]`)
	c.send(`427["subscribe",7]`)
	eventually(t, "asked", func() bool { return b.questions()[len(b.questions())-1].Topics[0] == "slow" })
	for range topicws.WaitingCommandsMax {
		c.send(`42["unsubscribe","other"]`)
	}
	c.call(`428["unsubscribe","other"]`, `438[{"ok":false,"code":"overloaded"`)
	close(release)
	c.expect(`434[{"ok":true}]`)
	rest := []string{c.read(), c.read(), c.read(), c.read()}
	slices.Sort(rest) // the message may come between the answers
	if want := []string{`42["message",{"topic":"slow","data":{"n":1}}]`, `435[{"ok":true,"matched":1}]`, `436[{"ok":true}]`}; !slices.Equal(rest[:3], want) {
		t.Errorf("%q, want %q", rest, want)
	}
	if !strings.HasPrefix(rest[3], `437[{"ok":false,"code":"bad_request"`) {
		t.Error(rest[3])
	}
	counted := make(chan int, 1)
	s.node.Loop(0).Remote().Post(func(*netpoll.Loop) { counted <- s.sioVerdicts[0].bytes })
	if n := <-counted; n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
	for _, q := range b.questions() {
		if q.Type != "connect" && q.Sub != "ann" {
			t.Errorf("the backend was asked about %q", q.Sub)
		}
	}
}
