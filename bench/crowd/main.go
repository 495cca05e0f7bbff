// Command crowd holds, feeds, drops and wounds a very large number of connections on one box, and
// says whether all goals were met.
//
// It starts `c100k serve` with as many workers as the box asks for, drives `c100k load` against it,
// one step after the other, and prints one table. Results go to files: a summary as JSON and
// Markdown, and of each run of the generator its document and its report. `make demo-100k`, `make
// demo-kill` and `make soak` are it with other steps.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"c100k/bench/rig"
)

// demo are the steps of `make demo-100k`.
const demo = "open,publish,topics,storm"

func main() {
	o := options{}
	flag.StringVar(&o.binary, "c100k", filepath.Join("bin", "c100k"), "the program: node and load generator")
	flag.IntVar(&o.conns, "conns", 100_000, "connections")
	flag.StringVar(&o.workers, "workers", "auto", "processes of the node, as in c100k serve")
	flag.StringVar(&o.only, "only", demo, "steps, with commas: "+strings.Join(names(), ","))
	flag.DurationVar(&o.soak, "soak", time.Hour, "length of the step soak")
	flag.BoolVar(&o.quick, "quick", false, "everything for a few seconds: what is lost is judged, times and costs are not")
	flag.BoolVar(&o.tls, "tls", false, "the connections are wss:, with a certificate made for the run")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "results"), "directory for the results; empty: none are kept")
	flag.StringVar(&o.name, "name", "", "how the files of the results begin (default the date, -crowd, and --only where it is given)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "crowd: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if o.name == "" {
		o.name = defaultName(time.Now(), o.only)
	}
	rig.Main("crowd", func(ctx context.Context) error {
		met, err := run(ctx, o)
		if err == nil && !met {
			err = errors.New("a goal was missed")
		}
		return err
	})
}

func defaultName(now time.Time, only string) string {
	name := now.UTC().Format(time.DateOnly) + "-crowd"
	if only != demo {
		name += "-" + strings.ReplaceAll(only, ",", "-")
	}
	return name
}

// run does the steps, prints the table and keeps the results. It tells whether every goal was met.
func run(ctx context.Context, o options) (met bool, err error) {
	chosen, err := choose(o.only)
	if err != nil {
		return false, err
	}
	scratch, err := os.MkdirTemp("", "crowd-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	if o.out == "" {
		o.out = scratch
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return false, err
	}
	if o.tls {
		if err := o.certify(scratch); err != nil {
			return false, err
		}
	}
	doc := &document{Machine: rig.Describe(o.binary), Arguments: os.Args[1:]}
	failed := doSteps(ctx, o, chosen, doc)
	if err := doc.markdown(os.Stdout); err != nil {
		return false, err
	}
	return doc.met() && failed == nil, errors.Join(failed, doc.write(filepath.Join(o.out, o.name)))
}

// doSteps does one step after the other; what was measured before one fails is kept.
func doSteps(ctx context.Context, o options, chosen []step, doc *document) error {
	for _, s := range chosen {
		fmt.Fprintf(os.Stderr, "%s: %s\n", s.name, s.title(o))
		section := section{Step: s.name, Title: s.title(o), Goals: !o.quick}
		err := s.do(ctx, &trial{options: o, section: &section, step: s.name})
		doc.Steps = append(doc.Steps, section)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
