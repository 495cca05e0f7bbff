// Bounds on the figures of a result: --fail-if 'deliver.p99 > 250ms'.

package loadgen

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Threshold is a bound whose breaking makes a run fail.
type Threshold struct {
	Expression string // as it was written
	metric     *metric
	compare    string
	bound      float64 // in the base unit of the metric
}

// Outcome is what became of a threshold.
type Outcome struct {
	Expression string  `json:"expression"`
	Value      float64 `json:"value"` // in the base unit: milliseconds, bytes, or the figure itself
	Shown      string  `json:"shown"` // for people
	Broken     bool    `json:"broken"`
}

// thresholdBytesMax bounds an expression: the longest sensible one has some forty bytes.
const thresholdBytesMax = 200

// comparisons are the words between figure and bound, the longer ones first.
var comparisons = []string{">=", "<=", "==", "!=", ">", "<"}

// ParseThreshold reads "deliver.p99 > 250ms". Unknown names are an error that says what is near, as
// nearest finds it among all of them.
func ParseThreshold(text string, nearest func(word string, candidates []string) string) (Threshold, error) {
	m, compare, bound, err := splitThreshold(text, "deliver.p99 > 250ms", nearest)
	if err != nil {
		return Threshold{}, err
	}
	value, err := m.unit.parse(bound)
	if err != nil {
		return Threshold{}, fmt.Errorf("%q: %w", text, err)
	}
	return Threshold{Expression: m.name + " " + compare + " " + bound, metric: m, compare: compare, bound: value}, nil
}

// splitThreshold takes figure, comparison and bound apart; example is what a text without a
// comparison is told to be like.
func splitThreshold(text, example string, nearest func(word string, candidates []string) string) (m *metric, compare, bound string, err error) {
	if len(text) > thresholdBytesMax {
		return nil, "", "", fmt.Errorf("%.40q… is too long for a threshold", text)
	}
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return nil, "", "", fmt.Errorf("%q is no threshold: write figure, comparison and bound, such as '%s'", text, example)
	}
	word := text[at:]
	i := slices.IndexFunc(comparisons, func(c string) bool { return strings.HasPrefix(word, c) })
	if i < 0 {
		return nil, "", "", fmt.Errorf("%q has no comparison that is known: write one of %s", text, strings.Join(comparisons, " "))
	}
	name := strings.TrimSpace(text[:at])
	if m = metricNamed(name); m == nil {
		near := ""
		if n := nearest(name, MetricNames()); n != "" {
			near = "; did you mean " + n + "?"
		}
		return nil, "", "", fmt.Errorf("%q: there is no figure %q%s", text, name, near)
	}
	return m, comparisons[i], strings.TrimSpace(word[len(comparisons[i]):]), nil
}

// RatioBound is a bound on a figure of a result divided by the same figure of an earlier one:
// "echo.p99 > 1.2x".
type RatioBound struct {
	Expression string // as it was written
	metric     *metric
	compare    string
	bound      float64
}

// ParseRatioBound reads "echo.p99 > 1.2x". Unknown names are an error, as with ParseThreshold.
func ParseRatioBound(text string, nearest func(word string, candidates []string) string) (RatioBound, error) {
	m, compare, bound, err := splitThreshold(text, "echo.p99 > 1.2x", nearest)
	if err != nil {
		return RatioBound{}, err
	}
	number, times := strings.CutSuffix(bound, "x")
	value, err := parseNumber(strings.TrimSpace(number))
	if err != nil || !times {
		return RatioBound{}, fmt.Errorf("%q: %q is not a ratio: write 1.2x for 1.2 times the earlier result", text, bound)
	}
	return RatioBound{Expression: m.name + " " + compare + " " + bound, metric: m, compare: compare, bound: value}, nil
}

// Check holds two results against the bound. A figure that one of them does not have breaks it.
func (b *RatioBound) Check(before, after *Result) Outcome {
	x, known := b.metric.read(before)
	y, knownToo := b.metric.read(after)
	if !known || !knownToo || x < 0 || y < 0 {
		return Outcome{Expression: b.Expression, Shown: "not measured", Broken: true}
	}
	shown := b.metric.unit.format(x) + " before and " + b.metric.unit.format(y) + " after"
	ratio := 1.0
	switch {
	case x > 0:
		ratio = y / x
		shown = formatNumber(ratio) + "x: " + shown
	case y > 0:
		ratio = math.MaxFloat64 // more than any number of times nothing
	}
	return Outcome{Expression: b.Expression, Value: ratio, Shown: shown, Broken: compares(b.compare, ratio, b.bound)}
}

