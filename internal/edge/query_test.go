// Tests of the query.

package edge

import (
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestQueryValues(t *testing.T) {
	for _, tt := range []struct {
		raw     string
		want    []string
		refusal *Refusal
	}{
		{"", nil, nil},
		{"topic=news", []string{"news"}, nil},
		{"topic=a&x=1&topic=b&topic=a", []string{"a", "b", "a"}, nil},
		{"topic", []string{""}, nil},
		{"topic=", []string{""}, nil},
		{"topic=a=b", []string{"a=b"}, nil},
		{"Topic=a", nil, nil},
		{"&&topic=a&", []string{"a"}, nil},
		{"t%6fpic=%C3%A9+%2b%26", []string{"é +&"}, nil},
		{"topic=a;topic=b", []string{"a;topic=b"}, nil},
		{"topic=%00", []string{"\x00"}, nil},
		{"topic=%", nil, badQuery},
		{"topic=%4", nil, badQuery},
		{"topic=%4g", nil, badQuery},
		{"topic=a&%zz=1", []string{"a"}, badQuery},
		{strings.Repeat("a&", QueryParamsMax) + "topic=b", nil, tooManyParams},
	} {
		got, refusal := QueryValues(nil, []byte(tt.raw), "topic")
		if refusal != tt.refusal || !slices.Equal(got, tt.want) {
			t.Errorf("%.40q: %q, %v", tt.raw, got, refusal)
		}
	}
}

func TestPathUnescape(t *testing.T) {
	if got, ok := PathUnescape([]byte("/a+b%2Fc")); !ok || string(got) != "/a+b/c" {
		t.Errorf("%q, %t", got, ok)
	}
	if got, ok := PathUnescape([]byte("/%2")); ok {
		t.Errorf("%q", got)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("topic=a&topic=%C3%A9+b&x")
	f.Add("topic=%4&&=;")
	f.Fuzz(func(t *testing.T, raw string) {
		got, refusal := QueryValues(nil, []byte(raw), "topic")
		if refusal == tooManyParams || strings.Contains(raw, ";") {
			return // the URL standard takes a semicolon as it is; net/url refuses it
		}
		want, err := url.ParseQuery(raw)
		if (err == nil) != (refusal == nil) {
			t.Fatalf("%q: here %v, net/url %v", raw, refusal, err)
		}
		if err == nil && !slices.Equal(got, want["topic"]) {
			t.Fatalf("%q: here %q, net/url %q", raw, got, want["topic"])
		}
	})
}
