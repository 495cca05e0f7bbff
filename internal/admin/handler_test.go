// Every endpoint as it should be used, and every way of using it wrong.

package admin

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"c100k/internal/figures"

	"c100k/broadcast"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestAnswers(t *testing.T) {
	ts, _ := newAPIServer(t, Config{})
	const result = `{"matched":3,"queued":2,"dropped":1}` + "\n"
	const topic = `"subscribers":3,"transports":{"sse":1,"websocket":2}}`
	for _, tc := range []struct {
		q      request
		status int
		body   string
	}{
		{request{method: "POST", path: "/v1/topics/news", body: "hello"}, 200, result},
		{request{method: "POST", path: "/v1/publish", body: `{"topic":"a","data":1}`}, 200, result},
		{request{method: "POST", path: "/v1/publish", body: `{"topics":["a","b"],"data":1}`}, 200, `{"matched":6,"queued":4,"dropped":2}` + "\n"},
		{request{method: "POST", path: "/v1/publish", body: ` [ {"topic":"a","data":1} ] `}, 200, "[" + strings.TrimSpace(result) + "]\n"},
		{request{method: "POST", path: "/v1/publish", body: `[]`}, 200, "[]\n"},
		{request{method: "GET", path: "/v1/topics?prefix=news"}, 200, `{"topics":[{"topic":"news",` + topic + `,{"topic":"news.sport",` + topic + `]}` + "\n"},
		{request{method: "GET", path: "/v1/topics?limit=1"}, 200, `{"topics":[{"topic":"a/b",` + topic + `],"next":"a/b"}` + "\n"},
		{request{method: "GET", path: "/v1/topics?limit=2&after=chat"}, 200, `{"topics":[{"topic":"news",` + topic + `,{"topic":"news.sport",` + topic + `]}` + "\n"},
		{request{method: "GET", path: "/v1/topics?limit=2&cursor=chat"}, 200, `{"topics":[{"topic":"news",` + topic + `,{"topic":"news.sport",` + topic + `]}` + "\n"},
		{request{method: "GET", path: "/v1/topics?prefix=zzz"}, 200, `{"topics":[]}` + "\n"},
		{request{method: "GET", path: "/v1/topics/a%2Fb"}, 200, `{"topic":"a/b",` + topic + "\n"},
		{request{method: "DELETE", path: "/v1/connections/0000000100000007"}, 204, ""},
		{request{method: "POST", path: "/v1/drain"}, 202, `{"draining":true}` + "\n"},
		{request{method: "GET", path: "/healthz"}, 200, "ok\n"},
		{request{method: "GET", path: "/readyz"}, 200, "ok\n"},
		{request{method: "HEAD", path: "/healthz"}, 200, ""},
		{request{method: "HEAD", path: "/v1/stats"}, 200, ""},
		{request{method: "OPTIONS", path: "/v1/topics/a"}, 204, ""},
		{request{method: "GET", path: "/debug/pprof"}, 301, `<a href="/debug/pprof/">Moved Permanently</a>.` + "\n\n"},
		{request{method: "GET", path: "/debug/pprof/cmdline"}, 200, strings.Join(os.Args, "\x00")},
	} {
		got := do(t, ts, tc.q)
		if got.status != tc.status || got.body != tc.body {
			t.Errorf("%s %s = %d %q, want %d %q", tc.q.method, tc.q.path, got.status, got.body, tc.status, tc.body)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s may be cached", tc.q.method, tc.q.path)
		}
	}
}

func TestAllow(t *testing.T) {
	ts, _ := newAPIServer(t, Config{})
	for path, allow := range map[string]string{
		"/v1/publish":                      "POST, OPTIONS",
		"/v1/topics":                       "GET, HEAD, OPTIONS",
		"/v1/topics/a":                     "GET, HEAD, POST, OPTIONS",
		"/v1/connections/0000000000000001": "GET, HEAD, DELETE, OPTIONS",
		"/v1/drain":                        "POST, OPTIONS",
		"/healthz":                         "GET, HEAD, OPTIONS",
		"/metrics":                         "GET, HEAD, OPTIONS",
		"/debug/pprof/":                    "GET, HEAD, POST, OPTIONS",
	} {
		if got := do(t, ts, request{method: "OPTIONS", path: path}).header.Get("Allow"); got != allow {
			t.Errorf("OPTIONS %s allows %q, want %q", path, got, allow)
		}
		got := do(t, ts, request{method: "PATCH", path: path})
		wantProblem(t, got, 405, "method_not_allowed")
		if got.header.Get("Allow") != allow {
			t.Errorf("PATCH %s allows %q, want %q", path, got.header.Get("Allow"), allow)
		}
	}
}

