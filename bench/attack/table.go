// The table: what came of the attack, with its goals.

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"c100k/bench/rig"
	"c100k/loadgen"
)

// slowdownMax is the goal: the p99 of honest clients under attack, as a multiple of their quiet
// one.
const slowdownMax = 3

// slowdownFloor is up to where a quiet p99 counts as this much: three times a tenth of a
// millisecond is less than one time slice of the scheduler.
const slowdownFloor = time.Millisecond

type row struct{ name, value, goal string }

// table collects rows and what was missed.
type table struct {
	times  bool // judge them
	rows   []row
	missed []string
}

func (t *table) note(name, format string, args ...any) {
	t.rows = append(t.rows, row{name: name, value: fmt.Sprintf(format, args...)})
}

// judge adds a goal to the last row.
func (t *table) judge(goal string, met bool) {
	r := &t.rows[len(t.rows)-1]
	r.goal = goal + ": met"
	if !met {
		r.goal = goal + ": **missed**"
		t.missed = append(t.missed, r.name)
	}
}

func (t *table) met() bool { return len(t.missed) == 0 }

// compare puts both runs beside each other.
func (t *table) compare(quiet, loud both) {
	for _, kind := range []struct {
		name        string
		quiet, loud *rig.Load
		latencies   func(*loadgen.Result) *loadgen.Latencies
	}{
		{"echo", quiet.echo, loud.echo, func(r *loadgen.Result) *loadgen.Latencies { return r.Echo }},
		{"delivery", quiet.listen, loud.listen, func(r *loadgen.Result) *loadgen.Latencies { return r.Deliver }},
	} {
		before, under := kind.latencies(kind.quiet.Result), kind.latencies(kind.loud.Result)
		if before == nil || under == nil {
			t.note(kind.name, "nothing was measured")
			t.judge("latencies", false)
			continue
		}
		p99 := func(l *loadgen.Latencies) time.Duration { return time.Duration(l.P99) }
		base := max(p99(before), slowdownFloor)
		t.note(kind.name+", p99: quiet, attacked", "%.2f ms, %.2f ms: %.1f×", ms(p99(before)), ms(p99(under)), float64(p99(under))/float64(base))
		if t.times {
			t.judge(fmt.Sprintf("≤ %d×", slowdownMax), p99(under) <= slowdownMax*base)
		}
		c, m := &kind.loud.Result.Connections, &kind.loud.Result.Messages
		t.note(kind.name+", connections lost, of", "%d, %d", c.LostCount, c.Wanted)
		t.judge("0", c.LostCount == 0 && c.Open == c.Wanted)
		t.note(kind.name+", messages lost, of", "%d, %d", m.Lost+m.MissedAway, m.Expected)
		t.judge("0", m.Lost+m.MissedAway+m.Gaps+m.Corrupted == 0 && m.Expected > 0)
		if kind.loud.Void {
			t.note(kind.name, "the generator says that it was the bottleneck itself")
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// memory puts what the node had at most beside its budget. Half of the budget of each worker may be
// held for clients, and the parent of several counts as one.
func (t *table) memory(most int64, workers int, f figures) {
	budget := 2 * f.Held.Limit
	if workers > 1 {
		budget += budget / int64(workers)
	}
	t.note("memory of the node at most, of its budget", "%d MiB, %d MiB", most>>20, budget>>20)
	t.judge("within", most <= budget)
	t.note("shortages of memory; held at the end", "%d; %d MiB of %d", f.Held.Shortages, f.Held.Bytes>>20, f.Held.Limit>>20)
}

// node says whether the node is the one that it was.
func (t *table) node(before []int, node *rig.Node) {
	restarted := 0
	for _, pid := range node.Workers() {
		if !slices.Contains(before, pid) {
			restarted++
		}
	}
	t.note("workers that were started again", "%d", restarted)
	t.judge("0", restarted == 0)
	t.note("errors in the log", "%d", len(node.Errors()))
	t.judge("0", len(node.Errors()) == 0)
	for _, line := range node.Errors() {
		t.note("", "%s", line)
	}
}

// strangers tells what they did. One that did nothing proves nothing.
func (t *table) strangers(chosen []attack, did map[string]deeds, f figures) {
	for _, a := range chosen {
		d := did[a.name]
		t.note("strangers: "+a.title, "%d connections, %d requests, %d ended by the node", d.Opened, d.Sent, d.Ended)
		t.judge("≥ 1", d.Opened > 0)
	}
	t.note("connections refused by the node", "%s", counts(f.Connections.Refused))
	t.note("handshakes rejected", "%s", counts(f.Rejected))
}

// counts writes a map in order of its keys.
func counts(m map[string]uint64) string {
	var parts []string
	for name, n := range m {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, n))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// print writes the table as Markdown, and the verdict.
func (t *table) print(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| | | goal |\n|---|---|---|\n")
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, r.value, r.goal)
	}
	verdict := "Honest clients did not notice."
	if !t.met() {
		verdict = "Missed: " + strings.Join(t.missed, "; ") + "."
	}
	fmt.Fprintf(&b, "\n%s\n", verdict)
	_, err := io.WriteString(w, b.String())
	return err
}
