package main

// ablation.go: what a technique is worth: the same scenario with it and without it, in turns, on a
// node built for that.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// technique is something that the node does to be fast, and can do without.
type technique struct {
	name      string
	without   string   // what is done in its place
	scenarios []string // where it should matter
	env       string   // its word in ABLATION_WITHOUT, which a build with the tag `ablation` reads
	io        string   // or --io without it
}

// techniques have a variant without them that is simple and honest. Others are too deep in the node
// to be taken out: the wheel, the records, the reactor itself are measured by the rivals, which are
// built otherwise.
var techniques = []technique{
	{name: "io_uring batches", without: "a system call for each read and send", scenarios: []string{"fan", "burst", "echo", "echo16"}, io: "syscall"},
	{name: "one send for a run of messages", without: "a send for each message", scenarios: []string{"burst"}, env: "runs"},
	{name: "encoded once", without: "encoded for each member", scenarios: []string{"fan", "fan-1KiB", "burst"}, env: "sharing"},
	{name: "compressed once", without: "compressed for each member", scenarios: []string{"deflate"}, env: "sharing"},
	{name: "echo in place", without: "the payload copied behind a new header", scenarios: []string{"echo", "echo1k", "echo16k"}, env: "in-place"},
	{name: "fan-out in slices", without: "all members in one turn", scenarios: []string{"p99", "fan"}, env: "slices"},
}

// whole is the node with everything.
const whole = "all"

func (t technique) target(binary string) target {
	io := t.io
	if io == "" {
		io = "auto"
	}
	without := node(t.name, binary, io)
	if t.env != "" {
		without.env = []string{"ABLATION_WITHOUT=" + t.env}
	}
	return without
}

func (b *bench) ablate(ctx context.Context, root string, o options, chosen []scenario) error {
	binary := filepath.Join(b.generator.dir, "ablation")
	if err := buildNode(ctx, root, binary, "-tags", "ablation"); err != nil {
		return err
	}
	doc := &document{scenarios: chosen}
	begin, longest, failed := time.Now(), time.Duration(0), 0
	for rep := range b.reps {
		started := time.Now()
		if rep > 0 && started.Sub(begin)+longest > b.within {
			break
		}
		for _, sc := range chosen {
			for _, t := range b.variants(sc, binary) {
				r := b.runOne(ctx, sc, t, rep)
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				fmt.Fprintf(os.Stderr, "%6s %d %-12s %-32s %v %s%s\n", time.Since(begin).Round(time.Second), rep+1, sc.name, t.Name, r.Figures, r.Void, r.Error)
				if r.Error != "" {
					failed++
				}
				doc.Runs = append(doc.Runs, r)
			}
		}
		longest = max(longest, time.Since(started))
		doc.Repetitions = rep + 1
	}
	fmt.Printf("null system call %.0f ns · %s · %d repetitions\n\n", nullSyscall(), firstLine("git", "-C", root, "describe", "--always", "--dirty"), doc.Repetitions)
	doc.ablationTable(os.Stdout)
	if o.json != "" {
		if err := doc.writeJSON(o.json); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d runs failed", failed)
	}
	return nil
}

// variants are the nodes that a scenario is run on; none where no technique is about it.
func (b *bench) variants(sc scenario, binary string) (nodes []target) {
	for _, t := range techniques {
		if slices.Contains(t.scenarios, sc.name) {
			nodes = append(nodes, t.target(binary))
		}
	}
	if len(nodes) > 0 {
		nodes = append([]target{node(whole, binary, "auto")}, nodes...)
	}
	return nodes
}

// ablationTable has a row for each technique and figure.
func (d *document) ablationTable(w io.Writer) {
	fmt.Fprint(w, "| technique | without it | figure | with | without | × | |\n|---|---|---|---:|---:|---:|---|\n")
	for _, t := range techniques {
		for _, name := range t.scenarios {
			at := slices.IndexFunc(d.scenarios, func(sc scenario) bool { return sc.name == name })
			if at < 0 {
				continue
			}
			for _, f := range d.scenarios[at].figures {
				d.ablationRow(w, t, name, f)
			}
		}
	}
	fmt.Fprintf(w, "\n×: without divided by with. ~: it may be noise (Mann-Whitney U, %d repetitions at least).\n", leastReps)
	d.failures(w)
}

func (d *document) ablationRow(w io.Writer, t technique, scenario string, f figure) {
	with, without := collect(d.Runs, scenario, f.key, whole), collect(d.Runs, scenario, f.key, t.name)
	if len(with.values) == 0 || len(without.values) == 0 {
		return
	}
	a, b := spreadOf(with.list()), spreadOf(without.list())
	word := significance(with.list(), without.list())
	if with.void || without.void {
		word = "void"
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %.2f | %s |\n", t.name, t.without, f.title, a.text(f.decimals), b.text(f.decimals), b.Median/a.Median, word)
}