func TestMalformed(t *testing.T) {
	ts, node := newAPIServer(t, Config{MessageBytesMax: 100})
	node.publishErr = map[string]error{"down": errors.New("the node takes no messages")}
	big := strings.Repeat("x", 101)
	post := func(path, body string, header ...string) request {
		return request{method: "POST", path: path, body: body, header: header}
	}
	get := func(path string) request { return request{method: "GET", path: path} }
	publish := func(body string, header ...string) request { return post("/v1/publish", body, header...) }

	for _, tc := range []struct {
		q      request
		status int
		code   string
		detail string // must be in the detail
	}{
		{get("/ui/"), 404, "no_such_path", ""},
		{get("/v1"), 404, "no_such_path", ""},
		{get("/v1/"), 404, "no_such_path", ""},
		{get("/v1//topics"), 404, "no_such_path", ""},
		{get("/v1/stats/"), 404, "no_such_path", ""},
		{get("/v1%2Fstats"), 404, "no_such_path", ""},
		{get("/v1/x/../stats"), 404, "no_such_path", ""},
		{get("/v2/stats"), 404, "no_such_path", ""},
		{post("/v1/topics/a/b", "x"), 404, "no_such_path", "%2F"},
		{post("/v1/topics", "x"), 405, "method_not_allowed", "GET, HEAD, OPTIONS"},
		{get("/v1/publish"), 405, "method_not_allowed", "POST"},
		{get("/v1/drain"), 405, "method_not_allowed", "POST"},
		{request{method: "PUT", path: "/v1/topics/a", body: "x"}, 405, "method_not_allowed", ""},
		{request{method: "BREW", path: "/healthz"}, 405, "method_not_allowed", ""},

		{post("/v1/topics/", "x"), 400, "bad_topic", ""},
		{post("/v1/topics/%00", "x"), 400, "bad_topic", ""},
		{post("/v1/topics/a%0Ab", "x"), 400, "bad_topic", ""},
		{post("/v1/topics/%FF", "x"), 400, "bad_topic", ""},
		{post("/v1/topics/$presence.a", "x"), 400, "bad_topic", "only the node publishes"},
		{post("/v1/topics/"+strings.Repeat("a", 256), "x"), 400, "bad_topic", ""},
		{get("/v1/topics/%FF"), 400, "bad_topic", ""},
		{post("/v1/topics/a?kind=text", "x"), 400, "unknown_parameter", "kind"},
		{post("/v1/topics/a?%zz", "x"), 400, "bad_query", "%zz"},
		{post("/v1/topics/a", big), 413, "too_large", "100 bytes"},
		{post("/v1/topics/a", "\xff", "Content-Type: text/plain"), 400, "not_utf8", ""},
		{post("/v1/topics/a", "x", "Content-Type: text/plain; charset=utf-16"), 415, "charset", "utf-16"},
		{post("/v1/topics/a", "{", "Content-Type: application/json"), 400, "bad_json", "unexpected end"},
		{post("/v1/topics/a", "", "Content-Type: application/json"), 400, "bad_json", ""},
		{post("/v1/topics/a", "1 2", "Content-Type: application/json"), 400, "bad_json", "after top-level value"},
		{post("/v1/topics/a", "\"\xff\"", "Content-Type: application/json"), 400, "not_utf8", ""},
		{post("/v1/topics/a", "x", "Content-Type: text/plain; =;"), 400, "bad_content_type", ""},
		{post("/v1/topics/a", "x", "Content-Type: "), 400, "bad_content_type", ""},
		{post("/v1/topics/a", "x", "Content-Type: text/plain", "Content-Type: text/html"), 400, "bad_content_type", ""},
		{post("/v1/topics/a", "x", "Content-Encoding: gzip"), 415, "content_encoding", ""},
		{post("/v1/topics/down", "x"), 503, "unavailable", "takes no messages"},

		{publish(""), 400, "bad_json", ""},
		{publish("{"), 400, "bad_json", ""},
		{publish("hello"), 400, "bad_json", ""},
		{publish(`{"topic":"a","data":1} {}`), 400, "bad_json", ""},
		{publish("{\"topic\":\"\xff\",\"data\":1}"), 400, "not_utf8", ""},
		{publish("\xef\xbb\xbf{}"), 400, "bad_json", ""},
		{publish(`1`), 400, "bad_shape", ""},
		{publish(`"a"`), 400, "bad_shape", ""},
		{publish(`null`), 400, "bad_shape", ""},
		{publish(`{}`), 400, "bad_item", "topic"},
		{publish(`{"topic":"a"}`), 400, "bad_item", "data"},
		{publish(`{"data":1}`), 400, "bad_item", "topic"},
		{publish(`{"topic":"a","data":1,"data_base64":""}`), 400, "bad_item", "either"},
		{publish(`{"topic":"a","topics":["b"],"data":1}`), 400, "bad_item", "either"},
		{publish(`{"topic":"a","data":1,"ttl":3}`), 400, "bad_item", `"ttl"`},
		{publish(`{"Topic":"a","data":1}`), 400, "bad_item", `"Topic"`},
		{publish(`{"topic":"a","topic":"b","data":1}`), 400, "bad_item", "twice"},
		{publish(`{"topic":"a","data":1,"data":2}`), 400, "bad_item", "twice"},
		{publish(`{"topic":"a","data":1,"` + strings.Repeat("k", 100) + `":1}`), 400, "bad_item", "k…"},
		{publish(`{"topic":1,"data":1}`), 400, "bad_topic", "string"},
		{publish(`{"topic":null,"data":1}`), 400, "bad_topic", "string"},
		{publish(`{"topic":"","data":1}`), 400, "bad_topic", ""},
		{publish(`{"topic":"$presence.a","data":1}`), 400, "bad_topic", "only the node publishes"},
		{publish(`{"topic":"a\u0000","data":1}`), 400, "bad_topic", ""},
		{publish(`{"topic":"\ud800","data":1}`), 400, "bad_topic", "Unicode"},
		{publish(`{"topics":[],"data":1}`), 400, "bad_item", "empty"},
		{publish(`{"topics":"a","data":1}`), 400, "bad_item", "array"},
		{publish(`{"topics":["a",1],"data":1}`), 400, "bad_topic", "string"},
		{publish(`{"topics":["a",""],"data":1}`), 400, "bad_topic", ""},
		{publish(`{"topic":"a","data_base64":"a"}`), 400, "bad_item", "base64"},
		{publish(`{"topic":"a","data_base64":"YQ"}`), 400, "bad_item", "padding"},
		{publish(`{"topic":"a","data_base64":"-_-_"}`), 400, "bad_item", "base64"},
		{publish(`{"topic":"a","data_base64":7}`), 400, "bad_item", "base64"},
		{publish(`{"topic":"a","data":"\udc00\ud800"}`), 400, "bad_item", "surrogate"},
		{publish(`{"topic":"a","data":"` + big + `"}`), 413, "too_large", "100 bytes"},
		{publish(`{"topic":"down","data":1}`), 503, "unavailable", ""},
		{publish(`{"topics":["a","down"],"data":1}`), 503, "unavailable", "first 1 of 2"},
		{publish(`{"topic":"a","data":1}`, "Content-Type: text/xml"), 415, "content_type", "text/xml"},
		{publish(`{"topic":"a","data":1}`, "Content-Type: ;"), 415, "content_type", ""},
		{publish(`{"topic":"a","data":1}`, "Content-Encoding: br"), 415, "content_encoding", ""},
		{post("/v1/publish?x=1", `{"topic":"a","data":1}`), 400, "unknown_parameter", ""},
		{publish("[" + strings.Repeat("{},", PublishItemsMax) + "{}]"), 413, "too_many_items", "10000"},
		{publish(`[{"topics":["a"` + strings.Repeat(`,"a"`, 5999) + `],"data":1},{"topics":["a"` + strings.Repeat(`,"a"`, 5999) + `],"data":1}]`), 413, "too_many_topics", "10000"},
		{publish(`{"topics":["a"` + strings.Repeat(`,"a"`, PublishTopicsMax) + `],"data":1}`), 400, "bad_item", "10000"},
		{publish(strings.Repeat(" ", PublishBytesMax+1)), 413, "too_large", "8388608 bytes"},

		{get("/v1/topics?limit=0"), 400, "bad_limit", "1 to 10000"},
		{get("/v1/topics?limit=10001"), 400, "bad_limit", ""},
		{get("/v1/topics?limit=ten"), 400, "bad_limit", "ten"},
		{get("/v1/topics?limit="), 400, "bad_limit", ""},
		{get("/v1/topics?prefx=a"), 400, "unknown_parameter", "prefx"},
		{get("/v1/topics?after=a&cursor=b"), 400, "repeated_parameter", "after and cursor"},
		{get("/v1/topics?prefix=a&prefix=b"), 400, "repeated_parameter", "prefix"},
		{get("/v1/topics?prefix=%f"), 400, "bad_query", ""},
		{get("/v1/topics/quiet"), 404, "no_subscribers", "quiet"},
		{get("/v1/topics/quiet?x"), 400, "unknown_parameter", ""},
		{get("/v1/stats?pretty=1"), 400, "unknown_parameter", "pretty"},

		{request{method: "DELETE", path: "/v1/connections/12"}, 400, "bad_connection_id", "16 hex digits"},
		{request{method: "DELETE", path: "/v1/connections/"}, 400, "bad_connection_id", ""},
		{request{method: "DELETE", path: "/v1/connections/000000010000000g"}, 400, "bad_connection_id", ""},
		{request{method: "DELETE", path: "/v1/connections/0000000200000007"}, 404, "no_such_connection", "0000000200000007"},
		{request{method: "DELETE", path: "/v1/connections"}, 405, "method_not_allowed", ""},
	} {
		name := tc.q.method + " " + tc.q.path[:min(len(tc.q.path), 50)] + " " + tc.q.body[:min(len(tc.q.body), 60)]
		t.Run(name, func(t *testing.T) {
			node.take()
			p := wantProblem(t, do(t, ts, tc.q), tc.status, tc.code)
			if !strings.Contains(p.Detail, tc.detail) {
				t.Errorf("detail %q does not say %q", p.Detail, tc.detail)
			}
			if s := node.take(); len(s) > 0 && tc.code != "unavailable" {
				t.Errorf("it was published all the same: %v", s)
			}
		})
	}
}

