// Command duel tells one or two per cent apart on a machine whose speed changes by twenty from one
// second to the next: servers under loads that take turns, as [rig.Turns] has it. It prints, for
// each server, the median over the rounds of its CPU a message, and of that divided by the CPU of
// the first server in the same round.
//
//	go run ./bench/duel 'send=bench/floor/bin/floor-send -p {port}' 'node=bin/c100k serve --dev --listen 127.0.0.1:{port} --admin 127.0.0.1:0 --loops 1'
//	go run ./bench/duel --messages 1 --window 800ms --lead 300ms --load '{ws}/broadcast --conns 4500 --size 64 --in-flight 1 --publish {ws}/broadcast' …
//
// Messages are counted by the kernel, as segments with data that this machine has sent: nothing
// else may be sending.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"c100k/bench/rig"
)

const serverCore, loadCore = 0, 1

func main() {
	t := rig.Turns{ServerCore: serverCore, LoadCore: loadCore}
	var load string
	flag.StringVar(&t.Binary, "c100k", filepath.Join("bin", "c100k"), "the program whose load generator is used")
	flag.StringVar(&load, "load", "{ws}/echo --conns 1000 --in-flight 1 --size 64", "what c100k load gets; {ws} and {http} are the URL of the server, without a path")
	flag.IntVar(&t.Rounds, "rounds", 20, "windows of each server")
	flag.DurationVar(&t.Window, "window", 400*time.Millisecond, "how long a window is")
	flag.DurationVar(&t.Lead, "lead", 100*time.Millisecond, "how long a load runs before its window, for what has waited meanwhile")
	flag.Float64Var(&t.Segments, "messages", 2, "segments with data that a message is: 2 for an echo, 1 for a delivery")
	flag.Float64Var(&t.Bytes, "bytes", 0, "bytes of payload that a message is, in both directions together, in place of --messages: where several messages share a segment")
	flag.Parse()
	rig.Main("duel", func(ctx context.Context) error { return run(ctx, t, load, flag.Args()) })
}

func run(ctx context.Context, t rig.Turns, load string, servers []string) error {
	if len(servers) == 0 {
		return errors.New("nothing to measure: give name=command for each server; see --help")
	}
	var contestants []rig.Contestant
	for _, text := range servers {
		name, command, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("%q: want name=command", text)
		}
		contestants = append(contestants, rig.Contestant{Name: name, Command: words(command), Load: words(load)})
	}
	sides, err := t.Run(ctx, contestants)
	if err != nil {
		return err
	}
	fmt.Print(table(sides))
	return nil
}

// words are those of a command line, with the address of the server filled in.
func words(line string) func(addr string) []string {
	return func(addr string) []string {
		_, port, _ := net.SplitHostPort(addr) // rig has just joined it
		fill := strings.NewReplacer("{port}", port, "{ws}", "ws://"+addr, "{http}", "http://"+addr)
		var all []string
		for _, word := range strings.Fields(line) {
			all = append(all, fill.Replace(word))
		}
		return all
	}
}

// table is Markdown: medians, and of the ratio also the quarters, between which half of the rounds
// lie.
func table(sides []rig.Side) string {
	first := sides[0]
	var b strings.Builder
	fmt.Fprintf(&b, "| | CPU µs a message | least, most | × %s | half of the rounds |\n|---|---:|---:|---:|---:|\n", first.Name)
	for _, s := range sides {
		us, ratios := s.Microseconds, rig.Ratios(s.Microseconds, first.Microseconds)
		fmt.Fprintf(&b, "| %s | %.3f | %.3f, %.3f | %.3f | %.3f, %.3f |\n", s.Name, rig.Quantile(us, 0.5), slices.Min(us), slices.Max(us),
			rig.Quantile(ratios, 0.5), rig.Quantile(ratios, 0.25), rig.Quantile(ratios, 0.75))
	}
	return b.String()
}
