// Tests of who a client is: where its token comes from, and who is asked about it.

package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const tokenSecret = "0123456789abcdef0123456789abcdef"

func keyFile(t testing.TB, content string) string {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lists are the claim c100k of a token.
type lists map[string]any

// mint makes a token that is good for so long.
func mint(t testing.TB, sub string, left time.Duration, rights lists, more ...string) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": sub, "exp": time.Now().Add(left).Unix(), "iat": time.Now().Unix(), "c100k": rights}
	for i := 0; i < len(more); i += 2 {
		claims[more[i]] = more[i+1]
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// newES256 makes a key, and the public half of it as a file has it.
func newES256(t testing.TB) (key *ecdsa.PrivateKey, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// handshake is an upgrade request with more header fields, each with its CRLF.
func handshake(target, fields string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" + fields + "\r\n"
}

func TestTokenPlaces(t *testing.T) {
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, TokenCookie: "session", Origins: []string{"https://app.example"}, Loops: 1})
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"a"}})
	bad := token[:len(token)-2] + "xx"
	own := "Origin: https://app.example\r\n"
	for name, row := range map[string]struct {
		target, fields string
		status         int
	}{
		"none":                        {"/ws?topic=a", "", 403},
		"header":                      {"/ws?topic=a", "Authorization: bearer  " + token + "\r\n", 101},
		"header, bad":                 {"/ws?topic=a", "Authorization: Bearer " + bad + "\r\n", 401},
		"header, empty":               {"/ws?topic=a", "Authorization: Bearer\r\n", 401},
		"two headers":                 {"/ws?topic=a", "Authorization: Bearer " + token + "\r\nAuthorization: Bearer " + token + "\r\n", 400},
		"another scheme":              {"/ws?topic=a", "Authorization: Basic eDp5\r\n", 403},
		"a scheme that begins alike":  {"/ws?topic=a", "Authorization: Bearers x\r\n", 403},
		"subprotocol":                 {"/ws?topic=a", "Sec-WebSocket-Protocol: c100k.v1, c100k.token." + token + "\r\n", 101},
		"subprotocol in front":        {"/ws?topic=a", "Sec-WebSocket-Protocol: c100k.token." + token + ", c100k.v1\r\n", 101},
		"subprotocol, bad":            {"/ws?topic=a", "Sec-WebSocket-Protocol: c100k.v1, c100k.token.x\r\n", 401},
		"query":                       {"/ws?topic=a&access_token=" + token, "", 101},
		"query, escaped":              {"/ws?topic=a&%61ccess_token=" + token, "", 101},
		"query, bad":                  {"/ws?topic=a&access_token=" + bad, "", 401},
		"query, empty":                {"/ws?topic=a&access_token=", "", 401},
		"query, twice":                {"/ws?topic=a&access_token=" + token + "&access_token=" + token, "", 400},
		"header before query":         {"/ws?topic=a&access_token=" + bad, "Authorization: Bearer " + token + "\r\n", 101},
		"query before cookie":         {"/ws?topic=a&access_token=" + bad, own + "Cookie: session=" + token + "\r\n", 401},
		"cookie":                      {"/ws?topic=a", own + "Cookie: a=b; session=" + token + "\r\n", 101},
		"cookie in quotes":            {"/ws?topic=a", own + `Cookie: session="` + token + "\"\r\n", 101},
		"cookie of our page":          {"/sse?topic=a", "Sec-Fetch-Site: same-origin\r\nCookie: session=" + token + "\r\n", 200},
		"cookie without an origin":    {"/ws?topic=a", "Cookie: session=" + token + "\r\n", 403},
		"cookie of another page":      {"/ws?topic=a", "Origin: https://evil.example\r\nCookie: session=" + token + "\r\n", 403},
		"cookie of another site":      {"/sse?topic=a", "Sec-Fetch-Site: cross-site\r\nCookie: session=" + token + "\r\n", 403},
		"cookie, bad":                 {"/ws?topic=a", own + "Cookie: session=x\r\n", 401},
		"a cookie without a name":     {"/ws?topic=a", own + "Cookie: session\r\n", 403},
		"another cookie":              {"/ws?topic=a", own + "Cookie: sessions=" + token + "\r\n", 403},
		"events, header":              {"/sse?topic=a", "Authorization: Bearer " + token + "\r\n", 200},
		"events, query":               {"/sse?topic=a&access_token=" + token, "", 200},
		"events, bad":                 {"/sse?topic=a&access_token=" + bad, "", 401},
		"a topic that is not allowed": {"/ws?topic=b&access_token=" + token, "", 403},
		"another origin comes first":  {"/ws?topic=a&access_token=" + bad, "Origin: https://evil.example\r\n", 403},
	} {
		request := handshake(row.target, row.fields)
		if strings.HasPrefix(row.target, "/sse") {
			request = "GET " + row.target + " HTTP/1.1\r\nHost: h\r\n" + row.fields + "\r\n"
		}
		c := dialNode(t, s)
		fmt.Fprint(c, request)
		res, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != row.status {
			t.Errorf("%s: %s, want %d", name, res.Status, row.status)
		}
		if (res.StatusCode == 401) != (res.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: RFC 9110, 15.5.2: %v", name, res.Header)
		}
		if protocol := res.Header.Get("Sec-WebSocket-Protocol"); strings.Contains(protocol, "token") {
			t.Errorf("%s: the answer has the token: %s", name, protocol)
		}
		c.Close()
	}
}

