// Command bench measures c100k beside the floor: C programs that do the same with the least possible work. It prints one Markdown table.
//
// Each scenario runs on each server alone, in turns (A B C, A B C, …), server and load client each on a core of its own; a figure is the median of the
// repetitions. README.md says what the figures mean.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

type bench struct {
	size               size
	client             clientBinary
	serverCore, nice   int
	fanPath, topicPath string
	targets            []target
	reps               int
}

type options struct {
	io, only, servers, json, c100k, fanPath string
	reps, nice, loops                       int
	seconds                                 time.Duration
	quick, pin                              bool
}

func main() {
	var o options
	flag.StringVar(&o.io, "io", "auto", "--io of c100k: auto, uring or syscall; several, with commas, make several columns")
	flag.StringVar(&o.only, "only", "", "scenarios to run, with commas (default all): "+strings.Join(names(scenarios(fullSize)), ","))
	flag.StringVar(&o.servers, "servers", "c100k,"+plainFloor+","+uringFloor, "servers to measure, with commas")
	flag.IntVar(&o.reps, "reps", 5, "repetitions")
	flag.DurationVar(&o.seconds, "seconds", fullSize.seconds, "measured time of each run")
	flag.StringVar(&o.json, "json", "", "file for all results as JSON")
	flag.StringVar(&o.c100k, "c100k", "", "the server's binary (default bin/c100k of this module)")
	flag.StringVar(&o.fanPath, "fan-path", "/broadcast", "where fan-outs are measured; /ws?topic=t takes the way of topics")
	flag.IntVar(&o.loops, "loops", 1, "event loops of c100k")
	flag.BoolVar(&o.pin, "pin", true, "server on the first core, client on the second")
	flag.IntVar(&o.nice, "nice", 0, "priority of server and client; negative needs rights")
	flag.BoolVar(&o.quick, "quick", false, "a hundredth of the connections, once, to see that everything works: the figures mean nothing")
	flag.Parse()
	if err := benchmark(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func benchmark(o options) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	cc, floors, err := buildFloors(filepath.Join(root, "bench", "floor"), "bin")
	if err != nil {
		return err
	}
	b := newBench(o, floors)
	chosen, err := choose(scenarios(b.size), o.only)
	if err != nil {
		return err
	}
	if o.c100k == "" {
		o.c100k = filepath.Join(root, "bin", "c100k")
	}
	if b.targets, err = chooseTargets(o, floors); err != nil {
		return err
	}
	doc := &document{Environment: describe(root, cc, o.c100k)}
	for _, t := range b.targets {
		doc.Servers = append(doc.Servers, t.Name)
	}
	failed := b.runAll(chosen, doc)
	doc.markdown(os.Stdout)
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

func newBench(o options, floors string) *bench {
	b := &bench{size: fullSize, reps: o.reps, nice: o.nice, fanPath: o.fanPath, topicPath: "/ws?topic=t", serverCore: -1}
	b.size.seconds = o.seconds
	if o.quick {
		b.size, b.reps = quickSize, 1
	}
	b.client = clientBinary{path: filepath.Join(floors, "client"), core: -1, nice: o.nice}
	if o.pin && runtime.NumCPU() > 1 {
		b.serverCore, b.client.core = 0, 1
	} else if o.pin {
		fmt.Fprintln(os.Stderr, "bench: one CPU only: server and client share it, so nothing is pinned")
	}
	return b
}

// runAll runs the scenarios and returns how many runs failed; the others are in the document all the same.
func (b *bench) runAll(chosen []scenario, doc *document) (failed int) {
	for _, sc := range chosen {
		reps := b.reps
		if sc.repsMax > 0 {
			reps = min(reps, sc.repsMax)
		}
		first := len(doc.Runs)
		for rep := range reps {
			for _, t := range b.targets {
				r := run{Scenario: sc.name, Server: t.Name, Rep: rep}
				s, err := b.runOne(sc, t)
				if err != nil {
					r.Error = err.Error()
					failed++
				} else {
					r.Figures, r.Clients = s.Figures, s.Clients
				}
				fmt.Fprintf(os.Stderr, "%-10s %d/%d  %-16s %v %s\n", sc.name, rep+1, reps, t.Name, r.Figures, r.Error)
				doc.Runs = append(doc.Runs, r)
			}
		}
		doc.Rows = append(doc.Rows, rowsOf(sc, b.targets, doc.Runs[first:])...)
	}
	return failed
}

// runOne starts a fresh server for one run: none inherits another's heap, sockets or warm caches.
func (b *bench) runOne(sc scenario, t target) (*sample, error) {
	s, err := t.start(b.serverCore, b.nice, sc.admin)
	if err != nil {
		return nil, err
	}
	sample, err := sc.run(b, s)
	s.stop()
	if err != nil {
		return nil, fmt.Errorf("%w; the server's last words: %w", err, s.outputError())
	}
	return sample, nil
}

func names(all []scenario) []string {
	var list []string
	for _, sc := range all {
		list = append(list, sc.name)
	}
	return list
}

func choose(all []scenario, only string) ([]scenario, error) {
	if only == "" {
		return all, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(all), name) {
			return nil, fmt.Errorf("no scenario %q; there are %s", name, strings.Join(names(all), ", "))
		}
	}
	return slices.DeleteFunc(all, func(sc scenario) bool { return !slices.Contains(wanted, sc.name) }), nil
}

func chooseTargets(o options, floors string) ([]target, error) {
	var list []target
	for _, name := range strings.Split(o.servers, ",") {
		switch name {
		case "c100k":
			if _, err := os.Stat(o.c100k); err != nil {
				return nil, fmt.Errorf("%w: build it with make build", err)
			}
			ios := strings.Split(o.io, ",")
			for _, io := range ios {
				list = append(list, oursTarget(o.c100k, io, o.loops, len(ios) > 1))
			}
		case plainFloor, uringFloor:
			t := floorTarget(floors, name)
			s, err := t.start(-1, 0, false)
			if err != nil { // io_uring is forbidden in many containers
				fmt.Fprintln(os.Stderr, "bench: without a column for", name+":", err)
				continue
			}
			s.stop()
			list = append(list, t)
		default:
			return nil, fmt.Errorf("no server %q", name)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no server to measure")
	}
	return list, nil
}

// buildFloors builds the C programs into dir/bin (or an absolute path) and returns the compiler and where they are.
func buildFloors(dir, bin string) (cc, out string, err error) {
	if cc = os.Getenv("CC"); cc == "" {
		cc = "cc"
	}
	for _, tool := range []string{cc, "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", "", fmt.Errorf("the load client and the floor are C programs: %w", err)
		}
	}
	text, err := exec.Command("make", "-C", dir, "CC="+cc, "BIN="+bin).CombinedOutput()
	if err != nil {
		return "", "", fmt.Errorf("build the floor: %w\n%s", err, text)
	}
	if !filepath.IsAbs(bin) {
		bin = filepath.Join(dir, bin)
	}
	return cc, bin, nil
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
