// Command bench measures c100k beside the floor, C programs that do the same with the least
// possible work, and beside its rivals, the programs of bench/peers. All are driven by c100k load.
//
// Each scenario runs on each server alone, one after the other (A B C, A B C, …), server and load
// each on a core of its own; a figure is the median of the repetitions. What goals hold against a
// floor or a rival is measured a second time, with loads that take turns on servers that are all
// up: turns.go. It prints Markdown, and writes a JSON document and a page. README.md says what the
// figures mean.
//
// With --base it measures the node of another revision beside that of the work tree, with
// --ablation the node with one technique after the other switched off.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"c100k/bench/rig"
)

type options struct {
	only, servers, json, page, c100k, base string
	reps, rounds                           int
	seconds, within                        time.Duration
	smoke, ablation, tls                   bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == shakeCommand {
		rig.Main("bench", func(ctx context.Context) error { return shakeMain(ctx, os.Args[2:]) })
		return
	}
	var o options
	flag.StringVar(&o.only, "only", "", "scenarios to run, with commas (default all): "+strings.Join(scenarioNames(scenarios(fullSize)), ","))
	flag.StringVar(&o.servers, "servers", "", "servers to measure, with commas (default all that run here): c100k, c100k syscall, "+plainFloor+", "+uringFloor+" and the rivals")
	flag.IntVar(&o.reps, "reps", 5, "repetitions at most")
	flag.IntVar(&o.rounds, "rounds", roundsMax, "windows of each server where loads take turns, for goals with a ratio; 0: none")
	flag.DurationVar(&o.within, "within", 55*time.Minute, "time for all: no repetition begins that would not end within it; the first is always whole")
	flag.DurationVar(&o.seconds, "seconds", fullSize.seconds, "measured time of each run")
	flag.StringVar(&o.json, "json", "", "file for all results as JSON")
	flag.StringVar(&o.page, "page", "", "file for the page with plots")
	flag.StringVar(&o.c100k, "c100k", "", "the node's binary, which is the load's too (default bin/c100k of this module)")
	flag.StringVar(&o.base, "base", "", "revision to compare the work tree with, which must be clean: only the two are measured")
	flag.BoolVar(&o.ablation, "ablation", false, "measure the node with one technique after the other switched off")
	flag.BoolVar(&o.tls, "tls", false, "measure TLS: other scenarios, goals and servers (memory, handshake, echo, echo16k, fan)")
	flag.BoolVar(&o.smoke, "smoke", false, "a hundredth of the connections, once, to see that everything works: the figures mean nothing")
	flag.Parse()
	rig.Main("bench", func(ctx context.Context) error { return benchmark(ctx, o) })
}

func benchmark(ctx context.Context, o options) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if o.c100k == "" {
		o.c100k = filepath.Join(root, "bin", "c100k")
	}
	if _, err := os.Stat(o.c100k); err != nil {
		return fmt.Errorf("%w: build it with make build", err)
	}
	dir, err := os.MkdirTemp("", "c100k-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := newBench(o, dir)
	all := scenarios(b.size)
	if o.tls {
		all = tlsScenarios(b.size)
	}
	chosen, err := chooseScenarios(all, o.only)
	if err != nil {
		return err
	}
	switch {
	case o.tls && (o.base != "" || o.ablation):
		return errors.New("--tls is not for --base and --ablation")
	case o.base != "":
		return b.compare(ctx, root, o, chosen)
	case o.ablation:
		return b.ablate(ctx, root, o, chosen)
	}
	return b.table(ctx, root, o, chosen)
}

