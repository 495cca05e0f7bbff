// Bars and sparklines of text.

package view

import (
	"math"
	"strings"
)

var sparks = []rune(" ▁▂▃▄▅▆▇█")

// sparkline draws the newest values that fit, from nothing to the largest of them. What is not a
// number is a gap.
func sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	most := 0.0
	for _, v := range values {
		if !math.IsNaN(v) {
			most = max(most, v)
		}
	}
	line := strings.Builder{}
	for _, v := range values {
		level := 0
		if most > 0 && v > 0 {
			level = 1 + int(v/most*float64(len(sparks)-2)+0.5)
		}
		line.WriteRune(sparks[min(max(level, 0), len(sparks)-1)])
	}
	return line.String()
}

// bar draws a share as a bar.
func bar(share float64, width int) string {
	full := int(min(max(share, 0), 1)*float64(width) + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", max(0, width-full))
}
