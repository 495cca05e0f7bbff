// Tests of the tables, and of what the experiments are made of.

package main

import (
	"os"
	"strings"
	"testing"

	"c100k/bench/rig"
	"c100k/loadgen"
)

func TestTable(t *testing.T) {
	e := experiment{name: "x", title: "a setting", values: []value{{label: "1"}, {label: "2"}},
		figures: []figure{{"connections", openConnections}, {"CPU a message, µs", perMessage}}}
	run := func(open int, cpu loadgen.Millis, void bool) outcome {
		r := &loadgen.Result{Server: &loadgen.ServerCost{PerMessage: cpu}}
		r.Connections.Open = open
		return outcome{load: &rig.Load{Result: r, Void: void}}
	}
	got := e.table([][]outcome{
		{run(10, 4560, false), run(10, 4000, false), run(10, 5123, false)},
		{run(7, 0, true), run(9, 0, false)},
	})
	const want = "**x**: a setting\n\n| | connections | CPU a message, µs |\n|---|---:|---:|\n" +
		"| 1 | 10 | 4.56 (4 to 5.12) |\n| 2 \\* | 9 (7 to 9) | – |\n" +
		"\n\\* In at least one run the generator says that it was the bottleneck: times count for nothing.\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Every experiment has something to compare, is known to tuning.md by its name, and the other way
// round.
func TestExperiments(t *testing.T) {
	text, err := os.ReadFile("../../tuning.md")
	if err != nil {
		t.Fatal(err)
	}
	node := &rig.Node{Public: "127.0.0.1:1", Admin: "127.0.0.1:2"}
	for _, e := range experiments() {
		if len(e.values) < 2 || len(e.figures) == 0 || e.title == "" || !strings.Contains(strings.Join(e.load(node), " "), node.Public) {
			t.Errorf("%s is not whole", e.name)
		}
		if !strings.Contains(string(text), "--only "+e.name+"'") {
			t.Errorf("tuning.md does not say how to run %s", e.name)
		}
	}
	if _, err := choose("io,nothing"); err == nil {
		t.Error("an experiment that is not there was chosen")
	}
}
