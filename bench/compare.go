package main

// compare.go: us against us: the node of another revision beside that of the work tree, in turns,
// and what of the difference is more than noise.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/perf/benchmath"
	"golang.org/x/sys/unix"

	"c100k/bench/rig"
)

// The names of the two.
const (
	baseName = "base"
	workName = "work tree"
)

// compare builds the node of o.base in a work tree of its own, and drives both with the load of the
// work tree. Both are built alike, so that a difference is the code's.
func (b *bench) compare(ctx context.Context, root string, o options, chosen []scenario) error {
	dirty, err := exec.CommandContext(ctx, "git", "-C", root, "status", "--porcelain").Output()
	if err != nil {
		return fmt.Errorf("git status: %w", err)
	}
	if len(dirty) > 0 {
		return fmt.Errorf("the work tree differs from its commit; commit it first, so that it is known what was compared:\n%s", dirty)
	}
	bases, err := worktree(ctx, root, b.generator.dir, o.base)
	if err != nil {
		return err
	}
	defer bases.remove()
	before, after := filepath.Join(b.generator.dir, "before"), filepath.Join(b.generator.dir, "after")
	if err := buildNode(ctx, bases.dir, before); err != nil {
		return err
	}
	if err := buildNode(ctx, root, after); err != nil {
		return err
	}
	chosen = slices.DeleteFunc(chosen, func(sc scenario) bool { return sc.cores > 1 })
	doc := &document{scenarios: chosen}
	begin, pair := time.Now(), []target{node(baseName, before, "auto"), node(workName, after, "auto")}
	failed, err := b.compareByTurns(ctx, chosen, pair, doc)
	if err != nil {
		return err
	}
	alone := slices.DeleteFunc(slices.Clone(chosen), func(sc scenario) bool { return sc.turns != nil })
	more, err := b.runAll(ctx, alone, pair, doc, b.within-time.Since(begin))
	if err != nil {
		return err
	}
	fmt.Printf("base: %s · work tree: %s · %d repetitions, %d starts of servers that take turns\n\n", firstLine("git", "-C", root, "rev-parse", "--short=12", o.base),
		firstLine("git", "-C", root, "rev-parse", "--short=12", "HEAD"), doc.Repetitions, doc.starts)
	doc.differences(os.Stdout)
	if failed += more; failed > 0 {
		return fmt.Errorf("%d runs failed", failed)
	}
	return nil
}

// turnStarts is how often the two servers of a scenario are started anew: two processes of one
// program differ by where the kernel has put their memory, which rounds of the same two would take
// for a difference of the code.
const turnStarts = 3

// compareByTurns measures each scenario that can be measured so, in as many starts, with as many
// rounds as its share of the time has room for: half of it, where there are other scenarios, too.
func (b *bench) compareByTurns(ctx context.Context, chosen []scenario, pair []target, doc *document) (failed int, err error) {
	doc.starts = min(turnStarts, b.reps)
	within, turning := b.within, 0
	for _, sc := range chosen {
		if sc.turns != nil {
			turning++
		}
	}
	if turning < len(chosen) {
		within /= 2
	}
	for _, sc := range chosen {
		if sc.turns == nil {
			continue
		}
		rounds := min(sc.turns.rounds(within/time.Duration(turning*doc.starts), len(pair)), max(b.rounds, 1))
		for n := range doc.starts {
			runs, err := b.takeTurns(ctx, sc, pair, rounds, n*roundsMax)
			if ctx.Err() != nil {
				return failed, err
			}
			if err != nil {
				failed++
				runs = []run{{Scenario: sc.name, Server: "turns", Rep: n, Error: err.Error()}}
			}
			doc.Turns = append(doc.Turns, runs...)
		}
	}
	return failed, nil
}

// checkout is a work tree of git that is taken away again.
type checkout struct{ root, dir string }

func worktree(ctx context.Context, root, parent, revision string) (*checkout, error) {
	c := &checkout{root, filepath.Join(parent, "base-tree")}
	text, err := exec.CommandContext(ctx, "git", "-C", root, "worktree", "add", "--detach", c.dir, revision).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("git worktree add %s: %w\n%s", revision, err, text)
	}
	return c, nil
}

