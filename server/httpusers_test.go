package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"c100k/netpoll"
)

const usersKey = "a-key-of-the-api"

// userCall is a request to the public port with a bearer token.
func userCall(t *testing.T, s *Server, method, path, token, body string, fields ...string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	a, err := new(http.Transport).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, _ := io.ReadAll(a.Body)
	return a.StatusCode, strings.TrimSpace(string(text))
}

// TestUsersPublishOverHTTP: where the API is on the public port, a token publishes and asks for
// presence with its own rights, and opens nothing else.
func TestUsersPublishOverHTTP(t *testing.T) {
	_, public := newES256(t)
	s := withPresence(t, Config{APIKey: usersKey, History: []string{"room.>=5,1m"}, Origins: []string{"https://app.example"}, Loops: 1})
	token := mint(t, "ann", time.Hour, lists{"subscribe": []string{"room.>"}, "publish": []string{"room.>"}, "deny": []string{"room.staff"}, "presence": []string{"room.a"}})
	c := dialWS(t, s.Addr().String(), "/ws?topic=room.a&access_token="+token, subprotocol)
	frameWith(t, c, "welcome")
	wantPresence(t, s, "room.a", `{"topic":"room.a","count":1,"members":[{"sub":"ann","conns":1}]}`)
	for _, row := range []struct {
		method, path, token, body string
		status                    int
		want                      string
	}{
		{"POST", "/v1/publish", token, `{"topic":"room.a","data":{"n":1}}`, 200, `"matched":1`},
		{"POST", "/v1/topics/room.a", token, `2`, 200, `"durable":"memory"`},
		{"POST", "/v1/publish", token, `[{"topic":"room.a","data":3},{"topic":"room.staff","data":1},{"topics":["room.a","other"],"data":1},{"topic":"$presence.room.a","data":1}]`,
			200, `"code":"forbidden"`},
		{"POST", "/v1/publish", token, `{"topic":"other","data":1}`, 403, `"code":"forbidden"`},
		{"POST", "/v1/topics/room.staff", token, `1`, 403, `"code":"forbidden"`},
		{"POST", "/v1/publish", token, `{"topic":"room.a","data":1,"key":"k"}`, 403, "API key"},
		{"POST", "/v1/publish", token, `{"topics":["` + strings.Repeat(`room.a","`, 100) + `room.a"],"data":1}`, 413, "at most 100"},
		{"POST", "/v1/publish", token, `{"topic":"room.a\n","data":1}`, 400, "bad_topic"},
		{"GET", "/v1/topics/room.a/presence", token, "", 200, `"members":[{"sub":"ann","conns":1}]`},
		{"GET", "/v1/topics/room.b/presence", token, "", 403, `"code":"forbidden"`},
		{"POST", "/v1/publish", mint(t, "ann", -time.Hour, lists{"publish": []string{">"}}), `{"topic":"room.a","data":1}`, 401, "token_expired"},
		{"POST", "/v1/publish", token[:len(token)-2] + "xx", `{"topic":"room.a","data":1}`, 401, `"code":"unauthorized"`},
		{"POST", "/v1/publish", "eyJ.x.y", `{"topic":"room.a","data":1}`, 401, `"code":"unauthorized"`},
		{"POST", "/v1/publish", "", `{"topic":"room.a","data":1}`, 401, "key_required"},
		{"GET", "/v1/stats", token, "", 401, "bad_key"},
		{"GET", "/v1/topics/room.a/history", token, "", 401, "bad_key"},
		{"DELETE", "/v1/topics/room.a/history", token, "", 401, "bad_key"},
		{"GET", "/v1/topics/room.a", token, "", 401, "bad_key"},
		{"POST", "/v1/revocations", token, `{"sub":"eve"}`, 401, "bad_key"},
		{"POST", "/v1/publish", usersKey, `{"topic":"other","data":1}`, 200, `"matched":0`},
	} {
		status, answer := userCall(t, s, row.method, row.path, row.token, row.body)
		if status != row.status || !strings.Contains(answer, row.want) {
			t.Errorf("%s %s %.60s: %d %s; want %d %s", row.method, row.path, row.body, status, answer, row.status, row.want)
		}
	}
	for i, want := range []string{`{"n":1}`, "2", "3"} {
		if got := frameWith(t, c, `"message"`); !strings.Contains(got, `"data":`+want) || !strings.Contains(got, `"from":"ann"`) {
			t.Errorf("message %d: %s", i, got)
		}
	}
	if status, _ := userCall(t, s, "POST", "/v1/publish", token, `{"topic":"room.a","data":1}`, "Origin", "https://evil.example"); status != 403 {
		t.Errorf("from another page: %d", status)
	}
	if status, _ := userCall(t, s, "POST", "/v1/publish", token, `{"topic":"room.a","data":1}`, "Origin", "https://app.example"); status != 200 {
		t.Errorf("from an allowed page: %d", status)
	}
	// Without a key the API is not on the public port, and neither is this.
	alone := start(t, Config{TokenKeys: []string{keyFile(t, public)}, Loops: 1})
	if status, _ := userCall(t, alone, "POST", "/v1/publish", token, `{"topic":"room.a","data":1}`); status != 404 {
		t.Errorf("without a key: %d", status)
	}
}

// TestUsersOverHTTPAreJudged: the backend decides, tokens of slow algorithms are verified
// elsewhere, and a rate holds for the user.
func TestUsersOverHTTPAreJudged(t *testing.T) {
	b := newJudge(t, func(q hookQuestion) string {
		if q.Transport != httpUsersTransport || q.Sub != "ann" {
			return `{"allow":false,"reason":"who are you"}`
		}
		switch q.Topics[0] {
		case "broken":
			return "?"
		case "no":
			return `{"allow":false,"reason":"Not that."}`
		}
		return `{"allow":true}`
	})
	key, public := newES256(t)
	s := start(t, Config{TokenKeys: []string{keyFile(t, public)}, APIKey: usersKey, HookPublish: b.URL, HookTimeout: patience, Rate: 0.001, RateBurst: 4, Loops: 1})
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]string{"yes": `200 {"matched":0`, "no": "403 ", "broken": "503 "} {
		status, answer := userCall(t, s, "POST", "/v1/publish", token, `{"topic":"`+topic+`","data":1}`)
		if got := fmt.Sprint(status, " ", answer); !strings.HasPrefix(got, want) || topic == "no" && !strings.Contains(got, "Not that.") {
			t.Errorf("%s: %s", topic, got)
		}
	}
	var codes []int
	for range 3 {
		status, _ := userCall(t, s, "POST", "/v1/publish", token, `{"topic":"yes","data":1}`)
		codes = append(codes, status)
	}
	if got, _ := json.Marshal(codes); string(got) != "[200,429,429]" {
		t.Errorf("four publishes are allowed at once: %s", got)
	}
}

func TestUserRate(t *testing.T) {
	r := newUserRate(10, 2)
	now := netpoll.Monotonic()
	for i, want := range []bool{true, true, false} {
		if r.take("ann", now) != want {
			t.Errorf("publish %d", i)
		}
	}
	if !r.take("bob", now) || !r.take("ann", now+100*time.Millisecond) || r.take("ann", now+100*time.Millisecond) {
		t.Error("a rate is that of one user, and comes back")
	}
	for i := range rateUsersMax {
		r.take(fmt.Sprint(i), now)
	}
	if len(r.next) != rateUsersMax || r.take("one more", now) || !r.take("one more", now+time.Second) {
		t.Errorf("%d users", len(r.next))
	}
	if !newUserRate(0, 0).take("ann", now) {
		t.Error("no rate is no limit")
	}
}
