// The two parsers of the API against encoding/json and net/url.

package admin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"c100k/broadcast"
)

// FuzzPublish parses a body of POST /v1/publish and checks what it found
// against encoding/json. The seeds are every shape of the tables.
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

// FuzzTopicPath: whatever path is asked for, nothing panics and no segment
// gains a slash that was not encoded; and every topic can be named.
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
