package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatus(t *testing.T) {
	h := New(Config{})
	etag := get(t, h, "GET", "/").Header().Get("Etag")
	for _, tc := range []struct {
		method, path string
		header       []string
		status       int
	}{
		{"GET", "/", nil, 200},
		{"HEAD", "/", nil, 200},
		{"GET", "/?topic=a", nil, 200},
		{"GET", "/", []string{"If-None-Match", etag}, 304},
		{"GET", "/index.html", nil, 404},
		{"GET", "/favicon.ico", nil, 404},
		{"POST", "/", nil, 405},
		{"OPTIONS", "/", nil, 405},
	} {
		w := get(t, h, tc.method, tc.path, tc.header...)
		if w.Code != tc.status {
			t.Errorf("%s %s = %d, want %d", tc.method, tc.path, w.Code, tc.status)
		}
		if tc.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("405 with Allow %q", w.Header().Get("Allow"))
		}
	}
}

// The policy has to fit the page that is sent with it, and the page has to live within the policy.
func TestPolicy(t *testing.T) {
	w := get(t, New(Config{PublishURL: "http://127.0.0.1:9100"}), "GET", "/")
	body, policy := w.Body.String(), w.Header().Get("Content-Security-Policy")
	for _, element := range []string{"script", "style"} {
		if strings.Count(body, "<"+element+">") != 1 {
			t.Errorf("the page has not exactly one plain <%s>", element)
		}
		from := ""
		if element == "script" {
			from = "'self' " // for the client
		}
		if want := element + "-src " + from + hashOf(body, element); !strings.Contains(policy, want+";") {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	if got := regexp.MustCompile(`<(script|style|link)[^>]+(src|href)="[^"]*"`).FindAllString(body, -1); len(got) != 2 ||
		!strings.HasPrefix(got[0], `<link rel="icon" href="data:`) || got[1] != `<script src="c100k.js"` {
		t.Errorf("the page loads %q", got)
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	script := body[strings.Index(body, "<script>"):]
	markup := body[:strings.Index(body, "<script>")]
	if m := regexp.MustCompile(`(?i)\s(on[a-z]+|style)\s*=`).FindString(markup); m != "" {
		t.Errorf("the page has an inline %q", m)
	}
	if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function`).FindString(script); m != "" {
		t.Errorf("the script makes markup or code of text: %s", m)
	}
}

func TestNothingFromElsewhere(t *testing.T) {
	body := get(t, New(Config{}), "GET", "/").Body.String()
	body = strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "") // a name, not an address
	if m := regexp.MustCompile(`(https?:)?//[a-zA-Z0-9-]+\.[a-z]{2,}|@import|url\(`).FindString(body); m != "" {
		t.Errorf("the page asks another host: %s", m)
	}
}

func TestLabels(t *testing.T) {
	body := get(t, New(Config{}), "GET", "/").Body.String()
	for _, id := range regexp.MustCompile(`<input id="(\w+)"`).FindAllStringSubmatch(body, -1) {
		if !strings.Contains(body, `<label for="`+id[1]+`"`) {
			t.Errorf("input %s has no label", id[1])
		}
	}
	for _, want := range []string{`<html lang="en">`, `role="log" aria-live="polite"`, `name="viewport"`, `prefers-color-scheme: dark`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestPublishURLIsEscaped(t *testing.T) {
	body := get(t, New(Config{PublishURL: `http://x/"><script>alert(1)</script>`}), "GET", "/").Body.String()
	if !strings.Contains(body, `data-publish="http://x/&#34;&gt;&lt;script&gt;`) || strings.Contains(body, publishURLMark) {
		t.Error("the publish URL is not escaped")
	}
}