func TestPayloads(t *testing.T) {
	ts, node := newAPIServer(t, Config{})
	publish := func(body string) request { return request{method: "POST", path: "/v1/publish", body: body} }
	post := func(topic, body string, header ...string) request {
		return request{method: "POST", path: "/v1/topics/" + topic, body: body, header: header}
	}
	for _, tc := range []struct {
		q    request
		want sent
	}{
		// what curl -d hello sends
		{post("news", "hello", "Content-Type: application/x-www-form-urlencoded"), sent{"news", broadcast.Text, "hello"}},
		{post("news", "\xff", "Content-Type: application/x-www-form-urlencoded"), sent{"news", broadcast.Binary, "\xff"}},
		{post("news", "a=1&b=%20", "Content-Type: application/x-www-form-urlencoded"), sent{"news", broadcast.Text, "a=1&b=%20"}},
		{post("news", "hellö"), sent{"news", broadcast.Text, "hellö"}},
		{post("news", "\x80"), sent{"news", broadcast.Binary, "\x80"}},
		{post("news", ""), sent{"news", broadcast.Text, ""}},
		{post("news", "x", "Content-Type: text/html; charset=UTF-8"), sent{"news", broadcast.Text, "x"}},
		{post("news", "x", "Content-Type: TEXT/Plain"), sent{"news", broadcast.Text, "x"}},
		{post("news", ` {"a": 1} `, "Content-Type: application/json"), sent{"news", broadcast.JSON, ` {"a": 1} `}},
		{post("news", "x", "Content-Type: application/octet-stream"), sent{"news", broadcast.Binary, "x"}},
		{post("news", "x", "Content-Type: image/png"), sent{"news", broadcast.Binary, "x"}},
		{post("a%2Fb", "x"), sent{"a/b", broadcast.Text, "x"}},
		{post("a%2fb%2F", "x"), sent{"a/b/", broadcast.Text, "x"}},
		{post("..", "x"), sent{"..", broadcast.Text, "x"}},
		{post("%2E", "x"), sent{".", broadcast.Text, "x"}},
		{post("a.b.c", "x"), sent{"a.b.c", broadcast.Text, "x"}},
		{post("a%20b+c", "x"), sent{"a b+c", broadcast.Text, "x"}},
		{post("100%25", "x"), sent{"100%", broadcast.Text, "x"}},
		{post("%C3%A4", "x"), sent{"ä", broadcast.Text, "x"}},
		{post("a;b=c@d", "x"), sent{"a;b=c@d", broadcast.Text, "x"}},

		{publish(`{"topic":"a","data":"hello"}`), sent{"a", broadcast.Text, "hello"}},
		{publish(`{"topic":"a","data":""}`), sent{"a", broadcast.Text, ""}},
		{publish(`{"topic":"a","data":"\u00e4\n\ud83d\ude00\\ud800"}`), sent{"a", broadcast.Text, "ä\n😀\\ud800"}},
		{publish(`{"data":{"b":[1, 2 , "] }"], "c":null} , "topic":"a"}`), sent{"a", broadcast.JSON, `{"b":[1,2,"] }"],"c":null}`}},
		{publish(`{"topic":"a","data":[ ]}`), sent{"a", broadcast.JSON, `[]`}},
		{publish(`{"topic":"a","data":null}`), sent{"a", broadcast.JSON, `null`}},
		{publish(`{"topic":"a","data":-1.5e3}`), sent{"a", broadcast.JSON, `-1.5e3`}},
		{publish(`{"topic":"a","data":12345678901234567890123}`), sent{"a", broadcast.JSON, `12345678901234567890123`}},
		{publish(`{"topic":"\u0061/b","data":true}`), sent{"a/b", broadcast.JSON, `true`}},
		{publish(`{"topic":"a","data_base64":"AP/+"}`), sent{"a", broadcast.Binary, "\x00\xff\xfe"}},
		{publish(`{"topic":"a","data_base64":""}`), sent{"a", broadcast.Binary, ""}},
		{publish("\n{\t\"topic\" : \"a\" ,\r\n \"data\" : \"x\" }\n"), sent{"a", broadcast.Text, "x"}},
	} {
		if got := do(t, ts, tc.q); got.status != 200 {
			t.Errorf("%s %q = %d %s", tc.q.path, tc.q.body, got.status, got.body)
		}
		if got := node.take(); len(got) != 1 || got[0] != tc.want {
			t.Errorf("%s %q published %+v, want %+v", tc.q.path, tc.q.body, got, tc.want)
		}
	}
}

