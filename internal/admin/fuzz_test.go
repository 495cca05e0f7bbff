// The parsers of the API against encoding/json, net/url and net/netip.

package admin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"c100k/broadcast"
)

// FuzzPublish parses a body of POST /v1/publish and checks what it found against encoding/json. The
// seeds are every shape of the tables.
func FuzzPublish(f *testing.F) {
	for _, seed := range []string{
		`{"topic":"a","data":1}`, `[{"topics":["a","b"],"data":"x"},{"topic":"c","data_base64":"YQ=="}]`,
		` { "data" : {"x":[1,"]}",{"y":"\\\""}]} , "topic" : "\u0061\ud83d\ude00" } `, `[]`, `[[],{},1,null,"a"]`,
		`{"topic":"a","topic":"b","data":1}`, `{"topic":"\ud800","data":"\udc00"}`, `{"topics":[],"data":null}`, `{`, ``, "\"\xff\"",
	} {
		f.Add([]byte(seed))
	}
	const limit = 64
	f.Fuzz(func(t *testing.T, body []byte) {
		p, problem := parsePublish(bytes.Clone(body), limit)
		if problem != nil {
			if len(p.items) > 0 || problem.Detail == "" || problem.Status < 400 {
				t.Fatalf("%+v with %d items", problem, len(p.items))
			}
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatal("a body that is not JSON was accepted")
		}
		items := []json.RawMessage{body}
		if p.array {
			items = nil
			if err := json.Unmarshal(body, &items); err != nil {
				t.Fatal(err)
			}
		}
		if len(items) != len(p.items) {
			t.Fatalf("%d items, encoding/json finds %d", len(p.items), len(items))
		}
		for i := range items {
			checkItem(t, items[i], &p.items[i], limit)
		}
	})
}

// checkItem compares an accepted item with what encoding/json makes of it.
func checkItem(t *testing.T, raw json.RawMessage, it *item, limit int) {
	if it.problem != nil {
		if it.payload != nil || it.topics != nil || !utf8.ValidString(it.problem.Detail) {
			t.Fatalf("%s: a bad item has content: %+v", raw, it)
		}
		return
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		t.Fatal(err)
	}
	for _, key := range slices.Collect(maps.Keys(keys)) {
		if !slices.Contains([]string{"topic", "topics", "data", "data_base64"}, key) {
			t.Fatalf("unknown key %q was accepted", key)
		}
	}
	var topics []string
	if one, ok := keys["topic"]; ok {
		topics = make([]string, 1)
		json.Unmarshal(one, &topics[0])
	} else {
		json.Unmarshal(keys["topics"], &topics)
	}
	if !slices.Equal(topics, it.topics) || len(it.payload) > limit {
		t.Fatalf("topics %q, want %q; %d bytes", it.topics, topics, len(it.payload))
	}
	for _, topic := range topics {
		if err := broadcast.ValidTopic(topic); err != nil {
			t.Fatal(err)
		}
	}
	checkPayload(t, keys, it)
}

func checkPayload(t *testing.T, keys map[string]json.RawMessage, it *item) {
	switch it.kind {
	case broadcast.Text:
		var want string
		if err := json.Unmarshal(keys["data"], &want); err != nil || want != string(it.payload) || !utf8.Valid(it.payload) {
			t.Fatalf("text %q, want %q", it.payload, want)
		}
	case broadcast.JSON:
		var want bytes.Buffer
		json.Compact(&want, keys["data"])
		if !bytes.Equal(want.Bytes(), it.payload) || !utf8.Valid(it.payload) {
			t.Fatalf("JSON %q, want %q", it.payload, want.Bytes())
		}
	case broadcast.Binary:
		var text string
		json.Unmarshal(keys["data_base64"], &text)
		if want, err := base64.StdEncoding.DecodeString(text); err != nil || !bytes.Equal(want, it.payload) {
			t.Fatalf("bytes %q, want %q", it.payload, want)
		}
	}
}

