// Values: the types a setting can have, each parsed from text and written back as text.

package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"c100k/server"
)

// Value is the variable a setting fills.
type Value interface {
	// Set parses what was given. A list takes all texts, everything else the last. Its error says what
	// is wrong with which text and what would be right, but not where it was said.
	Set(texts []string) error
	// String returns the value in the form Set takes; "" when it is empty.
	String() string
	// Native returns it as YAML has it: bool, int, string or []string.
	Native() any
	// Type is the word for it in help: SIZE, DURATION; empty for a switch, which needs no argument.
	Type() string
	// List says whether commas separate items.
	List() bool
	// Choices are the words it can be; nil where there is no such list.
	Choices() []string
}

// one is a Value of a single item.
type one[T any] struct {
	variable *T
	kind     string
	choices  []string
	parse    func(text string) (T, error)
	format   func(T) string
	native   func(T) any // nil: the formatted text
}

func (v one[T]) Set(texts []string) error {
	parsed, err := v.parse(texts[len(texts)-1])
	if err == nil {
		*v.variable = parsed
	}
	return err
}

func (v one[T]) String() string    { return v.format(*v.variable) }
func (v one[T]) Type() string      { return v.kind }
func (v one[T]) List() bool        { return false }
func (v one[T]) Choices() []string { return v.choices }

func (v one[T]) Native() any {
	if v.native == nil {
		return v.String()
	}
	return v.native(*v.variable)
}

// many is a Value of a list of items.
type many[T any] struct {
	variable *[]T
	kind     string
	parse    func(text string) (T, error)
	format   func(T) string
	whole    bool // a comma is part of an item: the flag is given once for each
}

func (v many[T]) Set(texts []string) error {
	parsed := make([]T, 0, len(texts))
	for _, text := range texts {
		item, err := v.parse(text)
		if err != nil {
			return err
		}
		parsed = append(parsed, item)
	}
	*v.variable = parsed
	return nil
}

func (v many[T]) String() string    { return strings.Join(v.items(), ",") }
func (v many[T]) Native() any       { return v.items() }
func (v many[T]) Type() string      { return v.kind }
func (v many[T]) List() bool        { return !v.whole }
func (v many[T]) Choices() []string { return nil }

func (v many[T]) items() []string {
	items := make([]string, 0, len(*v.variable))
	for _, item := range *v.variable {
		items = append(items, v.format(item))
	}
	return items
}

func itself[T any](t T) T  { return t }
func asAny[T any](t T) any { return t }

func text(p *string, kind string) Value {
	return one[string]{variable: p, kind: kind, parse: func(s string) (string, error) { return s, nil }, format: itself[string]}
}

func texts(p *[]string, kind string) Value {
	return many[string]{variable: p, kind: kind, format: itself[string], parse: func(s string) (string, error) {
		if s == "" {
			return "", fmt.Errorf("an item of the list is empty")
		}
		return s, nil
	}}
}

// whole is texts for items that have commas in them.
func whole(p *[]string, kind string) Value {
	v := texts(p, kind).(many[string])
	v.whole = true
	return v
}

func choice(p *string, words ...string) Value {
	return one[string]{variable: p, kind: strings.Join(words, "|"), choices: words, format: itself[string], parse: func(s string) (string, error) {
		if slices.Contains(words, s) {
			return s, nil
		}
		return "", fmt.Errorf("%q is not one of %s%s", s, strings.Join(words, ", "), suggest(s, words))
	}}
}

// toggle is a bool that needs no argument: --dev.
func toggle(p *bool) Value {
	return one[bool]{variable: p, parse: parseBool, format: onOffText, native: asAny[bool]}
}

// onOff is a bool that is given with a word: --compress on.
func onOff(p *bool) Value {
	return one[bool]{variable: p, kind: "on|off", choices: []string{"on", "off"}, parse: parseBool, format: onOffText}
}

func onOffText(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither on nor off", s)
}

func count(p *int) Value {
	return one[int]{variable: p, kind: "N", parse: parseCount, format: strconv.Itoa, native: asAny[int]}
}

// countOrAuto is a count that also has the word auto, which is stored as the given number.
func countOrAuto(p *int, auto int) Value {
	return one[int]{variable: p, kind: "N|auto",
		parse: func(s string) (int, error) {
			if s == "auto" {
				return auto, nil
			}
			return parseCount(s)
		},
		format: func(n int) string {
			if n == auto {
				return "auto"
			}
			return strconv.Itoa(n)
		},
		native: func(n int) any {
			if n == auto {
				return "auto"
			}
			return n
		}}
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), 10, 64)
	if err != nil || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	if n < 0 {
		return 0, fmt.Errorf("%d is negative", n)
	}
	return int(n), nil
}

func size(p *int) Value {
	return one[int]{variable: p, kind: "SIZE", parse: parseSize, format: formatSize}
}

// sizeOrAuto is a size that also has the word auto, which is stored as 0.
func sizeOrAuto(p *int) Value {
	return one[int]{variable: p, kind: "SIZE|auto",
		parse: func(s string) (int, error) {
			if s == "auto" {
				return 0, nil
			}
			return parseSize(s)
		},
		format: func(bytes int) string {
			if bytes == 0 {
				return "auto"
			}
			return formatSize(bytes)
		}}
}

func rate(p *float64) Value {
	return one[float64]{variable: p, kind: "RATE", parse: parseRate, format: formatRate}
}

func duration(p *time.Duration) Value {
	return one[time.Duration]{variable: p, kind: "DURATION", parse: parseDuration, format: formatDuration}
}

// durationOrOff is a duration that also has the word off, and 0, which mean the same: server.Off.
func durationOrOff(p *time.Duration, off string) Value {
	return one[time.Duration]{variable: p, kind: "DURATION",
		parse: func(s string) (time.Duration, error) {
			if s == "off" {
				return server.Off, nil
			}
			d, err := parseDuration(s)
			if d == 0 && err == nil {
				d = server.Off
			}
			return d, err
		},
		format: func(d time.Duration) string {
			if d == server.Off {
				return off
			}
			return formatDuration(d)
		}}
}

// partOrOff is a number up to 1 that also has the word off, and 0, which mean the same: -1.
func partOrOff(p *float64) Value {
	return one[float64]{variable: p, kind: "PART",
		parse: func(s string) (float64, error) {
			if s == "off" {
				return -1, nil
			}
			part, err := parseDecimal(s)
			switch {
			case err != nil:
				return 0, fmt.Errorf("%q is not a part: write 0.01, 1 or off", s)
			case part == 0:
				part = -1
			}
			return part, nil
		},
		format: func(part float64) string {
			if part < 0 {
				return "off"
			}
			return strconv.FormatFloat(part, 'f', -1, 64)
		}}
}

func networks(p *[]netip.Prefix) Value {
	return many[netip.Prefix]{variable: p, kind: "CIDR,...", parse: parseNetwork, format: netip.Prefix.String}
}
