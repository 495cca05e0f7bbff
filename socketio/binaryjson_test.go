package socketio

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplitBinaryJSON(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		data     string
	}{
		{`{"a":1}`, `{"a":1}`, ""},
		{`{"file":{"$binary":"AQI="},"n":[{ "$binary" : "" }]}`, `{"file":§0,"n":[§1]}`, "\x01\x02|"},
		{` {"$binary":"AQ=="} `, ` §0 `, "\x01"},
		{`[[{"x":{"y":{"$binary":"YQ=="}}}],2]`, `[[{"x":{"y":§0}}],2]`, "a"},
		{`{"$binary":"AQ==","more":1}`, `{"$binary":"AQ==","more":1}`, ""},
		{`{"$binary":"AQ"}`, `{"$binary":"AQ"}`, ""},
		{`{"$binary":"AR=="}`, `{"$binary":"AR=="}`, ""},
		{`{"$binary":"A\u0051=="}`, `{"$binary":"A\u0051=="}`, ""},
		{`{"$binary":7}`, `{"$binary":7}`, ""},
		{`{"$binary":{"$binary":"AQ=="}}`, `{"$binary":§0}`, "\x01"},
		{`{"\u0024binary":"AQ=="}`, `{"\u0024binary":"AQ=="}`, ""},
		{`"{\"$binary\":\"AQ==\"}"`, `"{\"$binary\":\"AQ==\"}"`, ""},
		{`[` + strings.Repeat(`{"$binary":"AQ=="},`, 10) + `1]`, `[§0,§1,§2,§3,§4,§5,§6,§7,§8,§9,1]`, strings.Repeat("\x01|", 9) + "\x01"},
		{`[` + strings.Repeat(`{"$binary":"AQ=="},`, 11) + `1]`, `[` + strings.Repeat(`{"$binary":"AQ=="},`, 11) + `1]`, ""},
	} {
		text, attachments := splitBinaryJSON([]byte(tt.in))
		want := tt.want
		for i := range 10 {
			want = strings.ReplaceAll(want, "§"+string(rune('0'+i)), string(appendPlaceholder(nil, i)))
		}
		if string(text) != want || string(bytes.Join(attachments, []byte("|"))) != tt.data {
			t.Errorf("%s: %s, %q", tt.in, text, attachments)
		}
	}
}

// FuzzBinaryJSON checks that what one side splits, the other writes again, with the same meaning.
func FuzzBinaryJSON(f *testing.F) {
	for _, s := range []string{
		`{"file":{"$binary":"AQI="},"n":[{ "$binary" : "" }]}`, `{"$binary":{"$binary":"AQ=="}}`, `[{"$binary":"AQ==","x":1}]`, `{"\u0024binary":"AQ=="}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		k := packet{kind: typeAck, payload: append(append([]byte{'['}, p...), ']')}
		if !utf8.Valid(p) || k.checkPayload() != "" || !json.Valid(p) || bytes.Contains(p, []byte("placeholder")) {
			return
		}
		text, attachments := splitBinaryJSON(p)
		raw, bad := splitArray(nil, append(append([]byte{'['}, text...), ']'))
		if bad == "" {
			bad = checkPlaceholders(raw, len(attachments))
		}
		if bad != "" || len(attachments) > AttachmentsMax {
			t.Fatalf("%s became %s with %d attachments: %s", p, text, len(attachments), bad)
		}
		back, reason := binaryJSON(Args{raw: raw, attachments: attachments}, 0)
		if reason != "" {
			return // more objects than a packet has, or objects in objects
		}
		var was, is any
		if json.Unmarshal(p, &was) == nil && (json.Unmarshal(back, &is) != nil || !sameJSON(string(p), string(back))) {
			t.Fatalf("%s became %s, and then %s", p, text, back)
		}
	})
}