// One bad item fails alone and says why; the others are published in order.
func TestPublishArray(t *testing.T) {
	ts, node := newAPIServer(t, Config{})
	got := do(t, ts, request{method: "POST", path: "/v1/publish", header: []string{"Content-Type: application/json"}, body: `[
		{"topic":"a","data":1},
		{"topic":2,"data":2},
		[],
		{"topics":["b","c"],"data":"x"},
		{"topic":"d","dat":4}
	]`})
	golden(t, "publish_array.json", got.body)
	want := []sent{{"a", broadcast.JSON, "1"}, {"b", broadcast.Text, "x"}, {"c", broadcast.Text, "x"}}
	if diff := cmp.Diff(want, node.take(), cmp.AllowUnexported(sent{})); got.status != 200 || diff != "" {
		t.Errorf("status %d; published: %s", got.status, diff)
	}
}

// A large message limit leaves room for one such message in /v1/publish.
func TestPublishLargeMessage(t *testing.T) {
	const limit = PublishBytesMax
	ts, node := newAPIServer(t, Config{MessageBytesMax: limit})
	got := do(t, ts, request{method: "POST", path: "/v1/publish", body: `{"topic":"a","data":"` + strings.Repeat("x", limit) + `"}`})
	if s := node.take(); got.status != 200 || len(s) != 1 || len(s[0].payload) != limit {
		t.Errorf("status %d: %s", got.status, got.body)
	}
}

