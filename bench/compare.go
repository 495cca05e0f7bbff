package main

// compare.go: us against us: the node of another revision beside that of the work tree, in turns, and what of the difference is more than noise.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
	"golang.org/x/sys/unix"
)

// The names of the two.
const (
	baseName = "base"
	workName = "work tree"
)

// compare builds the node of o.base in a work tree of its own, and drives both with the load of the work tree. Both are built alike, so that a
// difference is the code's.
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
	failed, err := b.runAll(ctx, chosen, []target{node(baseName, before, "auto"), node(workName, after, "auto")}, doc)
	if err != nil {
		return err
	}
	fmt.Printf("base: %s · work tree: %s · %d repetitions\n\n", firstLine("git", "-C", root, "rev-parse", "--short=12", o.base), firstLine("git", "-C", root, "rev-parse", "--short=12", "HEAD"),
		doc.Repetitions)
	doc.differences(os.Stdout)
	if failed > 0 {
		return fmt.Errorf("%d runs failed", failed)
	}
	return nil
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

// differences prints each figure of the two with its ratio, and whether that is more than noise. The test assumes no distribution (Mann-Whitney U).
func (d *document) differences(w io.Writer) {
	fmt.Fprintf(w, "| | %s | %s | ratio | |\n|---|---:|---:|---:|---|\n", baseName, workName)
	for _, sc := range d.scenarios {
		for _, f := range sc.figures {
			x, y := collect(d.Runs, sc.name, f.key, baseName), collect(d.Runs, sc.name, f.key, workName)
			if len(x.values) == 0 || len(y.values) == 0 {
				continue
			}
			a, b := spreadOf(x.list()), spreadOf(y.list())
			word := significance(x.list(), y.list())
			if x.void || y.void {
				word = "void"
			}
			fmt.Fprintf(w, "| %s | %s | %s | %.3f | %s |\n", f.title, a.text(f.decimals), b.text(f.decimals), b.Median/a.Median, word)
		}
	}
	fmt.Fprintf(w, "\n~: the difference may be noise; p is the chance of such a one between two that are alike (Mann-Whitney U, %d repetitions at least).\n", leastReps)
	for _, r := range d.Runs {
		if r.Error != "" {
			fmt.Fprintf(w, "\nFailed: %s on %s, repetition %d: %s\n", r.Scenario, r.Server, r.Rep+1, strings.TrimSpace(r.Error))
		}
	}
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
