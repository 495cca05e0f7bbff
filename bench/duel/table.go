package main

// table.go: what the rounds come to.

import (
	"fmt"
	"slices"
	"strings"
)

// table is Markdown: medians, and of the ratio also the quarters, between which half of the rounds lie.
func table(sides []*side) string {
	first := sides[0]
	var b strings.Builder
	fmt.Fprintf(&b, "| | CPU µs a message | least, most | × %s | half of the rounds |\n|---|---:|---:|---:|---:|\n", first.name)
	for _, s := range sides {
		ratios := make([]float64, len(s.microseconds))
		for i, us := range s.microseconds {
			ratios[i] = us / first.microseconds[i]
		}
		fmt.Fprintf(&b, "| %s | %.3f | %.3f, %.3f | %.3f | %.3f, %.3f |\n", s.name, quantile(s.microseconds, 0.5),
			slices.Min(s.microseconds), slices.Max(s.microseconds), quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75))
	}
	return b.String()
}

// quantile of at least one value.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 == len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}