func TestChunkedBodyBound(t *testing.T) {
	ts, node := newAPIServer(t, Config{MessageBytesMax: 10})
	// A reader that is not one of net/http's known types is sent in chunks, with no length declared.
	r, _ := http.NewRequest("POST", ts.URL+"/v1/topics/a", struct{ *strings.Reader }{strings.NewReader("0123456789x")})
	resp, err := ts.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || len(node.take()) > 0 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestStats(t *testing.T) {
	ts, _ := newAPIServer(t, Config{})
	got := do(t, ts, request{method: "GET", path: "/v1/stats"})
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, %s", got.status, got.header.Get("Content-Type"))
	}
	golden(t, "stats.json", got.body)
}

// What a node leaves out is empty in the document, not null.
func TestStatsOfZero(t *testing.T) {
	if document := string(mustJSON(new(figures.Reading))); strings.Contains(document, "null") {
		t.Error(document)
	}
}

func TestReadyz(t *testing.T) {
	ts, node := newAPIServer(t, Config{})
	node.readyErr = errors.New("draining")
	p := wantProblem(t, do(t, ts, request{method: "GET", path: "/readyz"}), 503, "not_ready")
	if p.Detail != "draining" {
		t.Errorf("detail = %q", p.Detail)
	}
	node.readyErr, node.remarks = nil, []string{"worker 1: does not answer"}
	if got := do(t, ts, request{method: "GET", path: "/readyz"}); got.status != 200 || got.body != "ok\nworker 1: does not answer\n" {
		t.Errorf("readyz of a node that is ready, and not whole: %d %q", got.status, got.body)
	}
	if got := do(t, ts, request{method: "GET", path: "/healthz"}); got.status != 200 {
		t.Errorf("healthz while draining = %d", got.status)
	}
}

