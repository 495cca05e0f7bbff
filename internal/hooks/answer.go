// What a backend answers.

package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Answer is what a backend has decided. It is shared by all who get it from the cache, and must not
// be changed.
type Answer struct {
	Allow  bool
	Reason string // of a refusal, for the client; at most ReasonBytesMax of UTF-8 without control characters

	Sub     string    // the subject; empty: as it was
	Expires time.Time // when the decision ends; zero: as it was
	Lists   *Lists    // nil: as they were

	Cache time.Duration // how long the answer holds for equal requests, at most CacheTimeMax
}

// Lists are the rights of a token, in its words.
type Lists struct {
	Subscribe, Publish, History, Presence, Deny, Join []string

	Info json.RawMessage // a JSON object, or nil
}

// wireAnswer is the document of an answer.
type wireAnswer struct {
	Allow     *bool           `json:"allow"`
	Reason    string          `json:"reason"`
	Sub       string          `json:"sub"`
	Expires   *float64        `json:"expires"`
	Subscribe []string        `json:"subscribe"`
	Publish   []string        `json:"publish"`
	History   []string        `json:"history"`
	Presence  []string        `json:"presence"`
	Deny      []string        `json:"deny"`
	Join      []string        `json:"join"`
	Info      json.RawMessage `json:"info"`
	Cache     *float64        `json:"cache"`
}

// unixMax bounds the time of an answer: the end of the year 9999, beyond which time.Time has no
// text.
const unixMax = 253402300799

// parseAnswer reads the body of an answer. All that is not as documented is an error: a member that
// is misspelt would otherwise be a right that is missing, or not taken.
func parseAnswer(p []byte) (*Answer, error) {
	var w wireAnswer
	d := json.NewDecoder(bytes.NewReader(p))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return nil, fmt.Errorf("not an answer: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not an answer: something follows the object")
	}
	if w.Allow == nil {
		return nil, errors.New(`not an answer: it has no "allow"`)
	}
	a := &Answer{Allow: *w.Allow, Reason: readable(w.Reason), Sub: w.Sub}
	if len(w.Sub) > SubjectBytesMax || strings.ContainsFunc(w.Sub, unicode.IsControl) {
		return nil, fmt.Errorf(`not an answer: "sub" is longer than %d bytes or has control characters`, SubjectBytesMax)
	}
	if w.Expires != nil {
		if !(*w.Expires >= 1 && *w.Expires <= unixMax) {
			return nil, errors.New(`not an answer: "expires" is no time in seconds since 1970`)
		}
		a.Expires = time.Unix(int64(*w.Expires), 0)
	}
	if w.Cache != nil {
		if !(*w.Cache >= 0) {
			return nil, errors.New(`not an answer: "cache" is negative`)
		}
		a.Cache = time.Duration(min(*w.Cache, CacheTimeMax.Seconds()) * float64(time.Second))
	}
	return a, a.takeLists(&w)
}

// takeLists keeps the lists if there is any of them.
func (a *Answer) takeLists(w *wireAnswer) error {
	if string(w.Info) == "null" {
		w.Info = nil
	}
	if w.Info != nil && w.Info[0] != '{' {
		return errors.New(`not an answer: "info" must be an object`)
	}
	for _, list := range [][]string{w.Subscribe, w.Publish, w.History, w.Presence, w.Deny, w.Join} {
		if list != nil {
			a.Lists = &Lists{}
		}
	}
	if a.Lists == nil && w.Info == nil {
		return nil
	}
	a.Lists = &Lists{Subscribe: w.Subscribe, Publish: w.Publish, History: w.History, Presence: w.Presence,
		Deny: w.Deny, Join: w.Join, Info: w.Info}
	return nil
}

// readable makes a text one that may be in a status line's body, a close frame and a log.
func readable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) <= ReasonBytesMax {
		return s
	}
	n := ReasonBytesMax
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// bytes is about what an answer costs in memory.
func (a *Answer) bytes() int {
	n := cacheEntryBytes + len(a.Reason) + len(a.Sub)
	if l := a.Lists; l != nil {
		for _, list := range [][]string{l.Subscribe, l.Publish, l.History, l.Presence, l.Deny, l.Join} {
			for _, pattern := range list {
				n += len(pattern) + 16
			}
		}
		n += len(l.Info)
	}
	return n
}
