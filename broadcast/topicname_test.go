// Topic names, good and bad.

package broadcast

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestValidTopic(t *testing.T) {
	for _, c := range []struct {
		name string
		want error
	}{
		{"a", nil},
		{"news.sport.fußball.日本", nil},
		{"with space / ? # * > \" \\", nil},
		{strings.Repeat("x", 255), nil},
		{strings.Repeat("x", 253) + "é", nil},
		{"", ErrTopicEmpty},
		{strings.Repeat("x", 256), ErrTopicLong},
		{strings.Repeat("x", 254) + "é", ErrTopicLong},
		{"a\x00", ErrTopicControl},
		{"a\nb", ErrTopicControl},
		{"\x7f", ErrTopicControl},
		{"é\x1f", ErrTopicControl},
		{"a\u0085b", ErrTopicControl},
		{"\u009f", ErrTopicControl},
		{"\u00a0", nil},
		{"\u2028", nil},
		{"\xff", ErrTopicUTF8},
		{"a\xc3", ErrTopicUTF8},
		{"\xed\xa0\x80", ErrTopicUTF8}, // a surrogate
		{"\xc0\x80", ErrTopicUTF8},     // NUL, overlong
		{"\U0010ffff", nil},
	} {
		if err := ValidTopic(c.name); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzValidTopic(f *testing.F) {
	for _, s := range []string{"news", "", "a\x00", "é\x85", "\u0085", "\xed\xa0\x80", strings.Repeat("日", 85), strings.Repeat("日", 86)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		want := name != "" && len(name) <= 255 && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
		if got := ValidTopic(name) == nil; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	})
}
