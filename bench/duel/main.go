// Command duel tells one or two per cent apart on a machine whose speed changes by twenty from one second to the next.
//
// All servers are up at once, on one core, and each has its connections and a load of its own, on another; but only one load runs at a
// time, for a fraction of a second, and the others are stopped (SIGSTOP). Each round gives every server its window, and the figure is the
// median over the rounds of its CPU a message, divided by that of the first server in the same round. The machine's own changes, which last for
// seconds, are in both.
//
//	go run ./bench/duel 'send=bench/floor/bin/floor-send -p {port}' 'node=bin/c100k serve --dev --listen 127.0.0.1:{port} --admin 127.0.0.1:0 --loops 1'
//	go run ./bench/duel --messages 1 --window 800ms --lead 300ms --load '{ws}/broadcast --conns 4500 --size 64 --in-flight 1 --publish {ws}/broadcast' …
//
// Messages are counted by the kernel, as segments with data that this machine has sent: nothing else may be sending.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

type options struct {
	binary       string
	load         string
	rounds       int
	window, lead time.Duration
	messages     float64 // segments with data a message
}

func main() {
	var o options
	flag.StringVar(&o.binary, "c100k", filepath.Join("bin", "c100k"), "the program whose load generator is used")
	flag.StringVar(&o.load, "load", "{ws}/echo --conns 1000 --in-flight 1 --size 64", "what c100k load gets; {ws} and {http} are the URL of the server, without a path")
	flag.IntVar(&o.rounds, "rounds", 20, "windows of each server")
	flag.DurationVar(&o.window, "window", 400*time.Millisecond, "how long a window is")
	flag.DurationVar(&o.lead, "lead", 100*time.Millisecond, "how long a load runs before its window, for what has waited meanwhile")
	flag.Float64Var(&o.messages, "messages", 2, "segments with data that a message is: 2 for an echo, 1 for a delivery")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "duel:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, servers []string) error {
	if len(servers) == 0 || o.rounds < 1 || o.window <= 0 || o.lead < 0 || o.messages <= 0 {
		return errors.New("nothing to measure: want name=command for each server, and positive numbers; see --help")
	}
	whole := time.Duration(o.rounds*len(servers))*(o.window+o.lead) + time.Duration(len(servers))*startTimeout + slack
	var sides []*side
	defer func() {
		for _, s := range sides {
			s.end()
		}
	}()
	for _, text := range servers {
		name, command, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("%q: want name=command", text)
		}
		s, err := start(ctx, o, name, strings.Fields(command), whole)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		sides = append(sides, s)
	}
	for range o.rounds {
		for _, s := range sides {
			if err := s.measure(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	fmt.Print(table(sides))
	return nil
}
