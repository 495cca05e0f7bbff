package main

// goal.go: what our figures have to keep to. The limit of most is a multiple of a floor, a C
// program that does the same with the least possible work; beside it stands whether c100k is
// cheaper than every rival.

import (
	"fmt"
	"math"
	"slices"
)

// reference says what a figure is held against.
type reference int

const (
	absolute    reference = iota // nothing: the limit is in the figure's unit
	theServer                    // the same figure of a server that is named
	otherFigure                  // another figure of ours
	bestRival                    // the same figure of the rival that costs least
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
	rivals        bool      // it is also compared with the cheapest rival
}

// The multiples of a floor: a server in Go has the same system calls to make, and a few hundred
// nanoseconds of its own.
const (
	floorLimit     = 1.05
	handshakeLimit = 1.1 // which allocates, and hashes
)

// goals are the figures that c100k has set itself.
func goals() []goal {
	floor := func(work, scenario, of, name string, limit float64) goal {
		return goal{work: work, scenario: scenario, key: usKey, of: of, limit: limit, against: theServer, name: name, rivals: of == nodeAuto}
	}
	plain := func(work, scenario, key string, limit float64, rivals bool) goal {
		return goal{work: work, scenario: scenario, key: key, of: nodeAuto, limit: limit, rivals: rivals}
	}
	// There is no floor for Socket.IO: the reference itself is the limit.
	socketIO := func(work, scenario, key string) goal {
		return goal{work: "Socket.IO: " + work, scenario: scenario, key: key, of: nodeSIO, limit: 1, against: theServer, name: rivalSIO}
	}
	return []goal{
		floor("fan-out 64 B to 10,000", "fan", nodeAuto, uringFloor, floorLimit),
		floor("fan-out 64 B to 10,000", "fan", nodeSyscall, plainFloor, floorLimit),
		floor("fan-out 1 KiB to 10,000", "fan-1KiB", nodeAuto, uringFloor, floorLimit),
		floor("bursts of eight", "burst", nodeAuto, uringFloor, floorLimit),
		floor("echo 64 B", "echo", nodeAuto, uringFloor, floorLimit),
		floor("echo 64 B, 16 in flight", "echo16", nodeAuto, uringFloor, floorLimit),
		floor("echo 16 KiB", "echo16k", nodeAuto, uringFloor, floorLimit),
		floor("light load", "light", nodeAuto, plainFloor, floorLimit),
		floor("handshake", "handshake", nodeAuto, plainFloor, handshakeLimit),
		plain("idle memory a connection, bytes", "memory", "bytes", 200, true),
		plain("fan-out with 1 % stalled: CPU, × without", "stalled", "cost", 1.1, false),
		plain("fan-out with 1 % stalled: p99 of the others, × without", "stalled", "p99", 2, false),
		plain("echo p99 beside fan-outs, × alone", "p99", "times", 3, false),
		{work: "cost a delivery, 10,000 to 1,000 connections", scenario: "fan", key: usKey, of: nodeAuto, limit: 1.2, against: otherFigure, other: [2]string{"fan1k", usKey}},
		socketIO("fan-out 64 B to 10,000", "fan", usKey),
		socketIO("event with acknowledgement", "ack", usKey),
		socketIO("handshake", "handshake", usKey),
		socketIO("idle memory a connection", "memory", "bytes"),
	}
}

// verdict is what came of a goal.
type verdict struct {
	Work    string  `json:"work"`
	Of      string  `json:"of"`
	Against string  `json:"against,omitempty"`
	Ours    float64 `json:"ours"`
	Ratio   spread  `json:"ratio"` // ours divided by its reference, repetition by repetition; with no reference ours itself
	Limit   float64 `json:"limit"`
	Met     bool    `json:"met"`
	Void    bool    `json:"void,omitempty"`  // a run that is in it was void
	Turns   bool    `json:"turns,omitempty"` // measured with loads that take turns

	Rival   string  `json:"rival,omitempty"`       // the cheapest of them
	Beside  *spread `json:"rival_ratio,omitempty"` // ours divided by that of the rival
	Cheaper bool    `json:"cheaper,omitempty"`     // than every rival
}

