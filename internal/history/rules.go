// Rules: of which topics messages are kept, and how many.

package history

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"c100k/broadcast"
	"c100k/internal/auth"
)

// Rules says of each topic how much of it is kept. The first that matches decides. Immutable; any
// goroutine.
type Rules struct{ list []rule }

type rule struct {
	text    string // of the pattern
	pattern auth.Pattern
	keep    broadcast.Keep
}

// ParseRules reads rules of the form PATTERN=COUNT,AGE[,BYTES], such as 'chat.>=100,5m' or
// 'log.*=1000,1h,1MiB'. A count is messages, 1 to broadcast.KeepCountMax; an age is a duration, or
// 0 for no bound.
func ParseRules(texts []string) (*Rules, error) {
	if len(texts) > RulesMax {
		return nil, fmt.Errorf("%d rules; the most is %d", len(texts), RulesMax)
	}
	r := &Rules{}
	for _, text := range texts {
		one, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		r.list = append(r.list, one)
	}
	return r, nil
}

var errRule = errors.New("want PATTERN=COUNT,AGE or PATTERN=COUNT,AGE,BYTES, as in chat.>=100,5m")

func parseRule(text string) (rule, error) {
	// A pattern may end in >, and topics may have an equals sign: the last one divides.
	at := strings.LastIndexByte(text, '=')
	if at < 1 {
		return rule{}, errRule
	}
	fields := strings.Split(text[at+1:], ",")
	if len(fields) < 2 || len(fields) > 3 {
		return rule{}, errRule
	}
	r := rule{text: text[:at]}
	var err error
	if r.pattern, err = auth.ParsePattern(text[:at]); err != nil {
		return rule{}, err
	}
	if r.pattern.HasSubject() {
		return rule{}, errors.New("{sub} has no meaning here: a topic is kept for all")
	}
	r.keep.Count, err = strconv.Atoi(fields[0])
	if err != nil || r.keep.Count < 1 || r.keep.Count > broadcast.KeepCountMax {
		return rule{}, fmt.Errorf("the count is a number from 1 to %d, not %q", broadcast.KeepCountMax, fields[0])
	}
	if r.keep.Age, err = age(fields[1]); err != nil {
		return rule{}, err
	}
	if len(fields) == 3 {
		if r.keep.Bytes, err = parseBytes(fields[2]); err != nil {
			return rule{}, err
		}
	}
	return r, nil
}

func age(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if text != "0" && (err != nil || d < time.Millisecond || d > AgeMax) {
		return 0, fmt.Errorf("the age is a duration from 1ms to %v, or 0 for no bound, not %q", AgeMax, text)
	}
	return d, nil
}

// units are those of sizes, as elsewhere in the settings.
var units = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

func parseBytes(text string) (int64, error) {
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || n < 1 {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, fmt.Errorf("the size is a number of bytes such as 65536, 64KiB or 1MiB, not %q", text)
}

// Len is how many rules there are.
func (r *Rules) Len() int {
	if r == nil {
		return 0
	}
	return len(r.list)
}

// Rule is the pattern of rule i, from 0, as it was written, and what it keeps.
func (r *Rules) Rule(i int) (pattern string, keep broadcast.Keep) {
	return r.list[i].text, r.list[i].keep
}

// watchPrefix is in front of the topics of those who watch the members of a topic: what they are
// told is of the moment, and package presence has nothing to keep.
const watchPrefix = "$presence."

// Of is the number of the rule of a topic, -1 without one. Any goroutine.
func (r *Rules) Of(topic string) int {
	if strings.HasPrefix(topic, watchPrefix) {
		return -1
	}
	for i := range r.Len() {
		if r.list[i].pattern.Match(topic, "") {
			return i
		}
	}
	return -1
}

// Keep is how much is kept of a topic; ok is false for nothing. Any goroutine.
func (r *Rules) Keep(topic string) (keep broadcast.Keep, ok bool) {
	if i := r.Of(topic); i >= 0 {
		return r.list[i].keep, true
	}
	return keep, false
}

// Any tells whether anything is kept at all.
func (r *Rules) Any() bool { return r.Len() > 0 }
