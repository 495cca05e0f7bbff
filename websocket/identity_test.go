package websocket_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"c100k/server"
	"c100k/websocket"
)

// On a node a client is whom its token names, also where the node asks a backend and the program
// lets the handshake wait after that; a token that is not valid never reaches the program.
func TestSubject(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	mint := func(sub string) string {
		claims := jwt.MapClaims{"sub": sub, "exp": time.Now().Add(time.Hour).Unix()}
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, config := range map[string]server.Config{
		"a token": {},
		"a backend": {Authenticate: func(r *http.Request, token *server.Identity) (*server.Identity, error) {
			return token, nil
		}},
		"a token for each": {RequireToken: true},
	} {
		for _, waits := range []bool{false, true} {
			wss := websocket.New(websocket.Options{Origins: []string{"https://app.example"}})
			wss.OnUpgrade(func(u *websocket.Upgrade) {
				if !waits {
					return
				}
				u.Wait()
				go func() {
					u.SetData(u.Request().Subject())
					if err := u.Accept(); err != nil {
						t.Error(err)
					}
				}()
			})
			wss.OnConnection(func(c *websocket.Conn, r *websocket.Request) {
				if who, _ := c.Data().(string); waits && who != r.Subject() {
					t.Errorf("%s: the handler of the handshake was told %q, that of the connection %q", name, who, r.Subject())
				}
				c.SendText("hello " + r.Subject())
			})
			config.TokenKeys, config.MaxConns, config.WebSockets = []string{key}, 100, map[string]*websocket.Server{"/chat": wss}
			s, err := server.New(config)
			if err != nil {
				t.Fatal(err)
			}
			ln := listen(t)
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(ln) }()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			url := "ws://" + ln.Addr().String() + "/chat"
			with := func(token string) *websocket.DialOptions {
				return &websocket.DialOptions{Header: http.Header{"Authorization": {"Bearer " + token}, "Origin": {"https://app.example"}}}
			}
			expect(ctx, t, dial(ctx, t, url, with(mint("ann"))), "hello ann")
			for why, o := range map[string]*websocket.DialOptions{"a token that is not valid": with(mint("ann") + "x"), "no token": nil} {
				c, err := websocket.Dial(ctx, url, o)
				var refused *websocket.RefusedError
				switch anonymous := o == nil && !config.RequireToken; {
				case anonymous && err != nil:
					t.Errorf("%s, %s: %v", name, why, err)
				case anonymous:
					expect(ctx, t, c, "hello ")
					_ = c.Terminate()
				case !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized:
					t.Errorf("%s, %s: %v", name, why, err)
				}
			}
			cancel()
			s.Close()
			<-ended
		}
	}
}
