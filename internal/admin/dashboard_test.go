package admin

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"c100k/internal/figures"
)

// remote is a handler with two keys, as a browser on another machine meets it.
type remote struct {
	t       *testing.T
	handler http.Handler
	node    *fakeNode
	key     string
}

func newRemote(t *testing.T) *remote {
	r := &remote{t: t, node: &fakeNode{}, key: "s3cret-key"}
	r.handler = New(Config{Node: r.node, APIKey: func() string { return r.key }, ReadKey: func() string { return "r3ad-only" }})
	return r
}

// do makes a request with header lines.
func (r *remote) do(method, path, body string, header ...string) *http.Response {
	r.t.Helper()
	q := httptest.NewRequest(method, "http://push.example:9100"+path, strings.NewReader(body))
	q.RemoteAddr = "192.0.2.1:5000"
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		q.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, q)
	return w.Result()
}

func (r *remote) expect(want int, method, path, body string, header ...string) {
	r.t.Helper()
	if got := r.do(method, path, body, header...); got.StatusCode != want {
		r.t.Errorf("%s %s %v: %d, want %d", method, path, header, got.StatusCode, want)
	}
}

// login returns the headers of a page that has logged in: cookie and CSRF.
func (r *remote) login(key string) (cookie, csrf string) {
	r.t.Helper()
	res := r.do("POST", "/ui/login", `{"key":"`+key+`"}`, "Content-Type: application/json", "Origin: http://push.example:9100")
	if res.StatusCode != 204 || len(res.Cookies()) != 1 {
		r.t.Fatal(res.Status)
	}
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		r.t.Errorf("cookie %v", c)
	}
	cookie = "Cookie: " + c.Name + "=" + c.Value
	text, err := bufio.NewReader(r.do("GET", "/ui/session", "", cookie).Body).ReadString('\n')
	if err != nil {
		r.t.Fatal(err)
	}
	_, csrf, _ = strings.Cut(text, `"csrf":"`)
	csrf, _, _ = strings.Cut(csrf, `"`)
	if csrf == "" {
		r.t.Fatal(text)
	}
	return cookie, csrfHeader + ": " + csrf
}

func TestDashboardFiles(t *testing.T) {
	r := newRemote(t)
	for path, kind := range map[string]string{
		"/": "text/html", "/ui/app.js": "text/javascript", "/ui/lib.js": "text/javascript", "/ui/style.css": "text/css",
		"/ui/uplot.js": "text/javascript", "/ui/uplot.css": "text/css",
	} {
		res := r.do("GET", path, "")
		h := res.Header
		if res.StatusCode != 200 || !strings.HasPrefix(h.Get("Content-Type"), kind) || h.Get("X-Frame-Options") != "DENY" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: %s %v", path, res.Status, h)
		}
	}
	r.expect(404, "GET", "/ui/none.js", "")
	r.expect(404, "GET", "/ui/..%2Fdashboard.go", "")
	r.expect(405, "POST", "/", "")
}

func TestDashboardSession(t *testing.T) {
	r := newRemote(t)
	r.expect(401, "GET", "/v1/stats", "")
	r.expect(401, "GET", "/v1/stats", "", "Cookie: c100k_session=guessed")
	r.expect(400, "GET", "/v1/topics?api_key=s3cret-key", "", "Authorization: Bearer s3cret-key") // no key in an address
	cookie, csrf := r.login("s3cret-key")
	r.expect(200, "GET", "/v1/stats", "", cookie)
	r.expect(403, "POST", "/v1/topics/a", "x", cookie) // a form of another site has the cookie at best
	r.expect(403, "POST", "/v1/topics/a", "x", cookie, csrfHeader+": guessed")
	r.expect(200, "POST", "/v1/topics/a", "x", cookie, csrf)
	r.expect(403, "POST", "/v1/topics/a", "x", cookie, csrf, "Origin: http://evil.example")
	r.expect(403, "GET", "/v1/stats", "", cookie, "Origin: http://evil.example")
	r.expect(200, "POST", "/v1/topics/a", "x", cookie, csrf, "Origin: http://push.example:9100")
	r.expect(204, "POST", "/ui/logout", "", cookie, csrf)
	r.expect(401, "GET", "/v1/stats", "", cookie)

	cookie, _ = r.login("s3cret-key")
	r.key = "another-key" // a reload
	r.expect(401, "GET", "/v1/stats", "", cookie)
}

