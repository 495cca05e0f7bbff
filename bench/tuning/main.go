// Command tuning measures what the settings of tuning.md gain on this machine.
//
// For each experiment it starts a node with one value of a setting after the other, in turns, and
// drives the same load against each. It prints one table an experiment. Settings of the kernel are
// put back afterwards; without root those experiments are left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"c100k/bench/rig"
)

type options struct {
	binary, only string
	reps         int
}

func main() {
	o := options{}
	flag.StringVar(&o.binary, "c100k", filepath.Join("bin", "c100k"), "the program: node and load generator")
	flag.StringVar(&o.only, "only", strings.Join(names(), ","), "experiments, with commas")
	flag.IntVar(&o.reps, "reps", 3, "repetitions; a figure is their median")
	flag.Parse()
	rig.Main("tuning", func(ctx context.Context) error { return run(ctx, o) })
}

func run(ctx context.Context, o options) error {
	if flag.NArg() > 0 || o.reps < 1 {
		return fmt.Errorf("unexpected argument, or less than one repetition; see --help")
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "tuning-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	m := rig.Describe(o.binary)
	fmt.Printf("%s · %s, %d CPUs · %s · %s\n", m.Kernel, m.CPU, m.CPUs, m.Commit, m.Date)
	var failed []error
	for _, e := range chosen {
		table, err := e.measure(ctx, &bench{options: o, scratch: scratch})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, rig.ErrNotAllowed):
			fmt.Printf("\n**%s** is left out: it changes a setting of the kernel, which needs root\n", e.name)
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", e.name, err))
		default:
			fmt.Print("\n", table)
		}
	}
	return errors.Join(failed...)
}

func experimentName(e experiment) string { return e.name }

func names() []string { return rig.Names(experiments(), experimentName) }

func choose(only string) ([]experiment, error) {
	return rig.Choose("experiment", experiments(), experimentName, only)
}