// table measures everything beside each other.
func (b *bench) table(ctx context.Context, root string, o options, chosen []scenario) error {
	servers := allTargets
	if o.tls {
		servers = tlsTargets
	}
	all, skipped, err := servers(ctx, root, b.generator.dir, o)
	if err != nil {
		return err
	}
	targets, more, err := choose(all, namesIn(o.servers))
	skipped = append(skipped, more...)
	if err != nil {
		return err
	}
	doc := &document{Format: "c100k-bench", Version: 2, Machine: rig.Describe(o.c100k), Compiler: firstLine(compiler(), "--version"), SyscallNs: nullSyscall(),
		Arguments: os.Args[1:], Servers: targets, Skipped: skipped, scenarios: chosen, goals: goals()}
	if o.tls {
		doc.goals = tlsGoals()
	}
	for _, sc := range chosen {
		doc.Scenarios = append(doc.Scenarios, described{sc.name, sc.what})
	}
	begin := time.Now()
	failed, interrupted := b.runAll(ctx, chosen, targets, doc, b.within-b.turnTime(chosen))
	if interrupted == nil && b.rounds > 0 {
		var more int
		more, interrupted = b.turnGoals(ctx, doc)
		failed += more
	}
	doc.Took = time.Since(begin).Seconds()
	if !o.smoke { // whose sizes are not those of the goals
		doc.judge()
	}
	doc.markdown(os.Stdout)
	if o.json != "" {
		if err := doc.writeJSON(o.json); err != nil {
			return err
		}
	}
	if o.page != "" {
		var text bytes.Buffer
		if err := doc.writeHTML(&text); err != nil {
			return err
		}
		if err := os.WriteFile(o.page, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if interrupted == nil && failed > 0 {
		return fmt.Errorf("%d runs failed", failed)
	}
	return interrupted
}

// allTargets are the servers of the table without TLS. skipped says what cannot be built here.
func allTargets(ctx context.Context, root, _ string, o options) (all []target, skipped []string, err error) {
	all = []target{node(nodeAuto, o.c100k, "auto"), node(nodeSyscall, o.c100k, "syscall")}
	sockets := filepath.Join(root, "bin", "sio")
	if err := buildProgram(ctx, root, "./bench/sio", sockets); err != nil {
		return nil, nil, err
	}
	all = append(all, socketIONode(sockets))
	handlers := filepath.Join(root, "bin", "ws")
	if err := buildProgram(ctx, root, "./bench/ws", handlers); err != nil {
		return nil, nil, err
	}
	all = append(all, webSocketServers(handlers)...)
	floors, err := buildFloors(filepath.Join(root, "bench", "floor"), "bin")
	if err != nil {
		skipped = append(skipped, err.Error())
	} else {
		all = append(all, floorAt(floors, plainFloor), floorAt(floors, uringFloor))
	}
	peers := filepath.Join(root, "bench", "peers")
	versions, err := rivalVersions(peers)
	if err != nil {
		return nil, nil, err
	}
	all = append(all, rivalsOf(peers, versions)...)
	return all, skipped, nil
}

// namesIn splits a list with commas.
func namesIn(list string) (names []string) {
	if list == "" {
		return nil
	}
	for name := range strings.SplitSeq(list, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return names
}

// bench is a run of the whole.
type bench struct {
	size         size
	generator    generator
	serverCore   int // for scenarios of one core
	reps, rounds int
	within       time.Duration
}

func newBench(o options, dir string) *bench {
	b := &bench{size: fullSize, reps: o.reps, rounds: o.rounds, within: o.within, serverCore: anywhere,
		generator: generator{binary: o.c100k, dir: dir, core: anywhere}}
	b.size.seconds = o.seconds
	if o.smoke {
		b.size, b.reps, b.rounds = smokeSize, 1, min(b.rounds, 2)
	}
	if runtime.NumCPU() > 1 {
		b.serverCore, b.generator.core = 0, 1
	} else {
		fmt.Fprintln(os.Stderr, "bench: one CPU only: server and load share it, so nothing is pinned, and the load's wake-ups are the server's")
	}
	return b
}

// runAll runs all scenarios on all targets, and again, as long as the time lasts. It returns how
// many runs failed; the others are in the document all the same.
func (b *bench) runAll(ctx context.Context, chosen []scenario, targets []target, doc *document, within time.Duration) (failed int, err error) {
	begin, longest := time.Now(), time.Duration(0)
	for rep := range b.reps {
		started := time.Now()
		if rep > 0 && started.Sub(begin)+longest > within {
			break
		}
		doc.Repetitions = rep + 1
		for _, sc := range chosen {
			for _, t := range targets {
				if !sc.suits(t) || t.Kind == rival && !sc.rivals {
					continue
				}
				r := b.runOne(ctx, sc, t, rep)
				if ctx.Err() != nil {
					return failed, errors.New("interrupted")
				}
				if r.Error != "" {
					failed++
				}
				fmt.Fprintf(os.Stderr, "%6s %d %-12s %-14s %v %s%s\n", time.Since(begin).Round(time.Second), rep+1, sc.name, t.Name, r.Figures, r.Void, r.Error)
				doc.Runs = append(doc.Runs, r)
			}
		}
		longest = max(longest, time.Since(started))
	}
	return failed, nil
}

// runOne starts a fresh server for one run: none inherits another's heap, sockets or warm caches.
func (b *bench) runOne(ctx context.Context, sc scenario, t target, rep int) (r run) {
	r = run{Scenario: sc.name, Server: t.Name, Rep: rep}
	begin := time.Now()
	one, err := b.measure(ctx, sc, t)
	r.Seconds = time.Since(begin).Seconds()
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Figures = one.figures
	for _, l := range one.loads {
		r.Loads = append(r.Loads, briefOf(l))
		if r.Void == "" {
			r.Void = l.void
		}
	}
	return r
}

func (b *bench) measure(ctx context.Context, sc scenario, t target) (*sample, error) {
	at := *b
	loops := 1
	if sc.cores > 1 {
		loops, at.serverCore, at.generator.core = sc.cores, anywhere, anywhere
	}
	if sc.deflate {
		t = t.compressed()
	}
	s, err := t.start(at.serverCore, loops)
	if err != nil {
		return nil, err
	}
	one, err := sc.run(ctx, &at, s)
	s.stop()
	if err != nil {
		return nil, fmt.Errorf("%w; the server's last words: %w", err, s.outputError())
	}
	return one, nil
}

func scenarioName(sc scenario) string { return sc.name }

func scenarioNames(all []scenario) []string { return rig.Names(all, scenarioName) }

// chooseScenarios finds those that were asked for, in their own order; only = "": all.
func chooseScenarios(all []scenario, only string) ([]scenario, error) {
	if only == "" {
		return all, nil
	}
	wanted, err := rig.Choose("scenario", all, scenarioName, only)
	if err != nil {
		return nil, err
	}
	names := scenarioNames(wanted)
	return slices.DeleteFunc(all, func(sc scenario) bool { return !slices.Contains(names, sc.name) }), nil
}

// moduleRoot is the directory of go.mod, here or above.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run it inside the module: there is no go.mod here or above")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}