func TestDashboardLoginRefuses(t *testing.T) {
	r := newRemote(t)
	const document = "Content-Type: application/json"
	r.expect(415, "POST", "/ui/login", "key=s3cret-key", "Content-Type: application/x-www-form-urlencoded")
	r.expect(403, "POST", "/ui/login", `{"key":"s3cret-key"}`, document, "Origin: http://evil.example")
	r.expect(400, "POST", "/ui/login", `{`, document)
	r.expect(413, "POST", "/ui/login", `{"key":"`+strings.Repeat("x", 8192)+`"}`, document)
	for range GuessesMax {
		r.expect(401, "POST", "/ui/login", `{"key":"wrong"}`, document)
	}
	r.expect(429, "POST", "/ui/login", `{"key":"s3cret-key"}`, document)
}

// The key that may only read changes nothing, and sees no payloads and no profiles.
func TestReadKey(t *testing.T) {
	r := newRemote(t)
	const key = "Authorization: Bearer r3ad-only"
	cookie, csrf := r.login("r3ad-only")
	for _, with := range [][]string{{key}, {cookie, csrf}} {
		r.expect(200, "GET", "/v1/stats", "", with...)
		r.expect(200, "GET", "/v1/topics/a", "", with...)
		r.expect(403, "POST", "/v1/topics/a", "x", with...)
		r.expect(403, "DELETE", "/v1/connections/0000000100000007", "", with...)
		r.expect(403, "POST", "/v1/drain", "", with...)
		r.expect(403, "GET", "/v1/trace?sub=a&payload=1", "", with...)
		r.expect(403, "GET", "/debug/pprof/cmdline", "", with...)
	}
	if r.node.drains != 0 || len(r.node.take()) != 0 {
		t.Error("it has changed something")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	s := sessions{now: func() time.Time { return now }}
	first := s.begin(roleFull, "k")
	for range SessionsMax {
		now = now.Add(time.Second)
		s.begin(roleRead, "k")
	}
	q := httptest.NewRequest("GET", "/", nil)
	q.AddCookie(&http.Cookie{Name: sessionCookie, Value: first.id})
	if s.of(q) != nil || len(s.by) != SessionsMax {
		t.Errorf("%d sessions", len(s.by))
	}
	last := s.begin(roleFull, "k")
	q = httptest.NewRequest("GET", "/", nil)
	q.AddCookie(&http.Cookie{Name: sessionCookie, Value: last.id})
	if s.of(q) != last {
		t.Error("the last one is missing")
	}
	now = now.Add(SessionAge)
	if s.of(q) != nil {
		t.Error("it does not end")
	}
}

func TestRecorder(t *testing.T) {
	r := NewRecorder(someStats)
	now := time.Unix(1000, 0)
	for range RecordMax + 10 {
		now = now.Add(100 * time.Millisecond)
		r.take(now)
	}
	kept, samples, stop := r.watch()
	if len(kept) != RecordMax {
		t.Errorf("%d samples are kept", len(kept))
	}
	r.take(now.Add(RecordAge + time.Second)) // all others are too old
	if got := string(<-samples); !strings.Contains(got, `"conns":`) || !strings.Contains(got, `"fanout_p99":null`) {
		t.Error(got)
	}
	for range 3 * recordQueued {
		r.take(now.Add(RecordAge + time.Second)) // nobody reads, and nothing waits for that
	}
	if kept, _, stop := r.watch(); len(kept) != 1+3*recordQueued {
		t.Errorf("%d samples are kept", len(kept))
	} else {
		stop()
	}
	stop()
	if r.watched() {
		t.Error("somebody watches")
	}
}

func TestQuantile(t *testing.T) {
	before := figures.HistogramSnapshot{Bounds: []float64{0.001, 0.01, 0.1}, Counts: []uint64{5, 5, 0, 0}}
	after := figures.HistogramSnapshot{Bounds: before.Bounds, Counts: []uint64{95, 10, 4, 1}}
	for q, want := range map[float64]float64{0.5: 1, 0.93: 10, 0.98: 100, 1: 100} {
		if got := quantile(&before, &after, q); got == nil || *got != want {
			t.Errorf("%v: %v, want %v", q, *got, want)
		}
	}
	if got := quantile(&after, &after, 0.5); got != nil {
		t.Errorf("of nothing: %v", *got)
	}
}