func TestDrainAndClose(t *testing.T) {
	ts, node := newAPIServer(t, Config{})
	do(t, ts, request{method: "POST", path: "/v1/drain"})
	do(t, ts, request{method: "DELETE", path: "/v1/connections/0100000100000002"})
	if node.drains != 1 || node.closed != 0x0100000100000002 {
		t.Errorf("drains = %d, closed = %v", node.drains, node.closed)
	}
	node.closeErr = errors.New("worker 1 does not answer")
	wantProblem(t, do(t, ts, request{method: "DELETE", path: "/v1/connections/0100000100000002"}), 503, "unavailable")
	node.drainErr = errors.New("not running")
	wantProblem(t, do(t, ts, request{method: "POST", path: "/v1/drain"}), 409, "cannot_drain")
}

func TestPprof(t *testing.T) {
	ts, _ := newAPIServer(t, Config{})
	if got := do(t, ts, request{method: "GET", path: "/debug/pprof/"}); got.status != 200 || !strings.Contains(got.body, "goroutine?debug=1") {
		t.Errorf("index = %d %s", got.status, got.body)
	}
	if got := do(t, ts, request{method: "GET", path: "/debug/pprof/goroutine?debug=1"}); got.status != 200 || !strings.Contains(got.body, "goroutine profile") {
		t.Errorf("goroutine = %d", got.status)
	}
	if got := do(t, ts, request{method: "GET", path: "/debug/pprof/nothing"}); got.status != 404 {
		t.Errorf("unknown profile = %d", got.status)
	}
}

// golden compares with testdata; go test -update writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: %s", file, diff)
	}
}

func TestRoutesAreDistinct(t *testing.T) {
	a := New(Config{Node: &fakeNode{}}).(*api)
	var seen []string
	for _, r := range a.routes {
		pattern := fmt.Sprint(r.pattern)
		if slices.Contains(seen, pattern) {
			t.Errorf("two routes for %s", pattern)
		}
		seen = append(seen, pattern)
	}
}
