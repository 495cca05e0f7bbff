// Tests of revocations, on one node and on two.

package server

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// api asks the admin port.
func api(t *testing.T, s *Server, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.AdminAddr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// expectClosed reads until the close frame.
func expectClosed(t *testing.T, c net.Conn, code ws.StatusCode, reason string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		_, _, err := wsutil.ReadServerData(c)
		if closed, ok := err.(wsutil.ClosedError); ok {
			if closed.Code != code || closed.Reason != reason {
				t.Errorf("closed with %d %q, want %d %q", closed.Code, closed.Reason, code, reason)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func expectRevoked(t *testing.T, s *Server, token string, want bool) {
	t.Helper()
	c := dialNode(t, s)
	defer c.Close()
	if status := c.answer(t, handshake("/ws?topic=a&access_token="+token, "")).StatusCode; (status == 401) != want {
		t.Errorf("%d, revoked: %v", status, want)
	}
}

func TestRevoke(t *testing.T) {
	dir := t.TempDir()
	c := Config{Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", TokenKeys: []string{keyFile(t, tokenSecret)}, StateDir: dir, Loops: 2}
	s := start(t, c)
	rights := lists{"subscribe": []string{"a"}}
	one, two, three := mint(t, "u1", time.Hour, rights, "jti", "one"), mint(t, "u1", time.Hour, rights, "jti", "two"), mint(t, "u2", time.Hour, rights)
	var conns []net.Conn
	for _, token := range []string{one, two, three} {
		conns = append(conns, dialWS(t, s.Addr().String(), "/ws?topic=a&access_token="+token))
	}
	events := openEvents(t, s.Addr().String(), "/sse?topic=a&access_token="+two)
	_ = events

	status, body := api(t, s, "POST", "/v1/revocations", `{"jti":"one"}`)
	if status != 200 {
		t.Fatal(status, body)
	}
	var r struct{ ID string }
	if json.Unmarshal([]byte(body), &r) != nil || len(r.ID) != 24 {
		t.Fatal(body)
	}
	expectClosed(t, conns[0], 4403, "token revoked")
	expectRevoked(t, s, one, true) // though it was verified a moment ago
	expectRevoked(t, s, two, false)
	if status, body := api(t, s, "GET", "/v1/revocations", ""); status != 200 || !strings.Contains(body, r.ID) {
		t.Error(status, body)
	}
	if status, _ := api(t, s, "DELETE", "/v1/revocations/"+r.ID, ""); status != 204 {
		t.Error(status)
	}
	expectRevoked(t, s, one, false)
	if status, _ := api(t, s, "DELETE", "/v1/revocations/"+r.ID, ""); status != 404 {
		t.Error(status)
	}

	// The connections of a user, without refusing the next.
	if status, body := api(t, s, "DELETE", "/v1/users/u2/connections", ""); status != 204 {
		t.Error(status, body)
	}
	expectClosed(t, conns[2], 1008, "closed by operator")
	expectRevoked(t, s, three, false)

	// A subject, and an array.
	if status, body := api(t, s, "POST", "/v1/revocations", `[{"sub":"u1"},{"sub":"u2","issued_before":5}]`); status != 200 || !strings.HasPrefix(body, "[") {
		t.Error(status, body)
	}
	expectClosed(t, conns[1], 4403, "token revoked")
	for token, want := range map[string]bool{one: true, two: true, three: false} {
		expectRevoked(t, s, token, want)
	}
	for _, bad := range []string{``, `{}`, `[]`, `{"sub":1}`, `{"sub":"a","jti":"b"}`, `{"subs":"a"}`, `{"sub":"a"} x`} {
		if status, body := api(t, s, "POST", "/v1/revocations", bad); status != 400 || !strings.Contains(body, "bad_revocation") {
			t.Errorf("%s: %d %s", bad, status, body)
		}
	}

	// They hold after a restart.
	_ = s.Close()
	s = start(t, c)
	expectRevoked(t, s, one, true)
	expectRevoked(t, s, three, false)
}

// What is revoked on one node is revoked on the others, also on one that joins later.
func TestRevokeOnAllNodes(t *testing.T) {
	nats := startNATS(t, 0)
	c := Config{Admin: "127.0.0.1:0", Listen: "127.0.0.1:0", Bus: busURL(nats), TokenKeys: []string{keyFile(t, tokenSecret)}, Loops: 1}
	first, second := start(t, c), start(t, c)
	eventually(t, "knows the other", func() bool { return first.readBus().Peers == 1 && second.readBus().Peers == 1 })
	token := mint(t, "u1", time.Hour, lists{"subscribe": []string{"a"}}, "jti", "one")
	conn := dialWS(t, second.Addr().String(), "/ws?topic=a&access_token="+token)
	if status, body := api(t, first, "POST", "/v1/revocations", `{"jti":"one"}`); status != 200 {
		t.Fatal(status, body)
	}
	expectClosed(t, conn, 4403, "token revoked")
	expectRevoked(t, second, token, true)

	third := start(t, c)
	eventually(t, "has learned", func() bool { list, _ := adminNode{third}.Revocations("", 10); return len(list) == 1 })
	expectRevoked(t, third, token, true)

	other := mint(t, "u2", time.Hour, lists{"subscribe": []string{"a"}})
	conn = dialWS(t, third.Addr().String(), "/ws?topic=a&access_token="+other)
	if status, _ := api(t, first, "DELETE", "/v1/users/u2/connections", ""); status != 204 {
		t.Error(status)
	}
	expectClosed(t, conn, 1008, "closed by operator")
	list, _ := adminNode{first}.Revocations("", 10)
	if status, _ := api(t, second, "DELETE", "/v1/revocations/"+list[0].ID, ""); status != 204 {
		t.Error(status)
	}
	eventually(t, "taken back", func() bool { list, _ := adminNode{first}.Revocations("", 10); return len(list) == 0 })
}

// A node that cannot be made leaves nothing behind: no fetches of keys, and no open file of
// revocations. What is left, TestMain sees.
func TestNewFailsWithKeys(t *testing.T) {
	keys := httptest.NewServer(http.NotFoundHandler())
	defer keys.Close()
	for range 3 {
		_, err := New(Config{
			Listen: "127.0.0.1:0", Bus: "nats://127.0.0.1:1", TokenKeys: []string{keyFile(t, tokenSecret)}, TokenJWKS: keys.URL, StateDir: t.TempDir(), Loops: 1,
		})
		if !errors.Is(err, ErrBus) {
			t.Fatal(err)
		}
	}
}
