// Who may call, on either port.

package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAccess(t *testing.T) {
	const local, remote = "127.0.0.1:5000", "192.0.2.1:5000"
	const right = "Authorization: Bearer s3cret-key"
	for _, tc := range []struct {
		name   string
		key    string
		peer   string
		header []string
		status int
		code   string
	}{
		{"loopback", "", local, nil, 200, ""},
		{"loopback, with a key set", "s3cret-key", local, nil, 200, ""},
		{"loopback IPv6", "", "[::1]:5000", nil, 200, ""},
		{"loopback, mapped", "", "[::ffff:127.0.0.1]:5000", nil, 200, ""},
		{"loopback, another of its addresses", "", "127.8.9.1:5000", nil, 200, ""},
		{"loopback, right key", "s3cret-key", local, []string{right}, 200, ""},
		{"loopback, wrong key", "s3cret-key", local, []string{"Authorization: Bearer nope"}, 401, "bad_key"},
		{"loopback, a key that nobody asked for", "", local, []string{right}, 200, ""},
		{"loopback, through a proxy", "s3cret-key", local, []string{"X-Forwarded-For: 192.0.2.7"}, 401, "key_required"},
		{"loopback, through a proxy, no key set", "", local, []string{"Forwarded: for=192.0.2.7"}, 403, "no_key_configured"},
		{"loopback, through a proxy, right key", "s3cret-key", local, []string{"X-Forwarded-For: 192.0.2.7", right}, 200, ""},

		{"remote, no key set", "", remote, nil, 403, "no_key_configured"},
		{"remote, no key set, one sent", "", remote, []string{right}, 403, "no_key_configured"},
		{"remote, none sent", "s3cret-key", remote, nil, 401, "key_required"},
		{"remote, right", "s3cret-key", remote, []string{right}, 200, ""},
		{"remote, right, any host", "s3cret-key", remote, []string{right, "Host: push.example"}, 200, ""},
		{"remote, right, scheme in lower case", "s3cret-key", remote, []string{"Authorization: bearer s3cret-key"}, 200, ""},
		{"remote, wrong", "s3cret-key", remote, []string{"Authorization: Bearer s3cret-kez"}, 401, "bad_key"},
		{"remote, a prefix", "s3cret-key", remote, []string{"Authorization: Bearer s3cret-ke"}, 401, "bad_key"},
		{"remote, empty", "s3cret-key", remote, []string{"Authorization: Bearer "}, 401, "bad_key"},
		{"remote, no scheme", "s3cret-key", remote, []string{"Authorization: s3cret-key"}, 401, "bad_key"},
		{"remote, Basic", "s3cret-key", remote, []string{"Authorization: Basic s3cret-key"}, 401, "bad_key"},
		{"remote, two", "s3cret-key", remote, []string{right, right}, 401, "bad_key"},
		{"remote, in disguise", "s3cret-key", remote, []string{"X-Forwarded-For: 127.0.0.1", "Host: localhost"}, 401, "key_required"},
		{"unknown peer", "s3cret-key", "@", nil, 401, "key_required"},

		{"host localhost", "", local, []string{"Host: localhost:9100"}, 200, ""},
		{"host LocalHost", "", local, []string{"Host: LocalHost"}, 200, ""},
		{"host below localhost", "", local, []string{"Host: c100k.localhost:9100"}, 200, ""},
		{"host [::1]", "", local, []string{"Host: [::1]:9100"}, 200, ""},
		{"host [::1] without port", "", local, []string{"Host: [::1]"}, 200, ""},
		{"host listed", "", local, []string{"Host: Node-1.example:9100"}, 200, ""},
		{"host listed with its port", "", local, []string{"Host: other.example:9100"}, 200, ""},
		{"host listed with another port", "", local, []string{"Host: other.example:9101"}, 403, "foreign_host"},
		{"host rebound", "", local, []string{"Host: evil.example:9100"}, 403, "foreign_host"},
		{"host that looks like loopback", "", local, []string{"Host: 127.0.0.1.evil.example"}, 403, "foreign_host"},
		{"host notlocalhost", "", local, []string{"Host: notlocalhost"}, 403, "foreign_host"},
		{"host rebound, right key", "s3cret-key", local, []string{"Host: evil.example", right}, 200, ""},

		{"origin same", "", local, []string{"Host: localhost:9100", "Origin: http://localhost:9100"}, 200, ""},
		{"origin listed", "", local, []string{"Host: localhost:9100", "Origin: https://node-1.example"}, 200, ""},
		{"origin listed, other port of this machine", "", local, []string{"Host: localhost:9100", "Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"}, 403, "foreign_origin"},
		{"origin foreign", "", local, []string{"Host: localhost:9100", "Origin: https://evil.example"}, 403, "foreign_origin"},
		{"origin null", "", local, []string{"Host: localhost:9100", "Origin: null"}, 403, "foreign_origin"},
		{"origin twice", "", local, []string{"Host: localhost:9100", "Origin: http://localhost:9100", "Origin: https://evil.example"}, 403, "foreign_origin"},
		{"origin foreign, right key", "s3cret-key", local, []string{"Origin: https://evil.example", right}, 200, ""},

		{"an image on a foreign page", "", local, []string{"Host: localhost", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, 403, "foreign_site"},
		{"a frame on a foreign page", "", local, []string{"Host: localhost", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403, "foreign_site"},
		{"a link that was followed", "", local, []string{"Host: localhost", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 200, ""},
		{"typed into the address bar", "", local, []string{"Host: localhost", "Sec-Fetch-Site: none"}, 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := New(Config{Node: &fakeNode{}, APIKey: key(tc.key), Hosts: []string{"node-1.example", "other.example:9100"}})
			got := serve(h, tc.peer, "GET", "/v1/topics", tc.header)
			if tc.code == "" {
				if got.status != tc.status {
					t.Errorf("status %d %s", got.status, got.body)
				}
				return
			}
			wantProblem(t, got, tc.status, tc.code)
			if challenge := got.header.Get("WWW-Authenticate"); (challenge != "") != (tc.status == 401) {
				t.Errorf("WWW-Authenticate = %q with %d", challenge, tc.status)
			}
		})
	}
}

// serve calls a handler as a peer at any address.
func serve(h http.Handler, peer, method, path string, header []string) response {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr, r.Host = peer, "127.0.0.1:9100"
	setHeader(r, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return response{w.Code, w.Header(), w.Body.String()}
}

// Those who probe health have no key; all else is not even told apart from what is not there.
func TestAccessByPath(t *testing.T) {
	h := New(Config{Node: &fakeNode{}, APIKey: key("s3cret-key")})
	for path, status := range map[string]int{
		"/healthz": 200, "/readyz": 200,
		"/metrics": 401, "/debug/pprof/": 401, "/v1/stats": 401, "/v1/topics/%FF": 401, "/nothing": 401, "/": 200, "/ui/app.js": 200, "/ui/session": 200,
	} {
		if got := serve(h, "192.0.2.1:5000", "GET", path, []string{"Host: push.example"}); got.status != status {
			t.Errorf("%s = %d, want %d", path, got.status, status)
		}
	}
}

func TestPublic(t *testing.T) {
	if NewPublic(Config{Node: &fakeNode{}}) != nil {
		t.Error("there is a public API without a key")
	}
	h := NewPublic(Config{Node: &fakeNode{}, APIKey: key("s3cret-key")})
	right := []string{"Authorization: Bearer s3cret-key", "Host: push.example", "Origin: https://app.example"}
	for _, tc := range []struct {
		method, path string
		header       []string
		status       int
	}{
		{"GET", "/v1/stats", right, 200},
		{"POST", "/v1/topics/a", right, 200},
		{"GET", "/v1/stats", nil, 401},
		{"GET", "/v1/nothing", nil, 401},
		{"GET", "/v1/nothing", right, 404},
		{"GET", "/metrics", right, 404},
		{"GET", "/healthz", right, 404},
		{"GET", "/debug/pprof/", right, 404},
	} {
		for _, peer := range []string{"127.0.0.1:5000", "192.0.2.1:5000"} {
			if got := serve(h, peer, tc.method, tc.path, tc.header); got.status != tc.status {
				t.Errorf("%s %s from %s = %d, want %d", tc.method, tc.path, peer, got.status, tc.status)
			}
		}
	}
	emptied := NewPublic(Config{Node: &fakeNode{}, APIKey: key("")})
	wantProblem(t, serve(emptied, "127.0.0.1:5000", "GET", "/v1/stats", nil), 403, "no_key_configured")
}

// A reload changes the key without a new handler.
func TestKeyChanges(t *testing.T) {
	current := "first-key"
	h := New(Config{Node: &fakeNode{}, APIKey: func() string { return current }})
	ask := func(k string) int {
		return serve(h, "192.0.2.1:5000", "GET", "/v1/topics", []string{"Authorization: Bearer " + k}).status
	}
	before := fmt.Sprint(ask("first-key"), ask("second-key"))
	current = "second-key"
	if after := fmt.Sprint(ask("first-key"), ask("second-key")); before != "200 401" || after != "401 200" {
		t.Errorf("before %s, after %s", before, after)
	}
}
