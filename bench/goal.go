package main

// goal.go: what a figure of ours has to keep to, and whether it did.

import (
	"fmt"
	"slices"
)

const (
	plainFloor = "floor-send"
	uringFloor = "floor-uring"
)

// goal is a limit of one figure, either as it stands or as a multiple of the plain floor's in the same repetition.
type goal struct {
	limit float64
	ratio bool
	uring bool // holds where io_uring carries the bytes, so not for --io syscall
}

func atMost(limit float64) goal     { return goal{limit: limit} }
func timesPlain(limit float64) goal { return goal{limit: limit, ratio: true} }

func (g goal) needsUring() goal {
	g.uring = true
	return g
}

// verdict judges the first of our columns that the goal is for.
func (g goal) verdict(targets []target, median func(target) (float64, bool)) string {
	text := fmt.Sprintf("≤ %.4g", g.limit)
	if g.uring {
		text += " (io_uring)"
	}
	for _, t := range targets {
		if !t.Ours || g.uring && t.IO == "syscall" {
			continue
		}
		v, ok := median(t)
		switch {
		case !ok:
			return text
		case v <= g.limit:
			return text + ": met"
		default:
			return text + ": missed"
		}
	}
	return text
}

// spread is the middle and the ends of several values.
type spread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Values []float64 `json:"values"` // by repetition
}

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1], Values: values}
}
