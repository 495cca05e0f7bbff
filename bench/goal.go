package main

// goal.go: what our figures have to keep to: multiples of a floor or of the best rival in the same repetitions, or plain bounds.

import (
	"fmt"
	"math"
	"slices"
)

// reference says what a figure is held against.
type reference int

const (
	absolute       reference = iota // nothing: the limit is in the figure's unit
	theServer                       // the same figure of a server that is named
	bestRival                       // that of the rival with the least
	bestEventRival                  // the same among those without a goroutine for a connection
	otherFigure                     // another figure of ours
)

// goal is a limit of one of our figures, as a multiple of its reference.
type goal struct {
	work          string // as a reader calls it
	scenario, key string
	of            string // whose figure it is
	limit         float64
	against       reference
	name          string    // of theServer
	other         [2]string // scenario and key of otherFigure
}

// goals are the figures that c100k has set itself.
func goals() []goal {
	var all []goal
	add := func(work, scenario, key, of string, limit float64, against reference, name string) {
		all = append(all, goal{work: work, scenario: scenario, key: key, of: of, limit: limit, against: against, name: name})
	}
	fan, fan1k := "fan-out 64 B to 10,000", "fan-out 1 KiB to 10,000"
	add(fan, "fan", usKey, nodeAuto, 1.25, theServer, uringFloor)
	add(fan, "fan", usKey, nodeAuto, 0.40, bestRival, "")
	add(fan, "fan", usKey, nodeSyscall, 1.1, theServer, plainFloor)
	add(fan, "fan", usKey, nodeSyscall, 0.65, bestRival, "")
	add(fan1k, "fan-1KiB", usKey, nodeAuto, 1.2, theServer, uringFloor)
	add(fan1k, "fan-1KiB", usKey, nodeAuto, 0.40, bestRival, "")
	all = append(all, goal{work: "bursts of eight", scenario: "burst", key: usKey, of: nodeAuto, limit: 0.15, against: otherFigure, other: [2]string{"fan", usKey}})
	add("bursts of eight", "burst", usKey, nodeAuto, 0.06, bestRival, "")
	add("echo 64 B", "echo", usKey, nodeAuto, 0.85, theServer, plainFloor)
	add("echo 64 B", "echo", usKey, nodeAuto, 0.50, bestRival, "")
	add("echo 64 B, 16 in flight", "echo16", usKey, nodeAuto, 1.2, theServer, uringFloor)
	add("echo 64 B, 16 in flight", "echo16", usKey, nodeAuto, 0.09, bestRival, "")
	add("echo 16 KiB", "echo16k", usKey, nodeAuto, 1.1, theServer, plainFloor)
	add("echo 16 KiB", "echo16k", usKey, nodeAuto, 0.65, bestRival, "")
	add("light load", "light", usKey, nodeAuto, 1.1, theServer, plainFloor)
	add("idle memory a connection, bytes", "memory", "bytes", nodeAuto, 200, absolute, "")
	add("idle memory a connection", "memory", "bytes", nodeAuto, 1.0/3, bestEventRival, "")
	add("idle memory a connection", "memory", "bytes", nodeAuto, 1.0/80, theServer, "gorilla")
	add("handshake", "handshake", usKey, nodeAuto, 1.25, theServer, plainFloor)
	add("fan-out with 1 % stalled: CPU, × without", "stalled", "cost", nodeAuto, 1.1, absolute, "")
	add("fan-out with 1 % stalled: p99 of the others, × without", "stalled", "p99", nodeAuto, 2, absolute, "")
	add("echo p99 beside fan-outs, × alone", "p99", "times", nodeAuto, 3, absolute, "")
	all = append(all, goal{work: "cost a delivery, 10,000 to 1,000 connections", scenario: "fan", key: usKey, of: nodeAuto, limit: 1.2, against: otherFigure,
		other: [2]string{"fan1k", usKey}})
	add("Socket.IO: fan-out 64 B to 10,000", "fan", usKey, nodeSIO, 0.30, theServer, rivalSIO)
	add("Socket.IO: event with acknowledgement", "ack", usKey, nodeSIO, 0.30, theServer, rivalSIO)
	add("Socket.IO: handshake", "handshake", usKey, nodeSIO, 1.0/5, theServer, rivalSIO)
	add("Socket.IO: idle memory a connection", "memory", "bytes", nodeSIO, 1.0/20, theServer, rivalSIO)
	return all
}

