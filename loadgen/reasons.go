// Counts by reason, as people read them.

package loadgen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Reason is why something failed, and how often.
type Reason struct {
	Name  string
	Count uint64
}

// Reasons are counts by reason, the most frequent first. Names come from servers too, and have
// nothing in them that a terminal would obey.
func Reasons(by map[string]uint64) []Reason {
	all := make([]Reason, 0, len(by))
	for name, n := range by {
		all = append(all, Reason{Printable(name), n})
	}
	slices.SortFunc(all, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return all
}

// Total is how many there are over all reasons.
func Total(by map[string]uint64) (n uint64) {
	for _, c := range by {
		n += c
	}
	return n
}

// wordReasons lists reasons with their counts.
func wordReasons(by map[string]uint64) string {
	var words []string
	for _, reason := range Reasons(by) {
		words = append(words, fmt.Sprintf("%s (%d)", reason.Name, reason.Count))
	}
	if words == nil {
		return "none failed either"
	}
	return strings.Join(words, ", ")
}

// Printable is a text without what a terminal would obey.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, text)
}

// Plural is the word for so many.
func Plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
