// The end of rights on every kind of WebSocket, and the limits on what a client sends and holds.

package server

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// everyWebSocket is a node with all of its WebSocket protocols, and the paths of those; package
// websocket has the same tests for a program's own.
func everyWebSocket(t *testing.T, c Config) (s *Server, paths []string) {
	t.Helper()
	c.TokenKeys, c.DemoEndpoints, c.Admin = []string{keyFile(t, tokenSecret)}, true, "127.0.0.1:0"
	return start(t, c), []string{"/ws?topic=a", "/echo?x=y", "/broadcast?x=y"}
}

// Rights end where their connection is, whatever that is: by time, by revocation, by an operator.
func TestRightsEndEverywhere(t *testing.T) {
	s, paths := everyWebSocket(t, Config{Loops: 2, PingInterval: Off})
	rights := lists{"subscribe": []string{"a"}}
	open := func(left time.Duration, sub string) (conns []net.Conn) {
		token := mint(t, sub, left, rights, "jti", sub)
		for _, path := range paths {
			conns = append(conns, dialWS(t, s.Addr().String(), path+"&access_token="+token))
		}
		return conns
	}
	short, revoked, kicked := open(2*time.Second, "short"), open(time.Hour, "revoked"), open(time.Hour, "kicked")
	stay := open(time.Hour, "stay")
	if status, body := api(t, s, "POST", "/v1/revocations", `{"jti":"revoked"}`); status != 200 {
		t.Fatal(status, body)
	}
	if status, body := api(t, s, "DELETE", "/v1/users/kicked/connections", ""); status >= 300 {
		t.Fatal(status, body)
	}
	for i, path := range paths {
		t.Run(path, func(t *testing.T) {
			expectClosed(t, revoked[i], 4403, "token revoked")
			expectClosed(t, kicked[i], ws.StatusPolicyViolation, "closed by operator")
			expectClosed(t, short[i], 4401, "token expired")
			if err := ws.WriteFrame(stay[i], ws.MaskFrame(ws.NewPingFrame([]byte("x")))); err != nil {
				t.Fatal(err)
			}
			if h, err := ws.ReadHeader(stay[i]); err != nil || h.OpCode != ws.OpPong {
				t.Errorf("the connection of another user: %v %v", h.OpCode, err)
			}
		})
	}
}

// One user has so many connections, whatever they are.
func TestConnsPerUserEverywhere(t *testing.T) {
	s, paths := everyWebSocket(t, Config{Loops: 2, MaxConnsPerUser: 1})
	for i, path := range append(slices.Clone(paths), "/sse?topic=a", sioPath) {
		t.Run(path, func(t *testing.T) {
			token := mint(t, fmt.Sprint("u", i), time.Hour, lists{"subscribe": []string{"a"}})
			var c net.Conn
			switch {
			case strings.HasPrefix(path, "/sse"):
				openEvents(t, s.Addr().String(), path+"&access_token="+token)
			case path == sioPath:
				client := dialSIO(t, s, "")
				client.call(login("", token), "40{")
				c = client
			default:
				c = dialWS(t, s.Addr().String(), path+"&access_token="+token)
			}
			for _, other := range paths {
				if status, body := knock(t, s, other+"&access_token="+token, ""); status != 429 || !strings.Contains(body, "--max-conns-per-user") {
					t.Errorf("then %s: %d %s", other, status, body)
				}
			}
			if res, _ := ask(t, s, "GET /sse?topic=a&access_token="+token+" HTTP/1.1\r\nHost: h\r\n\r\n"); res.StatusCode != 429 {
				t.Errorf("then events: %s", res.Status)
			}
			dialSIO(t, s, "").call(login("", token), `44{"message":"too many connections of this user`)
			if c == nil {
				return
			}
			c.Close()
			eventually(t, "its place is free", func() bool {
				status, _ := knock(t, s, "/echo?access_token="+token, "")
				return status == 101
			})
		})
	}
}

// A client that sends more bytes than it may is closed; those of one message of the largest size
// are never too many.
func TestByteRate(t *testing.T) {
	const largest = 4000
	s := start(t, Config{Dev: true, Loops: 1, MaxMessage: largest, ByteRate: 1000})
	for name, size := range map[string]int{"small": 100, "large": largest} {
		c := dialWS(t, s.Addr().String(), "/echo")
		message := make([]byte, size)
		for range largest / size {
			if err := wsutil.WriteClientBinary(c, message); err != nil {
				t.Fatal(err)
			}
			if echo, err := wsutil.ReadServerBinary(c); err != nil || len(echo) != size {
				t.Fatalf("%s: %d bytes, %v", name, len(echo), err)
			}
		}
		for range largest / size { // far more than has come back meanwhile
			if err := wsutil.WriteClientBinary(c, message); err != nil {
				break
			}
		}
		expectClosed(t, c, ws.StatusPolicyViolation, "rate limit exceeded")
	}
	client := dialSIO(t, s, "")
	client.call("40", "40{")
	for range 2 {
		client.send(`42["publish","t","` + strings.Repeat("x", largest-100) + `"]`)
	}
	expectClosed(t, client, ws.StatusPolicyViolation, "rate limit exceeded")
}