// Without keys no token is valid, and a client with one is not taken for one without.
func TestTokenWithoutKeys(t *testing.T) {
	s := start(t, Config{PublicTopics: []string{">"}})
	if res, body := ask(t, s, handshake("/ws?topic=a&access_token=x", "Connection: close\r\n")); res.StatusCode != 401 || !strings.Contains(body, "--token-key") {
		t.Errorf("%s %s", res.Status, body)
	}
}

func TestRequireToken(t *testing.T) {
	s := start(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}, RequireToken: true, PublicTopics: []string{">"}, DemoEndpoints: true})
	for _, path := range []string{"/ws?topic=a", "/echo", "/broadcast"} {
		if res, body := ask(t, s, handshake(path, "")); res.StatusCode != 401 || !strings.Contains(body, "needs a token") {
			t.Errorf("%s: %s %s", path, res.Status, body)
		}
	}
	token := mint(t, "u1", time.Hour, nil)
	c := dialNode(t, s)
	if res := c.answer(t, handshake("/ws?topic=a&access_token="+token, "")); res.StatusCode != 101 {
		t.Errorf("what is public is open to a client with a token: %s", res.Status)
	}
	old := mint(t, "u1", -time.Hour, nil)
	if res, body := ask(t, s, handshake("/ws?topic=a&access_token="+old, "")); res.StatusCode != 401 || !strings.Contains(body, "has expired") {
		t.Errorf("%s %s", res.Status, body)
	}
}

// A token of a public key is verified off the loop, and what the client sends behind its request
// waits for that.
func TestPublicKeyOffTheLoop(t *testing.T) {
	key, public := newES256(t)
	s := start(t, Config{TokenKeys: []string{keyFile(t, public)}, Loops: 1})
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "u1", "exp": time.Now().Add(time.Hour).Unix(), "c100k": lists{"subscribe": []string{"a"}, "join": []string{"own.{sub}"}}}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is known
		if res := dialNode(t, s).answer(t, handshake("/ws?topic=a&access_token="+token, "Authorization: Basic x\r\n")); res.StatusCode != 101 {
			t.Fatal(res.Status)
		}
	}
	eventually(t, "joined", func() bool { return subscribers(s, "own.u1") == 2 && subscribers(s, "a") == 2 })
	if res, _ := ask(t, s, handshake("/ws?topic=a&access_token="+token[:len(token)-3]+"xxx", "")); res.StatusCode != 401 {
		t.Error(res.Status)
	}
	if s.identify.quick.running.Load() > 2 {
		t.Error("goroutines are left")
	}
}

