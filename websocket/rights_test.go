package websocket_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"c100k/server"
	"c100k/websocket"
)

// On a node the rights of a client end, by time, by revocation, by an operator, and one user has so
// many connections; with heartbeats and without.
func TestRightsEnd(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	closed := make(chan int, 16)
	servers := map[string]*websocket.Server{
		"/pings": websocket.New(websocket.Options{}), "/idle": websocket.New(websocket.Options{PingInterval: websocket.Off, IdleTimeout: time.Hour}),
	}
	for _, wss := range servers {
		wss.OnClose(func(_ *websocket.Conn, code int, _ string) { closed <- code })
	}
	s, err := server.New(server.Config{TokenKeys: []string{key}, MaxConns: 100, MaxConnsPerUser: 1, Admin: "127.0.0.1:0", WebSockets: servers})
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer func() {
		cancel()
		s.Close()
		<-ended
	}()
	with := func(sub string, left time.Duration) *websocket.DialOptions {
		claims := jwt.MapClaims{"sub": sub, "jti": sub, "exp": time.Now().Add(left).Unix()}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return &websocket.DialOptions{Header: http.Header{"Authorization": {"Bearer " + token}}}
	}
	admin := func(method, path, body string) func() {
		return func() {
			r, err := http.NewRequestWithContext(ctx, method, "http://"+s.AdminAddr().String()+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil || res.StatusCode >= 300 {
				t.Fatal(res, err)
			}
			res.Body.Close()
		}
	}
	for path := range servers {
		url := "ws://" + ln.Addr().String() + path
		name := path[1:]
		for _, tt := range []struct {
			sub  string
			left time.Duration
			end  func()
			code int
		}{
			{"short-" + name, 2 * time.Second, func() {}, 4401},
			{"revoked-" + name, time.Hour, admin("POST", "/v1/revocations", `{"sub":"revoked-`+name+`"}`), 4403},
			{"kicked-" + name, time.Hour, admin("DELETE", "/v1/users/kicked-"+name+"/connections", ""), 1008},
		} {
			c := dial(ctx, t, url, with(tt.sub, tt.left))
			var refused *websocket.RefusedError
			if _, err := websocket.Dial(ctx, url, with(tt.sub, tt.left)); !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
				t.Errorf("a second connection: %v", err)
			}
			tt.end()
			var end *websocket.CloseError
			if _, err := c.Read(ctx); !errors.As(err, &end) || end.Code != tt.code {
				t.Errorf("%s: %v, want code %d", tt.sub, err, tt.code)
			}
			if code := <-closed; code != tt.code {
				t.Errorf("%s: the handler was told %d", tt.sub, code)
			}
		}
	}
}
