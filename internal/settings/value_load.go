// Values that only `c100k load` has: header lines, thresholds, shares.

package settings

import (
	"fmt"
	"strconv"
	"strings"

	"c100k/loadgen"
)

// headers are lines of a request. A comma is part of a line.
func headers(p *[][2]string) Value {
	return many[[2]string]{variable: p, kind: "'NAME: VALUE'", whole: true, parse: parseHeader, format: func(h [2]string) string { return h[0] + ": " + h[1] }}
}

// tokenMarks are the characters beside letters and digits that a name may have (RFC 9110, 5.6.2).
const tokenMarks = "!#$%&'*+-.^_`|~"

func parseHeader(s string) (line [2]string, err error) {
	name, value, found := strings.Cut(s, ":")
	value = strings.Trim(value, " \t")
	strange := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(tokenMarks, r))
	}
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if !found || name == "" || strings.ContainsFunc(name, strange) || strings.ContainsFunc(value, control) {
		return line, fmt.Errorf("%q is not a header line: write 'Name: value'", s)
	}
	return [2]string{name, value}, nil
}

func thresholds(p *[]loadgen.Threshold) Value {
	return many[loadgen.Threshold]{variable: p, kind: "'FIGURE > BOUND'", whole: true, format: func(t loadgen.Threshold) string { return t.Expression },
		parse: func(s string) (loadgen.Threshold, error) { return loadgen.ParseThreshold(s, Nearest) }}
}

// ratioBounds are bounds on the ratios of two results.
func ratioBounds(p *[]loadgen.RatioBound) Value {
	return many[loadgen.RatioBound]{variable: p, kind: "'FIGURE > RATIO'", whole: true, format: func(b loadgen.RatioBound) string { return b.Expression },
		parse: func(s string) (loadgen.RatioBound, error) { return loadgen.ParseRatioBound(s, Nearest) }}
}

// rateOrAuto is a rate that also has the word auto, which is stored as the given number.
func rateOrAuto(p *float64, auto float64) Value {
	return one[float64]{variable: p, kind: "RATE|auto",
		parse: func(s string) (float64, error) {
			if s == "auto" {
				return auto, nil
			}
			return parseRate(s)
		},
		format: func(perSecond float64) string {
			if perSecond == auto {
				return "auto"
			}
			return formatRate(perSecond)
		}}
}

// share is a part of a whole: 10% or 0.1.
func share(p *float64) Value {
	return one[float64]{variable: p, kind: "SHARE",
		parse: func(s string) (float64, error) {
			digits, percent := strings.CutSuffix(s, "%")
			f, err := parseDecimal(digits)
			if percent {
				f /= 100
			}
			if err != nil || f > 1 {
				return 0, fmt.Errorf("%q is not a share: write 10%% or 0.1", s)
			}
			return f, nil
		},
		format: func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }}
}
