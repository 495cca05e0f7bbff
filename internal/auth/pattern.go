// Patterns: the language in which rights name topics. It is that of NATS subjects, with {sub}.

package auth

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The special parts of a pattern.
const (
	oneLevel   = "*"
	restLevels = ">"
	subject    = "{sub}"
)

// Pattern names topics. The zero value matches none.
type Pattern struct {
	text    string // as it was written
	code    string // text with one byte, below, for each special part: they occur in no topic
	literal int    // the length of what is before the first special part
	sub     bool   // {sub} occurs
}

// The special parts in Pattern.code.
const (
	codeLevel = iota + 1
	codeRest
	codeSubject
)

var codes = strings.NewReplacer(oneLevel, string(rune(codeLevel)), restLevels, string(rune(codeRest)), subject, string(rune(codeSubject)))

// ErrPattern is wrapped by all errors of ParsePattern.
var ErrPattern = errors.New("not a pattern")

// ParsePattern reads a pattern. The error says what is wrong with it, and what to write instead
// where that is known. A level that is empty is refused: no one means it.
func ParsePattern(text string) (Pattern, error) {
	switch {
	case text == "":
		return Pattern{}, fmt.Errorf("%w: it is empty; > matches everything", ErrPattern)
	case len(text) > PatternBytesMax:
		return Pattern{}, fmt.Errorf("%w: it has %d bytes; a topic has at most %d", ErrPattern, len(text), PatternBytesMax)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return Pattern{}, fmt.Errorf("%w: a topic is 1 to 255 bytes of UTF-8 without control characters", ErrPattern)
	}
	for rest, more := text, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, ".")
		if err := checkLevel(text, level, more); err != nil {
			return Pattern{}, fmt.Errorf("%w: %w", ErrPattern, err)
		}
	}
	p := Pattern{text: text, code: codes.Replace(text), sub: strings.Contains(text, subject)}
	p.literal = len(p.code)
	if i := strings.IndexFunc(p.code, unicode.IsControl); i >= 0 {
		p.literal = i
	}
	return p, nil
}

// checkLevel judges one level of text; more tells that another follows.
func checkLevel(text, level string, more bool) error {
	switch {
	case level == "":
		return fmt.Errorf("a level is empty: %q has a dot too many", text)
	case level == restLevels && more:
		return fmt.Errorf("> stands for all further levels, so it must be the last one of %q", text)
	case level == oneLevel || level == restLevels:
		return nil
	case strings.Contains(level, oneLevel):
		return fmt.Errorf("* stands for one whole level, so it must be alone between dots in %q%s", text, instead(text))
	case strings.Contains(level, restLevels):
		return fmt.Errorf("> stands for whole levels, so it must be alone behind the last dot of %q", text)
	}
	rest := strings.ReplaceAll(level, subject, "")
	if from := strings.IndexByte(rest, '{'); from >= 0 && strings.IndexByte(rest[from:], '}') > 0 {
		return fmt.Errorf("the only variable is {sub}, and %q has another one", text)
	}
	return nil
}

// instead is what to write for a star that stood for any characters, if there is something.
func instead(text string) string {
	if head, found := strings.CutSuffix(text, oneLevel); found && !strings.Contains(head, oneLevel) {
		return fmt.Sprintf("; a star at the end used to stand for any characters: write %s and %s.> if levels were meant", head, head)
	}
	return ""
}

// OldStar says what to write for a pattern whose star stood for any characters, as it did before
// version 1 of the pattern language, and stands for one level now. It is "" where nothing changed.
func OldStar(text string) string {
	if _, err := ParsePattern(text); err != nil {
		return "" // it is refused, with the same advice
	}
	if text == oneLevel {
		return "* is one level now, and matches no topic with a dot: write > for all topics"
	}
	if head, found := strings.CutSuffix(text, "."+oneLevel); found {
		return fmt.Sprintf("* is one level now: %s does not match %s.a.b; write %s.> if it should", text, head, head)
	}
	if strings.Contains(text, oneLevel) {
		return "* is one level now, and no longer any run of characters"
	}
	return ""
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// HasSubject tells whether {sub} occurs in p.
func (p Pattern) HasSubject() bool { return p.sub }

// Match tells whether p matches a topic, for a client whose subject is sub as SubjectLevel has it;
// with an empty one, a pattern with {sub} matches nothing. A wildcard matches an empty level too,
// so that "a.>" covers "a." in a list that denies. Any goroutine; it allocates nothing.
func (p *Pattern) Match(topic, sub string) bool {
	if len(topic) < p.literal || topic[:p.literal] != p.code[:p.literal] {
		return false
	}
	if p.literal == len(p.code) {
		return len(topic) == p.literal && p.code != ""
	}
	return (!p.sub || sub != "") && matchCode(p.code[p.literal:], topic[p.literal:], sub)
}

// matchCode goes through both once: where a level ends is known, so there is nothing to try.
func matchCode(code, topic, sub string) bool {
	at := 0
	for i := range len(code) {
		switch code[i] {
		case codeRest:
			return true
		case codeLevel:
			for at < len(topic) && topic[at] != '.' {
				at++
			}
		case codeSubject:
			if !strings.HasPrefix(topic[at:], sub) {
				return false
			}
			at += len(sub)
		default:
			if at == len(topic) || topic[at] != code[i] {
				return false
			}
			at++
		}
	}
	return at == len(topic)
}

// ErrSubject is returned for a subject that cannot be a level of a topic.
var ErrSubject = errors.New("a subject is 1 to 128 bytes of UTF-8 without control characters")

// SubjectLevel is a subject as a level of a topic: the characters that mean something in a topic or
// a pattern are escaped as in a URL (. is %2E, * is %2A, > is %3E, and % is %25), so that two
// subjects never make the same level. A subject without them is itself.
func SubjectLevel(sub string) (string, error) {
	if sub == "" || len(sub) > SubjectBytesMax || !utf8.ValidString(sub) || strings.ContainsFunc(sub, unicode.IsControl) {
		return "", ErrSubject
	}
	if !strings.ContainsAny(sub, ".*>%") {
		return sub, nil
	}
	return subjectEscapes.Replace(sub), nil
}

var subjectEscapes = strings.NewReplacer(".", "%2E", "*", "%2A", ">", "%3E", "%", "%25")