func TestAuthenticate(t *testing.T) {
	var asked atomic.Int32
	hang := make(chan struct{})
	s := start(t, Config{Loops: 1, TokenKeys: []string{keyFile(t, tokenSecret)}, Authenticate: func(r *http.Request, token *Identity) (*Identity, error) {
		asked.Add(1)
		switch user := r.Header.Get("X-User"); user {
		case "nobody":
			return nil, nil
		case "token":
			return token, nil
		case "refused":
			return nil, &AuthError{Status: 403, Reason: "not on Sundays"}
		case "broken":
			return nil, errors.New("database is down")
		case "panics":
			panic("oh")
		case "bad":
			return &Identity{Subject: user, Subscribe: []string{"a*"}}, nil
		case "hangs":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
			return nil, context.Cause(r.Context())
		default:
			if !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") || r.URL.Query().Get("topic") == "" {
				t.Errorf("%s %s", r.RemoteAddr, r.URL)
			}
			return &Identity{Subject: user, Subscribe: []string{"user.{sub}"}}, nil
		}
	}})
	waiting := dialNode(t, s)
	fmt.Fprint(waiting, handshake("/ws?topic=a", "X-User: hangs\r\n"))
	eventually(t, "asked", func() bool { return asked.Load() == 1 })
	token := mint(t, "u2", time.Hour, lists{"subscribe": []string{"user.{sub}"}})
	for _, row := range []struct {
		user, topic, token string
		status             int
		want               string
	}{
		{"u1", "user.u1", "", 101, ""}, {"u1", "user.u2", "", 403, "not open to this client"}, {"nobody", "user.u1", "", 403, "not open"}, {"refused", "a", "", 403, "not on Sundays"},
		{"token", "user.u2", token, 101, ""}, {"token", "user.u2", token + "x", 401, "not valid"}, {"broken", "a", "", 503, "not authorized in time"}, {"panics", "a", "", 503, ""}, {"bad", "a", "", 503, ""},
	} {
		target := "/ws?topic=" + row.topic
		if row.token != "" {
			target += "&access_token=" + row.token
		}
		c := dialNode(t, s)
		fmt.Fprint(c, handshake(target, "X-User: "+row.user+"\r\n"))
		res, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 200)
		if row.status != 101 {
			n, _ := res.Body.Read(body)
			body = body[:n]
		}
		if res.StatusCode != row.status || !strings.Contains(string(body), row.want) {
			t.Errorf("%s %s: %s %s", row.user, row.topic, res.Status, body)
		}
		c.Close()
	}
	close(hang)
}

// Keys are read again at a reload, all or nothing.
func TestReloadKeys(t *testing.T) {
	path := keyFile(t, tokenSecret)
	c := Config{Listen: "127.0.0.1:0", TokenKeys: []string{path}}
	s := start(t, c)
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"a"}})
	try := func() int {
		c := dialNode(t, s)
		defer c.Close()
		return c.answer(t, handshake("/ws?topic=a&access_token="+token, "")).StatusCode
	}
	if status := try(); status != 101 {
		t.Fatal(status)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(c); err == nil || !strings.Contains(err.Error(), "5 bytes") {
		t.Fatal(err)
	}
	if status := try(); status != 101 {
		t.Fatal(status)
	}
	if err := os.WriteFile(path, []byte(strings.ToUpper(tokenSecret)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(c); err != nil {
		t.Fatal(err)
	}
	if status := try(); status != 401 {
		t.Errorf("the old key is believed: %d", status)
	}
}

func TestPool(t *testing.T) {
	var p pool
	p.init(2)
	hold, held := make(chan struct{}), make(chan struct{}, questionsMax)
	for range 2 {
		if !p.run(func() { held <- struct{}{}; <-hold }) {
			t.Fatal("refused")
		}
	}
	<-held
	<-held
	for i := range questionsMax {
		if !p.run(func() { held <- struct{}{} }) {
			t.Fatalf("refused after %d", i)
		}
	}
	if p.run(func() {}) {
		t.Error("no bound")
	}
	close(hold)
	for range questionsMax {
		<-held
	}
	eventually(t, "ended", func() bool { return p.running.Load() == 0 })
}

// A token of a mounted node, and header fields that the program's handlers see.
func TestTokenMounted(t *testing.T) {
	_, mux := mount(t, Config{TokenKeys: []string{keyFile(t, tokenSecret)}})
	web := httptest.NewServer(mux)
	defer web.Close()
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"a"}})
	for want, authorization := range map[int]string{200: "Bearer " + token, 401: "Bearer x", 403: ""} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", web.URL+"/sse?topic=a", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		res, err := web.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: want %d", res.Status, want)
		}
	}
}
