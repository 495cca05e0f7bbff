// Command attack runs strangers against a node that serves honest clients, and says whether these
// notice.
//
// It starts `c100k serve`, and two runs of `c100k load` against it: clients that echo, and clients
// that listen to a topic. First they are alone, then strangers do all that is in strangers.go at
// once. It prints one table: the latencies of both runs beside each other, what was lost, the
// memory of the node beside its budget, and what the strangers did. `make attack` is it with 20,000
// connections for an hour. The exit code is 1 where a goal is missed.
//
// Everything runs on one machine, so strangers and clients share its processors: a stranger that
// the node has ended waits some seconds before it comes back, the processes of strangers have the
// lowest priority, and the load generator says so where it was the bottleneck itself. With
// --elsewhere strangers attack a second node: how much slower honest clients of the first are then
// is what sharing the machine costs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"c100k/bench/rig"
)

type options struct {
	binary  string
	conns   int // of strangers
	rate    int // of strangers that come back, a second
	honest  int
	workers string
	memory  string
	span    time.Duration
	quiet   time.Duration
	only    string
	out     string
	quick   bool
	// elsewhere: the strangers attack a second node, and only share the machine with the first.
	elsewhere bool
}

func main() {
	if spec := os.Getenv(strangerVariable); spec != "" {
		rig.Main("attack", func(ctx context.Context) error { return beStranger(ctx, spec, os.Stdout) })
		return
	}
	o := options{}
	flag.StringVar(&o.binary, "c100k", filepath.Join("bin", "c100k"), "the program: node and load generator")
	flag.IntVar(&o.conns, "conns", 20_000, "connections of the strangers")
	flag.IntVar(&o.rate, "rate", 500, "strangers that come back each second, all together: they share the node's processors")
	flag.IntVar(&o.honest, "honest", 1000, "connections of honest clients: one half echoes, the other listens")
	flag.StringVar(&o.workers, "workers", "2", "processes of the node, as in c100k serve")
	flag.StringVar(&o.memory, "memory", "768MiB", "memory of the node, as in c100k serve")
	flag.DurationVar(&o.span, "for", time.Hour, "length of the attack")
	flag.DurationVar(&o.quiet, "quiet", 30*time.Second, "length of the run without strangers")
	flag.StringVar(&o.only, "only", allAttacks(), "attacks, with commas")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "results"), "directory for the documents of both runs; empty: none are kept")
	flag.BoolVar(&o.quick, "quick", false, "what is lost is judged, times are not")
	flag.BoolVar(&o.elsewhere, "elsewhere", false, "the strangers attack another node on the same machine: what honest clients notice then is the machine's")
	flag.Parse()
	if flag.NArg() > 0 || o.rate < 1 || o.conns < 1 || o.honest < 2 {
		fmt.Fprintln(os.Stderr, "attack: an unexpected argument, or a number that is too small; see --help")
		os.Exit(2)
	}
	rig.Main("attack", func(ctx context.Context) error {
		t, err := run(ctx, o)
		if err != nil {
			return err
		}
		if err := t.print(os.Stdout); err != nil {
			return err
		}
		if !t.met() {
			return errors.New("a goal was missed")
		}
		return nil
	})
}