// judge holds a goal against the runs, those by turns where there are any; ok is false where a
// figure is missing.
func (g goal) judge(targets []target, runs, turns []run) (v verdict, ok bool) {
	if g.against == bestRival {
		if g.name, _ = best(targets, runs, g); g.name == "" {
			return v, false
		}
	}
	own, other, byTurns := pairOf(runs, turns, g, g.reference())
	if len(own.values) == 0 {
		return v, false
	}
	v = verdict{Work: g.work, Of: g.of, Ours: spreadOf(own.list()).Median, Limit: g.limit, Void: own.void || other.void, Turns: byTurns}
	ratios := own.list()
	switch g.against {
	case theServer, bestRival:
		v.Against, ratios = g.name, own.by(other)
	case otherFigure:
		v.Against, ratios = g.other[0], own.by(other)
		if g.other[0] == g.scenario {
			v.Against = g.other[1]
		}
	}
	if len(ratios) == 0 {
		return v, false
	}
	v.Ratio = spreadOf(ratios)
	v.Met = v.Ratio.Median <= g.limit
	if g.rivals {
		v.compete(targets, runs, turns, g)
	}
	return v, true
}

// compete compares ours with the cheapest rival.
func (v *verdict) compete(targets []target, runs, turns []run, g goal) {
	name, _ := best(targets, runs, g)
	if name == "" {
		return
	}
	own, other, _ := pairOf(runs, turns, g, [3]string{g.scenario, g.key, name})
	ratios := own.by(other)
	if len(ratios) == 0 {
		return
	}
	beside := spreadOf(ratios)
	v.Rival, v.Beside, v.Cheaper = name, &beside, beside.Median < 1
}

// reference is the scenario, the key and the server of what the goal is held against.
func (g goal) reference() [3]string {
	switch g.against {
	case theServer, bestRival:
		return [3]string{g.scenario, g.key, g.name}
	case otherFigure:
		return [3]string{g.other[0], g.other[1], g.of}
	}
	return [3]string{g.scenario, g.key, g.of}
}

// pairOf are our figure and that of a reference: both by turns, where they took turns with each
// other, or else both by runs.
func pairOf(runs, turns []run, g goal, of [3]string) (own, other column, byTurns bool) {
	if of[0] == g.scenario && (of[2] != g.of || of[1] != g.key) {
		own, other = collect(turns, g.scenario, g.key, g.of), collect(turns, of[0], of[1], of[2])
		if len(own.values) > 0 && len(other.values) > 0 {
			return own, other, true
		}
	}
	return collect(runs, g.scenario, g.key, g.of), collect(runs, of[0], of[1], of[2]), false
}

// best is the rival with the least median of a figure.
func best(targets []target, runs []run, g goal) (name string, least column) {
	at := math.Inf(1)
	for _, t := range targets {
		if t.Kind != rival {
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

// collect gathers a figure over the repetitions. What was void is not in it, unless nothing else
// is.
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

// by divides each value by that of another column in the same repetition, where both have one.
func (c column) by(other column) (ratios []float64) {
	for _, rep := range c.reps() {
		if of := other.values[rep]; of > 0 {
			ratios = append(ratios, c.values[rep]/of)
		}
	}
	return ratios
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

// text writes the median, and half the way between the ends as a share of it where there are
// several values.
func (s spread) text(decimals int) string {
	text := fmt.Sprintf("%.*f", decimals, s.Median)
	if len(s.Values) > 1 && s.Median > 0 {
		text += fmt.Sprintf(" ±%.0f %%", 50*(s.Max-s.Min)/s.Median)
	}
	return text
}
