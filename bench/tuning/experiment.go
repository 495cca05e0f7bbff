// An experiment: the values of one setting, the load, and the figures that tell them apart.

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"c100k/bench/rig"
)

// experiment is one table.
type experiment struct {
	name    string
	title   string
	values  []value
	host    string                     // address of the node; empty: 127.0.0.1
	load    func(n *rig.Node) []string // arguments of the generator
	figures []figure
}

// value is one value of the setting: a row.
type value struct {
	label  string
	kernel []rig.Setting
	env    []string // of the node
	files  int      // the node's limit on open files; 0: as it is
	serve  []string // arguments of the node
}

// outcome is what one run has to show.
type outcome struct {
	load     *rig.Load
	readings []rig.Reading
}

// figure is one column.
type figure struct {
	title string
	of    func(outcome) (float64, bool)
}

type bench struct {
	options
	scratch string
	runs    int
}

// measure runs every value as often as asked for, in turns: what the machine does in those minutes
// happens to all of them.
func (e experiment) measure(ctx context.Context, b *bench) (string, error) {
	outcomes := make([][]outcome, len(e.values))
	for range b.reps {
		for i, v := range e.values {
			out, err := b.once(ctx, e, v)
			if err != nil {
				return "", fmt.Errorf("%s: %w", v.label, err)
			}
			outcomes[i] = append(outcomes[i], out)
		}
	}
	return e.table(outcomes), nil
}

// once sets the value, starts a node, loads it, and puts the setting back.
func (b *bench) once(ctx context.Context, e experiment, v value) (out outcome, err error) {
	restore, err := rig.Change(v.kernel)
	if err != nil {
		return out, err
	}
	defer func() {
		if failed := restore(); failed != nil && err == nil {
			err = failed
		}
	}()
	node, err := rig.Start(b.binary, rig.Environment{Host: e.host, Variables: v.env, Files: v.files},
		append([]string{"--demo-endpoints", "--public-topics", ">", "--drain", "0s"}, v.serve...)...)
	if err != nil {
		return out, err
	}
	defer node.Stop()
	watch := node.Watch()
	b.runs++
	out.load, err = rig.Run(ctx, b.binary, filepath.Join(b.scratch, strconv.Itoa(b.runs)), io.Discard, append(e.load(node), "--server-pid", strconv.Itoa(node.PID()))...)
	out.readings = watch.Stop()
	return out, err
}

func (e experiment) table(outcomes [][]outcome) string {
	out := &bytes.Buffer{}
	fmt.Fprintf(out, "**%s**: %s\n\n| |", e.name, e.title)
	for _, f := range e.figures {
		fmt.Fprintf(out, " %s |", f.title)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---:|", len(e.figures)))
	void := false
	for i, v := range e.values {
		mark := ""
		if slices.ContainsFunc(outcomes[i], func(o outcome) bool { return o.load.Void }) {
			void, mark = true, " \\*"
		}
		fmt.Fprintf(out, "| %s%s |", v.label, mark)
		for _, f := range e.figures {
			fmt.Fprintf(out, " %s |", f.text(outcomes[i]))
		}
		fmt.Fprintln(out)
	}
	if void {
		fmt.Fprintln(out, "\n\\* In at least one run the generator says that it was the bottleneck: times count for nothing.")
	}
	return out.String()
}

// text is the median of a figure, with the least and the greatest where there are several.
func (f figure) text(outcomes []outcome) string {
	var values []float64
	for _, o := range outcomes {
		if v, known := f.of(o); known {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return "–"
	}
	slices.Sort(values)
	median := values[len(values)/2]
	if values[0] == values[len(values)-1] {
		return number(median)
	}
	return fmt.Sprintf("%s (%s to %s)", number(median), number(values[0]), number(values[len(values)-1]))
}

// number writes three significant digits.
func number(v float64) string {
	if v >= 100 || v == float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
