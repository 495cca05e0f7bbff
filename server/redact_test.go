// A token is in no log, no error, no metric, wherever it came from and whatever became of it.

package server

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws/wsutil"
)

func TestTokensAreNowhere(t *testing.T) {
	said := &lockedBuffer{}
	s := start(t, Config{
		Admin: "127.0.0.1:0", TokenKeys: []string{keyFile(t, tokenSecret)}, TokenCookie: "session", Origins: []string{"https://app.example"}, DemoEndpoints: true, Loops: 1,
		Logger: slog.New(slog.NewJSONHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	// The marker is the signature of a good token, and a text within a bad one.
	good := mint(t, "ann", time.Hour, lists{"subscribe": []string{"a"}})
	signature := good[strings.LastIndexByte(good, '.')+1:]
	const marker = "MARKEROFATOKEN"
	bad := "eyJhbGciOiJIUzI1NiJ9." + marker + "." + marker
	never := func(where, text string) {
		t.Helper()
		for _, secret := range []string{marker, signature} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has the token: %s", where, text)
			}
		}
	}
	for _, token := range []string{good, bad} {
		for _, path := range []string{
			"/ws?topic=a", "/ws?topic=denied", "/sse?topic=a", "/sse?topic=", "/poll?topic=a&wait=0s", "/poll?topic=denied", "/echo?x=y", "/broadcast?x=y",
			sioPath + "?EIO=4&transport=polling", sioPath + "?EIO=4&transport=websocket", sioPath + "?EIO=9&transport=none", "/nothing?x=y", "/v1/topics?x=y",
		} {
			for name, place := range map[string][2]string{
				"query": {"&access_token=" + token, ""}, "header": {"", "Authorization: Bearer " + token + "\r\n"},
				"subprotocol":  {"", "Sec-WebSocket-Protocol: c100k.v1, c100k.token." + token + "\r\n"},
				"cookie":       {"", "Origin: https://app.example\r\nCookie: session=" + token + "\r\n"},
				"another page": {"&access_token=" + token, "Origin: https://evil.example\r\n"},
			} {
				request := handshake(path+place[0], place[1])
				if strings.HasPrefix(path, "/sse") || strings.HasPrefix(path, "/poll") || strings.Contains(path, "polling") {
					request = "GET " + path + place[0] + " HTTP/1.1\r\nHost: h\r\n" + place[1] + "\r\n"
				}
				c := dialNode(t, s)
				fmt.Fprint(c, request)
				answer := make([]byte, 4096)
				n, err := c.Read(answer)
				if err != nil && err != io.EOF {
					t.Fatal(err)
				}
				never(path+", "+name+": the answer", string(answer[:n]))
				c.Close()
			}
		}
		first := dialWS(t, s.Addr().String(), "/ws", subprotocol)
		say(t, first, `{"type":"connect","token":"`+token+`"}`)
		for range 2 {
			text, _, err := wsutil.ReadServerData(first)
			if err != nil {
				break
			}
			never("c100k.v1", string(text))
		}
		client := dialSIO(t, s, "")
		client.send(login("", token))
		never("Socket.IO", client.read())
	}
	for _, path := range []string{"/metrics", "/v1/stats", "/v1/topics", "/v1/revocations", "/readyz"} {
		_, body := api(t, s, "GET", path, "")
		never(path, body)
	}
	s.Close()
	never("the log", said.text())
}