// Check holds a result against the bound. A figure that the run does not have breaks it: a bound on
// nothing guards nothing.
func (t *Threshold) Check(r *Result) Outcome {
	value, known := t.metric.read(r)
	if !known {
		return Outcome{Expression: t.Expression, Shown: "not measured", Broken: true}
	}
	return Outcome{Expression: t.Expression, Value: value, Shown: t.metric.unit.format(value), Broken: compares(t.compare, value, t.bound)}
}

// compares tells whether a comparison holds.
func compares(comparison string, value, bound float64) bool {
	return map[string]bool{">": value > bound, ">=": value >= bound, "<": value < bound, "<=": value <= bound, "==": value == bound, "!=": value != bound}[comparison]
}

// unit is what a figure is in.
type unit int

const (
	unitCount unit = iota
	unitTime       // milliseconds
	unitRate       // a second
	unitBytes
	unitShare // 0 to 1
)

// parse reads a bound with its unit.
func (u unit) parse(text string) (float64, error) {
	text = strings.ReplaceAll(text, " ", "")
	var value float64
	var err error
	switch u {
	case unitTime:
		var d time.Duration
		if d, err = time.ParseDuration(text); err != nil {
			return 0, fmt.Errorf("%q is not a duration: write 250ms, 1.5s or 80us", text)
		}
		value = float64(d) / 1e6
	case unitRate:
		if value, err = parseNumber(strings.TrimSuffix(text, "/s")); err != nil {
			return 0, fmt.Errorf("%q is not a rate: write 1000/s", text)
		}
	case unitBytes:
		if value, err = parseBytes(text); err != nil {
			return 0, fmt.Errorf("%q is not a size: write 300, 4KiB or 1MiB", text)
		}
	case unitShare:
		number, percent := strings.CutSuffix(text, "%")
		if value, err = parseNumber(number); err != nil {
			return 0, fmt.Errorf("%q is not a share: write 90%% or 0.9", text)
		}
		if percent {
			value /= 100
		}
	default:
		if value, err = parseNumber(text); err != nil {
			return 0, fmt.Errorf("%q is not a number", text)
		}
	}
	return value, nil
}

func (u unit) format(value float64) string {
	switch u {
	case unitTime:
		return Millis(value * 1e6).String()
	case unitRate:
		return formatNumber(value) + "/s"
	case unitBytes:
		return FormatBytes(value)
	case unitShare:
		return formatNumber(value*100) + "%"
	}
	return formatNumber(value)
}

func parseNumber(text string) (float64, error) {
	if text == "" || strings.Trim(text, "0123456789.") != "" {
		return 0, errors.New("not a number")
	}
	return strconv.ParseFloat(text, 64)
}

// parseBytes reads a size with a binary or a decimal unit.
func parseBytes(text string) (float64, error) {
	digits := strings.TrimRight(text, "BiKMGk")
	factor, known := map[string]float64{"": 1, "B": 1, "kB": 1e3, "KiB": 1 << 10, "MB": 1e6, "MiB": 1 << 20, "GB": 1e9, "GiB": 1 << 30}[text[len(digits):]]
	value, err := parseNumber(digits)
	if err != nil || !known {
		return 0, errors.New("not a size")
	}
	return value * factor, nil
}

// formatNumber writes a number with commas between thousands: without a fraction from 1000 on, with
// three digits of it at most below.
func formatNumber(f float64) string {
	if f < 0 {
		return "-" + formatNumber(-f)
	}
	if f < 1000 && f != math.Trunc(f) {
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(f, 'f', 3, 64), "0"), ".")
	}
	text := strconv.FormatFloat(f, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// FormatBytes writes a number of bytes with a binary unit and three digits.
func FormatBytes(b float64) string {
	switch {
	case b < 0:
		return "-" + FormatBytes(-b)
	case b < 1<<10:
		return strconv.FormatFloat(math.Round(b), 'f', 0, 64) + " B"
	case b < 1<<20:
		return digits(b/(1<<10)) + " KiB"
	case b < 1<<30:
		return digits(b/(1<<20)) + " MiB"
	}
	return digits(b/(1<<30)) + " GiB"
}