func (c *checkout) remove() {
	if text, err := exec.Command("git", "-C", c.root, "worktree", "remove", "--force", c.dir).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "bench: git worktree remove: %v\n%s", err, text)
	}
}

// buildNode builds the program of a work tree as `make build` does.
func buildNode(ctx context.Context, dir, out string, flags ...string) error {
	return buildProgram(ctx, dir, "./cmd/c100k", out, flags...)
}

// buildProgram builds a program of the module in dir.
func buildProgram(ctx context.Context, dir, name, out string, flags ...string) error {
	argv := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(argv, name)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("build %s in %s: %w", name, dir, err), errors.New(string(text)))
	}
	unix.Sync() // pages of a program that are not on the disk yet count as its own memory
	return nil
}

// leastReps is how many repetitions each side needs before a test can tell anything at all.
const leastReps = 4

// differences prints each figure of the two with its ratio, and whether that is more than noise.
func (d *document) differences(w io.Writer) {
	fmt.Fprintf(w, "| | %s | %s | ratio | half of the rounds | |\n|---|---:|---:|---:|---:|---|\n", baseName, workName)
	for _, sc := range d.scenarios {
		for _, f := range sc.figures {
			if x, y := collect(d.Turns, sc.name, f.key, baseName), collect(d.Turns, sc.name, f.key, workName); len(x.values) > 0 && len(y.values) > 0 {
				ratios := y.by(x)
				fmt.Fprintf(w, "| %s | %.*f | %.*f | %.3f | %.3f, %.3f | %s |\n", f.title, f.decimals, spreadOf(x.list()).Median, f.decimals, spreadOf(y.list()).Median,
					rig.Quantile(ratios, 0.5), rig.Quantile(ratios, 0.25), rig.Quantile(ratios, 0.75), certainty(startsOf(x, y)))
				continue
			}
			x, y := collect(d.Runs, sc.name, f.key, baseName), collect(d.Runs, sc.name, f.key, workName)
			if len(x.values) == 0 || len(y.values) == 0 {
				continue
			}
			a, b := spreadOf(x.list()), spreadOf(y.list())
			word := significance(x.list(), y.list())
			if x.void || y.void {
				word = "void"
			}
			fmt.Fprintf(w, "| %s | %s | %s | %.3f | | %s |\n", f.title, a.text(f.decimals), b.text(f.decimals), b.Median/a.Median, word)
		}
	}
	fmt.Fprintf(w, "\n~: the difference may be noise. p is the chance of such a one between two that are alike: by turns the sign test over the rounds, and noise as well\n"+
		"where the starts do not agree; otherwise Mann-Whitney U, %d repetitions at least.\n", leastReps)
	d.failures(w)
}

// startsOf are the ratios of the rounds of each start.
func startsOf(base, work column) (starts [][]float64) {
	for first := 0; first <= slices.Max(append(work.reps(), 0)); first += roundsMax {
		one := column{values: map[int]float64{}}
		for rep, v := range work.values {
			if rep >= first && rep < first+roundsMax {
				one.values[rep] = v
			}
		}
		if ratios := one.by(base); len(ratios) > 0 {
			starts = append(starts, ratios)
		}
	}
	return starts
}

// certaintyLevel is the p below which a difference is taken for one.
const certaintyLevel = 0.05

// certainty words whether the ratios of several starts are more than noise: all starts lie on the
// same side of 1, and the sign test over all rounds says so.
func certainty(starts [][]float64) string {
	above := 0
	for _, ratios := range starts {
		if rig.Quantile(ratios, 0.5) > 1 {
			above++
		}
	}
	p := rig.SignTest(slices.Concat(starts...))
	if p > certaintyLevel || above > 0 && above < len(starts) {
		return fmt.Sprintf("~ (p=%.3f, %d of %d starts above 1)", p, above, len(starts))
	}
	return fmt.Sprintf("p=%.3f", p)
}

func significance(x, y []float64) string {
	if len(x) < leastReps || len(y) < leastReps {
		return "too few"
	}
	thresholds := benchmath.DefaultThresholds
	c := benchmath.AssumeNothing.Compare(benchmath.NewSample(x, &thresholds), benchmath.NewSample(y, &thresholds))
	if c.P > c.Alpha {
		return fmt.Sprintf("~ (p=%.3f)", c.P)
	}
	return fmt.Sprintf("p=%.3f", c.P)
}
