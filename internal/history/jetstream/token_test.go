package jetstream

import (
	"strings"
	"testing"
)

func FuzzToken(f *testing.F) {
	for _, topic := range []string{"a", "chat.a", "*", ">", "ü b", "a=2E", "=", "==", "=2", "=2e"} {
		f.Add(topic)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token := string(appendToken(nil, text))
		if strings.ContainsAny(token, ".*> \t\r\n") {
			t.Fatalf("%q is no token", token)
		}
		if topic, ok := parseToken(token); text != "" && (!ok || topic != text) {
			t.Fatalf("%q becomes %q, and that %q, %v", text, token, topic, ok)
		}
		// One topic has one token: what is not one is refused.
		if topic, ok := parseToken(text); ok && string(appendToken(nil, topic)) != text {
			t.Fatalf("%q is read as %q", text, topic)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, text := range []string{`{"stream":"C", "seq":1}`, `{"stream":"C","seq":22,"duplicate": true}`, `{"error":{"code":503,"description":"x"}}`, `{}`, ``, `{"seq":`, `{"seq":99999999999999999999}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		offset, repeated, err := parseAnswer(p)
		if err == nil && offset == 0 {
			t.Fatalf("%q: no number and no error", p)
		}
		if quick, ok := quickAnswer(p); ok && (quick != offset || repeated) {
			t.Fatalf("%q: %d, then %d", p, quick, offset)
		}
	})
}