// FuzzTopicPath: whatever path is asked for, nothing panics and no segment gains a slash that was
// not encoded; and every topic can be named.
func FuzzTopicPath(f *testing.F) {
	for _, seed := range []string{"news", "a/b", "..", ".", "a%2Fb", "%", "%zz", "ä", "\xff", "a b", "a?b#c", "//", "\x00", ""} {
		f.Add(seed)
	}
	a := &api{routes: []route{{pattern: path("v1/topics/*")}}}
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := segments("/v1/topics/" + url.PathEscape(s))
		if err != nil {
			t.Fatal(err)
		}
		if found, topic := a.find(parts); found == nil || topic != s {
			t.Fatalf("%q was understood as %q", s, topic)
		}
		parts, err = segments(s)
		if err != nil {
			return
		}
		escaped := make([]string, len(parts))
		for i, part := range parts {
			escaped[i] = url.PathEscape(part)
		}
		again, err := segments("/" + strings.Join(escaped, "/"))
		if err != nil || !slices.Equal(parts, again) {
			t.Fatalf("%q, then %q: %v", parts, again, err)
		}
	})
}

// FuzzHost: a Host or an Origin is let in without the key only if it is a name or an address of
// loopback, or listed.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"localhost:9100", "[::1]:9100", "127.0.0.1", "a.localhost", "evil.example", "localhost.evil.example",
		"127.0.0.1.evil.example", "[::ffff:127.0.0.1]", "Node.Internal:9100", "", "::1", "[localhost]", "127.1", "0x7f.1", "localhost\x00.evil"} {
		f.Add(host, "http://"+host)
	}
	a := newAccess(Config{Hosts: []string{"node.internal"}}, true, slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, host, origin string) {
		local := func(hostport string) bool {
			name := strings.ToLower(hostname(hostport))
			addr, err := netip.ParseAddr(name)
			return name == "localhost" || strings.HasSuffix(name, ".localhost") || name == "node.internal" || strings.ToLower(hostport) == "node.internal" ||
				err == nil && addr.Unmap().IsLoopback()
		}
		if a.hostAllowed(host) != local(host) {
			t.Errorf("host %q: allowed %t", host, a.hostAllowed(host))
		}
		if a.originAllowed([]string{origin}, host) {
			u, err := url.Parse(origin)
			if err != nil || !strings.EqualFold(u.Host, host) && hostname(strings.ToLower(u.Host)) != "node.internal" && strings.ToLower(u.Host) != "node.internal" {
				t.Errorf("origin %q at host %q is allowed", origin, host)
			}
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "127.0.0.1:5000"
		r.Header.Set("X-Forwarded-For", host)
		if addr := guesser(r); !addr.IsValid() {
			t.Errorf("X-Forwarded-For %q: no address to count a wrong key for", host)
		}
	})
}

// FuzzQuery: a query is taken as a whole, each known parameter once, or refused with a problem.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{"", "prefix=a&limit=2", "prefix=a&prefix=b", "other=1", "prefix=%zz", "prefix=%2F&after=", "&&", "limit=;2", "limit=1e3", "limit=-1", "prefix=a+b"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := &http.Request{URL: &url.URL{RawQuery: raw}}
		params, problem := query(r, "prefix", "limit")
		if problem != nil {
			if problem.Status != http.StatusBadRequest || problem.Detail == "" || len(problem.Detail) > 1000+len(raw) {
				t.Errorf("%q: %+v", raw, problem)
			}
			return
		}
		again := url.Values{}
		for name, value := range params {
			if name != "prefix" && name != "limit" {
				t.Errorf("%q: parameter %q", raw, name)
			}
			again.Set(name, value)
		}
		values, err := url.ParseQuery(raw)
		if err != nil || values.Encode() != again.Encode() {
			t.Errorf("%q was read as %v", raw, params)
		}
		if limit, problem := pageLimit(params, TopicsPage, TopicsPageMax); problem == nil && (limit < 1 || limit > TopicsPageMax) {
			t.Errorf("%q: limit %d", raw, limit)
		}
	})
}