// verdict is what came of a goal. Ratio is NaN where something was not measured.
type verdict struct {
	Work    string  `json:"work"`
	Of      string  `json:"of"`
	Against string  `json:"against,omitempty"`
	Ours    float64 `json:"ours"`
	Ratio   spread  `json:"ratio"` // ours divided by its reference, repetition by repetition; with no reference ours itself
	Limit   float64 `json:"limit"`
	Met     bool    `json:"met"`
	Void    bool    `json:"void,omitempty"` // a run that is in it was void
}

// judge holds a goal against the runs; ok is false where a figure is missing.
func (g goal) judge(targets []target, runs []run) (v verdict, ok bool) {
	own := collect(runs, g.scenario, g.key, g.of)
	if len(own.values) == 0 {
		return v, false
	}
	v = verdict{Work: g.work, Of: g.of, Ours: spreadOf(own.list()).Median, Limit: g.limit, Void: own.void}
	other := column{}
	switch g.against {
	case absolute:
		v.Ratio = spreadOf(own.list())
		v.Met = v.Ratio.Median <= g.limit
		return v, true
	case theServer:
		v.Against, other = g.name, collect(runs, g.scenario, g.key, g.name)
	case otherFigure:
		v.Against, other = g.other[0], collect(runs, g.other[0], g.other[1], g.of)
	default:
		v.Against, other = best(targets, runs, g)
	}
	v.Void = v.Void || other.void
	var ratios []float64
	for _, rep := range own.reps() {
		if of := other.values[rep]; of > 0 {
			ratios = append(ratios, own.values[rep]/of)
		}
	}
	if len(ratios) == 0 {
		return v, false
	}
	v.Ratio = spreadOf(ratios)
	v.Met = v.Ratio.Median <= g.limit
	return v, true
}

// best is the rival with the least median of a figure.
func best(targets []target, runs []run, g goal) (name string, least column) {
	at := math.Inf(1)
	for _, t := range targets {
		if t.Kind != rival || g.against == bestEventRival && !t.events {
			continue
		}
		c := collect(runs, g.scenario, g.key, t.Name)
		if len(c.values) == 0 || c.void {
			continue
		}
		if m := spreadOf(c.list()).Median; m < at {
			at, name, least = m, t.Name, c
		}
	}
	return name, least
}

// column is one figure of one server, by repetition.
type column struct {
	values map[int]float64
	void   bool // of at least one
}

// collect gathers a figure over the repetitions. What was void is not in it, unless nothing else is.
func collect(runs []run, scenario, key, server string) column {
	good, bad := column{values: map[int]float64{}}, column{values: map[int]float64{}, void: true}
	for _, r := range runs {
		v, has := r.Figures[key]
		switch {
		case !has || r.Scenario != scenario || r.Server != server:
		case r.Void != "":
			bad.values[r.Rep] = v
		default:
			good.values[r.Rep] = v
		}
	}
	if len(good.values) == 0 && len(bad.values) > 0 {
		return bad
	}
	return good
}

func (c column) reps() []int {
	reps := make([]int, 0, len(c.values))
	for rep := range c.values {
		reps = append(reps, rep)
	}
	slices.Sort(reps)
	return reps
}

// list are the values in the order of the repetitions.
func (c column) list() []float64 {
	values := make([]float64, 0, len(c.values))
	for _, rep := range c.reps() {
		values = append(values, c.values[rep])
	}
	return values
}

// spread is the middle and the ends of several values.
type spread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Values []float64 `json:"values"`
}

// spreadOf needs one value at least.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1], Values: values}
}

// text writes the median, and half the way between the ends as a share of it where there are several values.
func (s spread) text(decimals int) string {
	text := fmt.Sprintf("%.*f", decimals, s.Median)
	if len(s.Values) > 1 && s.Median > 0 {
		text += fmt.Sprintf(" ±%.0f %%", 50*(s.Max-s.Min)/s.Median)
	}
	return text
}
